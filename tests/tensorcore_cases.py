"""What the tensor core's tests share: bit patterns pushed to where the rules are, and the call of one case."""

from __future__ import annotations

import numpy as np

import tensorcore_sim
from tests.naive_tensorcore import FIELDS

MODES = ("any", "near", "wide", "small", "large", "cancelling")
DTYPE = {"f32": np.uint32, "f16": np.uint16, "bf16": np.uint16, "tf32": np.uint32, "e4m3": np.uint8, "e5m2": np.uint8}


def shape_patterns(raw: np.ndarray, kind: str, mode: str) -> np.ndarray:
    """Return random patterns pushed to where a mode wants them; raw has the format's dtype.

    any: as they are; near, wide: exponents within 4 or 32 steps of the middle; small: zeros, subnormals and the next
    few; large: the largest exponents, infinities and NaNs among them; cancelling: near, second half = -first half.
    """
    exponent_bits, fraction_bits = FIELDS[kind]
    fraction_bits += 13 * (kind == "tf32")
    raw = raw.astype(np.int64)
    field = raw >> fraction_bits & (2**exponent_bits - 1)
    middle = 2 ** (exponent_bits - 1) - 1
    window = {"near": 4, "cancelling": 4, "wide": min(32, middle)}
    if mode in window:
        field = middle - window[mode] // 2 + field % window[mode]
    elif mode == "small":
        field = field % 4 * (field % 3 > 0)
    elif mode == "large":
        field = 2**exponent_bits - 1 - (field % 4 + 1) * (field % 32 > 0)
    keep = ~((2**exponent_bits - 1) << fraction_bits)
    return (raw & keep | field << fraction_bits).astype(DTYPE[kind])


def n_bytes(case) -> int:
    """Return how many random bytes the operands of one output element are made from."""
    return 2 * n_products(case[3]) * np.dtype(DTYPE[case[1]]).itemsize + np.dtype(DTYPE[case[2]]).itemsize


def operands(raw: bytes, case, mode: str, c_mode: str):
    """Return a, b [n, k] and c [n] as patterns, made from n * n_bytes(case) random bytes."""
    kind, out, k = case[1], case[2], n_products(case[3])
    rows = np.frombuffer(raw, np.uint8).reshape(-1, n_bytes(case))
    c_bytes = np.dtype(DTYPE[out]).itemsize
    c = shape_patterns(rows[:, :c_bytes].copy().view(DTYPE[out])[:, 0], out, c_mode)
    factors = shape_patterns(rows[:, c_bytes:].copy().view(DTYPE[kind]), kind, mode)
    a, b = factors[:, :k].copy(), factors[:, k:].copy()
    if mode == "cancelling":
        a[:, k // 2 :] = a[:, : k // 2] ^ DTYPE[kind](1 << (8 * a.itemsize - 1))
        b[:, k // 2 :] = b[:, : k // 2]
        b[:, -1] ^= DTYPE[kind](1 << (13 * (kind == "tf32")))
    return a, b, c


def n_products(instruction: str) -> int:
    k = int(instruction.rsplit("k", 1)[1])
    return k // 2 if ".sp" in instruction else k


def run(case, a, b, c):
    """Return tensorcore_sim.fused_dot_add for a naive case."""
    card, kind, out, instruction = case[:4]
    return tensorcore_sim.fused_dot_add(a, b, c, card=card, in_dtype=kind, out_dtype=out, instruction=instruction)
