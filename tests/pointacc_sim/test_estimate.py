"""Does an estimate grow with what takes time, and is its memory that of the largest layer?"""

import numpy as np
import pytest

from pointacc_sim.compile import compiled
from pointacc_sim.simulate import encode, estimate
from pointacc_sim.spec import Spec
from tests.pointacc_cases import layer
from workloads.points.chain import Chain
from workloads.points.clouds import Cloud

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


def test_steps_of_events_take_as_long_each():
    cube = np.stack(np.meshgrid(*[np.arange(6)] * 3), axis=-1).reshape(-1, 3).astype(np.int32)
    us = []
    # Two tiles of 4 rows for 6 channels, three of 4 columns for 9; 216 voxels in tiles of outputs; each offset.
    for kernel_size, tile, n_steps in ((3, 50, 2 * 3 * 5 * 27), (3, 216, 2 * 3 * 1 * 27), (1, 50, 2 * 3 * 5 * 1)):
        chain = Chain(Cloud(name="cube", coordinates=cube), channels=6)
        chain.convolution("conv", chain.input, 9, kernel_size=kernel_size)
        work = chain.model("conv").layers
        spec = SPEC.replace(accumulator_bytes=2 * tile * 4 * 4)  # two sets of 4 columns of 4 bytes
        assert len(compiled(encode(work, spec)[0], spec).steps) <= n_steps
        more = estimated(*work, engine="events", spec=spec)[0] - estimated(*work, spec=spec)[0]
        us.append(1e6 * more / n_steps)
    assert us == pytest.approx([us[0]] * 3)
    assert 3 < us[0] < 300  # SimPy has some 300,000 events a second, and a step is no more than a hundred
