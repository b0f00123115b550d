"""How tracks and steps are written: as a Chrome trace, as a value change dump and as a diagram of letters."""

from __future__ import annotations

import io
import json
import string
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np

from cyclekit.trace import tracks
from cyclekit.trace.steps import Step, Told, by_unit
from cyclekit.trace.tracks import Trace, Track, names, too_long
from workloads.errors import BadInput

COLUMNS = 100  # of cycles in a line of the diagram, at most
LONGEST = 10 * COLUMNS  # cycles that the diagram shows one by one
RULER = 20  # columns between two numbers above it
FIRST_THREAD = 1000  # Perfetto takes a process' thread 0 and the one of its own number for the same, the main one


def chrome(trace: Trace, steps: Iterable[Step] = ()) -> bytes:
    """Return the trace in Chrome's trace event format, which Perfetto opens: kinds as processes, units as threads.

    A cycle is shown as a microsecond: viewers cut times at a nanosecond, which can be longer than a cycle. steps: what
    is to be said of the units; spans are cut where that changes, and levels are counters. Raises BadInput where they
    are too many.
    """
    about = {"run": trace.title, "time": "1 us shown is 1 cycle", "cycle_us": trace.cycle_us}
    lines, n_units = [], {}
    told = by_unit(_at_most(steps))
    for number, track in enumerate(trace.tracks, FIRST_THREAD):
        new = track.kind not in n_units
        unit = n_units[track.kind] = n_units.get(track.kind, -1) + 1
        place = {"pid": list(n_units).index(track.kind) + 1, "tid": number}
        if new:
            lines.append(json.dumps({"ph": "M", "name": "process_name", **place, "args": {"name": track.kind}}))
        lines.append(json.dumps({"ph": "M", "name": "thread_name", **place, "args": {"name": track.name}}))
        lines.append(json.dumps({"ph": "M", "name": "thread_sort_index", **place, "args": {"sort_index": unit}}))
        heads = [json.dumps({"ph": "X", "name": name, "cat": track.kind, **place})[:-1] for name in names(track.states)]
        if track.name in told:
            lines += _told_events(track, told[track.name], heads, place, trace.ticks_per_cycle)
            continue
        begins = (track.edges[:-1] / trace.ticks_per_cycle).tolist()
        lengths = (np.diff(track.edges) / trace.ticks_per_cycle).tolist()
        spans = zip(track.state.tolist(), begins, lengths, strict=True)
        lines += [f'{heads[state]}, "ts": {begin!r}, "dur": {length!r}}}' for state, begin, length in spans]
    head = f'{{"displayTimeUnit": "ns", "otherData": {json.dumps(about)}, "traceEvents": [\n'
    return (head + ",\n".join(lines) + "\n]}\n").encode()


def _at_most(steps: Iterable[Step]) -> Iterable[Step]:
    n_rows = 0
    for step in steps:
        n_rows += sum(len(rows) for rows in step.tables.values())
        if n_rows > tracks.MOST_SPANS:
            raise too_long(f"{n_rows:,} rows of steps")
        yield step


