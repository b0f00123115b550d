"""Does each method keep within the budget, and find the knapsack and the table what trying everything finds?"""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads import BadInput
from workloads.allocation.amc import amc
from workloads.allocation.knapsack import knapsack
from workloads.allocation.sensitivity import by_sensitivity
from workloads.allocation.simple import drawn, uniform
from workloads.allocation.table import Cost, Table


@st.composite
def tables(draw):
    """Return a table of up to four knobs of up to four levels, and up to five layers that hang on none to three."""
    n_levels = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    levels = {f"k{i}": tuple(float(n - j) / n for j in range(n)) for i, n in enumerate(n_levels)}
    losses = {
        name: np.array(draw(st.lists(st.integers(0, 50), min_size=len(own), max_size=len(own))), float)
        for name, own in levels.items()
    }
    costs = {}
    for i in range(draw(st.integers(1, 5))):
        knobs = tuple(draw(st.lists(st.sampled_from(sorted(levels)), max_size=3, unique=True)))
        shape = tuple(len(levels[knob]) for knob in knobs)
        grid = draw(st.lists(st.integers(0, 50), min_size=math.prod(shape), max_size=math.prod(shape)))
        costs[f"l{i}"] = Cost(knobs=knobs, amounts=np.array(grid, float).reshape(shape))
    return Table(levels=levels, costs=costs, losses=losses)


def every(table):
    """Return all choices."""
    ranges = [range(len(levels)) for levels in table.levels.values()]
    return [dict(zip(table.levels, places, strict=True)) for places in itertools.product(*ranges)]


@settings(max_examples=60, deadline=None)
@given(tables(), st.floats(0, 1))
def test_the_knapsack_is_what_trying_everything_finds(table, share):
    costs = [table.cost(choice) for choice in every(table)]
    budget = min(costs) + share * (max(costs) - min(costs))
    chosen = knapsack(table, budget)
    assert table.cost(chosen) <= budget * (1 + 1e-9)
    best = min(table.loss(choice) for choice in every(table) if table.cost(choice) <= budget)
    assert table.loss(chosen) == best


@given(tables(), st.data())
def test_the_least_cost_is_what_trying_everything_finds(table, data):
    choices = every(table)
    least = min(map(table.cost, choices))
    assert table.cost(table.least) == least  # whole numbers, so that sums are exact
    table.check(least)
    with pytest.raises(BadInput, match=f"budget must be at least {least:.6g}, the cheapest choice of all"):
        table.check(least - 0.5)
    name, *others = data.draw(st.permutations(list(table.levels)))
    some = others[: data.draw(st.integers(0, len(others)))]
    fixed = {other: data.draw(st.integers(0, len(table.levels[other]) - 1)) for other in some}
    fitting = [choice for choice in choices if fixed.items() <= choice.items()]
    assert table.lowest(fixed, name).tolist() == [
        min(table.cost(choice) for choice in fitting if choice[name] == level)
        for level in range(len(table.levels[name]))
    ]


@settings(max_examples=30, deadline=None)
@given(tables(), st.floats(0, 1))
def test_whatever_choice_is_in_reach_is_in_reach_of_draws_and_of_the_agent(table, share):
    costs = [table.cost(choice) for choice in every(table)]
    budget, sizes = min(costs) + share * (max(costs) - min(costs)), dict.fromkeys(table.levels, (1.0,) * 5)
    for choice, rows in (
        drawn(table, budget, lambda choice: -table.loss(choice), 5, seed=0),
        amc(table, budget, sizes, lambda choice: -table.loss(choice), n_episodes=5),
    ):
        assert all(row["cost"] <= budget for row in rows)
        assert table.cost(choice) <= budget


def stairs():
    """Return a layer that costs more at its lowest width than at the one above, and one that falls."""
    return Table(
        levels={"a": (4, 2, 1), "b": (4, 2)},
        costs={
            "a": Cost(knobs=("a",), amounts=np.array([9.0, 4, 6])),
            "b": Cost(knobs=("a", "b"), amounts=np.array([[9.0, 8], [8, 7], [7, 6]])),
        },
        losses={"a": np.array([0.0, 1, 2]), "b": np.array([0.0, 1])},
    )


def test_the_cheapest_choice_need_not_be_the_lowest():
    table = stairs()  # 4 + 7 = 11 with a at 2 and b at 2; 12 with both at their lowest
    assert table.least == {"a": 1, "b": 1}
    assert knapsack(table, 11) == {"a": 1, "b": 1}
    assert by_sensitivity(table, 11, {"a": [0.9, 0.8, 0.7], "b": [0.9, 0.8]})[0] == {"a": 1, "b": 1}
    with pytest.raises(BadInput, match=r"budget must be at least 11, the cheapest choice of all, got 10\.5"):
        knapsack(table, 10.5)


