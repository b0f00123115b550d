"""Both engines answer every question of timing."""

import pytest

from tensorcore_sim.sm.microbenchmark import ENGINES


@pytest.fixture(params=tuple(ENGINES))
def engine(request) -> str:
    return request.param
