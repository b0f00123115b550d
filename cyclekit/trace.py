"""What every unit did, span by span: the record, and how it is written as a Chrome trace, as VCD and as text."""

from __future__ import annotations

import io
import json
import string
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

import numpy as np

from workloads.errors import BadInput

MOST_SPANS = 2_000_000  # about 200 MB of JSON
COLUMNS = 100  # in a line of the diagram
LONGEST = 10 * COLUMNS  # cycles that the diagram shows one by one
RULER = 20  # columns between two numbers above it


@dataclass(frozen=True, eq=False, kw_only=True)
class Track:
    """What one unit did, one state after the other without a gap.

    kind: of the unit, as in the ledger. states: the State enum. state: u8[n]. edges: i64[n + 1], ticks from the run's
    start; span i has states(state[i]) from edges[i] up to edges[i + 1]. Raises ValueError where a span is empty.
    """

    name: str
    kind: str
    states: type[IntEnum]
    state: np.ndarray
    edges: np.ndarray

    def __post_init__(self):
        if len(self.edges) != len(self.state) + 1 or (np.diff(self.edges) <= 0).any():
            raise ValueError(f"the spans of {self.name} must follow each other, none of them empty")

    @classmethod
    def within(cls, begin: int, end: int, *, state: np.ndarray, edges: np.ndarray, **names) -> Self:
        """Return the track of the ticks [begin, end): spans are cut there, and the empty ones left out."""
        edges = np.clip(edges, begin, end)
        some = edges[1:] > edges[:-1]
        return cls(state=state[some].astype(np.uint8), edges=np.append(edges[:-1][some], end).astype(np.int64), **names)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trace:
    """The tracks of a run, or of a window of it. cycle_us: the length of a cycle; begin, end: in ticks.

    Raises ValueError where a track does not fill the window.
    """

    title: str
    cycle_us: float
    ticks_per_cycle: int
    begin: int
    end: int
    tracks: tuple[Track, ...]

    def __post_init__(self):
        if any((track.edges[0], track.edges[-1]) != (self.begin, self.end) for track in self.tracks):
            raise ValueError(f"every track of {self.title} must go from {self.begin} to {self.end}")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; spans are [state, begin, end] in cycles from the run's start."""
        tracks = []
        for track in self.tracks:
            names, edges = _names(track.states), (track.edges / self.ticks_per_cycle).tolist()
            spans = [[names[state], *span] for state, *span in zip(track.state.tolist(), edges, edges[1:])]
            tracks.append({"name": track.name, "kind": track.kind, "spans": spans})
        return {"begin": self.begin / self.ticks_per_cycle, "end": self.end / self.ticks_per_cycle, "tracks": tracks}


def limited(tracks: Iterable[Track]) -> tuple[Track, ...]:
    """Return the tracks, made one after the other; raises BadInput at once where they hold more than MOST_SPANS."""
    listed, n_spans = [], 0
    for track in tracks:
        n_spans += len(track.state)
        if n_spans > MOST_SPANS:
            raise _too_long(f"{n_spans:,} spans in {len(listed) + 1} units")
        listed.append(track)
    return tuple(listed)


def _too_long(what: str) -> BadInput:
    return BadInput(
        f"a trace must hold at most {MOST_SPANS:,} spans, got {what}: ask for a smaller --window or --units"
    )


def chrome(trace: Trace) -> bytes:
    """Return the trace in Chrome's trace event format, which Perfetto opens: kinds as processes, units as threads.

    A cycle is shown as a microsecond: viewers cut times at a nanosecond, which can be longer than a cycle.
    """
    about = {"run": trace.title, "time": "1 us shown is 1 cycle", "cycle_us": trace.cycle_us}
    lines, n_units = [], {}
    for track in trace.tracks:
        new = track.kind not in n_units
        unit = n_units[track.kind] = n_units.get(track.kind, -1) + 1
        place = {"pid": list(n_units).index(track.kind) + 1, "tid": unit}
        if new:
            lines.append(json.dumps({"ph": "M", "name": "process_name", **place, "args": {"name": track.kind}}))
        lines.append(json.dumps({"ph": "M", "name": "thread_name", **place, "args": {"name": track.name}}))
        lines.append(json.dumps({"ph": "M", "name": "thread_sort_index", **place, "args": {"sort_index": unit}}))
        heads = [
            json.dumps({"ph": "X", "name": name, "cat": track.kind, **place})[:-1] for name in _names(track.states)
        ]
        begins = (track.edges[:-1] / trace.ticks_per_cycle).tolist()
        lengths = (np.diff(track.edges) / trace.ticks_per_cycle).tolist()
        spans = zip(track.state.tolist(), begins, lengths, strict=True)
        lines += [f'{heads[state]}, "ts": {begin!r}, "dur": {length!r}}}' for state, begin, length in spans]
    head = f'{{"displayTimeUnit": "ns", "otherData": {json.dumps(about)}, "traceEvents": [\n'
    return (head + ",\n".join(lines) + "\n]}\n").encode()


