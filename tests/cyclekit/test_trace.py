"""Do the Chrome trace, the VCD and the diagram say what the tracks hold?"""

import io
import json
from enum import IntEnum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclekit.trace import formats
from cyclekit.trace.formats import chrome, diagram, letters
from cyclekit.trace.tracks import Trace, Track, limited
from workloads import BadInput


class Doing(IntEnum):
    """What a made-up unit does."""

    WORK = 0
    WAIT = 1
    WRAP_UP = 2


def unit(name, state, edges, kind="unit") -> Track:
    return Track(name=name, kind=kind, states=Doing, state=np.array(state, np.uint8), edges=np.array(edges, np.int64))


def trace_of(*tracks, ticks_per_cycle=1, cycle_us=0.00125) -> Trace:
    begin, end = int(tracks[0].edges[0]), int(tracks[0].edges[-1])
    return Trace(title="a run", cycle_us=cycle_us, ticks_per_cycle=ticks_per_cycle, begin=begin, end=end, tracks=tracks)


@st.composite
def traces(draw) -> Trace:
    """Draw a trace of whole cycles, up to three units of two kinds."""
    ticks = draw(st.sampled_from((1, 10)))
    begin = draw(st.integers(0, 50)) * ticks
    end = begin + draw(st.integers(1, 30)) * ticks
    tracks = []
    for number in range(draw(st.integers(1, 3))):
        inner = draw(st.sets(st.integers(begin, end), max_size=8))
        edges = sorted(inner | {begin, end})
        state = draw(st.lists(st.integers(0, 2), min_size=len(edges) - 1, max_size=len(edges) - 1))
        tracks.append(unit(f"unit {number}", state, edges, draw(st.sampled_from(("core", "port")))))
    # 1,755 MHz: neither its cycle nor a tenth of one is a whole number of fs
    return trace_of(*tracks, ticks_per_cycle=ticks, cycle_us=draw(st.sampled_from((0.00125, 1 / 1755))))


def painted(spans, begin, end) -> list[str]:
    """Return the state at every tick, from (state, begin, end) that must neither overlap nor leave a gap."""
    at = dict.fromkeys(range(begin, end))
    for state, since, until in spans:
        for tick in range(since, until):
            assert at[tick] is None
            at[tick] = state
    assert None not in at.values()
    return list(at.values())


def states_of(trace) -> dict[tuple[str, str], list[str]]:
    return {
        (track.kind, track.name): np.repeat(
            [Doing(state).name.lower() for state in track.state], np.diff(track.edges)
        ).tolist()
        for track in trace.tracks
    }


# The record


def test_a_window_cuts_spans_and_leaves_out_empty_ones():
    edges, state = np.array([0, 4, 4, 9, 12]), np.array([0, 1, 2, 0])
    cut = Track.within(2, 9, name="u", kind="unit", states=Doing, state=state, edges=edges)
    assert (cut.state.tolist(), cut.edges.tolist()) == ([0, 2], [2, 4, 9])


@pytest.mark.parametrize("edges", [[0, 2, 2], [0, 3, 2], [0, 5]])
def test_spans_that_overlap_or_are_empty_are_no_track(edges):
    with pytest.raises(ValueError, match="the spans of u must follow each other"):
        unit("u", [0, 1], edges)


def test_tracks_of_a_trace_fill_its_window():
    with pytest.raises(ValueError, match="must go from 0 to 5"):
        trace_of(unit("a", [0], [0, 5]), unit("b", [0], [1, 5]))


def test_a_trace_that_is_too_long_is_refused_before_the_rest_is_made(monkeypatch):
    monkeypatch.setattr("cyclekit.trace.tracks.MOST_SPANS", 3)
    made = []

    def tracks():
        for name in "abc":
            made.append(name)
            yield unit(name, [0, 1], [0, 1, 2])

    with pytest.raises(BadInput, match="at most 3 spans, got 4 spans in 2 units: ask for a smaller --window or"):
        limited(tracks())
    assert made == ["a", "b"]


# The Chrome trace


