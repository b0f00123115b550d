"""Does NetAdapt take the rounds that its algorithm takes on paper?"""

import pytest

from workloads.allocation.netadapt import netadapt
from workloads.errors import BadInput

# The network is its widths. At widths (4, 4) it costs 20 and is worth 20.
START = {"a": 4, "b": 4}
TOY = {
    "cost": lambda widths: widths["a"] * widths["b"] + widths["b"],
    "narrow": lambda network, layer, width: network | {layer: width},
    "evaluate": lambda network: 2 * network["a"] + 3 * network["b"],
}


def test_two_rounds_worked_by_hand():
    # round 1, at most 20 - 5: a = 2 costs 12 and loses 4, 0.5 a unit saved; b = 3 costs 15 and loses 3, 0.6 a unit
    # round 2, at most 12 - 2.5: a = 1 costs 8 and loses 2, 0.5 a unit; b = 3 costs 9 and loses 3, 1 a unit
    rounds = netadapt(START, START, budget=10, first_step=0.25, decay=0.5, **TOY)
    assert [(r.layer, r.widths, r.network, r.cost, r.value) for r in rounds] == [
        ("a", {"a": 2, "b": 4}, {"a": 2, "b": 4}, 12, 16),
        ("a", {"a": 1, "b": 4}, {"a": 1, "b": 4}, 8, 14),
    ]
    assert START == {"a": 4, "b": 4}


def test_widths_are_multiples():
    rounds = netadapt(START, START, budget=10, first_step=0.01, multiple=2, **TOY)
    # a = 2 loses 4 of 8 saved, b = 2 loses 6 of 10; then only b can halve, a being at its least
    assert [r.widths for r in rounds] == [{"a": 2, "b": 4}, {"a": 2, "b": 2}]


def test_a_budget_that_is_met_takes_no_round():
    assert netadapt(START, START, budget=20, **TOY) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        # an output a round: six of them, so that a seventh must save 0.025 x 0.96**6 of 20
        (
            {"budget": 1},
            f"budget must be at least 2, from where no layer alone saves the {0.5 * 0.96**6:.6g} of a round, got 1",
        ),
        ({"budget": 10, "first_step": 0}, "first_step must be above 0 and at most 1, got 0"),
        ({"budget": 10, "decay": 1.1}, "decay must be above 0 and at most 1, got 1.1"),
        ({"budget": 10, "multiple": 0}, "multiple must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_is_named(options, message):
    with pytest.raises(BadInput) as error:
        netadapt(START, START, **options, **TOY)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("cost", "budget", "complaint"),
    [
        # A launch takes as long however narrow the layer: no step saves anything once it is the floor.
        (
            lambda widths: float(max(1000, 500 * widths["a"])),
            500,
            "^budget must be at least 1000, from where no layer .* saves",
        ),
        (lambda widths: 0.0, -1, "^budget must be at least 0, from where"),
        (TOY["cost"], float("nan"), "^budget must be a finite number, got nan$"),
    ],
    ids=["a floor", "no cost", "nan"],
)
def test_a_budget_that_nothing_reaches_is_refused(cost, budget, complaint):
    with pytest.raises(BadInput, match=complaint):
        netadapt(START, START, **TOY | {"cost": cost}, budget=budget)
