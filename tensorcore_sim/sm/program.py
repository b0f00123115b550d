"""What the warps of an SM run: instructions by name, turned into arrays of what each one holds and how long."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from math import ceil

import numpy as np

from tensorcore_sim.format.shapes import Instruction, check_shape, parse
from tensorcore_sim.spec import PRESETS, TICKS, Spec
from workloads.errors import BadInput

ROW_BYTES = 128  # of shared memory in one pass: 32 banks of 4 bytes (ldmatrix reads an 8 x 8 matrix of b16 in one)
NOTHING = -1  # needs no result

BITS = {"f16": 16, "bf16": 16, "tf32": 32, "e4m3": 8, "e5m2": 8, "int8": 8, "int4": 4} | {
    "nvfp4": 4,
    "mxfp4": 4,
    "mxfp8": 8,
}
# Of B's bytes for 64 rows of a tile: a pair of SMs multiplies 256 rows, each reading half of B (PTX ISA, cta_group::2)
_SHARE_OF_B = {"tcgen05": Fraction(1, 4)}
# Shapes that are timed but have no arithmetic here (PTX ISA)
_TIMED_ONLY = {"b1": ("mma.m16n8k128", "mma.m16n8k256")}


class Kind(IntEnum):
    """The four kinds of operation that the rules tell apart."""

    MMA = 0  # mma and mma.sp (S5)
    LOAD = 1  # ldmatrix and ld.shared (S6)
    CLOSE = 2  # the end of an iteration (S7)
    WGMMA = 3  # wgmma and wgmma.sp (S8)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One instruction in ticks.

    hold: on the tensor core; floor: the part of it in which nothing is multiplied; port: on the shared-memory port;
    latency: from being served to completion. fma: multiply-adds, the skipped ones of a sparse A among them. n_bytes:
    that a load brings. needs: index, in its own warp, of the earlier operation whose result it waits for.
    """

    kind: Kind
    hold: int = 0
    floor: int = 0
    port: int = 0
    latency: int
    fma: int = 0
    n_bytes: int = 0
    needs: int = NOTHING


@dataclass(frozen=True, eq=False)
class Program:
    """What an SM's warps run. length: i64[warps]; the rest i64[warps, instructions], see Operation."""

    n_subcores: int
    length: np.ndarray
    kind: np.ndarray
    hold: np.ndarray
    floor: np.ndarray
    port: np.ndarray
    latency: np.ndarray
    needs: np.ndarray


def program(warps: Sequence[Sequence[Operation]], spec: Spec) -> Program:
    """Return the program of these warps; raises BadInput where an operation needs a result that is not before it."""
    length = np.array([len(operations) for operations in warps], np.int64)
    arrays = {
        name: np.zeros((len(warps), int(length.max(initial=0))), np.int64)
        for name in ("kind", "hold", "floor", "port", "latency", "needs")
    }
    for w, operations in enumerate(warps):
        if w and operations is warps[w - 1]:
            for array in arrays.values():
                array[w] = array[w - 1]
            continue
        for i, operation in enumerate(operations):
            if not NOTHING <= operation.needs < i:
                raise BadInput(f"needs must name an operation before its own, got {operation.needs} at {i} of warp {w}")
            for name, array in arrays.items():
                array[w, i] = getattr(operation, name)
    return Program(spec.n_subcores, length, **arrays)


def mma(name: str, in_dtype: str, spec: Spec) -> Operation:
    """Return an mma or mma.sp (S5); raises BadInput for one that the card lacks."""
    instruction = _checked(name, in_dtype, spec)
    return mma_of(instruction.m, instruction.n, instruction.k, instruction.n_products, in_dtype, spec)


def mma_of(m: int, n: int, k: int, n_products: int, in_dtype: str, spec: Spec) -> Operation:
    """Return an mma that keeps n_products of each k products (S5); sparse when that is not all."""
    needed = Fraction(m * n * n_products * spec.n_subcores, rate(in_dtype, spec))
    n_passes = max(1, ceil(needed / Fraction(str(spec.pass_cycles))))
    compute = n_passes * ticks(spec, "pass_cycles")
    hold = max(compute, ticks(spec, "sparse_floor_cycles")) if n_products < k else compute
    latency = ticks(spec, "first_pass_latency_cycles") + (n_passes - 1) * ticks(spec, "further_pass_latency_cycles")
    return Operation(kind=Kind.MMA, hold=hold, floor=hold - compute, latency=latency, fma=m * n * k)


