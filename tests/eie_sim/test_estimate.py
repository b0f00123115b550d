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


@pytest.mark.parametrize("engine", ["events", "schedule"])
def test_a_further_design_takes_longer_with_more_pes(engine):
    """4 activations reach each PE: from 1 to 64 PEs there are 4 * 63 pairs more."""
    one, many = (estimate_point([work(3)], Spec(n_pes=n), engine=engine) for n in (1, 64))
    assert many - one == pytest.approx(4 * 63 * (12e-6 if engine == "events" else 3e-9))
