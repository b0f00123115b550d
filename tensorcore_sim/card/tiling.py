"""How a GEMM is cut into blocks: the kernel in numbers, and what its parts hold in bits and bytes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from tensorcore_sim.card.deal import GRID
from tensorcore_sim.format.what_if import index_bits
from tensorcore_sim.sm.program import BITS, ROW_BYTES, rate
from tensorcore_sim.spec import Spec
from workloads.errors import BadInput
from workloads.records import Shape, Workload

OPERAND_BYTES = 32  # of a row of A that one instruction multiplies: k16 of f16, k32 of int8, k8 of tf32 (PTX ISA)
SCALE_BITS = 16


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A [m, k] (the weights, which may be sparse) times B [k, n] (the activations)."""

    m: int
    n: int
    k: int

    @classmethod
    def of(cls, layer: Workload | Shape, batch: int) -> Problem:
        """Return the product of a layer's batch: an input's positions side by side along n, and so a layer's groups."""
        groups = layer.groups
        return cls(m=layer.n_out // groups, n=batch * layer.positions * groups, k=layer.n_in // groups)

    def __post_init__(self):
        for name in ("m", "n", "k"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 2**24:
                raise BadInput(f"{name} must be a whole number from 1 to {2**24}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """A kernel. Of a block: tile_m x tile_n of the result, tile_k of k at a time, n_stages of those in shared memory.

    warps: (along m, along n); on Hopper they are warp groups. group_k: the k of one instruction. n_resident: blocks on
    an SM at once. scheduler, splits: how k-steps are dealt to blocks (deal.py). raster_tiles to call_us: libraries.py.
    """

    tile_m: int
    tile_n: int
    tile_k: int
    n_stages: int
    warps: tuple[int, int]
    group_k: int
    n_resident: int = 1
    scheduler: str = GRID
    splits: int = 1
    raster_tiles: int = 8
    cluster: int = 1
    stretch: float = 1.0
    call_us: float = 0.0

    def __str__(self) -> str:
        text = f"{self.tile_m}x{self.tile_n}x{self.tile_k}, {self.n_stages} stages"
        text += f", {self.n_resident} an SM" if self.n_resident > 1 else ""
        text += f", k in {self.splits}" if self.splits > 1 else ""
        return text + ("" if self.scheduler == GRID else f", {self.scheduler}")


def n_of_m(spec: Spec) -> tuple[int, int]:
    """Return how many of how many values of A are multiplied: (1, 1) when dense."""
    if not spec.sparse:
        return 1, 1
    n, m = spec.sparsity.split(":")
    return int(n), int(m)


def kept_share(spec: Spec) -> Fraction:
    """Return the share of A's values that are multiplied."""
    return Fraction(*n_of_m(spec))


def a_bits(spec: Spec) -> Fraction:
    """Return the bits that A takes in memory for each of its m x k places: values, metadata, scales."""
    bits = kept_share(spec) * (value_bits(spec) + metadata_bits(spec))
    return bits + Fraction(SCALE_BITS, spec.scale_group) if spec.int4_weights else bits


def value_bits(spec: Spec) -> int:
    """Return the bits of one kept value of A in memory."""
    return 4 if spec.int4_weights else BITS[spec.in_dtype]


def metadata_bits(spec: Spec) -> int:
    """Return the metadata bits of each kept value: the card's own for 2:4, the bits of its place for another N:M."""
    if not spec.sparse:
        return 0
    if spec.sparsity == "2:4":
        return {"tf32": 4, "int4": 1}.get(spec.in_dtype, 2)
    return index_bits(n_of_m(spec)[1])


def b_bits(spec: Spec) -> int:
    """Return the bits of an element of B."""
    return BITS[spec.in_dtype]


def dense_k(spec: Spec) -> int:
    """Return the k of a dense instruction, the larger where there are two; a sparse one keeps as many products."""
    return OPERAND_BYTES * 8 // BITS[spec.in_dtype]


def stage_bytes(tile_m: int, tile_n: int, tile_k: int, spec: Spec) -> int:
    """Return the shared memory of a k-step."""
    return ceil(tile_m * tile_k * a_bits(spec) / 8) + ceil(Fraction(tile_n * tile_k * b_bits(spec), 8))


def port_bytes_of_group(rows: int, columns: int, group_k: int, spec: Spec) -> tuple[int, int]:
    """Return the bytes of A (values, metadata) and B that a warp's tile of one instruction's k reads: whole passes."""
    a = ceil(rows * group_k * a_bits(spec) / 8 / ROW_BYTES)
    b = ceil(Fraction(columns * group_k * b_bits(spec), 8 * ROW_BYTES))
    return a * ROW_BYTES, b * ROW_BYTES


def closed_form_step(tiling: Tiling, spec: Spec) -> float:
    """Return the cycles of a k-step's instructions if the tensor cores and the port each worked without a gap."""
    macs = tiling.tile_m * tiling.tile_n * tiling.tile_k * kept_share(spec)
    compute = float(macs / rate(spec.in_dtype, spec))
    return max(compute, float(port_bytes(tiling, spec)) / spec.port_bytes_per_cycle)


def port_bytes(tiling: Tiling, spec: Spec) -> Fraction:
    """Return the bytes that a k-step's instructions read from shared memory."""
    along_m, along_n = tiling.warps
    if spec.architecture == "hopper":
        a = 0 if spec.int4_weights else tiling.tile_m * tiling.tile_k * kept_share(spec) * b_bits(spec) / 8
        n_reads = tiling.tile_m // 64
        return a + Fraction(n_reads * tiling.tile_n * tiling.tile_k * b_bits(spec), 8)
    groups = tiling.tile_k // tiling.group_k
    rows, columns = tiling.tile_m // along_m, tiling.tile_n // along_n
    return Fraction(along_m * along_n * groups * sum(port_bytes_of_group(rows, columns, tiling.group_k, spec)))
