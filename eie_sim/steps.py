"""EIE cycle by cycle with its values: what the LNZD passes on, queues, pointers, entries, weights, accumulators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cyclekit.run import Run
from cyclekit.trace.steps import DOES, UNIT, Step
from eie_sim.account import spans
from eie_sim.arithmetic import Format, additions, quantise, to_float
from eie_sim.image import MAX_RUN, PADDING_ENTRY, Image
from eie_sim.simulate import enter
from eie_sim.spec import RUN_BITS, Spec
from eie_sim.timeline import DRAIN_CYCLES

Rows = list[dict[str, Any]]

LNZD, QUEUES, ENTRIES = "LNZD and broadcast", "queues and pointers", "entries, weights and accumulators"
OUTPUTS = "accumulators, ReLU and output LNZD"
BIAS = "bias"


def steps(
    run: Run, image: Image, signal: Any, spec: Spec, *, begin: int, end: int, n_units: int | None
) -> Iterator[Step]:
    """Yield the numbers' format, the cycles after `begin` up to `end`, and behind the last one the outputs.

    Of the PEs the first n_units (None: all). signal: what entered, f32[in] or the former layer's Run. Everything is
    read off the timeline, the image and the arithmetic, so the engines cannot differ in it.
    """
    bits = Format(*(int(run.measures[f"{name}_fraction_bits"]) for name in Format._fields))
    yield Step(title="numbers", lines=_said(image, bits))
    played = _Played(run, image, signal, spec, bits, min(n_units or spec.n_pes, spec.n_pes))
    tracks = list(spans(run.timeline, image, spec, begin=begin, end=end, n_units=n_units))
    does = [np.repeat(track.state, np.diff(track.edges)) for track in tracks]
    handled = played.entries(begin, end)
    for cycle in range(begin + 1, end + 1):
        broadcaster, *pes = (
            track.states(states[cycle - begin - 1]).name.lower() for track, states in zip(tracks, does, strict=True)
        )
        queues = [played.queue(cycle, pe, state) for pe, state in enumerate(pes)]
        tables = {LNZD: [played.lnzd(cycle, broadcaster)], QUEUES: queues}
        if cycle in handled:
            tables[ENTRIES] = [handled[cycle][pe] for pe in sorted(handled[cycle])]
        levels = {_name(pe): {"queue": played.level(cycle, pe)} for pe in range(len(pes))}
        yield Step(title=f"cycle {cycle}", begin=cycle - 1, end=cycle, tables=tables, levels=levels)
    if end == run.cycles:
        yield Step(title=f"after cycle {run.cycles}", tables={OUTPUTS: played.outputs()})


class _Played:
    """A run with what it worked on, to be asked what a unit held and did in a cycle."""

    def __init__(self, run: Run, image: Image, signal: Any, spec: Spec, bits: Format, n_shown: int):
        self.run, self.image, self.spec, self.bits = run, image, spec, bits
        self.timeline = run.timeline
        self.shown = np.arange(n_shown)
        self.values = enter(signal, image, spec)[0]
        self.activations = to_float(np.append(self.values, quantise(np.ones(1), bits.activations)), bits.activations)
        self.weights = to_float(quantise(image.codebook, bits.weights), bits.weights)
        self.row = self.timeline.column // spec.n_pes  # of activations; the bias has one of its own
        self.row[self.timeline.column == image.layer.n_in] = -(-image.layer.n_in // spec.n_pes)
        self.sums = np.zeros(image.layer.n_out, np.int64)

    def lnzd(self, cycle: int, does: str) -> dict[str, Any]:
        """Return what the central unit has before it in a cycle: its row's non-zeros, and which of them passes on."""
        k = int(np.searchsorted(self.timeline.sent, cycle))
        row: dict[str, Any] = {UNIT: "broadcaster", DOES: does}
        if does not in ("send", "blocked"):
            return row | {"row": None, "non-zeros left": None, "passes on": None, "value": None}
        left = k + np.flatnonzero(self.row[k:] == self.row[k])
        row |= {"row": int(self.row[k]), "non-zeros left": [self._index(i) for i in left], "passes on": self._index(k)}
        row["value"] = self._activation(k)
        if does == "blocked":
            full = [pe for pe in range(self.spec.n_pes) if self.level(cycle, pe) == self.spec.queue_depth - 1]
            row["full PEs"] = full
        return row

    def level(self, cycle: int, pe: int) -> int:
        """Return how many broadcasts hold a place in a PE's queue at the start of a cycle (R10)."""
        sent, popped = np.searchsorted(self.timeline.sent, cycle), np.searchsorted(self.timeline.popped[:, pe], cycle)
        return int(sent - popped)

    def queue(self, cycle: int, pe: int, does: str) -> dict[str, Any]:
        """Return what a PE's queue holds at the start of a cycle, and what it pops in it with both pointers (R3)."""
        first = int(np.searchsorted(self.timeline.popped[:, pe], cycle))
        arrived = int(np.searchsorted(self.timeline.sent, cycle - self.spec.broadcast_latency_cycles))
        row: dict[str, Any] = {UNIT: _name(pe), DOES: does}
        row["queue"] = [self._index(k) for k in range(first, arrived)]
        if first == len(self.timeline.sent) or self.timeline.popped[first, pe] != cycle:
            return row | dict.fromkeys(("pops", "value", "begins", "ends"))
        pointers = self.image.pointers[self.timeline.column[first] :, pe]
        row |= {"pops": self._index(first), "value": self._activation(first)}
        return row | {"begins": int(pointers[0]), "ends": int(pointers[1])}

    def entries(self, begin: int, end: int) -> dict[int, dict[int, dict[str, Any]]]:
        """Return {cycle: {PE: the entry that it handles}} of a window; at its end the sums are those of all before."""
        timeline, image = self.timeline, self.image
        handled: dict[int, dict[int, dict[str, Any]]] = {}
        extra = 2 - self.spec.n_pointer_banks
        for k, (before, after) in enumerate(additions(image, timeline.column, self.values, self.bits)):
            self.sums = after
            pops, (first, last) = timeline.popped[k, self.shown], self._pointers(k)
            if pops.min() >= end < self.run.cycles:
                break
            for pe in np.flatnonzero((pops < end) & (pops + extra + last - first > begin)).tolist():
                row = -1
                for place in range(first[pe], last[pe]):
                    entry = int(image.entries[image.pe_start[pe] + place])
                    row += (entry & MAX_RUN) + 1
                    cycle = int(pops[pe]) + extra + 1 + place - int(first[pe])
                    if begin < cycle <= end:
                        stands_at = row * self.spec.n_pes + pe
                        handled.setdefault(cycle, {})[pe] = self._entry(k, pe, place, entry, stands_at, before)
        return handled

    def outputs(self) -> Rows:
        """Return what each accumulator of the shown PEs holds at last, and what the output LNZD makes of it."""
        rows = []
        for pe in self.shown.tolist():
            for place in range(pe, self.image.layer.n_out, self.spec.n_pes):
                output = int(self.run.outputs[place])
                own = {UNIT: _name(pe), "row": place, "accumulator": self._real(self.sums[place])}
                rows.append(own | {"output": self._real(output), "passes on": "yes" if output else "no"})
        return rows

    def _entry(self, k: int, pe: int, place: int, entry: int, row: int, before: np.ndarray) -> dict[str, Any]:
        code = entry >> RUN_BITS
        own = {UNIT: _name(pe), "a": self._index(k), "entry": place, "code": code, "run": entry & MAX_RUN}
        own |= {"weight": float(self.weights[code]), "row": row}
        if entry == PADDING_ENTRY:  # it writes nothing, and can lie behind the last row
            return own | {"before": None, "after": None}
        return own | {"before": self._real(before[row]), "after": self._real(self.sums[row])}

    def _pointers(self, k: int) -> np.ndarray:
        column = self.timeline.column[k]
        return self.image.pointers[column : column + 2, self.shown]

    def _index(self, k: int) -> int | str:
        column = int(self.timeline.column[k])
        return column if column < self.image.layer.n_in else BIAS

    def _activation(self, k: int) -> float:
        return float(self.activations[self.timeline.column[k]])

    def _real(self, value: int) -> float:
        return float(to_float(np.int64(value), self.bits.outputs))


def _name(pe: int) -> str:
    return f"PE {pe}"


def _said(image: Image, bits: Format) -> list[str]:
    places = f"activations {bits.activations}, weights {bits.weights}, accumulators {bits.outputs}"
    lines = [
        f"bits behind the point, of 16: {places}",
        f"a product is rounded and shifted right by {bits.shift}, and added with saturation",
        "an entry stands in the cycle that reads it: two later it is decoded, five later its sum is written, and "
        f"{DRAIN_CYCLES} later the output LNZD has seen it (docs/eie.md, D2)",
        "queues are as a cycle finds them; a pop reads where its column begins and ends",
    ]
    if image.layer.bias is not None:
        lines.append(f"the {BIAS} is one more column, broadcast as 1")
    return lines
