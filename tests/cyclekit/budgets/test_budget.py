"""Does a budget's text mean what it says?"""

import pytest

from cyclekit.budgets.budget import Budget
from workloads import BadInput


@pytest.mark.parametrize(
    ("text", "amount", "metric"),
    [
        ("123us", 123, "us"),
        ("1.5ms", 1500, "us"),
        ("456000cycles", 456000, "cycles"),
        ("7uJ", 7, "uJ"),
        ("2e3 nJ", 2, "uJ"),
    ],
)
def test_amounts(text, amount, metric):
    budget = Budget.of(text)
    assert (budget.absolute(1e9), budget.metric) == (amount, metric)


def test_a_share_is_of_the_time():
    budget = Budget.of("0.5")
    assert Budget.of(0.5) == budget
    assert (budget.absolute(80), budget.metric) == (40, "us")


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "1.5", "5 parsecs", "nan", "inf", "1us2", "0us"])
def test_what_is_no_budget(text):
    with pytest.raises(BadInput, match=r"^budget (must be a share|without a unit)"):
        Budget.of(text)
