"""Transformers of which only the sizes are known: from a config.json or by name, cut, and as operators of a pass."""
