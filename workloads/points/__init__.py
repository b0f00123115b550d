"""Clouds of points: voxels, kernel maps, groups, neighbours, sparse convolutions and the networks made of them."""
