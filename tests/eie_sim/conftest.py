"""Both engines answer every question; the published figures are simulated once."""

import pytest

from cyclekit.validation import Validation
from eie_sim import published
from tests.eie_cases import ENGINES


@pytest.fixture(params=tuple(ENGINES))
def engine(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def validation() -> Validation:
    steps = []
    of_all = published.validate(lambda *step: steps.append(step))
    assert [step[1:] for step in steps] == [(n, 18) for n in range(19)]  # nine layers of two kinds
    return of_all
