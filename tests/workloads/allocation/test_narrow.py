"""Is a narrower network the wide one without some outputs, and does importance say what the loss does without them?"""

from dataclasses import replace

import numpy as np
import pytest

from workloads import BadInput
from workloads.allocation.narrow import channels, importance, means, narrowed
from workloads.networks.modules import BatchNorm, Conv2d, Linear
from workloads.networks.nets import convnet, mlp
from workloads.networks.sequential import Add, Flatten, MaxPool2d, ReLU, Sequential


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


RNG = np.random.default_rng(2)


def conv(n_out, n_in, size=3):
    return Conv2d(weights=RNG.standard_normal((n_out, n_in, size, size)), padding=size // 2)


def norm(n):
    draws = {field: RNG.uniform(0.5, 1.5, n) for field in ("gamma", "variance")}
    return BatchNorm(**draws, **{field: RNG.standard_normal(n) for field in ("beta", "mean")})


def residual():
    """Return two blocks of a stage with 4 channels, inside 5 and 3 wide, and one of a stage with 6."""
    return Sequential(
        {
            "stem": conv(4, 2),
            "norm": norm(4),
            "relu": ReLU(),
            "a1": conv(5, 4),
            "norm a1": norm(5),
            "relu a1": ReLU(),
            "a2": conv(4, 5),
            "norm a2": norm(4),
            "add a": Add("relu"),
            "b1": conv(3, 4, 1),
            "b2": conv(4, 3),
            "add b": Add("add a"),
            "norm b": norm(4),  # of the sum
            "relu b": ReLU(),
            "down": conv(6, 4),
            "pool": MaxPool2d(2),
            "c": conv(6, 6),
            "add c": Add("pool"),
            "flatten": Flatten(),
            "ip": Linear(weights=RNG.standard_normal((3, 6 * 4)), bias=RNG.standard_normal(3)),
        }
    )


WRITERS = {"stem": ("stem", "a2", "b2"), "a1": ("a1",), "b1": ("b1",), "down": ("down", "c")}


def test_what_a_sum_joins_goes_together_and_the_inside_of_a_block_alone():
    known = channels(residual())
    assert known.writers == WRITERS
    assert known.norms == {"norm": "stem", "norm a1": "a1", "norm a2": "stem", "norm b": "stem"}
    assert known.readers == {
        "a1": "stem",
        "a2": "a1",
        "b1": "stem",
        "b2": "b1",
        "down": "stem",
        "c": "down",
        "ip": "down",
    }


def test_a_narrower_residual_network_gives_what_the_wide_one_gives_whose_channels_carry_nothing():
    network = residual()
    gone = {"stem": [0, 2], "a1": [1, 4], "b1": [2], "down": [0, 3, 5]}
    silent = network
    for name, module in network.modules.items():
        groups = {"norm b": "stem"} | {n: group for group, names in WRITERS.items() for n in names}
        norms = {"norm": "stem", "norm a1": "a1", "norm a2": "stem"}
        if name in groups and isinstance(module, Conv2d):
            weights = module.weights.copy()
            weights[gone[groups[name]]] = 0
            silent = silent.replace({name: replace(module, weights=weights)})
        elif name in norms | groups:
            silent = silenced(silent, None, name, gone[(norms | groups)[name]])
    # silenced() rounds to f32
    silent = silent.replace(
        {
            n: replace(m, gamma=m.gamma.astype(float), beta=m.beta.astype(float))
            for n, m in silent.modules.items()
            if isinstance(m, BatchNorm)
        }
    )
    kept = {group: np.setdiff1d(np.arange(len(network.modules[group].weights)), gone[group]) for group in gone}
    narrow = narrowed(silent, kept)
    assert {name: module.weights.shape[:2] for name, module in narrow.weighted.items()} == {
        "stem": (2, 2),
        "a1": (3, 2),
        "a2": (2, 3),
        "b1": (2, 2),
        "b2": (2, 2),
        "down": (3, 2),
        "c": (3, 3),
        "ip": (3, 3 * 4),
    }
    images = RNG.standard_normal((5, 2, 4, 4))
    np.testing.assert_allclose(narrow.forward(images), silent.forward(images), rtol=1e-9)


def test_what_a_group_is_worth_is_what_it_is_worth_in_all_that_writes_it():
    network, inputs, labels = residual(), RNG.standard_normal((70, 2, 4, 4)), RNG.integers(0, 3, 70)

    def each(gradients):
        of = {"norm": ("gamma", "beta"), "norm a1": ("gamma", "beta"), "norm a2": ("gamma", "beta")}
        of |= {"b1": ("weights",), "b2": ("weights",), "down": ("weights",), "c": ("weights",)}
        return {
            name: sum(
                (network.modules[name].parameters[key] * gradients[name][key]).reshape(n, -1).sum(axis=1)
                for key in keys
                for n in [len(network.modules[name].parameters[key])]
            )
            for name, keys in of.items()
        }

    apart = means(network, inputs, labels, each)
    found = importance(network, inputs, labels)
    assert set(found) == set(WRITERS)
    np.testing.assert_allclose(found["stem"], apart["norm"] + apart["norm a2"] + apart["b2"])
    np.testing.assert_allclose(found["a1"], apart["norm a1"])
    np.testing.assert_allclose(found["down"], apart["down"] + apart["c"])


@pytest.mark.parametrize(
    ("modules", "left"),
    [
        # to the network's inputs
        ({"a": conv(2, 2), "add": Add("start"), "b": conv(3, 2), "c": conv(3, 3)}, {"b": ("b",)}),
        # to what leaves the network
        ({"a": conv(3, 2), "b": conv(3, 3), "c": conv(3, 3), "add": Add("a")}, {"b": ("b",)}),
        # of places in a row to what has no places
        (
            {
                "a": conv(3, 2),
                "flat": Flatten(),
                "b": Linear(weights=RNG.standard_normal((48, 48))),
                "add": Add("flat"),
                "c": Linear(weights=RNG.standard_normal((4, 48))),
                "d": Linear(weights=RNG.standard_normal((3, 4))),
            },
            {"c": ("c",)},
        ),
    ],
)
def test_what_is_added_to_something_that_stays_stays(modules, left):
    network = Sequential({"start": ReLU(), **modules})
    assert channels(network).writers == left
    network.forward(RNG.standard_normal((1, 2, 4, 4)))


def test_a_matrix_that_goes_with_another_is_named_with_it():
    with pytest.raises(BadInput, match="'c' must keep its outputs: only stem with a2 with b2, a1, b1, down with c may"):
        narrowed(residual(), {"c": np.array([0])})


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
    assert channels(network).writers == {"ip1": ("ip1",)}
    with pytest.raises(BadInput, match="matrix 'ip2' must keep its outputs: only ip1 may be narrower"):
        narrowed(network, {"ip2": np.array([0])})
    with pytest.raises(BadInput, match="matrix 'ip1' must keep at least one output"):
        narrowed(network, {"ip1": np.array([], int)})
