"""Does a unit map show what each unit was at over a run, come back from a store, and fill in what lacks one?"""

from dataclasses import replace
from enum import IntEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie_sim
from cyclekit.sweep.results import maps
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import sweep
from cyclekit.sweep.unit_map import N_MOMENTS, pack, unit_maps, unpack
from cyclekit.trace.tracks import Track
from tests.sweep_cases import rows, small
from workloads import BadInput

VARY = {"n_pes": (2, 4)}


class State(IntEnum):
    WORK = 0
    WAIT = 1
    DONE = 2


def track(name: str, *spans: tuple[State, int], kind: str = "pe") -> Track:
    state, lengths = zip(*spans, strict=True)
    edges = np.concatenate([[0], np.cumsum(lengths)])
    return Track(name=name, kind=kind, states=State, state=np.array(state, np.uint8), edges=edges)


def test_a_short_run_is_shown_tick_by_tick():
    first = track("pe 0", (State.WORK, 2), (State.WAIT, 1), (State.DONE, 2))
    second = track("pe 1", (State.WAIT, 4), (State.WORK, 1))
    bus = track("bus", (State.DONE, 5), kind="bus")
    found = unit_maps([first, second, bus], 5)
    assert [found[kind][0] for kind in ("pe", "bus")] == [("work", "wait", "done")] * 2
    np.testing.assert_array_equal(found["pe"][1], [[0, 0, 1, 2, 2], [1, 1, 1, 1, 0]])
    np.testing.assert_array_equal(found["bus"][1], [[2] * 5])


def test_a_long_run_is_shown_at_the_middles_of_equal_parts():
    """Three ticks a part, shown at ticks 1, 4, 7, ...: work is ticks 0 and 1, waiting 2 to 4, and the rest is done."""
    spans = (State.WORK, 2), (State.WAIT, 3), (State.DONE, 3 * N_MOMENTS - 5)
    states, cells = unit_maps([track("pe 0", *spans)], 3 * N_MOMENTS)["pe"]
    assert [states[state] for state in cells[0, :3]] == ["work", "wait", "done"]
    assert cells.shape == (1, N_MOMENTS)


@given(st.lists(st.lists(st.integers(0, 9), min_size=7, max_size=7), min_size=1, max_size=5))
def test_packing_loses_nothing(cells):
    names = tuple("abcdefghij")
    found = unpack(pack({"pe": (names, np.array(cells, np.uint8))}))
    assert found["pe"][0] == names
    np.testing.assert_array_equal(found["pe"][1], cells)


def test_a_stored_map_is_that_of_the_run(tmp_path):
    into, work = tmp_path / "results.db", small()
    sweep("eie", [work], vary=VARY, into=into, maps=True, n_workers=1)
    with Store(into, write=False) as store:
        found = {(found.spec["n_pes"], found.input): found for found in maps(store) if found.kind == "pe"}
    assert found.keys() == {(2, 0), (2, 1), (4, 0), (4, 1)}
    spec = eie_sim.Spec(n_pes=4)
    run = eie_sim.simulate(eie_sim.encode(work, spec), work.activations, spec)[1]
    assert found[4, 1].cycles == run.cycles < N_MOMENTS  # so every cycle is shown
    for state, name in enumerate(found[4, 1].states):
        assert np.count_nonzero(found[4, 1].cells == state) == run.states["pe"][name]


def test_maps_are_filled_in_and_change_nothing_else(tmp_path):
    into, work = tmp_path / "results.db", small()
    sweep("eie", [work], vary=VARY, into=into, n_workers=1)
    before = rows(into)
    with Store(into, write=False) as store:
        assert list(maps(store)) == []
    assert sweep("eie", [work], vary=VARY, into=into, maps=True, n_workers=1).n_computed == 4
    assert rows(into) == before
    assert sweep("eie", [work], vary=VARY, into=into, maps=True, n_workers=1).n_computed == 0
    assert sweep("eie", [work], vary=VARY, into=into, n_workers=1).n_computed == 0
    with Store(into, write=False) as store:
        assert len(list(maps(store))) == 8  # PEs and broadcaster of four tasks


def test_a_machine_that_does_not_say_what_its_units_did(tmp_path):
    mute = replace(eie_sim.MACHINE, spans=None)
    with pytest.raises(BadInput, match="maps cannot be stored: eie does not say what its units did"):
        sweep(mute, [small()], vary=VARY, into=tmp_path / "results.db", maps=True)
