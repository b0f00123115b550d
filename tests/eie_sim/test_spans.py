"""Do EIE's tracks tell what every unit did in every cycle, as the rules say and the ledger counts?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclekit.trace.formats import diagram
from cyclekit.trace.tracks import Trace
from eie_sim import MACHINE, Spec, encode, simulate
from eie_sim.simulate import ENGINES
from tests import eie_cases
from workloads import Workload


def tracks_of(engine, workload, spec, begin=0, end=None, n_units=None):
    """Return the run and its tracks."""
    eie_cases.lay_out(workload, spec)  # gives back what cannot run
    image = encode(workload, spec)
    run = simulate(image, workload.activations[0], spec, engine=engine)
    end = run.cycles if end is None else end
    return run, tuple(MACHINE.spans(run, image, spec, begin=begin, end=end, n_units=n_units))


def drawn(engine, workload, spec) -> list[str]:
    run, tracks = tracks_of(engine, workload, spec)
    return diagram(Trace(title="", cycle_us=1.0, ticks_per_cycle=1, begin=0, end=run.cycles, tracks=tracks))


def by_cycle(track) -> list[int]:
    return np.repeat(track.state, np.diff(track.edges)).tolist()


def test_a_queue_that_is_full_by_hand(engine):
    # Depth 2; PE 0 has 1 entry a column, PE 1 has 3; lane 1 is the last, so no moves. Sends in 1, 3 and 6: both queues
    # are full in 2, PE 1's in 4 and 5. PE 1 pops in 2, 5 and 8 and is never idle after that; its last entry is in 11,
    # 6 cycles before the end. PE 0 pops in 2, 4 and 7, the cycle after each send: what it waits for in 6 was held back
    # in 5.
    workload = eie_cases.layer([[1, 1, 1], [3, 3, 3]])
    assert drawn(engine, workload, Spec(n_pes=2, queue_depth=2)) == [
        "             1",
        "broadcaster  SBSBBSDDDDDDDDDDD",
        "PE 0         AAWAWBAWDDDdddddd",
        "PE 1         AAWWWWWWWWWdddddd",
        "",
        "S send  B blocked  D done  W weight  A arrival  d drain",
    ]


def test_moves_paddings_and_bubbles_by_hand(engine):
    # One lane a row, the second without a non-zero: sends in 1, 3 and 4, a move in 2. Column 0 has its weight in row
    # 17, behind a padding; column 2 is empty, column 3 has a weight. Pops in 2, 4 and 5.
    weights = np.zeros((20, 4), np.float32)
    weights[17, 0] = weights[0, 3] = 1
    workload = Workload(name="p", weights=weights, activations=np.array([1, 0, 1, 1]))
    assert drawn(engine, workload, Spec(n_pes=1)) == [
        "             1",
        "broadcaster  SMSSDDDDDDDD",
        "PE 0         AAPWbWdddddd",
        "",
        "S send  M move  D done  W weight  P padding  b bubble  A arrival  d drain",
    ]


@settings(max_examples=80)
@given(eie_cases.workloads(), eie_cases.specs())
def test_spans_fill_the_run_and_sum_to_the_ledger_in_both_engines(workload, spec):
    of_engines = {engine: tracks_of(engine, workload, spec) for engine in ENGINES}
    run, tracks = of_engines["schedule"]
    assert [track.name for track in tracks] == ["broadcaster", *(f"PE {pe}" for pe in range(spec.n_pes))]
    spent = {"pe": [], "broadcaster": []}
    for track in tracks:
        assert (track.edges[0], track.edges[-1]) == (0, run.cycles)
        assert (np.diff(track.edges) > 0).all()
        spent[track.kind].append(np.bincount(by_cycle(track), minlength=len(track.states)))
    for kind, (states, counted) in run.ledger.states.items():
        assert all(track.states is states for track in tracks if track.kind == kind)
        np.testing.assert_array_equal(np.array(spent[kind]), counted)
    for track, other in zip(tracks, of_engines["events"][1], strict=True):
        np.testing.assert_array_equal(track.state, other.state)
        np.testing.assert_array_equal(track.edges, other.edges)


@settings(max_examples=60)
@given(eie_cases.workloads(), eie_cases.specs(), st.data())
def test_a_window_holds_what_the_whole_run_has_there(workload, spec, data):
    run, whole = tracks_of("schedule", workload, spec)
    begin = data.draw(st.integers(0, run.cycles - 1))
    end = data.draw(st.integers(begin + 1, run.cycles))
    n_units = data.draw(st.integers(1, spec.n_pes + 1))
    _, cut = tracks_of("schedule", workload, spec, begin, end, n_units)
    assert len(cut) == 1 + min(n_units, spec.n_pes)
    for track, part in zip(whole, cut):
        assert (part.edges[0], part.edges[-1]) == (begin, end)
        assert by_cycle(part) == by_cycle(track)[begin:end]


@pytest.mark.parametrize("bias", [None, [2, 1]])
def test_each_column_s_entries_are_a_span_of_their_own(bias):
    # two columns of 2 entries, without a gap: the second pops in the first one's last cycle; the bias after them
    workload = eie_cases.layer([[2, 2], [1, 1]], bias=bias)
    _, (_, first, _) = tracks_of("schedule", workload, Spec(n_pes=2))
    n_columns = 2 + (bias is not None)
    assert first.edges.tolist()[: n_columns + 2] == [0, 1, *range(2, 2 * n_columns + 2, 2)]
