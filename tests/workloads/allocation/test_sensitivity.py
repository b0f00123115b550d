"""Does one loss, the same for all layers, say how far each goes, and no further than the budget needs?"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workloads.allocation.test_choices import tables
from workloads import BadInput
from workloads.allocation.sensitivity import by_sensitivity
from workloads.allocation.table import Cost, Table

# Two layers of four levels, 10 a level: by hand. What each is worth alone:
#   a: 0.90 0.89 0.80 0.50    losses 0, 0.01, 0.10, 0.40
#   b: 0.90 0.90 0.88 0.85    losses 0, 0.00, 0.02, 0.05
# The next step is always that of the least loss: b 0.00, a 0.01, b 0.02, b 0.05, a 0.10, a 0.40.
HAND = Table(
    levels={"a": (1.0, 0.75, 0.5, 0.25), "b": (1.0, 0.75, 0.5, 0.25)},
    costs={name: Cost(knobs=(name,), amounts=np.array([40.0, 30.0, 20.0, 10.0])) for name in "ab"},
    losses={name: np.zeros(4) for name in "ab"},
)
VALUES = {"a": [0.90, 0.89, 0.80, 0.50], "b": [0.90, 0.90, 0.88, 0.85]}
ORDER = [("b", 0.0), ("a", 0.01), ("b", 0.02), ("b", 0.05), ("a", 0.10), ("a", 0.40)]


@pytest.mark.parametrize("n_steps", range(7))
def test_by_hand(n_steps):
    choice, rows = by_sensitivity(HAND, 80 - 10 * n_steps, VALUES)
    taken = [name for name, _ in ORDER[:n_steps]]
    assert choice == {name: taken.count(name) for name in "ab"}
    assert [row["layer"] for row in rows] == taken
    assert [row["loss"] for row in rows] == pytest.approx([loss for _, loss in ORDER[:n_steps]])
    assert [row["cost"] for row in rows] == [80 - 10 * (i + 1) for i in range(n_steps)]


def test_a_level_behind_a_loss_counts_that_loss():
    # a recovers at its third level, which lies behind a loss of 0.3 all the same
    choice, _ = by_sensitivity(HAND, 50, {"a": [0.9, 0.6, 0.9, 0.9], "b": [0.9, 0.8, 0.7, 0.65]})
    assert choice == {"a": 0, "b": 3}


def test_what_saves_nothing_is_given_back():
    # the first step of a costs no accuracy and saves no time; the budget needs b's alone
    stairs = replace(HAND, costs={**HAND.costs, "a": Cost(knobs=("a",), amounts=np.array([40.0, 40, 40, 10]))})
    choice, rows = by_sensitivity(stairs, 70, {"a": [0.9, 0.9, 0.5, 0.5], "b": [0.9, 0.8, 0.7, 0.6]})
    assert [row["layer"] for row in rows] == ["a", "b"]
    assert choice == {"a": 0, "b": 1}


@given(tables(), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_the_budget_is_kept(table, share, seed):
    rng = np.random.default_rng(seed)
    least, whole = table.cost(table.least), table.cost(table.whole)
    budget = least + share * max(0.0, whole - least)
    choice, _ = by_sensitivity(table, budget, {name: rng.random(len(of)) for name, of in table.levels.items()})
    assert table.cost(choice) <= budget


def test_out_of_reach():
    with pytest.raises(BadInput, match="budget must be at least 20"):
        by_sensitivity(HAND, 19, VALUES)
