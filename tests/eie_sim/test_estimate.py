"""Does an estimate grow with what takes time: inputs, checks, PEs?"""

import numpy as np
import pytest

from eie_sim import Spec
from eie_sim.simulate import estimate, estimate_point
from workloads import Workload


def work(n_inputs: int) -> Workload:
    return Workload(name="w", weights=np.ones((8, 4)), activations=np.ones((n_inputs, 4)))


@pytest.mark.parametrize("engine", ["events", "schedule"])
def test_it_grows_with_the_inputs_and_with_checks(engine):
    def seconds(n_inputs, check):
        return estimate([work(n_inputs)], Spec(n_pes=2), engine=engine, check=check)[0]

    assert seconds(11, False) - seconds(1, False) >= 10 * 5e-4  # an input, whatever it does
    # 5 columns are broadcast, the bias's place among them, to 8 rows at 20 ns each
    assert seconds(1, True) - seconds(1, False) == pytest.approx(5 * 8 * 2e-8)


def test_events_take_longer_than_the_schedule_and_both_longer_for_more_pes():
    """3 inputs of 4 activations, and the bias's place: 15 for each PE, each several events of a microsecond."""

    def seconds(engine, n_pes):
        return estimate([work(3)], Spec(n_pes=n_pes), engine=engine, check=False)[0]

    assert seconds("events", 64) - seconds("schedule", 64) > 15 * 64 * 1e-6
    assert seconds("events", 64) - seconds("events", 1) > 15 * 63 * 1e-6
    assert seconds("schedule", 64) > seconds("schedule", 1)


def test_it_grows_with_the_weights_and_with_the_values_that_k_means_must_share():
    """Clustering holds each value in float64 at least; a second look at every weight takes some time."""

    def estimated(weights):
        n_in = weights.shape[1]
        layer = Workload(name="w", weights=weights, activations=np.eye(1, n_in))
        return np.array(estimate([layer], Spec(n_pes=1), engine="schedule", check=False))

    few = np.arange(64 * 64, dtype=np.float32).reshape(64, 64) % 4
    n_non_zeros = 64 * 64 * 3 // 4
    many = few * (1 + np.arange(64 * 64, dtype=np.float32).reshape(64, 64))
    more_s, more_bytes = estimated(many) - estimated(few)
    assert more_s > 0
    assert more_bytes >= 8 * n_non_zeros
    # Seven layers of nothing more, below one another: no further column, no value and no shared one.
    padded = np.vstack((few, np.zeros((7 * 64, 64), np.float32)))
    assert estimated(padded)[0] > estimated(few)[0]


@pytest.mark.parametrize("engine", ["events", "schedule"])
def test_a_further_design_takes_longer_with_more_pes(engine):
    """4 activations reach each PE: from 1 to 64 PEs there are 4 * 63 pairs more."""
    one, many = (estimate_point([work(3)], Spec(n_pes=n), engine=engine) for n in (1, 64))
    assert many - one == pytest.approx(4 * 63 * (12e-6 if engine == "events" else 3e-9))


@pytest.mark.parametrize(("step", "more"), [(0, 0), (1, 1.5 * 64 * 64 * 4)])
def test_a_check_holds_shared_weights_and_where_they_lie_once_more_where_any_are_shared(step, more):
    """f32 and half as much: 64 x 64 weights, all alike or all different."""
    weights = 1 + step * np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
    layer = Workload(name="w", weights=weights, activations=np.ones((1, 64)))
    unchecked, checked = (estimate([layer], Spec(n_pes=1), engine="schedule", check=c)[1] for c in (False, True))
    assert checked - unchecked == more


def test_it_grows_with_the_arrays_of_each_pe():
    """A PE more: 14 bytes for each of 4 columns, and 8 for each of 5 broadcasts of the input that has most."""
    layer = Workload(name="w", weights=np.ones((8, 4)), activations=[[1, 1, 1, 1], [1, 0, 0, 0]])
    one, two, nine = (estimate([layer], Spec(n_pes=n), engine="schedule", check=False)[1] for n in (1, 2, 9))
    assert (two - one, nine - one) == (14 * 4 + 8 * 5, 8 * (14 * 4 + 8 * 5))
    # The whole: its weights, and of each 12 bytes where it is not zero and a sixteenth of one where it may be
    assert one == 200_000_000 + 8 * 4 * 4 + int(12 * 32 + 32 / 16 + 14 * 4 + 8 * 5)
