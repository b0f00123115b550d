"""How numbers and 2:4 weights lie in the card: formats, compressed values and metadata, shapes of instructions."""
