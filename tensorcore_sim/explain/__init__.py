"""Weights and products to look at: the tile of an instruction that holds a place, and what it selects and adds."""
