"""What pruning does to one matrix: patterns, criteria, ratios, and how the weights that stay make up for the rest."""
