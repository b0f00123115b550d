"""What a whole model launches on a card: GEMMs, attention, kernels that move bytes, sums over cards, the framework."""