@settings(max_examples=60)
@given(traces())
def test_a_chrome_trace_has_the_spans_as_complete_events(trace):
    found = json.loads(chrome(trace))
    assert set(found) == {"displayTimeUnit", "otherData", "traceEvents"}
    assert found["displayTimeUnit"] in ("ms", "ns")
    kinds, units, spans = {}, {}, {}
    for event in found["traceEvents"]:
        where = event["pid"], event["tid"]
        assert all(isinstance(number, int) for number in where)
        if event["ph"] == "M":
            if event["name"] == "process_name":
                kinds[event["pid"]] = event["args"]["name"]
            elif event["name"] == "thread_name":
                units[where] = event["args"]["name"]
            else:
                assert event["name"] == "thread_sort_index"
                assert isinstance(event["args"]["sort_index"], int)
            continue
        assert set(event) == {"ph", "name", "cat", "pid", "tid", "ts", "dur"}
        assert event["ph"] == "X"
        assert event["cat"] == kinds[event["pid"]]
        since, until = (round(moment * trace.ticks_per_cycle) for moment in (event["ts"], event["ts"] + event["dur"]))
        spans.setdefault(where, []).append((event["name"], since, until))
    assert len(set(kinds.values())) == len(kinds)
    states = {(kinds[where[0]], name): painted(spans[where], trace.begin, trace.end) for where, name in units.items()}
    assert states == states_of(trace)


def test_a_cycle_is_shown_as_a_microsecond():
    found = json.loads(chrome(trace_of(unit("a", [1], [30, 45]), ticks_per_cycle=10)))
    (event,) = (event for event in found["traceEvents"] if event["ph"] == "X")
    assert (event["name"], event["ts"], event["dur"]) == ("wait", 3.0, 1.5)
    assert found["otherData"]["cycle_us"] == 0.00125


# The VCD


@settings(max_examples=60)
@given(traces())
def test_a_vcd_read_again_has_the_same_states_and_a_clock(trace):
    reader = pytest.importorskip("vcd.reader")
    kind = reader.TokenKind
    scope, variables, now, changes = [], {}, None, {}
    for token in reader.tokenize(io.BytesIO(formats.vcd(trace))):
        if token.kind is kind.SCOPE:
            scope.append(token.scope.ident)
        elif token.kind is kind.UPSCOPE:
            scope.pop()
        elif token.kind is kind.TIMESCALE:
            assert str(token.timescale) == "1 fs"
        elif token.kind is kind.VAR:
            variables[token.var.id_code] = (scope[-1], token.var.reference.replace("_", " "))
        elif token.kind is kind.CHANGE_TIME:
            now = token.time_change
        elif token.kind in (kind.CHANGE_SCALAR, kind.CHANGE_STRING):
            change = token.scalar_change if token.kind is kind.CHANGE_SCALAR else token.string_change
            changes.setdefault(variables[change.id_code], []).append((now, change.value))
    cycle_fs = trace.cycle_us * 1e9
    clock = changes.pop(("run", "clock"))
    n_cycles = (trace.end - trace.begin) // trace.ticks_per_cycle
    first = trace.begin // trace.ticks_per_cycle
    assert [value for _, value in clock] == ["1", "0"] * n_cycles
    times = [moment for moment, _ in clock]
    np.testing.assert_allclose(times, (first + np.arange(2 * n_cycles) / 2) * cycle_fs, atol=0.51)
    assert now == round(trace.end / trace.ticks_per_cycle * cycle_fs)
    tick_fs = cycle_fs / trace.ticks_per_cycle
    states = {}
    for unit_name, found in changes.items():
        edges = [round(moment / tick_fs) for moment, _ in found] + [trace.end]
        spans = [(value, *span) for (_, value), *span in zip(found, edges, edges[1:])]
        states[unit_name] = painted([span for span in spans if span[1] < span[2]], trace.begin, trace.end)
    assert states == states_of(trace)


def test_a_vcd_s_times_are_exact_late_in_a_run_too():
    # A second in, at 1 GHz: cycles of 10^6 fs from 10^15 on, and a clock that falls in their middle
    pytest.importorskip("vcd")
    late = trace_of(unit("a", [0, 1], [10**9, 10**9 + 1, 10**9 + 2]), cycle_us=0.001)
    moments = [line[1:] for line in formats.vcd(late).decode().splitlines() if line.startswith("#")]
    assert list(map(int, moments)) == [10**15 + half * 5 * 10**5 for half in range(5)]


