"""The card around the SMs, a GEMM at a time: the anatomy of a machine, from tiles and timing rules to its account."""