def test_a_share_for_all_may_not_reach_what_a_choice_does():
    table = Table(
        levels={"a": (4, 2), "b": (4, 2)},
        costs={"l": Cost(knobs=("a", "b"), amounts=np.array([[9.0, 4], [8, 7]]))},
        losses={"a": np.zeros(2), "b": np.zeros(2)},
    )
    assert uniform(table, 7) == {"a": 1, "b": 1}
    with pytest.raises(BadInput, match="budget must be at least 7, the cheapest share for all layers, got 5"):
        uniform(table, 5)


def test_a_budget_that_is_refused_is_told_in_its_unit_and_as_a_share_that_is_taken():
    table = replace(stairs(), unit="us")
    whole, least = table.cost(table.whole), table.cost(table.least)
    with pytest.raises(BadInput, match=r"at least 11 us, the cheapest .*, got 1 us; as a share, (0\.\d+)$") as refused:
        table.check(1)
    share = float(str(refused.value).rpartition(" ")[2])
    assert least <= share * whole < least + 1e-4 * whole


def two_layers():
    """Two layers of ten levels that cost what they keep: the first matters ten times as much."""
    levels = tuple(i / 10 for i in range(10, 0, -1))
    keeps = np.array(levels)
    return Table(
        levels={"a": levels, "b": levels},
        costs={name: Cost(knobs=(name,), amounts=100 * keeps) for name in ("a", "b")},
        losses={"a": 10 * (1 - keeps), "b": 1 - keeps},
    )


def test_uniform_is_the_largest_common_share():
    table = two_layers()
    chosen = uniform(table, 125)  # 0.6 of both cost 120
    assert {name: table.levels[name][level] for name, level in chosen.items()} == {"a": 0.6, "b": 0.6}


def test_uniform_of_widths_is_by_shares_of_each_whole():
    table = Table(
        levels={"a": (16, 8, 4), "b": (30, 15)},
        costs={
            "a": Cost(knobs=("a",), amounts=np.array([16.0, 8, 4])),
            "b": Cost(knobs=("b",), amounts=np.array([30.0, 15])),
        },
        losses={"a": np.zeros(3), "b": np.zeros(2)},
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
        costs={name: Cost(knobs=(name,), amounts=100 * keeps) for name in names},
        losses={name: 3.0 ** (4 - i) * (1 - keeps) for i, name in enumerate(names)},
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
    with pytest.raises(BadInput, match="budget must be at least 20, the cheapest choice of all, got 19"):
        method(two_layers(), 19)


def test_a_residual_sum_couples_all_that_reads_it():
    """Three layers: `in` writes the sum's 4 or 2 channels, `out` too, from a hidden width of 4 or 2 that `hid` writes.

    A layer costs inputs x outputs: with (sum, hidden) whole 12 + 16 + 16 = 44, (2, 4) 22, (4, 2) 28, (2, 2) 14.
    """
    table = Table(
        levels={"sum": (4, 2), "hidden": (4, 2)},
        costs={
            "in": Cost(knobs=("sum",), amounts=np.array([12.0, 6])),
            "hid": Cost(knobs=("sum", "hidden"), amounts=np.array([[16.0, 8], [8, 4]])),
            "out": Cost(knobs=("hidden", "sum"), amounts=np.array([[16.0, 8], [8, 4]])),
        },
        losses={"sum": np.array([0.0, 3]), "hidden": np.array([0.0, 1])},
    )
    assert [table.cost({"sum": i, "hidden": j}) for i in (0, 1) for j in (0, 1)] == [44, 28, 22, 14]
    assert knapsack(table, 28) == {"sum": 0, "hidden": 1}
    assert knapsack(table, 27) == {"sum": 1, "hidden": 0}


def test_nothing_to_choose_is_the_whole():
    table = Table(levels={}, costs={"a": Cost(knobs=(), amounts=np.array(3.0))}, losses={})
    assert knapsack(table, 3) == {}
    with pytest.raises(BadInput, match="budget must be at least 3"):
        knapsack(table, 2)


@pytest.mark.parametrize(
    ("knobs", "match"),
    [
        (("a", "b"), r"costs of layer 'l' must be f64\[2, 1\], got \(1, 1\)"),
        (("a", "a"), "must hang on knobs of the table, each once"),
        (("c",), "must hang on knobs of the table"),
    ],
)
def test_a_table_whose_shapes_do_not_go_together(knobs, match):
    with pytest.raises(BadInput, match=match):
        Table(
            levels={"a": (1.0, 0.5), "b": (1.0,)},
            costs={"l": Cost(knobs=knobs, amounts=np.zeros((1, 1)))},
            losses={"a": np.zeros(2), "b": np.zeros(1)},
        )


def test_the_solver_says_nothing_and_standard_output_is_there_again(capfd):
    print("before")
    knapsack(two_layers(), 120)
    print("after")
    assert capfd.readouterr().out == "before\nafter\n"
