"""Both engines answer every question."""

import pytest

from tests.eie_cases import ENGINES


@pytest.fixture(params=tuple(ENGINES))
def engine(request) -> str:
    return request.param
