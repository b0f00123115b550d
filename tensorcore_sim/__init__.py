"""The sparse tensor core of A100 and Hopper: compressed format, arithmetic bit for bit, timing of instructions."""

from tensorcore_sim.arithmetic import fused_dot_add, gemm
from tensorcore_sim.image import Compressed, compress, decompress
from tensorcore_sim.microbenchmark import Throughput, latency, throughput
from tensorcore_sim.spec import PRESETS, Spec

__all__ = [
    "PRESETS",
    "Compressed",
    "Spec",
    "Throughput",
    "compress",
    "decompress",
    "fused_dot_add",
    "gemm",
    "latency",
    "throughput",
]
