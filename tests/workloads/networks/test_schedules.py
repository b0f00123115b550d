"""Does the learning rate go as each schedule says, step by step?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.errors import BadInput
from workloads.networks.descent import SCHEDULES, Recipe
from workloads.networks.modules import Linear
from workloads.networks.sequential import Sequential
from workloads.networks.train import fit

# 4 epochs of one step; by hand: cos 45 degrees is 0.7071. Of one cycle 20 of one step: up for 6 of them from 1/25 of
# the rate, down for 14 to 1/250,000, and half-way between the two ends at 3 and at 13.
TABLES = [
    ({}, 4, {0: 1, 1: (1 + 0.5**0.5) / 2, 2: 0.5, 3: (1 - 0.5**0.5) / 2}),
    ({"schedule": "polynomial"}, 4, {0: 1, 1: 0.75, 2: 0.5, 3: 0.25}),
    ({"schedule": "polynomial", "power": 2}, 4, {0: 1, 1: 0.5625, 2: 0.25, 3: 0.0625}),
    ({"schedule": "exponential"}, 4, {0: 1, 3: 1}),
    ({"schedule": "exponential", "decay": 0.5}, 4, {0: 1, 1: 0.5, 2: 0.25, 3: 0.125}),
    ({"schedule": "one-cycle"}, 20, {0: 0.04, 3: 0.52, 6: 1, 13: (1 + 4e-6) / 2}),
]


@pytest.mark.parametrize(("how", "n_epochs", "shares"), TABLES)
def test_by_hand(how, n_epochs, shares):
    recipe = Recipe(n_epochs=n_epochs, learning_rate=0.2, **how)
    for step, share in shares.items():
        assert recipe.rate(step, 1) == pytest.approx(0.2 * share)


def test_decay_is_by_epoch():
    recipe = Recipe(n_epochs=3, learning_rate=1, schedule="exponential", decay=0.1)
    assert [recipe.rate(step, 2) for step in range(6)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 50), st.integers(1, 50), st.floats(1e-6, 10))
def test_no_rate_is_above_the_one_asked_for_and_none_is_below_zero(schedule, n_epochs, n_steps, learning_rate):
    recipe = Recipe(n_epochs=n_epochs, learning_rate=learning_rate, schedule=schedule)
    rates = [recipe.rate(step, n_steps) for step in range(n_epochs * n_steps)]
    assert min(rates) > 0
    assert max(rates) <= learning_rate * (1 + 1e-12)
    if schedule != "one-cycle":  # which rises first
        assert all(later <= earlier for earlier, later in zip(rates, rates[1:]))


def test_the_training_takes_its_rates():
    # One input and one step: a gradient descent moves weights by rate times gradient, (softmax - label) x.
    # Not from 0, which would stay.
    start = Sequential({"ip": Linear(weights=np.ones((2, 1), np.float32), bias=None)})
    one = np.ones((1, 1), np.float32), np.array([0])
    recipe = Recipe(n_epochs=1, learning_rate=1, optimiser="sgd", schedule="one-cycle")
    weights = fit(start, *one, recipe).matrices["ip"].ravel()
    assert weights.tolist() == pytest.approx([1 + 0.04 * 0.5, 1 - 0.04 * 0.5])


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"schedule": "cosin"}, "unknown schedule 'cosin', did you mean 'cosine'?"),
        ({"power": 2}, "power belongs to schedule 'polynomial', got 2 with 'cosine'"),
        ({"schedule": "exponential", "decay": 1.5}, "decay must be above 0 and at most 1, got 1.5"),
    ],
)
def test_a_schedule_that_means_nothing(how, complaint):
    with pytest.raises(BadInput) as error:
        Recipe(n_epochs=1, learning_rate=1, **how)
    assert str(error.value) == complaint
