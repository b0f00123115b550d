"""Which of a library's kernels a GEMM takes: what is asked for, the rest for the least time of a closed form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from math import ceil

from tensorcore_sim.card.deal import GRID, PERSISTENT, STREAM_K
from tensorcore_sim.card.libraries import Library, library
from tensorcore_sim.card.plan import SUM_BYTES, turn_bytes
from tensorcore_sim.card.tiling import (
    Problem,
    Tiling,
    a_bits,
    b_bits,
    closed_form_step,
    dense_k,
    kept_share,
    stage_bytes,
)
from tensorcore_sim.format.shapes import smallest
from tensorcore_sim.sm.program import BITS, rate
from tensorcore_sim.spec import CHOSEN, Spec
from workloads.errors import BadInput

MOST_STAGES = 6  # to choose from: more would hide no latency that six do not, and the choice is reported
ACCUMULATORS_BYTES = 128 * 1024  # of an SM's blocks: half of its registers (A100 and H100 whitepapers)
MOST_RESIDENT = 4  # blocks on an SM: more would hide no more
MOST_STEPS = 20_000_000  # a Timeline holds about 50 bytes of each


def tiling(problem: Problem, spec: Spec) -> Tiling:
    """Return the kernel: what the Spec asks for, the rest chosen of its library for the least time of `estimate`.

    Raises BadInput for a tile that is no multiple of the instruction's or does not fit the SM, and for a GEMM of more
    than MOST_STEPS k-steps.
    """
    chosen = _chosen(problem, spec)
    n_steps = problem.n_tiles(chosen.tile_m, chosen.tile_n) * -(-problem.k // chosen.tile_k)
    if n_steps > MOST_STEPS:
        raise BadInput(
            f"m x n x k must be at most {MOST_STEPS:,} k-steps of tiles, got {problem}, {n_steps:,} of {chosen}"
        )
    return chosen


@lru_cache(maxsize=4096)
def _chosen(problem: Problem, spec: Spec) -> Tiling:
    rate(spec.in_dtype, spec)  # refuses a format that the card lacks
    candidates = [dealt for kernel in _kernels(spec) for dealt in _dealt(problem, kernel, spec)]
    if not candidates:
        raise BadInput(
            f"tile_m, tile_n, tile_k and n_stages must fit {_limits(spec)}, got "
            + ", ".join(str(getattr(spec, name)) for name in ("tile_m", "tile_n", "tile_k", "n_stages"))
        )
    return min(candidates, key=lambda candidate: estimate(problem, candidate, spec))


@lru_cache(maxsize=256)
def _kernels(spec: Spec) -> tuple[Tiling, ...]:
    """Return the kernels of the design's library, as many blocks on an SM as fit."""
    hopper, own = spec.architecture == "hopper", library(spec)
    group_k = int(dense_k(spec) / kept_share(spec))
    least_m, least_n = smallest(spec.unit, spec.in_dtype) if hopper else (16, 8)
    kernels = {}
    for m, n, depth, stages in own.tiles:
        tile_m, tile_n = spec.tile_m or m, spec.tile_n or n
        tile_k = spec.tile_k or -(-depth * 8 // BITS[spec.in_dtype] // group_k) * group_k
        warps = _warps(tile_m, tile_n, hopper)
        if tile_m % least_m or tile_n % least_n or tile_k % group_k or (hopper and tile_n > 256) or not warps:
            continue
        stage = stage_bytes(tile_m, tile_n, tile_k, spec)
        for n_stages in _stages(spec.n_stages or stages, stage, spec):
            n_resident = min(
                spec.shared_bytes_of_block // (n_stages * stage),
                ACCUMULATORS_BYTES // (4 * tile_m * tile_n),
                MOST_RESIDENT,
            )
            if not n_resident:
                continue
            kernel = Tiling(
                tile_m=tile_m,
                tile_n=tile_n,
                tile_k=tile_k,
                n_stages=n_stages,
                warps=warps,
                group_k=group_k,
                n_resident=n_resident,
                raster_tiles=spec.raster_tiles or own.raster_tiles,
                cluster=max(own.cluster, spec.n_sms_sharing_reads),
                stretch=own.stretch,
                call_us=own.call_us,
            )
            kernels[kernel] = None
    return tuple(kernels)


def _stages(n_stages: int, stage: int, spec: Spec) -> list[int]:
    """Return the stages to choose from: as asked for, or as many as fit one block and two blocks on an SM."""
    if n_stages:
        return [n_stages]
    fit = [min(MOST_STAGES, spec.shared_bytes_of_block // (stage * n_blocks)) for n_blocks in (1, 2)]
    return [n for n in fit if n > 1] or [n for n in fit if n]


def _dealt(problem: Problem, kernel: Tiling, spec: Spec) -> Iterator[Tiling]:
    """Yield a kernel in the ways in which its library deals k-steps to blocks, as far as they differ."""
    own: Library = library(spec)
    n_tiles = problem.n_tiles(kernel.tile_m, kernel.tile_n)
    n_steps = -(-problem.k // kernel.tile_k)
    n_places = spec.n_sms * kernel.n_resident
    for scheduler in own.schedulers if spec.scheduler == CHOSEN else (spec.scheduler,):
        if scheduler != GRID:
            if spec.scheduler == CHOSEN and n_tiles <= n_places and scheduler == PERSISTENT:
                scheduler = GRID  # the same
            yield replace(kernel, scheduler=scheduler)
            continue
        for splits in (spec.split_k,) if spec.split_k else own.splits:
            fits = splits * own.least_k <= problem.k and splits <= n_steps and n_tiles * splits <= 4 * n_places
            if splits == 1 or spec.split_k or fits:
                yield replace(kernel, splits=min(splits, n_steps))


def _limits(spec: Spec) -> str:
    m, n = smallest(spec.unit, spec.in_dtype) if spec.architecture == "hopper" else (16, 8)
    return (
        f"multiples of {m}, {n} and the instruction's k, {ACCUMULATORS_BYTES:,} bytes of accumulators and "
        f"{spec.shared_bytes_of_block:,} of shared memory"
    )


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


def estimate(problem: Problem, tiling: Tiling, spec: Spec) -> float:
    """Return about how many cycles the GEMM takes with a kernel: what choosing goes by, no bound and no result."""
    tiles_m, n_products = -(-problem.m // tiling.tile_m), len(problem.products)
    n_tiles, n_places = problem.n_tiles(tiling.tile_m, tiling.tile_n), spec.n_sms * tiling.n_resident
    n_steps = -(-problem.k // tiling.tile_k)
    step = closed_form_step(tiling, spec) * tiling.stretch
    height, width = min(tiling.tile_m, problem.m), min(tiling.tile_n, sum(problem.products) / n_products)
    a, b = height * tiling.tile_k * float(a_bits(spec)) / 8, width * tiling.tile_k * float(b_bits(spec)) / 8
    hbm = spec.hbm_gb_per_s * spec.hbm_share * 1e3 / spec.clock_mhz
    rows = min(tiling.raster_tiles, tiles_m)
    sharing = min(tiling.cluster, rows)
    latency = spec.hbm_latency_cycles
    turn = tiling.tile_m * tiling.tile_n * turn_bytes(spec) / spec.port_bytes_per_cycle
    result, sums = height * width * spec.output_bytes, height * width * SUM_BYTES

    def period(active: int) -> float:
        """Return the cycles in which every one of that many blocks gets on by a k-step."""
        splits = min(tiling.splits, max(1, active // n_tiles))
        of_split = active / splits
        n_at_once = min(n_products, max(1, of_split * n_products / n_tiles))  # products that the blocks are of
        of_product = of_split / n_at_once
        active_rows = min(rows, of_product)
        return max(
            step * -(-active // spec.n_sms),
            step + spec.k_step_overhead_cycles,
            active * (a + b / min(sharing, active)) / spec.l2_bytes_per_cycle,
            splits * n_at_once * (active_rows * a + ceil(of_product / active_rows) * b) / hbm,
            (latency + step) / tiling.n_stages,
        )

    def out(active: int, n_bytes: float) -> float:
        return turn + active * n_bytes / min(spec.l2_bytes_per_cycle, 3 * hbm)

    call = (spec.launch_us + tiling.call_us) * spec.clock_mhz
    if tiling.scheduler == GRID:
        run = -(-n_steps // tiling.splits)
        n_blocks = n_tiles * -(-n_steps // run)
        n_bytes = result if tiling.splits == 1 else (2 * (tiling.splits - 1) * sums + result) / tiling.splits
        more = latency if tiling.splits > 1 else 0
        waves = (n_places,) * (n_blocks // n_places) + ((n_blocks % n_places,) if n_blocks % n_places else ())
        return (
            call + more + sum(latency + run * period(active) + out(active, n_bytes) for active in set(waves) and waves)
        )
    active = min(n_places, n_tiles * n_steps if tiling.scheduler == STREAM_K else n_tiles)
    rounds, rest = divmod(n_tiles, active)
    if tiling.scheduler == STREAM_K and rest:
        shared = n_tiles * n_steps / active
        return call + 2 * latency + shared * period(active) + out(active, result * n_tiles / active + 2 * sums)
    last = n_steps * period(rest) + out(rest, result) if rest else 0
    return call + latency + rounds * (n_steps * period(active) + out(active, result)) + last
