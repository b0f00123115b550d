"""A strict reader of Chrome's trace event format, written from its description and not from what writes it here.

"Trace Event Format" (Google, 2016): an object with traceEvents; of each event the phase, name, process, thread and time
in microseconds: complete events (X) with a duration, which nest in their thread or follow each other, counters (C)
whose args are all numbers, metadata (M) of known names. Whatever it does not know is an error.
"""

import json
from dataclasses import dataclass, field

PHASES = {
    "M": ({"ph", "name", "pid", "tid", "args"}, set()),
    "X": ({"ph", "name", "cat", "pid", "tid", "ts", "dur"}, {"args"}),
    "C": ({"ph", "name", "pid", "tid", "ts", "args"}, set()),
}
METADATA = {"process_name": ("name", str), "thread_name": ("name", str), "thread_sort_index": ("sort_index", int)}


@dataclass
class Read:
    """slices: {(process, thread): [(begin, end, name, args)]}. counters: {(process, name): [(time, {series: n})]}."""

    slices: dict = field(default_factory=dict)
    counters: dict = field(default_factory=dict)
    about: dict = field(default_factory=dict)


def read(text) -> Read:
    """Return what a trace holds; raises AssertionError where the format does not allow it."""
    whole = json.loads(text, parse_constant=_no_constant)
    assert set(whole) == {"displayTimeUnit", "otherData", "traceEvents"}
    assert whole["displayTimeUnit"] in ("ms", "ns")
    found, processes, threads = Read(about=whole["otherData"]), {}, {}
    for event in whole["traceEvents"]:
        needed, allowed = PHASES[event["ph"]]
        assert needed <= set(event) <= needed | allowed, event
        assert type(event["pid"]) is type(event["tid"]) is int
        assert event["tid"] not in (0, event["pid"])  # Perfetto takes both for the process' main thread
        assert isinstance(event["name"], str)
        assert event["name"]
        assert isinstance(event.get("args", {}), dict)
        if event["ph"] == "M":
            name, kind = METADATA[event["name"]]
            assert set(event["args"]) == {name}
            assert type(event["args"][name]) is kind
    for event in whole["traceEvents"]:  # metadata hold wherever they stand
        where = event["pid"], event["tid"]
        if event["name"] == "process_name":
            assert processes.setdefault(event["pid"], event["args"]["name"]) == event["args"]["name"]
        elif event["name"] == "thread_name":
            assert threads.setdefault(where, event["args"]["name"]) == event["args"]["name"]
    for event in whole["traceEvents"]:
        where = event["pid"], event["tid"]
        if event["ph"] == "X":
            assert all(type(event[name]) in (int, float) and event[name] >= 0 for name in ("ts", "dur"))
            unit = processes[where[0]], threads[where]
            span = event["ts"], event["ts"] + event["dur"], event["name"], event.get("args", {})
            found.slices.setdefault(unit, []).append(span)
        elif event["ph"] == "C":
            assert event["args"]
            assert all(type(value) in (int, float) for value in event["args"].values())
            counter = found.counters.setdefault((processes[event["pid"]], event["name"]), [])
            assert not counter or counter[-1][0] < event["ts"]
            counter.append((event["ts"], event["args"]))
    for spans in found.slices.values():
        _check_nesting(spans)
    return found


def _no_constant(word: str):
    raise AssertionError(f"{word} is no JSON")


def _check_nesting(spans: list) -> None:
    """Raise AssertionError where a slice begins in another one and ends behind it."""
    open_until = []
    for begin, end, *_ in sorted(spans, key=lambda span: (span[0], -span[1])):
        while open_until and open_until[-1] <= begin:
            open_until.pop()
        assert not open_until or end <= open_until[-1]
        open_until.append(end)
