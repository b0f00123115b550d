"""Fewer bits a weight: weight sharing by k-means, grids of integers, Huffman codes."""
