"""Is a narrower network the wide one without some outputs, and does importance say what the loss does without them?"""

from dataclasses import replace

import numpy as np
import pytest

from workloads import BadInput
from workloads.allocation.narrow import importance, narrowable, narrowed
from workloads.networks.modules import BatchNorm
from workloads.networks.nets import convnet, mlp


def silenced(network, name, norm, gone):
    """Return the network with outputs that give nothing: no weights, or no gamma and beta behind."""
    module = network.modules[norm or name]
    if norm:
        zero = {
            field: np.where(np.isin(np.arange(len(module.gamma)), gone), 0, getattr(module, field))
            for field in ("gamma", "beta")
        }
        return network.replace(
            {norm: replace(module, **{key: value.astype(np.float32) for key, value in zero.items()})}
        )
    weights, bias = module.weights.copy(), module.bias.copy()
    weights[gone], bias[gone] = 0, 0
    return network.replace({name: replace(module, weights=weights, bias=bias)})


def test_a_narrower_mlp_gives_what_the_wide_one_gives_with_those_outputs_silent():
    network = mlp((6, 8, 5, 3), seed=0)
    inputs = np.random.default_rng(0).standard_normal((10, 6)).astype(np.float32)
    narrow = narrowed(network, {"ip1": np.array([7, 0, 3]), "ip2": np.array([1, 2])})
    assert [module.weights.shape for module in narrow.weighted.values()] == [(3, 6), (2, 3), (3, 2)]
    silent = silenced(silenced(network, "ip1", None, [1, 2, 4, 5, 6]), "ip2", None, [0, 3, 4])
    np.testing.assert_allclose(narrow.forward(inputs), silent.forward(inputs), atol=1e-6)


def test_a_narrower_convnet_loses_the_places_behind_its_flatten():
    network = convnet((1, 8, 8), (6, 4), 3, seed=0)
    rng = np.random.default_rng(1)
    network = network.replace(
        {
            f"norm{i}": BatchNorm(
                gamma=rng.uniform(0.5, 1.5, n).astype(np.float32),
                beta=rng.standard_normal(n).astype(np.float32),
                mean=rng.standard_normal(n).astype(np.float32),
                variance=rng.uniform(0.5, 1.5, n).astype(np.float32),
            )
            for i, n in ((1, 6), (2, 4))
        }
    )
    inputs = rng.standard_normal((5, 1, 8, 8)).astype(np.float32)
    narrow = narrowed(network, {"conv1": np.array([0, 5]), "conv2": np.array([1, 3])})
    assert narrow.weighted["conv2"].weights.shape == (2, 2, 3, 3)
    assert narrow.weighted["ip"].weights.shape == (3, 2 * 4)
    silent = silenced(silenced(network, "conv1", "norm1", [1, 2, 3, 4]), "conv2", "norm2", [0, 2])
    np.testing.assert_allclose(narrow.forward(inputs), silent.forward(inputs), atol=1e-5)


def test_an_output_that_nothing_reads_is_worth_nothing():
    network = mlp((6, 8, 3), seed=0)
    last = network.modules["ip2"]
    weights = last.weights.copy()
    weights[:, [2, 5]] = 0
    network = network.replace({"ip2": replace(last, weights=weights)})
    rng = np.random.default_rng(0)
    inputs, labels = rng.standard_normal((64, 6)).astype(np.float32), rng.integers(0, 3, 64)
    of_outputs = importance(network, inputs, labels)["ip1"]
    assert set(np.flatnonzero(of_outputs == 0)) == {2, 5}


def test_the_last_matrix_keeps_its_outputs():
    network = mlp((6, 8, 3), seed=0)
    assert narrowable(network) == ["ip1"]
    with pytest.raises(BadInput, match="matrix 'ip2' must keep its outputs: only ip1 may be narrower"):
        narrowed(network, {"ip2": np.array([0])})
    with pytest.raises(BadInput, match="matrix 'ip1' must keep at least one output"):
        narrowed(network, {"ip1": np.array([], int)})
