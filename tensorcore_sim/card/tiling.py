"""How a GEMM is cut into blocks: the kernel in numbers, and what its parts hold in bits and bytes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil

from tensorcore_sim.card.deal import GRID
from tensorcore_sim.format.blocks import BLOCKS, SCALE_BITS
from tensorcore_sim.format.what_if import index_bits
from tensorcore_sim.sm.program import BITS, ROW_BYTES, rate
from tensorcore_sim.spec import Spec
from workloads.errors import BadInput
from workloads.records import Shape, Workload

OPERAND_BYTES = 32  # of a row of A that one instruction multiplies: k16 of f16, k32 of int8, k8 of tf32 (PTX ISA)
GROUP_SCALE_BITS = 16  # of int4_weights: f16
MOST_PRODUCTS = 65_535  # of a kernel: they are the third dimension of its grid (CUDA C++ Programming Guide)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A [m, k] (the weights, which may be sparse) times B [k, n] (the activations).

    n: of several products in one kernel a tuple, for each, which has an A of its own, that of its B: (64,) * 8 is a
    batched GEMM, (64, 0, 17) a grouped one, as of experts; 0 launches nothing. As text: "m x n x k",
    "8 * m x 64 x k", "m x (64 + 0 + 17) x k".
    """

    m: int
    n: int | tuple[int, ...]
    k: int

    @classmethod
    def of(cls, layer: Workload | Shape, batch: int) -> Problem:
        """Return the product of a layer's batch: an input's positions side by side along n, a layer's groups apart."""
        groups, n = layer.groups, batch * layer.positions
        _check_count("groups", groups)
        return cls(m=layer.n_out // groups, n=n if groups == 1 else (n,) * groups, k=layer.n_in // groups)

    @classmethod
    def parse(cls, text: str) -> Problem:
        """Return the problem that a text names, as str writes it."""
        count, m, n, k = re.fullmatch(r"(?:(\d+) \* )?(\d+) x (\d+|\(.+\)) x (\d+)", text).groups()
        ns = tuple(map(int, n.strip("()").split(" + "))) * int(count or 1)
        return cls(m=int(m), n=ns if count or n.startswith("(") else ns[0], k=int(k))

    def __post_init__(self):
        ns = self.n if isinstance(self.n, tuple) else (self.n,)
        _check_count("n", len(ns))
        for name, values, least in (("m", (self.m,), 1), ("n", ns, int(ns is not self.n)), ("k", (self.k,), 1)):
            for value in values:
                if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 2**24:
                    raise BadInput(f"{name} must be a whole number from {least} to {2**24}, got {value!r}")
        if not any(ns):
            raise BadInput(f"n must hold a product of at least 1 column, got {self.n!r}")

    def __str__(self) -> str:
        if not isinstance(self.n, tuple):
            return f"{self.m} x {self.n} x {self.k}"
        if len(set(self.n)) == 1:
            return f"{len(self.n)} * {self.m} x {self.n[0]} x {self.k}"
        return f"{self.m} x ({' + '.join(map(str, self.n))}) x {self.k}"

    @cached_property
    def products(self) -> tuple[int, ...]:
        """Return n of each product that is launched."""
        return tuple(filter(None, self.n)) if isinstance(self.n, tuple) else (self.n,)

    @property
    def macs(self) -> int:
        """Return the multiply-adds of all products, none left out."""
        return self.m * sum(self.products) * self.k

    def n_tiles(self, tile_m: int, tile_n: int) -> int:
        """Return how many tiles of the result there are, of all products."""
        return -(-self.m // tile_m) * sum(-(-n // tile_n) * many for n, many in self._widths.items())

    @cached_property
    def _widths(self) -> Counter[int]:
        return Counter(self.products)


def _check_count(name: str, count: int) -> None:
    if count > MOST_PRODUCTS:
        raise BadInput(f"{name} must be at most {MOST_PRODUCTS:,} products of one kernel, got {count:,}")


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
    bits = kept_share(spec) * (value_bits(spec) + metadata_bits(spec) + scale_bits(spec))
    return bits + Fraction(GROUP_SCALE_BITS, spec.scale_group) if spec.int4_weights else bits


def value_bits(spec: Spec) -> int:
    """Return the bits of one kept value of A in memory."""
    return 4 if spec.int4_weights else BITS[spec.in_dtype]


def metadata_bits(spec: Spec) -> int:
    """Return the metadata bits of each kept value: the card's own for 2:4, the bits of its place for another N:M."""
    if not spec.sparse:
        return 0
    if spec.sparsity == "2:4":
        return {32: 4, 4: 1}.get(BITS[spec.in_dtype], 2)
    return index_bits(n_of_m(spec)[1])


def scale_bits(spec: Spec) -> Fraction:
    """Return the bits of a block's scale for each of its values that is multiplied: of a block-scaled format."""
    block = BLOCKS.get(spec.in_dtype)
    return Fraction(SCALE_BITS, block.size) if block else Fraction(0)


def b_bits(spec: Spec) -> Fraction:
    """Return the bits that B takes in memory for each element: its value and its share of a scale."""
    return BITS[spec.in_dtype] + scale_bits(spec)


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
    if spec.architecture == "hopper":  # values alone: scales are copied to tensor memory (T43)
        bits = BITS[spec.in_dtype]
        a = 0 if spec.int4_weights else tiling.tile_m * tiling.tile_k * kept_share(spec) * bits / 8
        n_reads = tiling.tile_m // 64
        return a + Fraction(n_reads * tiling.tile_n * tiling.tile_k * bits, 8)
    groups = tiling.tile_k // tiling.group_k
    rows, columns = tiling.tile_m // along_m, tiling.tile_n // along_n
    return Fraction(along_m * along_n * groups * sum(port_bytes_of_group(rows, columns, tiling.group_k, spec)))
