"""What is computed, bit for bit: the fused dot-add of each card, whole GEMMs, and the references."""
