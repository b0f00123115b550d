"""Are numbers whose products f32 cannot hold dealt with, or refused in one line, and never by a warning?"""

import numpy as np
import pytest

import tensorcore_sim
from workloads import BadInput, Workload, load
from workloads.pruning.scores import obd, wanda
from workloads.quantisation.quantise import awq
from workloads.recipes.recipe import Recipe

RNG = np.random.default_rng(0)
WEIGHTS = RNG.uniform(-1, 1, (8, 16)).astype(np.float32)
INPUTS = RNG.uniform(0, 1, (32, 16)).astype(np.float32)
MOST = np.finfo(np.float32).max


@pytest.mark.parametrize("power", [3, 60, 100])
def test_awq_is_the_same_for_inputs_of_any_size(power):
    inputs = INPUTS + np.float32(1 / 8)  # far from the least scale of an input, which is not relative
    large = awq(WEIGHTS, inputs * np.float32(2.0**power), 4)
    assert np.array_equal(large.codes, awq(WEIGHTS, inputs, 4).codes)  # a power of two changes no rounding


def test_awq_of_the_largest_weights_stays_on_its_grid():
    rounded = awq(WEIGHTS / np.abs(WEIGHTS).max() * MOST * np.float32(0.9), INPUTS, 4).weights
    assert np.isfinite(rounded).all()


@pytest.mark.parametrize("weights", [1e30, 1e38])
def test_int4_weights_beyond_their_scales_are_refused(weights):
    spec = tensorcore_sim.Spec(int4_weights=True)
    layer = Workload(name="w", weights=WEIGHTS / np.abs(WEIGHTS).max() * weights, activations=INPUTS)
    with pytest.raises(BadInput, match=r"weights must be at most 458528 in size for int4_weights, got a larger one$"):
        tensorcore_sim.encode(layer, spec)


def test_outputs_beyond_f32_are_infinite_and_said():
    spec = tensorcore_sim.Spec(in_dtype="int8")
    layer = Workload(name="w", weights=np.full((2, 4), 1e20), activations=np.full((3, 4), 1e20), relu=False)
    ran = tensorcore_sim.simulate(tensorcore_sim.encode(layer, spec), layer.activations, spec)
    assert (ran.outputs == np.inf).all()
    assert "6 of 6 outputs are beyond f32: scale weights or activations down" in ran.notes


def test_scores_beyond_f32_are_refused_by_whoever_chooses():
    large = Workload(name="w", weights=WEIGHTS * np.float32(1e30), activations=INPUTS * np.float32(1e30))
    for scores in (wanda(large.weights, large.activations), obd(large.weights, np.ones((8, 16)))):
        assert np.isinf(scores).any()
    recipe = Recipe.parse('[[step]]\ndo = "prune"\ncriterion = "wanda"\ndensity = 0.5\n')
    with pytest.raises(BadInput, match="scores must be finite f32, got inf"):
        recipe.fit(large)


@pytest.mark.parametrize(
    "steps",
    [
        'do = "prune"\npattern = "channel"\ndensity = 0.5\n[[step]]\ndo = "reconstruct"',
        'do = "prune"\ncriterion = "sparsegpt"\ndensity = 0.5',
        'do = "quantise"\nmethod = "gptq"',
        'do = "quantise"\nmethod = "awq"',
        'do = "share"',
    ],
)
@pytest.mark.parametrize(("weights", "inputs"), [(1, 1e38), (1e38, 1), (1e38, 1e38)])
def test_a_step_ends_in_finite_weights_or_one_line(steps, weights, inputs):
    layer = Workload(name="w", weights=WEIGHTS * np.float32(weights), activations=INPUTS * np.float32(inputs))
    complaint, fitted = "", layer
    try:
        fitted = Recipe.parse(f"[[step]]\n{steps}\n").fit(layer).apply()
    except BadInput as error:
        complaint = str(error)
    assert np.isfinite(fitted.weights).all()
    assert not complaint or "must be finite f32" in complaint


def test_a_network_that_overflows_is_not_called_right_or_wrong():
    network = load("lenet-300-100-dense")
    recipe = Recipe.parse('[[step]]\ndo = "prune"\ncriterion = "wanda"\ndensity = 0.5\n')
    with pytest.raises(BadInput, match=r"must be finite f32, got (inf|nan)"):
        recipe.fit(network, np.full((4, 784), MOST), np.zeros(4, int)).apply()