def _told_events(track: Track, told: Told, heads: Sequence[str], place: dict, ticks: int) -> Iterable[str]:
    """Yield the events of a unit that steps tell of: its spans, each with what holds all through it; its levels."""
    said = [json.dumps(values) for values in told.values]
    changes = [at for at, (now, before) in enumerate(zip(said, [None, *said], strict=False)) if now != before]
    gaps = [end for end, begin in zip(told.ends, [*told.begins[1:], None], strict=True) if end != begin]
    borders = np.array([told.begins[at] for at in changes] + gaps, np.int64)
    edges = np.union1d(track.edges, borders[(borders > track.edges[0]) & (borders < track.edges[-1])])
    state = track.state[np.searchsorted(track.edges, edges[:-1], "right") - 1].tolist()
    step = (np.searchsorted(told.begins, edges[:-1], "right") - 1).tolist()
    for what, at, begin, end in zip(state, step, edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        args = f', "args": {said[at]}' if at >= 0 and begin < told.ends[at] and told.values[at] else ""
        yield f'{heads[what]}, "ts": {begin / ticks!r}, "dur": {(end - begin) / ticks!r}{args}}}'
    last: dict[str, float] = {}
    for begin, levels in zip(told.begins, told.levels, strict=True):
        for name, level in levels.items():
            if last.get(name) != level:
                last[name] = level
                event = {"ph": "C", "name": track.name, **place, "ts": begin / ticks, "args": {name: level}}
                yield json.dumps(event)


def check_vcd() -> None:
    """Raise BadInput where pyvcd is not installed."""
    try:
        import vcd  # noqa: F401
    except ImportError:
        raise BadInput("--vcd needs pyvcd: pip install '.[trace]' in a checkout") from None


def vcd(trace: Trace) -> bytes:
    """Return the trace as a value change dump: a clock, and a string variable a unit; times in femtoseconds.

    Strings are GTKWave's extension of the format. Raises BadInput for too many cycles.
    """
    from vcd import VCDWriter

    # In half ticks: a clock falls in the middle of its cycle.
    cycle = 2 * trace.ticks_per_cycle
    clock = np.arange(2 * trace.begin, 2 * trace.end, trace.ticks_per_cycle, np.int64)
    if len(clock) > tracks.MOST_SPANS:
        raise too_long(f"{len(clock):,} edges of the VCD's clock")
    times, variables, values = [clock], [np.zeros(len(clock), np.int64)], [(clock % cycle == 0).astype(np.int64)]
    words: list[int | str] = [0, 1]
    for number, track in enumerate(trace.tracks, 1):
        times.append(2 * track.edges[:-1])
        variables.append(np.full(len(track.state), number))
        values.append(len(words) + track.state.astype(np.int64))
        words += names(track.states)
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


def diagram(trace: Trace, width_of_line: int | None = None) -> list[str]:
    """Return the lines of a pipeline diagram: a row a unit, a column a cycle, a letter a state, and what they mean.

    Cycles count from 1. Of more than LONGEST cycles a column stands for several, by what the unit did longest in them.
    width_of_line: the most columns of a line, names of units included (None: COLUMNS beside the names).
    """
    ticks = trace.ticks_per_cycle
    n_cycles = -(-(trace.end - trace.begin) // ticks)
    margin = max(len(track.name) for track in trace.tracks) + 2
    columns = COLUMNS
    if width_of_line is not None:  # whole steps of the ruler, whose last number needs no more room than a step
        columns = min(COLUMNS, max(RULER, (width_of_line - margin) // RULER * RULER))
    width = 1 if n_cycles <= LONGEST else -(-n_cycles // columns)
    borders = np.append(np.arange(trace.begin, trace.end, width * ticks), trace.end)
    letter = letters(dict.fromkeys(name for track in trace.tracks for name in names(track.states)))
    rows = [[names(track.states)[state] for state in _longest(track, borders)] for track in trace.tracks]
    lines = [] if width == 1 else [f"a column is {width:,} cycles, by what the unit did longest in them"]
    for first in range(0, len(borders) - 1, columns):
        begins = borders[first : min(first + columns, len(borders) - 1) : RULER]
        lines.append((" " * margin + "".join(str(begin // ticks + 1).ljust(RULER) for begin in begins)).rstrip())
        for track, row in zip(trace.tracks, rows, strict=True):
            lines.append(track.name.ljust(margin) + "".join(letter[name] for name in row[first : first + columns]))
        lines.append("")
    shown = {name for row in rows for name in row}
    legend = [f"{sign}\N{NO-BREAK SPACE}{name}" for name, sign in letter.items() if name in shown]  # kept in one line
    return lines + [
        line.replace("\N{NO-BREAK SPACE}", " ")
        for line in textwrap.wrap("  ".join(legend), min(COLUMNS, width_of_line or COLUMNS))
    ]


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
