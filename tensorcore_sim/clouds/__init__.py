"""Sparse convolutions on clouds as TorchSparse and its peers run them on a card: search, moves, grouped GEMMs."""
