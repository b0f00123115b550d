"""Does an estimate grow with what takes time, and is its memory that of the largest layer?"""

import pytest

from pointacc_sim.simulate import estimate
from pointacc_sim.spec import Spec
from tests.pointacc_cases import layer

SMALL, LARGE = layer(10), layer(60, channels=(64, 64))
SPEC = Spec(n_rows=4, n_columns=4)


def estimated(*layers, engine="schedule", check=False, spec=SPEC) -> tuple[float, int]:
    return estimate(layers, spec, engine=engine, check=check)


def test_times_add_up_and_memory_is_that_of_the_largest():
    nothing, _ = estimated()
    (small, small_bytes), (large, large_bytes) = estimated(SMALL), estimated(LARGE)
    assert nothing < small < large
    assert small_bytes < large_bytes
    for layers in ((SMALL, LARGE), (LARGE, SMALL)):
        assert estimated(*layers) == (pytest.approx(small + large - nothing), large_bytes)


def test_what_makes_them_grow():
    seconds, n_bytes = estimated(LARGE)
    # Values of float64 beside those of the machine: 8 bytes of each feature at least, and no fewer products again
    checked, checked_bytes = estimated(LARGE, check=True)
    assert checked - seconds >= 1e-10 * LARGE.macs
    assert checked_bytes - n_bytes >= 8 * LARGE.features.size
    # 16 x 16 tiles of channels, each a step at least, of several events of a microsecond
    assert estimated(LARGE, engine="events")[0] - seconds > 16 * 16 * 5e-6
    whole, whole_bytes = estimated(LARGE, spec=Spec(n_rows=64, n_columns=64))  # one tile
    assert whole < seconds
    assert n_bytes - whole_bytes >= 8 * LARGE.map.n_maps * (16 * 16 - 1)  # the two rows of an entry, of each tile