def test_a_vcd_of_too_many_cycles_is_refused(monkeypatch):
    pytest.importorskip("vcd")
    monkeypatch.setattr("cyclekit.trace.tracks.MOST_SPANS", 9)
    assert formats.vcd(trace_of(unit("a", [0], [0, 4])))
    with pytest.raises(BadInput, match=r"10 edges of the VCD's clock: ask for a smaller --window"):
        formats.vcd(trace_of(unit("a", [0], [0, 5])))


# The diagram


def test_a_diagram_by_hand():
    lines = diagram(trace_of(unit("PE 0", [1, 0, 2], [4, 6, 9, 10]), unit("PE 10", [0], [4, 10], kind="pe")))
    assert lines == ["       5", "PE 0   wwWWWR", "PE 10  WWWWWW", "", "W work  w wait  R wrap_up"]


def test_a_column_shows_what_took_longest_of_its_cycle():
    # ticks of a tenth: work to 4, wait to 16, wrap up to 20, equal parts of work and wait to 30
    track = unit("a", [0, 1, 2, 0, 1], [0, 4, 16, 20, 25, 30])
    assert diagram(trace_of(track, ticks_per_cycle=10))[1] == "a  wwW"


def test_a_long_window_takes_several_lines_and_a_longer_one_wider_columns():
    lines = diagram(trace_of(unit("a", [0, 1], [0, 110, 150])))
    assert lines[0] == "   " + "1".ljust(20) + "21".ljust(20) + "41".ljust(20) + "61".ljust(20) + "81"
    assert lines[1] == "a  " + "W" * 100
    assert lines[3].split() == ["101", "121", "141"]
    assert lines[4] == "a  " + "W" * 10 + "w" * 40
    # 1,001 cycles: columns of 11, the last one shorter; 500 ends 5 cycles into the 46th
    lines = diagram(trace_of(unit("a", [0, 1], [0, 500, 1001])))
    assert lines[0] == "a column is 11 cycles, by what the unit did longest in them"
    assert lines[1].split() == ["1", "221", "441", "661", "881"]
    assert lines[2] == "a  " + "W" * 45 + "w" * 46


def test_every_state_has_a_letter_of_its_own():
    assert letters(["weight", "bubble", "blocked", "bias", "_"]) == {
        "weight": "W",
        "bubble": "B",
        "blocked": "b",
        "bias": "I",
        "_": "a",
    }
    names = [f"state {number}" for number in range(60)]
    assert len(set(letters(names).values())) == 60


def test_a_window_that_begins_late_and_one_just_short_enough_are_shown_cycle_by_cycle():
    assert diagram(trace_of(unit("a", [0], [990, 1010])))[:2] == ["   991", "a  " + "W" * 20]
    lines = diagram(trace_of(unit("a", [0], [0, 1000])))
    assert [line for line in lines if line.startswith("a")] == ["a  " + "W" * 100] * 10


def test_a_window_is_long_by_its_cycles_and_not_by_its_ticks():
    track = unit("a", [0, 1], [0, 1005, 1010])  # 101 cycles of ten ticks, half of the last one waiting
    lines = diagram(trace_of(track, ticks_per_cycle=10))
    assert [line for line in lines if line.startswith("a")] == ["a  " + "W" * 100, "a  W"]
    assert lines[3] == "   101"


# The JSON


def test_spans_are_in_cycles():
    assert trace_of(unit("a", [0, 1], [10, 15, 40]), ticks_per_cycle=10).as_dict() == {
        "begin": 1.0,
        "end": 4.0,
        "tracks": [{"name": "a", "kind": "unit", "spans": [["work", 1.0, 1.5], ["wait", 1.5, 4.0]]}],
    }


def test_kinds_are_processes_from_1_and_units_threads_of_other_numbers_in_their_order():
    tracks = (unit("bus", [0], [0, 5], "bus"), unit("PE 0", [0], [0, 5], "pe"), unit("PE 1", [0], [0, 5], "pe"))
    events = json.loads(chrome(trace_of(*tracks)))["traceEvents"]
    sorted_as = [(e["pid"], e["tid"], e["args"]["sort_index"]) for e in events if e["name"] == "thread_sort_index"]
    assert sorted_as == [(1, 1000, 0), (2, 1001, 0), (2, 1002, 1)]
