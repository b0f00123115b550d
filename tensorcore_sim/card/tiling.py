"""How a GEMM is cut into blocks: the tile, its warps and its k-steps, as asked for or chosen by a closed form."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil

from tensorcore_sim.card.deal import GRID
from tensorcore_sim.format.what_if import index_bits
from tensorcore_sim.sm.program import BITS, ROW_BYTES, rate
from tensorcore_sim.spec import Spec
from workloads.errors import BadInput
from workloads.records import Shape, Workload

# (tile_m, tile_n), large first: those that CUTLASS' profiler instantiates for mma (A: its repository), and narrower
TILES = (
    (256, 128), (128, 256), (128, 128), (256, 64), (64, 256), (128, 64), (64, 128), (64, 64), (128, 32), (64, 32),
    (128, 16), (64, 16), (128, 8), (64, 8),
)  # fmt: skip
HOPPER_TILES = ((128, 192), *TILES)  # wgmma takes any N in eights; chosen after seeing a row: docs/tensorcore.md
K_STEP_BYTES = (64, 128, 256)  # of a dense row of B in a k-step, to choose from: k32, k64 and k128 of f16
MOST_STAGES = 6  # to choose from: more would hide no latency that six do not, and the choice is reported
ACCUMULATORS_BYTES = 128 * 1024  # of a block: half of the SM's registers (A100 and H100 whitepapers)
OPERAND_BYTES = 32  # of a row of A that one instruction multiplies: k16 of f16, k32 of int8, k8 of tf32 (PTX ISA)
SCALE_BITS = 16
MOST_STEPS = 20_000_000  # a Timeline holds about 30 bytes of each


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
    """One block's share: tile_m x tile_n of the result, tile_k of k at a time, n_stages of those in shared memory.

    warps: (along m, along n); on Hopper they are warp groups. group_k: the k of one instruction. n_resident: blocks on
    an SM at once. scheduler, splits: how k-steps are dealt to blocks (deal.py).
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

    def __str__(self) -> str:
        return f"{self.tile_m}x{self.tile_n}x{self.tile_k}, {self.n_stages} stages"


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


