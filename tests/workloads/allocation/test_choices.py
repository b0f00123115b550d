"""Does each method keep within the budget, and does the knapsack find what trying everything finds?"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads import BadInput
from workloads.allocation.amc import amc
from workloads.allocation.knapsack import knapsack
from workloads.allocation.simple import drawn, uniform
from workloads.allocation.table import Table


@st.composite
def tables(draw):
    """Return a table of up to four layers of up to four levels, each behind the one before or on its own."""
    n_layers = draw(st.integers(1, 4))
    levels, costs, losses, before = {}, {}, {}, {}
    for i in range(n_layers):
        n = draw(st.integers(1, 4))
        levels[f"l{i}"] = tuple(float(n - j) / n for j in range(n))
        coupled = i > 0 and draw(st.booleans())
        if coupled:
            before[f"l{i}"] = f"l{i - 1}"
        rows = len(levels[f"l{i - 1}"]) if coupled else 1
        grid = draw(st.lists(st.integers(0, 50), min_size=rows * n, max_size=rows * n))
        costs[f"l{i}"] = np.array(grid, float).reshape(rows, n)
        losses[f"l{i}"] = np.array(draw(st.lists(st.integers(0, 50), min_size=n, max_size=n)), float)
    return Table(levels=levels, costs=costs, losses=losses, before=before, fixed=float(draw(st.integers(0, 5))))


def every(table):
    """Return all choices."""
    ranges = [range(len(levels)) for levels in table.levels.values()]
    return [dict(zip(table.levels, places, strict=True)) for places in itertools.product(*ranges)]


@settings(max_examples=60, deadline=None)
@given(tables(), st.floats(0, 1))
def test_the_knapsack_is_what_trying_everything_finds(table, share):
    costs = [table.cost(choice) for choice in every(table)]
    budget = max(table.cost(table.least), min(costs) + share * (max(costs) - min(costs)))
    chosen = knapsack(table, budget)
    assert table.cost(chosen) <= budget * (1 + 1e-9)
    best = min(table.loss(choice) for choice in every(table) if table.cost(choice) <= budget)
    assert table.loss(chosen) == best


def two_layers():
    """Two layers of ten levels that cost what they keep: the first matters ten times as much."""
    levels = tuple(i / 10 for i in range(10, 0, -1))
    keeps = np.array(levels)
    return Table(
        levels={"a": levels, "b": levels},
        costs={"a": 100 * keeps[None], "b": 100 * keeps[None]},
        losses={"a": 10 * (1 - keeps), "b": 1 - keeps},
        before={},
    )


def test_uniform_is_the_largest_common_share():
    table = two_layers()
    chosen = uniform(table, 125)  # 0.6 of both cost 120
    assert {name: table.levels[name][level] for name, level in chosen.items()} == {"a": 0.6, "b": 0.6}


def test_uniform_of_widths_is_by_shares_of_each_whole():
    table = Table(
        levels={"a": (16, 8, 4), "b": (30, 15)},
        costs={"a": np.array([[16.0, 8, 4]]), "b": np.array([[30.0, 15]])},
        losses={"a": np.zeros(3), "b": np.zeros(2)},
        before={},
    )
    assert uniform(table, 24) == {"a": 1, "b": 1}


def test_the_knapsack_takes_from_what_matters_least():
    table = two_layers()
    chosen = knapsack(table, 120)
    assert {name: table.levels[name][level] for name, level in chosen.items()} == {"a": 1.0, "b": 0.2}


def test_draws_are_within_the_budget_and_the_best_is_taken():
    table = two_layers()
    chosen, rows = drawn(table, 120, lambda choice: -table.loss(choice), 50, seed=1)
    assert len(rows) == 50
    assert all(row["cost"] <= 120 for row in rows)
    assert -table.loss(chosen) == max(row["value"] for row in rows)
    assert drawn(table, 120, lambda choice: -table.loss(choice), 50, seed=1)[0] == chosen


def test_the_agent_stays_behind_the_wall_and_beats_chance():
    """On a network whose first of five layers matter most, to which chance gives no more than to the last."""
    levels = tuple(i / 10 for i in range(10, 0, -1))
    keeps = np.array(levels)
    names = [f"l{i}" for i in range(5)]
    table = Table(
        levels=dict.fromkeys(names, levels),
        costs=dict.fromkeys(names, 100 * keeps[None]),
        losses={name: 3.0 ** (4 - i) * (1 - keeps) for i, name in enumerate(names)},
        before={},
    )
    worst = table.loss(table.least)
    sizes = dict.fromkeys(names, (100.0, 100.0, 1.0, 1.0, 1.0))

    def value(choice):
        return 1 - table.loss(choice) / worst

    budget, by_agent, by_chance = 200, [], []
    for seed in range(2):
        chosen, rows = amc(table, budget, sizes, value, n_episodes=150, seed=seed)
        assert all(row["cost"] <= budget for row in rows)
        by_agent.append(value(chosen))
        by_chance.append(value(drawn(table, budget, value, 150, seed)[0]))
    assert np.mean(by_agent) > np.mean(by_chance)


@pytest.mark.parametrize("method", [uniform, knapsack])
def test_a_budget_out_of_reach_says_how_low_it_can_go(method):
    with pytest.raises(BadInput, match="budget must be at least 20, which all layers at their lowest take, got 19"):
        method(two_layers(), 19)


def test_a_table_whose_shapes_do_not_go_together():
    with pytest.raises(BadInput, match=r"costs of layer 'b' must be f64\[2, 1\], got \(1, 1\)"):
        Table(
            levels={"a": (1.0, 0.5), "b": (1.0,)},
            costs={"a": np.zeros((1, 2)), "b": np.zeros((1, 1))},
            losses={"a": np.zeros(2), "b": np.zeros(1)},
            before={"b": "a"},
        )


def test_the_solver_says_nothing_and_standard_output_is_there_again(capfd):
    print("before")
    knapsack(two_layers(), 120)
    print("after")
    assert capfd.readouterr().out == "before\nafter\n"
