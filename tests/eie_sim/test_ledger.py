"""Do the books come out: one reason for every cycle of every unit, and every count conserved?"""

import numpy as np
import pytest
from hypothesis import given, settings

from eie_sim import Spec, account, encode, schedule, simulate
from eie_sim.actions import BroadcasterState, PeState
from tests import eie_cases


def by_hand(workload, spec) -> tuple[list[str], dict]:
    """Return PE 0's states, cycle by cycle, and the broadcaster's cycles by state."""
    image, non_zero, pauses = eie_cases.lay_out(workload, spec)
    timeline = schedule.timeline(image, non_zero, pauses, spec)
    painted = account.states_by_cycle(timeline, image, spec)
    spent = account.account(timeline, image, pauses, spec).totals()["broadcaster"]
    return [PeState(s).name.lower() for s in painted[0]], {name: n for name, n in spent.items() if n}


def test_each_cycle_s_reason_by_hand():
    # sends in 1 and 3 (a move in 2), columns of 1 and 2 entries; the item sent in c reaches the PE in c + 1
    workload = eie_cases.layer([[1, 9, 2, 9]] * 2, activations=[1, 0, 1, 0])
    states, broadcaster = by_hand(workload, Spec(n_pes=2))
    assert states == ["arrival", "arrival", "weight", "arrival", "weight", "weight"] + ["drain"] * 6
    assert broadcaster == {"send": 2, "move": 1, "done": 9}


def test_a_pe_starves_while_another_s_queue_is_full():
    # PE 1: 3 entries a column, PE 0: 1; depth 2. Sends in 1, 3, 6; blocked in 2 by both queues, in 4 and 5 by
    # PE 1's. Lane 1 is the last, so no move. PE 0 waits in 6 for the broadcaster's 5; in 4 and 7 an item arrives.
    workload = eie_cases.layer([[1, 1, 1], [3, 3, 3]])
    states, broadcaster = by_hand(workload, Spec(n_pes=2, queue_depth=2))
    assert states[:8] == ["arrival", "arrival", "weight", "arrival", "weight", "blocked", "arrival", "weight"]
    assert states[8:11] == ["done"] * 3
    assert broadcaster == {"send": 3, "blocked": 3, "done": 11}


def test_paddings_and_bubbles_have_states_of_their_own():
    weights = np.zeros((20, 3), np.float32)
    weights[17, 0] = weights[0, 2] = 1
    workload = eie_cases.Workload(name="p", weights=weights, activations=np.ones(3))
    states, _ = by_hand(workload, Spec(n_pes=1))
    assert states[2:6] == ["padding", "weight", "bubble", "weight"]


@settings(max_examples=150)
@given(eie_cases.workloads(), eie_cases.specs())
def test_counted_states_are_the_painted_ones_and_actions_are_conserved(workload, spec):
    image, non_zero, pauses = eie_cases.lay_out(workload, spec)
    timeline = schedule.timeline(image, non_zero, pauses, spec)
    ledger = account.account(timeline, image, pauses, spec)
    painted = account.states_by_cycle(timeline, image, spec)
    counted = np.stack([(painted == state).sum(axis=1) for state in PeState], axis=1)
    np.testing.assert_array_equal(ledger.states["pe"][1], counted)
    has_bias = workload.bias is not None
    columns = np.column_stack(
        [workload.weights[:, non_zero], workload.bias] if has_bias else [workload.weights[:, non_zero]]
    )
    actions = ledger.actions
    assert actions["macs"] == np.count_nonzero(columns)
    assert actions["entries"] == actions["macs"] + actions["paddings"]
    assert actions["broadcasts"] == np.count_nonzero(non_zero) + has_bias == actions["act_reads"] + has_bias
    assert actions["ptr_reads"] == actions["queue_pushes"] == actions["broadcasts"] * spec.n_pes
    assert actions["spmat_row_reads"] <= actions["entries"]
    assert actions["spmat_row_reads"] * spec.entries_per_row >= actions["entries"]
    assert ledger.states["broadcaster"][1].sum() == timeline.cycles
    loads = ledger.states["broadcaster"][1][0, BroadcasterState.LOAD]
    assert loads == 0 or pauses.any


def test_load_balance_is_entries_over_pes_and_cycles():
    # 2 PEs, 3 + 1 entries: cycles = 2 + 3 + 6
    workload = eie_cases.layer([[3], [1]])
    spec = Spec(n_pes=2)
    run = simulate(encode(workload, spec), workload.activations, spec)
    assert run.cycles == 11
    assert run.load_balance == 4 / (2 * 11)
    assert run.time_us == 11 / 800


@pytest.mark.parametrize(
    ("weights", "n_late"),
    [
        (np.zeros((4, 30)), 24),  # sends in cycles 1 to 30, of a run of 6
        (np.eye(4, 30), 18),  # the last entry, of the fourth send, in cycle 6, and 6 cycles: of 30 sends 12 are within
        (np.eye(4, 30)[:, ::-1], 0),
    ],
    ids=["all zero", "first columns only", "last columns only"],
)
def test_energy_that_no_time_goes_with_is_said(weights, n_late):
    spec = Spec()
    layer = eie_cases.Workload(name="w", weights=weights, activations=np.ones(30))
    run = simulate(encode(layer, spec), layer.activations[0], spec)
    assert run.actions["broadcasts"] == 30
    said = [note for note in run.notes if "take no time" in note]
    assert [note.partition(" come")[0] for note in said] == ([f"{n_late} of 30 broadcasts"] if n_late else [])