def check_vcd() -> None:
    """Raise BadInput where pyvcd is not installed."""
    try:
        import vcd  # noqa: F401
    except ImportError:
        raise BadInput("--vcd needs pyvcd: pip install 'zeroskip[trace]'") from None


def vcd(trace: Trace) -> bytes:
    """Return the trace as a value change dump: a clock, and a string variable a unit; times in femtoseconds.

    Strings are GTKWave's extension of the format. Raises BadInput for too many cycles.
    """
    from vcd import VCDWriter

    # In half ticks: a clock falls in the middle of its cycle.
    cycle = 2 * trace.ticks_per_cycle
    clock = np.arange(2 * trace.begin, 2 * trace.end, trace.ticks_per_cycle, np.int64)
    if len(clock) > MOST_SPANS:
        raise _too_long(f"{len(clock):,} edges of the VCD's clock")
    times, variables, values = [clock], [np.zeros(len(clock), np.int64)], [(clock % cycle == 0).astype(np.int64)]
    words: list[int | str] = [0, 1]
    for number, track in enumerate(trace.tracks, 1):
        times.append(2 * track.edges[:-1])
        variables.append(np.full(len(track.state), number))
        values.append(len(words) + track.state.astype(np.int64))
        words += _names(track.states)
    moments = np.concatenate(times)
    order = np.argsort(moments, kind="stable")
    fs = np.rint(moments[order] * (trace.cycle_us * 1e9 / cycle)).astype(np.int64)
    begin, end = (round(2 * moment * trace.cycle_us * 1e9 / cycle) for moment in (trace.begin, trace.end))
    stream = io.StringIO()
    about = {"comment": trace.title, "version": "zeroskip", "date": "", "init_timestamp": begin}
    with VCDWriter(stream, timescale="1 fs", **about) as writer:
        known = [writer.register_var("run", "clock", "wire", size=1, init=1)]
        known += [
            writer.register_var(f"run.{track.kind}", track.name.replace(" ", "_"), "string", init="")
            for track in trace.tracks
        ]
        changes = zip(fs.tolist(), np.concatenate(variables)[order].tolist(), np.concatenate(values)[order].tolist())
        for moment, variable, value in changes:
            writer.change(known[variable], moment, words[value])
        writer.close(end)
    return stream.getvalue().encode()


def diagram(trace: Trace) -> list[str]:
    """Return the lines of a pipeline diagram: a row a unit, a column a cycle, a letter a state, and what they mean.

    Cycles count from 1. Of more than LONGEST cycles a column stands for several, by what the unit did longest in them.
    """
    ticks = trace.ticks_per_cycle
    n_cycles = -(-(trace.end - trace.begin) // ticks)
    width = 1 if n_cycles <= LONGEST else -(-n_cycles // COLUMNS)
    borders = np.append(np.arange(trace.begin, trace.end, width * ticks), trace.end)
    letter = letters(dict.fromkeys(name for track in trace.tracks for name in _names(track.states)))
    rows = [[_names(track.states)[state] for state in _longest(track, borders)] for track in trace.tracks]
    margin = max(len(track.name) for track in trace.tracks) + 2
    lines = [] if width == 1 else [f"a column is {width:,} cycles, by what the unit did longest in them"]
    for first in range(0, len(borders) - 1, COLUMNS):
        begins = borders[first : min(first + COLUMNS, len(borders) - 1) : RULER]
        lines.append((" " * margin + "".join(str(begin // ticks + 1).ljust(RULER) for begin in begins)).rstrip())
        for track, row in zip(trace.tracks, rows, strict=True):
            lines.append(track.name.ljust(margin) + "".join(letter[name] for name in row[first : first + COLUMNS]))
        lines.append("")
    shown = {name for row in rows for name in row}
    legend = [f"{sign}\N{NO-BREAK SPACE}{name}" for name, sign in letter.items() if name in shown]  # kept in one line
    return lines + [line.replace("\N{NO-BREAK SPACE}", " ") for line in textwrap.wrap("  ".join(legend), COLUMNS)]


def _longest(track: Track, borders: np.ndarray) -> list[int]:
    """Return the state that took longest between each two borders, of equals the lower."""
    edges = np.union1d(track.edges, borders)
    state = track.state[np.searchsorted(track.edges, edges[:-1], "right") - 1]
    spent = np.zeros((len(borders) - 1, len(track.states)), np.int64)
    np.add.at(spent, (np.searchsorted(borders, edges[:-1], "right") - 1, state), np.diff(edges))
    return spent.argmax(axis=1).tolist()


def letters(names: Iterable[str]) -> dict[str, str]:
    """Return {name: a letter of its own}: its first as a capital, else small, else a later one, else any."""
    by_name: dict[str, str] = {}
    for name in names:
        wanted = [letter for own in name if own.isalnum() for letter in (own.upper(), own.lower())]
        free = (letter for letter in (*wanted, *string.ascii_letters, *string.digits) if letter not in by_name.values())
        by_name[name] = next(free, "?")
    return by_name


def _names(states: type[IntEnum]) -> Sequence[str]:
    return [state.name.lower() for state in states]
