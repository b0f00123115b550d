"""One door, two engines: an image, features and a Spec in, a Run out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from cyclekit.machine import run_through
from cyclekit.run import Run, identity
from cyclekit.trace.tracks import Track
from pointacc_sim import account, events, image, reference, schedule
from pointacc_sim.actions import DRAM, Action
from pointacc_sim.arithmetic import multiply
from pointacc_sim.compile import compiled
from pointacc_sim.image import Image
from pointacc_sim.passes import ranking
from pointacc_sim.plan import Plan
from pointacc_sim.spec import Spec, unverified
from pointacc_sim.timeline import Timeline
from workloads.errors import BadInput, did_you_mean
from workloads.points.convolution import SparseConvolution
from workloads.records import Model, checked_array

NAME = "pointacc"
ENGINES = {"schedule": schedule.timeline, "events": events.timeline}
MODEL_VERSION = 1  # part of every result's identity; raise it when a rule or the arithmetic changes


def encode(work: SparseConvolution | Model | Sequence[SparseConvolution], spec: Spec) -> Image | list[Image]:
    """Encode a layer for the machine: an Image; of a model, or of several layers, a list. Raises BadInput."""
    if isinstance(work, SparseConvolution):
        return image.encode([work], spec)[0]
    return image.encode(work.layers if isinstance(work, Model) else work, spec)


def simulate(
    image: Image | Sequence[Image],
    features: np.ndarray | Run | None,
    spec: Spec,
    *,
    engine: str = "schedule",
    check: bool = False,
    index: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> Run | list[Run]:
    """Run a layer on features f32[n_in, in] (None: its own), rounded to FP16 on the way in.

    A Run in place of features: its outputs enter. A list of images gives a list of Runs: with features None each layer
    on its own, else each on what the one before gives. engine: "schedule" (jitted) or "events" (SimPy); the results are
    the same. check: compare maps and values with the references. Raises BadInput.
    """
    if engine not in ENGINES:
        raise BadInput(f"unknown engine {engine!r}{did_you_mean(str(engine), ENGINES)}")
    if not isinstance(image, Image):
        if features is None:
            return [simulate(one, None, spec, engine=engine, check=check) for one in image]
        return list(run_through(simulate, image, [features], spec, engine=engine, check=check))
    if image.block != spec.block:
        raise BadInput(f"the image was encoded for blocks of {image.block}, encode it again for {spec.block}")
    layer = image.layer
    entered, notes = to_features(layer, features)
    plan = compiled(image, spec)
    timeline = ENGINES[engine](plan, spec, progress)
    books = account.account(timeline, plan, image, spec)
    outputs, late_notes = multiply(image, entered, spec)
    return Run(
        machine=NAME,
        workload=layer.name,
        input=index,
        engine=engine,
        spec=spec.as_dict(),
        id=identity(NAME, MODEL_VERSION, spec.as_dict(), image.digest, entered),
        cycles=books.cycles,
        time_us=books.cycles / spec.clock_mhz,
        load_balance=books.actions[Action.MACS] / (spec.n_rows * spec.n_columns * books.cycles),
        actions=books.actions,
        states=books.totals(),
        output_sha256=hashlib.sha256(outputs.astype("<f2").tobytes()).hexdigest(),
        check=reference.check(image, entered, outputs, spec) if check else None,
        measures=_measures(layer, plan, books.actions, spec),
        notes=(*image.notes, *notes, *late_notes, *unverified(spec)),
        outputs=outputs,
        timeline=timeline,
        ledger=books,
    )


def rank(blocks: list[int], spec: Spec, *, waits: bool, engine: str = "schedule") -> Timeline:
    """Return when the Mapping Unit does its passes over blocks of distances, as the programs of `mapping` give them.

    waits: each pass needs the result of the one before, as sampling does and neighbours do not.
    """
    if engine not in ENGINES:
        raise BadInput(f"unknown engine {engine!r}{did_you_mean(str(engine), ENGINES)}")
    return ENGINES[engine](ranking(blocks, waits, spec), spec)


def to_features(layer: SparseConvolution, features: np.ndarray | Run | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return what enters a layer, f32[n_in, in] of FP16 values, and notes. Raises BadInput for another shape."""
    reals = layer.features if features is None else features
    reals = reals.values if isinstance(reals, Run) else reals
    reals = checked_array("features", reals, (2,))
    wanted = (len(layer.map.inputs), layer.in_channels)
    if reals.shape != wanted:
        raise BadInput(f"features must be f32{list(wanted)} for {layer.name}, got shape {list(reals.shape)}")
    return image.to_f16("features", reals)


def estimate(layers: Sequence[SparseConvolution], spec: Spec, *, engine: str, check: bool) -> tuple[float, int]:
    """Return about how many seconds and bytes encoding the layers and running them takes.

    From runs on one shared core, and 200 MB for Python with its libraries.
    """
    seconds, most = 0.02, 0.0
    for layer in layers:
        tiles = -(-layer.in_channels // spec.n_rows) * -(-layer.out_channels // spec.n_columns)
        steps = tiles * (-(-layer.positions // spec.tile_outputs)) * len(layer.map.sizes)
        seconds += 3e-10 * layer.macs * (1 + 4 * check) + 7e-8 * layer.map.n_maps * tiles
        seconds += steps * (4e-5 if engine == "events" else 1e-7)
        most = max(most, 60.0 * layer.map.n_maps * tiles + 16.0 * layer.features.size * (1 + check))
    return seconds, int(200e6 + most)


def spans(run: Run, image: Image, spec: Spec, **window) -> Iterator[Track]:
    """Yield what each unit did in a window of a run (account.spans)."""
    return account.spans(run.timeline, compiled(image, spec), spec, **window)


def _measures(layer: SparseConvolution, plan: Plan, actions: dict[str, int], spec: Spec) -> dict[str, float | str]:
    rows = int(plan.steps.rows.sum())
    measures: dict[str, float | str] = {
        "n_voxels": layer.positions,
        "n_maps": layer.map.n_maps,
        "map_sizes": ", ".join(map(str, layer.map.sizes.tolist())),
        "steps": len(plan.steps),
        "dram_bytes": sum(actions[action] for action in DRAM),
        "array_rows_%": 100 * rows / max(1, int(np.maximum(plan.steps.rows, spec.n_rows).sum())),
    }
    if plan.block_points:
        measures["cache_block_points"] = plan.block_points
        measures["cache_hits_%"] = 100 * (1 - actions[Action.CACHE_MISSES] / max(1, actions[Action.TAG_LOOKUPS]))
    return measures
