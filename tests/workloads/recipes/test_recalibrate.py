"""Are re-estimated statistics the mean and variance of what reaches a normalisation, and does nothing else change?"""

import numpy as np
import pytest

from workloads import BadInput
from workloads.networks.modules import BatchNorm
from workloads.networks.nets import convnet, mlp
from workloads.recipes.recipe import Recipe
from workloads.recipes.repair import Recalibrate
from workloads.recipes.steps import Prune


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(0).gamma(2.0, size=(700, 1, 8, 8)).astype(np.float32)


def naive_convolution(weights, images):
    """Return f64[batch, out, height, width] of a 3 x 3 kernel, padded by 1: nine shifted products."""
    wide = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = images.shape[2:]
    parts = (
        np.einsum("oi,bihw->bohw", weights[:, :, r, c].astype(np.float64), wide[:, :, r : r + height, c : c + width])
        for r in range(3)
        for c in range(3)
    )
    return sum(parts)


def test_they_are_those_of_plain_numpy(inputs):
    network = convnet((1, 8, 8), (4, 6), 3, seed=1)
    found = Recipe(steps=[Prune(density=0.3), Recalibrate()]).fit(network, inputs).apply()
    signal = inputs.astype(np.float64)
    for i in (1, 2):  # the layers one after the other, each on what the ones before give by then
        signal = naive_convolution(found.modules[f"conv{i}"].weights, signal)
        norm = found.modules[f"norm{i}"]
        mean, variance = signal.mean(axis=(0, 2, 3)), signal.var(axis=(0, 2, 3))
        np.testing.assert_allclose(norm.mean, mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(norm.variance, variance, rtol=1e-5)
        signal = (signal - mean[:, None, None]) / np.sqrt(variance + norm.epsilon)[:, None, None]  # gamma 1, beta 0
        signal = np.maximum(signal, 0)
        signal = signal.reshape(*signal.shape[:2], signal.shape[2] // 2, 2, -1, 2).max(axis=(3, 5))


def test_nothing_else_changes(inputs):
    network = convnet((1, 8, 8), (4, 6), 3, seed=1)
    fitted = Recipe(steps=[Recalibrate()]).fit(network, inputs)
    assert fitted.notes == (
        "step 1 (recalibrate): mean and variance of 2 batch normalisations re-estimated on 700 inputs",
    )
    for name, module in fitted.apply().modules.items():
        for key, array in module.parameters.items():
            assert np.array_equal(array, network.modules[name].parameters[key])
        if isinstance(module, BatchNorm):
            assert not np.array_equal(module.mean, network.modules[name].mean)


def test_a_network_without_normalisation_stays_and_says_so():
    network = mlp((6, 8, 3), seed=0)
    fitted = Recipe(steps=[Recalibrate()]).fit(network, np.ones((5, 6), np.float32))
    assert fitted.notes == ("step 1 (recalibrate): no batch normalisation: nothing was re-estimated",)
    assert all(np.array_equal(matrix, network.matrices[name]) for name, matrix in fitted.apply().matrices.items())


def test_it_takes_no_targets():
    with pytest.raises(BadInput, match="targets and ignore are not for recalibrate"):
        Recipe.parse('[[step]]\ndo = "recalibrate"\ntargets = ["a"]')
