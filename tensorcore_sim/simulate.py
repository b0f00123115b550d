"""One door, two engines: a layer, a batch of activations and a Spec in, a Run out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import ceil

import numpy as np

from cyclekit.ledger import Ledger
from cyclekit.machine import run_through
from cyclekit.positions import worst_of
from cyclekit.run import Run, identity
from cyclekit.trace.tracks import Track
from tensorcore_sim.actions import CardAction, SmState
from tensorcore_sim.arithmetic import reference
from tensorcore_sim.arithmetic.gemm import gemm
from tensorcore_sim.arithmetic.instructions import FusedAdd, look_up
from tensorcore_sim.card import account as card_account
from tensorcore_sim.card import bounds, choose, power
from tensorcore_sim.card import events as card_events
from tensorcore_sim.card import schedule as card_schedule
from tensorcore_sim.card.bands import note
from tensorcore_sim.card.mainloop import step
from tensorcore_sim.card.plan import plan
from tensorcore_sim.card.tiling import Problem, Tiling, kept_share, n_of_m
from tensorcore_sim.card.timeline import CardTimeline
from tensorcore_sim.encode import Image, encode, stored_fields
from tensorcore_sim.format.formats import FORMATS
from tensorcore_sim.format.operand import to_format
from tensorcore_sim.format.shapes import largest
from tensorcore_sim.spec import SCALED, TICKS, Spec
from workloads.errors import BadInput, did_you_mean
from workloads.records import Shape, Workload, checked_array

__all__ = ["ENGINES", "NAME", "encode", "estimate", "simulate", "time_gemm"]

NAME = "tensorcore"
ENGINES = {"schedule": card_schedule.timeline, "events": card_events.timeline}
MODEL_VERSION = 4  # part of every result's identity; raise it when a rule or the arithmetic changes
N_AT_ONCE = 1 << 24  # weights taken apart at a time: each takes GEMM_BYTES, and rows do not hang on each other
DENSE_BYTES, SPARSE_BYTES, SCALED_BYTES = 12, 20, 70  # of a weight: to encode it
GEMM_BYTES, WEIGHT_S = 45, 1.2e-7  # of a weight: in its product; time


def simulate(
    image: Image | Sequence[Image],
    activations: np.ndarray | Run | None,
    spec: Spec,
    *,
    engine: str = "schedule",
    check: bool = False,
    index: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> Run | list[Run]:
    """Run a layer: activations f32[in] or f32[batch, in] give a Run of the whole batch.

    Reals are rounded to spec.in_dtype on the way in, scaled where it lacks their range. A Run in place of activations:
    its outputs enter. None: the image is of a Shape, and only time is found. A list of images is a network, one Run
    each. engine: "schedule" (jitted) or "events" (SimPy); the results are the same. check: compare the values with the
    reference. Raises BadInput.
    """
    if not isinstance(image, Image):
        return list(run_through(simulate, image, [activations], spec, engine=engine, check=check))
    if image.stored != stored_fields(spec):
        raise BadInput(f"the image was encoded for {image.stored}, encode it again for {stored_fields(spec)}")
    layer, computed = image.layer, spec.in_dtype not in SCALED
    if check and not computed:
        _rule(spec)
    inputs = entering(layer, activations, computed)
    problem = Problem.of(layer, _batch(layer, inputs))
    timeline, books, measures = time_gemm(problem, spec, engine=engine)
    progress(0.5)
    outputs, checked, operand, scale = None, None, problem.n, 1.0
    if inputs is not None and computed:
        operand, scale = to_format(inputs, spec.in_dtype)
        outputs, checked = _values(image, operand, scale, spec, check)
    useful = int(books.states["sm"][1][:, SmState.COMPUTE].sum())
    return Run(
        machine=NAME,
        workload=layer.name,
        input=index,
        engine=engine,
        spec=spec.as_dict(),
        id=identity(NAME, MODEL_VERSION, spec.as_dict(), image.digest, operand, scale),
        cycles=books.cycles,
        time_us=books.cycles / spec.clock_mhz,
        load_balance=useful / (spec.n_sms * books.cycles),
        actions=books.actions,
        states=books.totals(),
        output_sha256="" if outputs is None else hashlib.sha256(outputs.astype("<f4").tobytes()).hexdigest(),
        check=checked,
        measures=measures,
        notes=(*image.notes, *_overflow_notes(outputs), *_not_computed(layer, spec), note(problem, spec)),
        outputs=outputs,
        timeline=timeline,
        ledger=books,
    )


def time_gemm(problem: Problem, spec: Spec, *, engine: str = "schedule", baseline: bool = True):
    """Return (CardTimeline, Ledger, measures) of a kernel; with baseline, a sparse or int4 one beside the dense one,
    and one of a library's kernels beside the best of all: what a search among more of them is worth.

    The dense one chooses its own tile. What keeps a sparse one from the ideal speed-up, lost_to_REASON_us, is the mean
    over the SMs of the time spent for a reason beyond an ideal share of the dense one's; with the speed-up's own
    definition these sum to what is lost.
    """
    if engine not in ENGINES:
        raise BadInput(f"unknown engine {engine!r}{did_you_mean(str(engine), ENGINES)}")
    timeline, books, chosen_tiling, clock_mhz, power_w = _play(problem, spec, engine)
    time_us = books.cycles / spec.clock_mhz
    measures: dict[str, float | str] = {
        "gemm": f"{problem}, {spec.in_dtype}",
        "tile": str(chosen_tiling),
        "padding_%": 100 * (1 - problem.macs / _padded(problem, chosen_tiling)),
        "dense_equivalent_tflops": 2 * problem.macs / time_us / 1e6,
        "least_time_us": bounds.time_us(problem, spec),
        "clock_mhz": clock_mhz,
        "power_w": power_w,
    }
    if baseline and (spec.sparse or spec.int4_weights):
        own_tile = dict.fromkeys(("tile_m", "tile_n", "tile_k", "n_stages"), 0)
        dense = spec.replace(sparsity="dense", int4_weights=False, **own_tile)
        _, dense_books, dense_tiling, _, _ = _play(problem, dense, engine)
        dense_us = dense_books.cycles / spec.clock_mhz
        measures |= {"time_dense_us": dense_us, "tile_dense": str(dense_tiling), "speed_up": dense_us / time_us}
    if baseline and spec.kernels != "best":
        best_us = _play(problem, spec.replace(kernels="best"), engine)[1].cycles / spec.clock_mhz
        measures |= {"time_best_us": best_us}
    if baseline and spec.sparse:
        ideal = float(kept_share(spec))
        measures["ideal_speed_up"] = 1 / ideal
        for state in SmState:
            spent, spent_dense = (b.states["sm"][1][:, state].mean() for b in (books, dense_books))
            measures[f"lost_to_{state.name.lower()}_us"] = float(spent - ideal * spent_dense) / spec.clock_mhz
    return timeline, books, measures


def estimate(layers: Sequence, spec: Spec, *, engine: str, check: bool) -> tuple[float, int]:
    """Return about how many seconds and bytes encoding the layers and running their batch takes.

    From what benchmarks/bench_tensorcore.py measures on two shared cores, and 200 MB for Python with its libraries.
    """
    seconds, most = 1.0, 0.0
    for layer in layers:
        problem = Problem.of(layer, layer.batch)
        chosen_tiling = choose.tiling(problem, spec)
        n_steps = _padded(problem, chosen_tiling) // (
            chosen_tiling.tile_m * chosen_tiling.tile_n * chosen_tiling.tile_k
        )
        n_runs = 1 + (spec.sparse or spec.int4_weights)  # the dense one beside it
        seconds += n_steps * (6e-5 if engine == "events" else 4e-7) * n_runs
        values = 0 if isinstance(layer, Shape) or spec.in_dtype in SCALED else problem.macs * float(kept_share(spec))
        seconds += values * 1e-8
        n_weights = 0 if isinstance(layer, Shape) else problem.m * problem.k * len(problem.products)
        seconds += WEIGHT_S * n_weights
        of_encode, of_product = SPARSE_BYTES if spec.sparse else DENSE_BYTES, GEMM_BYTES
        if spec.in_dtype in SCALED:
            of_encode, of_product = SCALED_BYTES, 0
        most = max(most, 110 * n_steps + of_encode * n_weights + of_product * min(n_weights, N_AT_ONCE))
    return seconds, int(200e6 + most)


def spans(run: Run, image: Image, spec: Spec, **window) -> Iterator[Track]:
    """Yield what the SMs were at in a window of a run (card_account.spans)."""
    problem = problem_of(run)
    chosen_tiling = choose.tiling(problem, spec)
    at_its_clock = spec.replace(clock_mhz=run.measures["clock_mhz"])
    card_plan = plan(problem, chosen_tiling, step(chosen_tiling, spec, run.engine).ticks, at_its_clock)
    return card_account.spans(run.timeline, card_plan, **window)


def _play(problem: Problem, spec: Spec, engine: str) -> tuple[CardTimeline, Ledger, Tiling, float, float]:
    """Return what happens at the clock that the power limit allows, that clock in MHz, and the power in W.

    The books are in cycles of the full clock, so that they sum to the time: those that a lower one and the host take
    have reasons of their own.
    """
    chosen_tiling = choose.tiling(problem, spec)
    cost = step(chosen_tiling, spec, engine)
    plan(problem, chosen_tiling, cost.ticks, spec)  # refuses times beyond 64 bits at the full clock
    clock_mhz, plays = _first_clock(problem, chosen_tiling, spec), {}
    while True:
        card_plan = plan(problem, chosen_tiling, cost.ticks, spec.replace(clock_mhz=clock_mhz))
        timeline = ENGINES[engine](card_plan)
        counts = card_account.actions(timeline, card_plan, chosen_tiling, cost, spec)
        time_us = plays[clock_mhz] = timeline.end / TICKS / clock_mhz
        power_w = power.watts(counts, time_us, clock_mhz, spec)
        allowed_mhz = power.clock_mhz(counts, plays, spec)
        over = power_w / spec.power_limit_w - 1
        if allowed_mhz in plays or abs(over) < power.CLOSE or len(plays) == power.MOST_PLAYS:
            break
        if spec.n_calls and abs(allowed_mhz / clock_mhz - 1) < power.NEAR:  # it is not the clock that they run at
            break
        clock_mhz = allowed_mhz
    if spec.n_calls and allowed_mhz < spec.clock_mhz:
        clock_mhz = power.of_few_calls(allowed_mhz, time_us, spec)
        card_plan = plan(problem, chosen_tiling, cost.ticks, spec.replace(clock_mhz=clock_mhz))
        timeline = ENGINES[engine](card_plan)
    books = card_account.ledger(timeline, card_plan, problem, chosen_tiling, cost, spec)
    full = Fraction(str(spec.clock_mhz))
    of_card = ceil(books.cycles * full / Fraction(str(clock_mhz)))
    of_call = max(of_card, ceil(full * Fraction(str(spec.host_us)))) + ceil(full * Fraction(str(spec.sync_us)))
    lost = {SmState.POWER: of_card - books.cycles, SmState.HOST: of_call - of_card}
    power_w = power.watts(books.actions, of_call / spec.clock_mhz, clock_mhz, spec)
    return timeline, card_account.longer(books, lost), chosen_tiling, clock_mhz, power_w


def _first_clock(problem: Problem, chosen_tiling: Tiling, spec: Spec) -> float:
    """Return about the clock that the power limit allows, or the full one: what to play first."""
    counts = {
        CardAction.MACS: int(_padded(problem, chosen_tiling) * kept_share(spec)),
        CardAction.HBM_READ_BYTES: bounds.hbm_bytes(problem, spec),
        CardAction.WRITE_BYTES: 0,
    }
    time_us = choose.estimate(problem, chosen_tiling, spec) / spec.clock_mhz
    return power.clock_mhz(counts, {spec.clock_mhz: time_us}, spec)


def _padded(problem: Problem, chosen_tiling: Tiling) -> int:
    tile_m, tile_n, tile_k = chosen_tiling.tile_m, chosen_tiling.tile_n, chosen_tiling.tile_k
    return problem.n_tiles(tile_m, tile_n) * tile_m * tile_n * -(-problem.k // tile_k) * tile_k


def problem_of(run: Run) -> Problem:
    """Return the problem that a run, stored or not, names among its measures: "m x n x k, format"."""
    return Problem.parse(str(run.measures["gemm"]).partition(",")[0])


def _batch(layer: Workload | Shape, rows: np.ndarray | None) -> int:
    """Return how many inputs the rows of activations are of; all positions of each count."""
    return layer.batch if rows is None or isinstance(layer, Shape) else len(rows) // layer.rows_of_input


def entering(layer, activations: np.ndarray | Run | None, computed: bool) -> np.ndarray | None:
    if isinstance(layer, Shape):
        if activations is not None and not (isinstance(activations, Run) and activations.outputs is None):
            raise BadInput(f"activations must be None for {layer.name}, a shape without values")
        return None
    if isinstance(activations, Run) and not computed:  # only how many there are counts
        return np.zeros((problem_of(activations).products[0], layer.n_in), np.float32)
    if isinstance(activations, Run):
        activations = activations.outputs
    inputs = np.atleast_2d(checked_array("activations", activations, (1, 2)))
    if inputs.shape[1] != layer.n_in:
        raise BadInput(f"activations must be f32[batch, {layer.n_in}] for {layer.name}, got shape {inputs.shape}")
    return inputs


def _values(image: Image, operand: np.ndarray, scale: float, spec: Spec, check: bool):
    """Return the outputs f32[batch, out], and how the sums compared with the reference if asked."""
    rule, name = _rule(spec)
    integer = not FORMATS[spec.in_dtype].is_float
    out = "s32" if integer else "f32"
    sums = np.empty((len(image.bits), len(operand)), np.int32 if integer else np.float32)
    pattern = None if spec.sparsity in ("dense", "2:4") else n_of_m(spec)
    options = {"card": spec.card, "in_dtype": spec.in_dtype, "out_dtype": out, "instruction": name, "pattern": pattern}
    n_of_group, checks = len(sums) // image.layer.groups, []
    for group, columns in enumerate(np.split(operand.T, image.layer.groups)):
        columns = np.ascontiguousarray(columns)
        n_rows = min(n_of_group, max(1, N_AT_ONCE // len(columns)))
        own = slice(group * n_of_group, (group + 1) * n_of_group)
        for first in range(own.start, own.stop, n_rows):
            rows = slice(first, min(first + n_rows, own.stop))
            sums[rows] = gemm(image.bits[rows], columns, np.zeros_like(sums[rows]), **options)
        if check:
            checks.append(reference.check(image.bits[own], columns, sums[own], spec.in_dtype, rule))
    checked = worst_of(checks) if check else None
    with np.errstate(over="ignore"):  # to infinity, as the card's own f32
        outputs = (sums.T * np.float64(image.scale * scale)).astype(np.float32)
        if image.layer.bias is not None:
            outputs += image.layer.bias
    return np.maximum(outputs, 0) if image.layer.relu else outputs, checked


def _rule(spec: Spec) -> tuple[FusedAdd, str]:
    """Return how values are added up, in the order of the instruction of the most products, and its name."""
    name = largest(spec.unit, spec.sparsity == "2:4", spec.in_dtype, spec.card)
    out = "s32" if spec.in_dtype.startswith("int") else "f32"
    return look_up(spec.card, spec.in_dtype, out, name)[1], name


def _not_computed(layer: Workload | Shape, spec: Spec) -> tuple[str, ...]:
    silent = isinstance(layer, Shape) or spec.in_dtype not in SCALED
    return () if silent else (f"no values: how {spec.in_dtype} is added up, one source alone says",)


def _overflow_notes(outputs: np.ndarray | None) -> tuple[str, ...]:
    n_lost = 0 if outputs is None else int(np.count_nonzero(~np.isfinite(outputs)))
    return (f"{n_lost} of {outputs.size} outputs are beyond f32: scale weights or activations down",) if n_lost else ()
