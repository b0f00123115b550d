"""Does an Add give the sum, carry its gradient to both, and stand right wherever modules are walked through?"""

from dataclasses import replace

import numpy as np
import pytest

from tests.finite_differences import assert_gradients
from workloads.errors import BadInput
from workloads.networks.early_stopping import fit as fit_until
from workloads.networks.lowering import fold, lower, restore
from workloads.networks.modules import BatchNorm, Conv2d, Linear
from workloads.networks.nets import resnet
from workloads.networks.sequential import Add, AvgPool2d, Flatten, ReLU, Sequential, with_statistics
from workloads.networks.train import Recipe, loss_and_gradients
from workloads.recipes.subjects import Modules

RNG = np.random.default_rng(3)


def draw(*shape):
    return RNG.normal(size=shape)


def norm(n):
    return BatchNorm(gamma=draw(n), beta=draw(n), mean=draw(n), variance=draw(n) ** 2 + 0.1)


def network():
    """Return a network whose first sum is read twice: by the next module, and by a sum that spans another one."""
    return Sequential(
        {
            "stem": Conv2d(weights=draw(3, 2, 3, 3), padding=1),
            "relu": ReLU(),
            "a": Conv2d(weights=draw(3, 3, 3, 3), bias=draw(3), padding=1),
            "norm a": norm(3),
            "add a": Add("relu"),
            "relu a": ReLU(),
            "b": Conv2d(weights=draw(3, 3, 1, 1)),
            "norm b": norm(3),
            "relu b": ReLU(),
            "c": Conv2d(weights=draw(3, 3, 3, 3), padding=1),
            "add c": Add("norm b"),
            "add stem": Add("add a"),
            "pool": AvgPool2d(2),
            "flatten": Flatten(),
            "ip": Linear(weights=draw(3, 12), bias=draw(3)),
        }
    )


IMAGES, LABELS = draw(6, 2, 4, 4), np.array([0, 1, 2, 0, 1, 2])


def by_hand(net, images, norms=None):
    """Return what leaves each module; norms: {name: what a normalisation does instead of its forward}."""
    left = {}

    def apply(name, *signals):
        left[name] = (norms or {}).get(name, net.modules[name].forward)(*signals)
        return left[name]

    relu = apply("relu", apply("stem", images))
    add_a = apply("add a", apply("norm a", apply("a", relu)), relu)
    norm_b = apply("norm b", apply("b", apply("relu a", add_a)))
    add_c = apply("add c", apply("c", apply("relu b", norm_b)), norm_b)
    apply("ip", apply("flatten", apply("pool", apply("add stem", add_c, add_a))))
    assert np.array_equal(left["add stem"], left["add c"] + left["add a"])
    return left


def test_what_leaves_each_module_is_what_it_is_by_hand():
    net = network()
    expected = by_hand(net, IMAGES)
    for name, found in zip(net.modules, net.outputs(IMAGES), strict=True):
        np.testing.assert_array_equal(found, expected[name])
    reaching = net.inputs(IMAGES)
    np.testing.assert_array_equal(reaching["c"], net.modules["c"].columns(expected["relu b"]).T)
    np.testing.assert_array_equal(reaching["ip"], expected["flatten"])


@pytest.mark.parametrize("penalties", [{}, {"activation_l1": 0.05}, {"dropout": 0.4}])
def test_the_gradient_is_the_finite_difference_of_the_loss(penalties):
    net, recipe = network(), Recipe(n_epochs=1, learning_rate=0, **penalties)

    def run():
        return loss_and_gradients(net, IMAGES, LABELS, recipe, np.random.default_rng(2))

    assert_gradients(net, run, every=5)


def test_statistics_are_those_of_what_arrives(monkeypatch):
    net, batch = network(), {"norm a": lambda x: standard(x, "norm a"), "norm b": lambda x: standard(x, "norm b")}
    arrived = {}

    def standard(signal, name):
        arrived[name] = signal.mean(axis=(0, 2, 3)), signal.var(axis=(0, 2, 3))
        mean, variance = (of[:, None, None] for of in arrived[name])
        own = net.modules[name]
        scaled = (signal - mean) / np.sqrt(variance + own.epsilon)
        return scaled * own.gamma[:, None, None] + own.beta[:, None, None]

    by_hand(net, IMAGES, batch)
    monkeypatch.setattr("workloads.networks.sequential.N_VALUES_AT_ONCE", 2 * IMAGES[0].size)
    found = with_statistics(net, IMAGES)
    for name, (mean, variance) in arrived.items():
        np.testing.assert_allclose(found.modules[name].mean, mean)
        np.testing.assert_allclose(found.modules[name].variance, variance)


@pytest.mark.parametrize(
    ("source", "left"),
    [("norm b", []), ("b", ["norm b"]), ("relu a", [])],
    ids=["a sum of what it gave", "a sum of what reaches it", "a sum past it"],
)
def test_folding_changes_no_sum(source, left):
    net = network().replace({"add c": Add(source)})
    folded = fold(net)
    assert [name for name, module in folded.modules.items() if isinstance(module, BatchNorm)] == left
    np.testing.assert_allclose(folded.forward(IMAGES), net.forward(IMAGES), rtol=1e-9)
    restored = restore(net, lower(net, IMAGES))
    np.testing.assert_allclose(restored.forward(IMAGES), net.forward(IMAGES), rtol=1e-4, atol=1e-4)


def test_a_product_whose_sum_with_others_goes_through_the_relu_has_none_of_its_own():
    net = network()
    assert {layer.name: layer.relu for layer in lower(net, IMAGES)} == {
        "stem": True,
        "a": False,  # its sum with others has one
        "b": False,  # what it gives goes into a sum as well, with no ReLU
        "c": False,
        "ip": False,
    }


def test_a_matrix_is_before_another_only_where_nothing_else_reaches_or_reads_it():
    # b reads a sum; c reads b's outputs, but so does a sum; ip reads one.
    assert Modules(network()).before == {}
    assert Modules(resnet((1, 4, 4), (2, 3), 2, seed=0)).before == {"conv3": "conv2", "conv6": "conv5"}


def test_a_network_with_sums_is_tuned_until_its_best_epoch():
    images, labels = draw(120, 1, 4, 4).astype(np.float32), np.arange(120) % 2
    images[labels == 1, :, :2] += 3
    net = resnet((1, 4, 4), (4, 4), 2, seed=0)
    recipe = Recipe(n_epochs=6, learning_rate=1e-2, batch=8, activation_l1=1e-4, dropout=0.1)
    trained, kept = fit_until(net, images, labels, recipe, held_out=0.25)
    assert kept.epoch > 0
    assert trained.accuracy(images, labels) > 0.9 > net.accuracy(images, labels)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: network().replace({"add a": Add("rel")}),
            "module 'add a' must add what an earlier module gave, .*'rel'",
        ),
        (lambda: network().replace({"add a": Add("b")}), "module 'add a' must add what an earlier module gave"),
        (
            lambda: (
                network()
                .replace({"add c": Add("relu"), "b": replace(network().modules["b"], stride=2)})
                .forward(IMAGES)
            ),
            r"module 'add c': inputs must have the shape of what 'relu' gave, to which they are added: \(6, 3, 4, 4\)",
        ),
    ],
)
def test_a_sum_that_cannot_be_is_named(make, message):
    with pytest.raises(BadInput, match=message):
        make()
