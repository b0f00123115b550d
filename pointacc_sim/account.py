"""From a Timeline to the books and the tracks: how often each action was done, one reason for every cycle of a unit."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np

from cyclekit.ledger import Ledger
from cyclekit.trace.tracks import Track
from pointacc_sim.actions import Action, DramState, MappingState, MatrixState, MemoryState
from pointacc_sim.image import Image
from pointacc_sim.plan import READY, Plan
from pointacc_sim.spec import FEATURE_BYTES, Spec
from pointacc_sim.timeline import Timeline

UNITS: dict[str, type[IntEnum]] = {
    "mapping": MappingState,
    "memory": MemoryState,
    "matrix": MatrixState,
    "dram": DramState,
}


def account(timeline: Timeline, plan: Plan, image: Image, spec: Spec) -> Ledger:
    """Return the books of one run."""
    states = {}
    for kind, (state, edges) in _all(timeline, plan, spec).items():
        spent = np.bincount(state, weights=np.diff(edges), minlength=len(UNITS[kind])).astype(np.int64)
        states[kind] = UNITS[kind], spent[None]
    return Ledger(timeline.cycles, states, actions(plan, image, spec))


def spans(timeline: Timeline, plan: Plan, spec: Spec, *, begin: int, end: int, n_units: int | None) -> Iterator[Track]:
    """Yield what each unit did after cycle `begin`, up to cycle `end`; there is one of a kind."""
    for kind, (state, edges) in _all(timeline, plan, spec).items():
        yield Track.within(begin, end, kind=kind, name=kind, states=UNITS[kind], state=state, edges=edges)


def actions(plan: Plan, image: Image, spec: Spec) -> dict[str, int]:
    """Return how often each action happens in a layer, which no timing changes."""
    steps, passes, layer = plan.steps, plan.passes, image.layer
    products = steps.rows * steps.in_channels * steps.out_channels
    counts = {
        Action.COMPARES: passes.compares.sum(),
        Action.DISTANCES: 0,
        Action.COORDINATE_READS: passes.blocks.sum() * spec.block,
        Action.TAG_LOOKUPS: steps.rows.sum() if plan.block_points else 0,
        Action.CACHE_MISSES: steps.misses.sum() if plan.block_points else 0,
        Action.FEATURE_READ_BYTES: (steps.rows * steps.in_channels).sum() * FEATURE_BYTES,
        Action.FEATURE_WRITE_BYTES: steps.feature_bytes.sum(),
        Action.WEIGHT_READ_BYTES: (steps.in_channels * steps.out_channels).sum() * FEATURE_BYTES,
        Action.ACCUMULATIONS: (steps.rows * steps.out_channels).sum(),
        Action.MACS: products.sum(),
        Action.OUTPUTS: layer.positions * layer.out_channels,
        Action.DRAM_COORDINATE_BYTES: passes.read_bytes.sum(),
        Action.DRAM_MAP_BYTES: passes.write_bytes.sum() + steps.map_bytes.sum(),
        Action.DRAM_WEIGHT_BYTES: steps.weight_bytes.sum(),
        Action.DRAM_FEATURE_BYTES: steps.feature_bytes.sum(),
        Action.DRAM_OUTPUT_BYTES: plan.write_bytes.sum(),
    }
    return {action.value: int(count) for action, count in counts.items()}


def _all(timeline: Timeline, plan: Plan, spec: Spec) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return {unit: (states u8[n], edges i64[n + 1])} of the whole run; some spans are empty."""
    parts = {
        "mapping": _mapping(timeline, plan),
        "memory": _memory(timeline, plan),
        "matrix": _matrix(timeline, plan, spec),
        "dram": _dram(timeline),
    }
    done = {
        "mapping": MappingState.DONE,
        "memory": MemoryState.DONE,
        "matrix": MatrixState.DONE,
        "dram": DramState.IDLE,
    }
    whole = {}
    for kind, (state, ends) in parts.items():
        # A span goes from the end of the one before to its own, which can lie before it: then it is empty.
        ends = np.minimum(np.maximum.accumulate(np.append(ends.ravel(), timeline.cycles)), timeline.cycles)
        whole[kind] = np.append(state.ravel(), done[kind]).astype(np.int64), np.append(0, ends)
    return whole


def _mapping(timeline: Timeline, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Before a pass its unit waits for its own last results, then for coordinates; blocks enter; it waits for more."""
    passes, (begin, end) = plan.passes, timeline.passed.T
    before = np.append(0, end)[:-1]
    flushed = before + np.append(0, passes.latency)[:-1] * passes.waits
    blocks = begin - 1 + passes.blocks
    load, flush = int(MappingState.LOAD), int(MappingState.FLUSH)
    state = np.stack(
        [np.full_like(begin, flush), np.full_like(begin, load), passes.kind, np.full_like(begin, load)], axis=1
    )
    return state, np.stack([flushed, begin - 1, blocks, end], axis=1)


def _memory(timeline: Timeline, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    begin, end = timeline.looked.T
    mapped = np.minimum(_map_there(timeline, plan), begin - 1)
    state = np.tile([MemoryState.MAP, MemoryState.SLOT, MemoryState.LOOKUP], (len(begin), 1))
    return state, np.stack([mapped, begin - 1, end], axis=1)


def _matrix(timeline: Timeline, plan: Plan, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Between two steps the array waits for what the next one waits for at that time: map, lookups, DRAM, write."""
    begin, end = timeline.computed.T
    latest = begin - 1
    mapped = np.minimum(_map_there(timeline, plan), latest)
    looked = np.minimum(timeline.looked[:, 1], latest)
    data = np.minimum(_data_there(timeline, plan, spec), latest)  # behind it only the accumulators are waited for
    rows = latest + plan.steps.rows
    states = [MatrixState.MAP, MatrixState.LOOKUP, MatrixState.MEMORY, MatrixState.OUTPUT]
    states += [MatrixState.COMPUTE, MatrixState.WEIGHTS]
    return np.tile(states, (len(begin), 1)), np.stack([mapped, looked, data, latest, rows, end], axis=1)


def _map_there(timeline: Timeline, plan: Plan) -> np.ndarray:
    """Return the last cycle in which each step's map was not there yet, 0 where it was from the beginning."""
    if not len(plan.passes):
        return np.zeros(len(plan.steps), np.int64)
    out = timeline.passed[:, 1] + plan.passes.latency
    last = np.where(plan.write_cycles > 0, timeline.mapped[:, 1], out)
    return np.where(plan.steps.map_pass == READY, 0, last[plan.steps.map_pass])


def _data_there(timeline: Timeline, plan: Plan, spec: Spec) -> np.ndarray:
    """Return the last cycle in which each step's data were not there yet."""
    fetched = timeline.fetched[:, 1] + spec.dram_latency_cycles
    return np.where(plan.fetch_cycles > 0, fetched, timeline.looked[:, 1])


def _dram(timeline: Timeline) -> tuple[np.ndarray, np.ndarray]:
    kinds = ((DramState.COORDINATES, timeline.read), (DramState.MAPS, timeline.mapped))
    kinds += ((DramState.FETCH, timeline.fetched), (DramState.OUTPUTS, timeline.written))
    spans_of = np.concatenate([of for _, of in kinds])
    state = np.concatenate([np.full(len(of), kind) for kind, of in kinds])
    order = np.argsort(spans_of[:, 0], kind="stable")
    order = order[spans_of[order, 0] > 0]
    (begin, end), state = spans_of[order].T, state[order]
    return np.stack([np.full(len(state), DramState.IDLE), state], axis=1), np.stack([begin - 1, end], axis=1)