def wgmma(name: str, in_dtype: str, spec: Spec, a_from: str = "shared") -> Operation:
    """Return a wgmma or tcgen05 (S8), A from "shared" memory (SS) or "registers" (RS); raises BadInput."""
    instruction = _checked(name, in_dtype, spec)
    if a_from not in ("shared", "registers"):
        raise BadInput(f"a_from must be shared or registers, got {a_from!r}")
    shape = instruction.m, instruction.n, instruction.k, instruction.n_products
    return wgmma_of(*shape, in_dtype, spec, a_from, share_of_b=Fraction(1))


def wgmma_of(
    m: int,
    n: int,
    k: int,
    n_products: int,
    in_dtype: str,
    spec: Spec,
    a_from: str,
    share_of_b: Fraction | None = None,
) -> Operation:
    """Return a wgmma that keeps n_products of each k products (S8).

    share_of_b: the part of B's bytes that it reads; None: of 64 rows of a tile, which on tcgen05 share B with others.
    """
    hold = compute = ceil(TICKS * Fraction(m * n * n_products, rate(in_dtype, spec)))
    elements = k * n * (_SHARE_OF_B.get(spec.unit, 1) if share_of_b is None else share_of_b)
    if a_from == "shared":
        elements += m * n_products
    else:
        hold = max(hold, ticks(spec, "wgmma_rs_floor_cycles"))
    port = ceil(Fraction(TICKS * elements * BITS[in_dtype], 8 * spec.port_bytes_per_cycle))
    return Operation(
        kind=Kind.WGMMA, hold=hold, floor=hold - compute, port=port, latency=max(hold, port), fma=m * n * k
    )


def load(name: str, spec: Spec, n_ways: int = 1) -> Operation:
    """Return ldmatrix.x1, .x2 or .x4, or ld.shared.u32 with n_ways of bank conflict (S6); raises BadInput."""
    n_matrices = re.fullmatch(r"ldmatrix\.x([124])", name)
    if not n_matrices and name != "ld.shared.u32":
        raise BadInput(f"load must be ldmatrix.x1, ldmatrix.x2, ldmatrix.x4 or ld.shared.u32, got {name!r}")
    if isinstance(n_ways, bool) or not isinstance(n_ways, int) or not 1 <= n_ways <= (1 if n_matrices else 32):
        raise BadInput(f"n_ways must be {'1' if n_matrices else 'from 1 to 32'} for {name}, got {n_ways!r}")
    n_rows = int(n_matrices[1]) if n_matrices else 1
    n_passes = n_rows * n_ways * ceil(ROW_BYTES / spec.port_bytes_per_cycle)
    # S6 counts from the issue, a cycle before the port.
    latency = ticks(spec, "load_latency_cycles") - TICKS + n_passes * ticks(spec, "load_latency_per_pass_cycles")
    return Operation(kind=Kind.LOAD, port=n_passes * TICKS, latency=latency, n_bytes=n_rows * ROW_BYTES)


def close(spec: Spec, n_warps_of_subcore: int, needs: int = NOTHING) -> Operation:
    """Return the end of an iteration for one of a sub-core's warps (S7), its share rounded up to a tick."""
    if n_warps_of_subcore == 1:
        hold = ticks(spec, "loop_overhead_one_warp_cycles")
    else:
        hold = -(-ticks(spec, "loop_overhead_more_warps_cycles") // n_warps_of_subcore)
    return Operation(kind=Kind.CLOSE, hold=hold, latency=hold, needs=needs)


def ticks(spec: Spec, field: str) -> int:
    """Return a field of the Spec in ticks; raises BadInput when it is not a whole number of tenths."""
    n_ticks = Fraction(str(getattr(spec, field))) * TICKS
    if n_ticks.denominator != 1:
        raise BadInput(f"{field} must be a whole number of tenths, got {getattr(spec, field)}")
    return int(n_ticks)


def _checked(name: str, in_dtype: str, spec: Spec) -> Instruction:
    instruction = parse(name)
    if instruction.unit != spec.unit:
        raise BadInput(
            f"instruction must be {spec.unit} or {spec.unit}.sp, which are timed on {spec.card}, got {name!r}"
        )
    if name not in _TIMED_ONLY.get(in_dtype, ()):
        check_shape(name, in_dtype, spec.card)
    return instruction


def rate(in_dtype: str, spec: Spec) -> int:
    """Return the dense multiply-adds of the SM in a cycle; raises BadInput where the card lacks the format."""
    if not (fma_per_cycle := spec.fma_per_cycle(in_dtype)):
        others = " or ".join(name for name, preset in PRESETS.items() if preset.fma_per_cycle(in_dtype))
        raise BadInput(f"in_dtype {in_dtype!r} is not one of the tensor core's on {spec.card}: take preset {others}")
    return fma_per_cycle
