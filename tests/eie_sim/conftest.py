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
    return published.validate()
