"""Does an estimate of seconds and bytes count k-steps, weights and values, and what a dense GEMM beside it takes?"""

import numpy as np
import pytest

from tensorcore_sim import PRESETS
from tensorcore_sim.simulate import estimate
from workloads import Shape, Workload

# 20 x 8 tiles of 128 x 128 with 16 k-steps of 64
ASKED = PRESETS["a100-sxm-80gb"].replace(tile_m=128, tile_n=128, tile_k=64)
N_STEPS = 20 * 8 * 16
SIZES = Shape(name="s", n_out=2560, n_in=1024, batch=1024)


def of(layers, engine="schedule", **changes):
    return estimate(layers, ASKED.replace(**changes), engine=engine, check=False)


@pytest.mark.parametrize(("engine", "step_s"), [("schedule", 4e-7), ("events", 6e-5)])
@pytest.mark.parametrize(
    ("changes", "n_runs"),
    [({}, 1), ({"sparsity": "2:4"}, 2), ({"int4_weights": True}, 2), ({"sparsity": "2:4", "int4_weights": True}, 2)],
)
def test_of_sizes_it_is_the_k_steps(engine, step_s, changes, n_runs):
    seconds, n_bytes = of([SIZES], engine, **changes)
    assert seconds == pytest.approx(1 + N_STEPS * step_s * n_runs)
    assert n_bytes == int(200e6 + 110 * N_STEPS)
    twice, same = of([SIZES, SIZES], engine, **changes)
    assert twice == pytest.approx(1 + 2 * N_STEPS * step_s * n_runs)
    assert same == n_bytes  # one after the other


@pytest.mark.parametrize(
    ("changes", "n_runs", "share", "encode_bytes"),
    [
        ({}, 1, 1, 12),
        ({"sparsity": "2:4"}, 2, 1 / 2, 20),
        ({"sparsity": "1:4"}, 2, 1 / 4, 20),
        ({"card": "b200", "fp4_fma_per_cycle": 16384, "in_dtype": "nvfp4"}, 1, 0, 70 - 45),
    ],
)
def test_of_a_layer_it_is_its_weights_and_products_too(changes, n_runs, share, encode_bytes):
    # 128 x 1,024 weights, two inputs: one tile of 16 k-steps
    layer = Workload(name="w", weights=np.zeros((128, 1024), np.float32), activations=np.ones((2, 1024)))
    seconds, n_bytes = of([layer], **changes)
    n_weights = 128 * 1024
    assert seconds == pytest.approx(1 + 16 * 4e-7 * n_runs + 2 * n_weights * share * 1e-8 + n_weights * 1.2e-7)
    # and 45 bytes of each that is in a product at a time
    assert n_bytes == int(200e6 + 110 * 16 + (encode_bytes + 45) * n_weights)
