"""One SM, instruction by instruction: the anatomy of a machine, from program and timing rules to its account."""
