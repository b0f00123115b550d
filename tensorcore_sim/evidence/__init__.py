"""What the model is held against beyond instructions: measured GEMMs, operators, whole models; how far it was."""
