"""The sparse tensor core of A100 and Hopper: so far its compressed format and its arithmetic, bit for bit."""

from tensorcore_sim.arithmetic import fused_dot_add, gemm
from tensorcore_sim.image import Compressed, compress, decompress

__all__ = ["Compressed", "compress", "decompress", "fused_dot_add", "gemm"]
