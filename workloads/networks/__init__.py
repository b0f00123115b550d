"""Networks in NumPy: modules, transformers, training, what they become as layers, and those that ship."""
