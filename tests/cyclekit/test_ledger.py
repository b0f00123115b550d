"""Do books whose sums do not come out stay closed?"""

from enum import IntEnum

import numpy as np
import pytest

from cyclekit.ledger import Ledger


class State(IntEnum):
    BUSY = 0
    IDLE = 1


def books(spent, cycles=5, actions=None):
    return Ledger(cycles, {"unit": (State, np.array(spent))}, {} if actions is None else actions)


def test_totals_are_sums_over_the_units_of_a_kind():
    ledger = Ledger(
        5, {"unit": (State, np.array([[2, 3], [5, 0], [0, 5]])), "bus": (State, np.array([[1, 4]]))}, {"reads": 7}
    )
    assert ledger.totals() == {"unit": {"busy": 7, "idle": 8}, "bus": {"busy": 1, "idle": 4}}


def test_totals_are_plain_numbers_for_json():
    assert {type(count) for count in books([[2, 3]]).totals()["unit"].values()} == {int}


@pytest.mark.parametrize(
    "spent",
    [
        pytest.param([[2, 3], [2, 2]], id="a cycle too few"),
        pytest.param([[2, 3], [2, 4]], id="a cycle too many"),
        pytest.param([[4, 0], [4, 2]], id="the mean is right"),
        pytest.param([[6, -1]], id="a negative count"),
        pytest.param([[5]], id="a state without a column"),
        pytest.param([[1, 2, 2]], id="a column without a state"),
    ],
)
def test_every_unit_spends_every_cycle_in_one_state(spent):
    with pytest.raises(ValueError, match="the states of unit must sum to 5 cycles for every unit"):
        books(spent)


def test_no_action_happens_less_than_never():
    with pytest.raises(ValueError, match=r"the counts of \['writes'\] must not be negative"):
        books([[2, 3]], actions={"reads": 0, "writes": -1})


def test_a_run_of_no_cycles_is_legal():
    assert books([[0, 0]], cycles=0).totals() == {"unit": {"busy": 0, "idle": 0}}
