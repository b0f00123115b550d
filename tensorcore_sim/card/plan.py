"""From a problem, its tiling and the Spec to the Plan that both engines play: bytes turned into ticks."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np

from tensorcore_sim.card.deal import deal
from tensorcore_sim.card.tiling import Problem, Tiling, a_bits, b_bits
from tensorcore_sim.card.timeline import Plan
from tensorcore_sim.sm.program import ticks
from tensorcore_sim.spec import TICKS, Spec
from workloads.errors import BadInput

SUM_BYTES = 4  # of an element of a part's sums, f32
LATEST = 2**61  # ticks: kernels hold sums of two times in 64 bits


def plan(problem: Problem, tiling: Tiling, step_ticks: int, spec: Spec) -> Plan:
    """Return the plan; step_ticks: of a k-step's instructions."""
    n_steps = -(-problem.k // tiling.tile_k)
    depths = np.array([tiling.tile_k, problem.k - (n_steps - 1) * tiling.tile_k])
    rows, columns = sizes(problem, tiling)
    a_bytes = _bytes(rows[:, None] * depths, a_bits(spec))
    b_bytes = _bytes(columns[:, None] * depths, b_bits(spec))
    row, column = _tiles(problem, tiling)
    elements = rows[row] * columns[column]
    results = elements * spec.output_bytes
    parts = deal(len(row), n_steps, spec.n_sms * tiling.n_resident, tiling.scheduler, tiling.splits)
    l2 = Fraction(TICKS, spec.l2_bytes_per_cycle)
    a_second = TICKS * Fraction(str(spec.clock_mhz)) * 10**6
    hbm = a_second / (Fraction(str(spec.hbm_gb_per_s)) * 10**9 * Fraction(str(spec.hbm_share)))
    card_plan = Plan(
        n_sms=spec.n_sms,
        n_resident=tiling.n_resident,
        n_sharing=tiling.cluster,
        n_stages=tiling.n_stages,
        n_steps=n_steps,
        begin=round(a_second * (Fraction(str(spec.launch_us)) + Fraction(str(tiling.call_us))) / 10**6),
        step=step_ticks,
        overhead=ticks(spec, "k_step_overhead_cycles"),
        turn=ceil(Fraction(TICKS * tiling.tile_m * tiling.tile_n * turn_bytes(spec), spec.port_bytes_per_cycle)),
        l2_latency=ticks(spec, "l2_latency_cycles"),
        hbm_latency=ticks(spec, "hbm_latency_cycles"),
        l2_bytes=spec.l2_bytes,
        row=row,
        column=column,
        store_bytes=results,
        store_l2=_times(results, l2),
        store_hbm=_times(results, hbm),
        sums_l2=_times(SUM_BYTES * elements, l2),
        tile=parts.tile,
        first=parts.first,
        length=parts.length,
        blocks=parts.blocks,
        a_bytes=a_bytes,
        a_l2=_times(a_bytes, l2),
        a_hbm=_times(a_bytes, hbm),
        b_bytes=b_bytes,
        b_l2=_times(b_bytes, l2),
        b_hbm=_times(b_bytes, hbm),
        in_l2=_in_l2(a_bytes, b_bytes, n_steps, spec),
    )
    if _latest(card_plan) > LATEST:
        raise BadInput("times must fit 64 bits: the clock, a latency, an overhead or the GEMM is too large")
    return card_plan


def sizes(problem: Problem, tiling: Tiling) -> tuple[np.ndarray, np.ndarray]:
    """Return how many rows and columns of the results fall into each row and column of tiles, product after product."""
    columns = np.concatenate([_parts(n, tiling.tile_n) for n in problem.products])
    return np.tile(_parts(problem.m, tiling.tile_m), len(problem.products)), columns


def turn_bytes(spec: Spec) -> int:
    """Return the bytes of an element of the result that pass the port on its way out: written and read.

    CUTLASS' epilogues turn f32 sums round there, those of wgmma what they have been rounded to.
    """
    return 2 * (spec.output_bytes if spec.architecture == "hopper" else SUM_BYTES)


def order(n_rows: int, n_columns: int, band: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the tiles' rows and columns in the order in which they are dealt (G1), i64[tiles] each."""
    place, band = np.arange(n_rows * n_columns), min(band, n_rows)
    bands = place // (band * n_columns)
    inside = place - bands * band * n_columns
    height = np.minimum(band, n_rows - bands * band)
    return bands * band + inside % height, inside // height


def _tiles(problem: Problem, tiling: Tiling) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the tiles of all products, dealt one product after the other, i64[tiles] each."""
    n_rows = -(-problem.m // tiling.tile_m)
    n_columns = [-(-n // tiling.tile_n) for n in problem.products]
    first_column = np.cumsum([0, *n_columns])
    orders = [order(n_rows, n, tiling.raster_tiles) for n in n_columns]
    rows = np.concatenate([row + product * n_rows for product, (row, _) in enumerate(orders)])
    return rows, np.concatenate([column + first for (_, column), first in zip(orders, first_column)])


def _in_l2(a_bytes: np.ndarray, b_bytes: np.ndarray, n_steps: int, spec: Spec) -> np.ndarray:
    """Return the chunks that L2 holds at the start: all that a call before left there, if it can hold them all."""
    lines = np.concatenate([a_bytes, b_bytes])
    fits = int(((n_steps - 1) * lines[:, 0] + lines[:, 1]).sum()) <= spec.l2_bytes
    return np.arange(len(lines) * n_steps if spec.warm_l2 and fits else 0)


def _latest(plan: Plan) -> int:
    """Return a time that the end cannot exceed: everything one after the other."""
    chunks = sum(int(getattr(plan, name).max()) for name in ("a_l2", "a_hbm", "b_l2", "b_hbm"))
    step = plan.step + plan.overhead + plan.turn + plan.l2_latency + plan.hbm_latency + chunks + 2 * TICKS
    store = sum(int(getattr(plan, name).max()) for name in ("store_l2", "store_hbm", "sums_l2")) + 3 * TICKS
    return plan.begin + plan.n_tiles * plan.n_steps * step + 2 * plan.n_parts * (store + plan.l2_latency)


def _parts(length: int, tile: int) -> np.ndarray:
    """Return how much of a length falls into each tile."""
    starts = np.arange(0, length, tile)
    return np.minimum(tile, length - starts)


def _bytes(elements: np.ndarray, bits: Fraction) -> np.ndarray:
    return -(-elements * bits.numerator // (8 * bits.denominator))


def _times(n_bytes: np.ndarray, ticks_of_byte: Fraction) -> np.ndarray:
    """Return the ticks that bytes take, rounded up, at least one."""
    sizes, where = np.unique(n_bytes, return_inverse=True)
    times = np.array([min(max(1, ceil(int(size) * ticks_of_byte)), LATEST) for size in sizes], np.int64)
    return times[where].reshape(n_bytes.shape)
