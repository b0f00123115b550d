"""Are the outputs those of FP16 products summed in FP32 in the machine's order, and near float64?"""

import numpy as np
import pytest
from hypothesis import given, settings

from pointacc_sim.arithmetic import multiply
from pointacc_sim.image import encode, to_f16
from pointacc_sim.reference import check, plain
from pointacc_sim.simulate import encode as encode_work
from pointacc_sim.simulate import simulate
from pointacc_sim.spec import PRESETS, Spec
from tests.pointacc_cases import layer, layers, specs
from workloads import BadInput
from workloads.points import networks
from workloads.points.clouds import Cloud


def naive(work, features, weights, n_rows):
    """Return the outputs one addition at a time, f32[n_out, out]."""
    sums = np.zeros((work.positions, work.out_channels), np.float32)
    for offset in range(len(work.map.sizes)):
        for row_in, row_out in zip(*work.map.pairs(offset)):
            for first in range(0, work.in_channels, n_rows):
                for j in range(work.out_channels):
                    column = np.float32(0)
                    for c in range(first, min(first + n_rows, work.in_channels)):
                        column += features[row_in, c] * weights[offset, c, j]
                    sums[row_out, j] += column
    sums += work.bias
    return (np.maximum(sums, 0) if work.relu else sums).astype(np.float16).astype(np.float32)


@settings(max_examples=40)
@given(layers(), specs())
def test_outputs_are_equal_to_the_bit(work, spec):
    image = encode([work], spec)[0]
    features, _ = to_f16("features", work.features)
    outputs, notes = multiply(image, features, spec)
    assert notes == ()
    assert np.array_equal(outputs, naive(work, features, image.weights, spec.n_rows))
    assert np.array_equal(outputs, plain(image, features, spec))


def test_a_run_is_checked():
    work = layer(200, channels=(64, 64), side=12)
    run = simulate(encode_work(work, PRESETS["server"]), work.features, PRESETS["server"], check=True)
    assert run.check["passed"]
    assert 0 < run.check["relative_error_of_float64"] < 1e-3
    assert np.linalg.norm(run.values - work.forward()) / np.linalg.norm(work.forward()) < 1e-3


def test_a_network_runs_on_what_really_reaches_its_layers():
    model = networks.build("minkunet-0.5", Cloud(name="tiny", coordinates=layer(80, side=20).map.inputs))
    runs = simulate(encode_work(model, PRESETS["edge"]), None, PRESETS["edge"], check=True)
    assert len(runs) == len(model.layers)
    assert all(run.check["maps_equal"] and run.check["bits_equal"] for run in runs)


def test_features_without_a_spread_pass_the_check():
    """Batch norm makes zeros of them: what is left is rounding, far above the outputs' own size."""
    cloud = Cloud(name="far", coordinates=100 * np.arange(30).reshape(10, 3), features=np.ones((10, 4), np.float32))
    spec = PRESETS["server"]
    runs = simulate(encode_work(networks.build("minkunet-0.5", cloud), spec), None, spec, check=True)
    assert all(run.check["passed"] for run in runs)


def test_a_wrong_output_does_not_pass_the_check():
    work = layer(200, channels=(64, 64), side=12)
    image = encode([work], PRESETS["server"])[0]
    features, _ = to_f16("features", work.features)
    outputs, _ = multiply(image, features, PRESETS["server"])
    assert check(image, features, outputs, PRESETS["server"])["passed"]
    wrong = check(image, features, outputs * np.float32(1.02), PRESETS["server"])
    assert [wrong[name] for name in ("passed", "bits_equal", "within_float64_bound")] == [False] * 3


def test_what_fp16_does_not_hold_is_said():
    work = layer()
    image = encode([work], Spec())[0]
    run = simulate(image, work.features * 1e6, Spec())
    assert any("features are beyond FP16 and were cut" in note for note in run.notes)


def test_another_number_of_features_is_refused():
    work = layer()
    with pytest.raises(BadInput, match=r"features must be f32\[\d+, 4\] for layer, got shape \[3, 4\]"):
        simulate(encode([work], Spec())[0], np.ones((3, 4)), Spec())


def test_an_image_of_another_merger_is_refused():
    with pytest.raises(BadInput, match="encoded for blocks of 32, encode it again for 4"):
        simulate(encode([layer()], Spec())[0], None, Spec(merger_width=8))


def test_an_unknown_engine_is_refused():
    with pytest.raises(BadInput, match="did you mean 'events'"):
        simulate(encode([layer()], Spec())[0], None, Spec(), engine="event")