def tiling(problem: Problem, spec: Spec) -> Tiling:
    """Return the tiling: what the Spec asks for, the rest chosen for the least time of `estimate`.

    Raises BadInput for a tile that is no multiple of the instruction's or does not fit the SM, and for a GEMM of more
    than MOST_STEPS k-steps.
    """
    chosen_tiling = _chosen(problem, spec)
    n_steps = (
        -(-problem.m // chosen_tiling.tile_m)
        * -(-problem.n // chosen_tiling.tile_n)
        * -(-problem.k // chosen_tiling.tile_k)
    )
    if n_steps > MOST_STEPS:
        raise BadInput(
            f"m x n x k must be at most {MOST_STEPS:,} k-steps of tiles, got {problem.m} x {problem.n} x {problem.k}, "
            f"{n_steps:,} of {chosen_tiling}"
        )
    return chosen_tiling


@lru_cache(maxsize=4096)
def _chosen(problem: Problem, spec: Spec) -> Tiling:
    candidates = list(_candidates(problem, spec))
    if not candidates:
        raise BadInput(f"tile_m, tile_n, tile_k and n_stages must fit {_limits(spec)}, got {_requested_sizes(spec)}")
    return min(candidates, key=lambda candidate: estimate(problem, candidate, spec))


def _candidates(problem: Problem, spec: Spec):
    hopper = spec.architecture == "hopper"
    group_k = int(dense_k(spec) / kept_share(spec))
    least_m, least_n = (64, 8) if hopper else (16, 8)
    shapes = ((spec.tile_m or m, spec.tile_n or n) for m, n in (HOPPER_TILES if hopper else TILES))
    for tile_m, tile_n in dict.fromkeys(shapes):
        if (
            tile_m % least_m
            or tile_n % least_n
            or 4 * tile_m * tile_n > ACCUMULATORS_BYTES
            or (hopper and tile_n > 256)
        ):
            continue
        warps = _warps(tile_m, tile_n, hopper)
        for tile_k in [spec.tile_k] if spec.tile_k else _depths(group_k, spec):
            stage = stage_bytes(tile_m, tile_n, tile_k, spec)
            n_stages = spec.n_stages or min(MOST_STAGES, spec.shared_bytes_of_block // stage)
            if tile_k % group_k or n_stages < 1 or n_stages * stage > spec.shared_bytes_of_block or not warps:
                continue
            yield Tiling(tile_m=tile_m, tile_n=tile_n, tile_k=tile_k, n_stages=n_stages, warps=warps, group_k=group_k)


def _depths(group_k: int, spec: Spec) -> list[int]:
    depths = [size * 8 // BITS[spec.in_dtype] for size in K_STEP_BYTES]
    return [depth for depth in depths if depth % group_k == 0] or [group_k]


def _limits(spec: Spec) -> str:
    m = 64 if spec.architecture == "hopper" else 16
    return (
        f"multiples of {m}, 8 and the instruction's k, {ACCUMULATORS_BYTES:,} bytes of accumulators and "
        f"{spec.shared_bytes_of_block:,} of shared memory"
    )


def _requested_sizes(spec: Spec) -> str:
    return ", ".join(str(getattr(spec, name)) for name in ("tile_m", "tile_n", "tile_k", "n_stages"))


def _warps(tile_m: int, tile_n: int, hopper: bool) -> tuple[int, int] | None:
    """Return the grid of warps whose tiles are nearest to squares; on Hopper one or two warp groups along m."""
    if hopper:
        return min(2, tile_m // 64), 1
    for n_warps in (8,) if tile_m * tile_n >= 128 * 256 else (4, 2, 1):
        grids = [(a, n_warps // a) for a in (1, 2, 4, 8) if n_warps % a == 0]
        fits = [(a, b) for a, b in grids if tile_m % (16 * a) == 0 and tile_n % (8 * b) == 0]
        if fits:
            return min(fits, key=lambda grid: tile_m // grid[0] + tile_n // grid[1])
    return None


def stage_bytes(tile_m: int, tile_n: int, tile_k: int, spec: Spec) -> int:
    """Return the shared memory of a k-step."""
    return ceil(tile_m * tile_k * a_bits(spec) / 8) + ceil(Fraction(tile_n * tile_k * b_bits(spec), 8))


def port_bytes_of_group(rows: int, columns: int, group_k: int, spec: Spec) -> tuple[int, int]:
    """Return the bytes of A (values, metadata) and B that a warp's tile of one instruction's k reads: whole passes."""
    a = ceil(rows * group_k * a_bits(spec) / 8 / ROW_BYTES)
    b = ceil(Fraction(columns * group_k * b_bits(spec), 8 * ROW_BYTES))
    return a * ROW_BYTES, b * ROW_BYTES


def estimate(problem: Problem, tiling: Tiling, spec: Spec) -> float:
    """Return about how many cycles the GEMM takes with a tiling: what choosing goes by, no bound and no result."""
    tiles_m, tiles_n = -(-problem.m // tiling.tile_m), -(-problem.n // tiling.tile_n)
    n_steps = -(-problem.k // tiling.tile_k)
    step = closed_form_step(tiling, spec) + spec.k_step_overhead_cycles
    a = min(tiling.tile_m, problem.m) * tiling.tile_k * float(a_bits(spec)) / 8
    b = min(tiling.tile_n, problem.n) * tiling.tile_k * b_bits(spec) / 8
    c = min(tiling.tile_m, problem.m) * min(tiling.tile_n, problem.n) * spec.output_bytes
    hbm = spec.hbm_gb_per_s * spec.hbm_share * 1e3 / spec.clock_mhz
    rows = min(spec.raster_tiles, tiles_m)
    sharing = min(spec.n_sms_sharing_reads, rows)

    def wave(active: int) -> float:
        if not active:
            return 0.0
        active_rows = min(rows, active)
        period = max(
            step,
            active * (a + b / min(sharing, active)) / spec.l2_bytes_per_cycle,
            (active_rows * a + -(-active // active_rows) * b) / hbm,
            (spec.hbm_latency_cycles + step) / tiling.n_stages,
        )
        return spec.hbm_latency_cycles + n_steps * period + active * c / min(spec.l2_bytes_per_cycle, 3 * hbm)

    full, rest = divmod(tiles_m * tiles_n, spec.n_sms)
    return full * wave(spec.n_sms) + wave(rest)


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
