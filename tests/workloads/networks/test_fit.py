"""Does the training loop, on modules of every kind, follow each of its penalties and keep what must be kept?"""

from dataclasses import replace

import numpy as np
import pytest

from tests.finite_differences import assert_gradients
from workloads.errors import BadInput
from workloads.networks.lowering import lower, restore
from workloads.networks.modules import BatchNorm, Conv2d, Linear, he_normal
from workloads.networks.sequential import GELU, Flatten, MaxPool2d, ReLU, Sequential, with_statistics
from workloads.networks.train import Recipe, fit, loss_and_gradients
from workloads.pruning.prune import prune
from workloads.quantisation.share import bias_codes, share

RECIPE = Recipe(n_epochs=8, learning_rate=1e-2, batch=40, seed=3)


def stripes(n=240, seed=7):
    """Return images f32[n, 1, 6, 6] and labels: noise with a bright row (0), column (1) or diagonal (2)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = 0.3 * rng.standard_normal((n, 1, 6, 6), dtype=np.float32)
    for image, label, place in zip(images[:, 0], labels, rng.integers(0, 6, n), strict=True):
        if label == 2:
            image += np.roll(np.eye(6, dtype=np.float32), place, axis=1)
        else:
            (image if label == 0 else image.T)[place] += 1
    return images, labels


def network(dtype=np.float32):
    rng = np.random.default_rng(1)
    return Sequential(
        {
            "conv": Conv2d(weights=he_normal(rng, (6, 1, 3, 3)).astype(dtype), padding=1),
            "norm": BatchNorm(**{k: v.astype(dtype) for k, v in vars(BatchNorm.identity(6)).items() if k != "epsilon"}),
            "relu": ReLU(),
            "pool": MaxPool2d(2),
            "flatten": Flatten(),
            "hidden": Linear(weights=he_normal(rng, (8, 54)).astype(dtype), bias=np.zeros(8, dtype)),
            "gelu": GELU(),
            "out": Linear(weights=he_normal(rng, (3, 8)).astype(dtype), bias=np.zeros(3, dtype)),
        }
    )


def same(one, other):
    return all(
        np.array_equal(array, other.modules[name].parameters[key])
        for name, module in one.modules.items()
        for key, array in module.parameters.items()
    )


@pytest.mark.parametrize(
    "penalties", [{}, {"l1": 0.1}, {"l2": 0.2}, {"activation_l1": 0.05}, {"gamma_l1": 0.3}, {"dropout": 0.4}]
)
def test_the_gradient_is_the_finite_difference_of_the_loss(penalties):
    net, (images, labels) = network(np.float64), stripes(n=9)
    recipe = Recipe(n_epochs=1, learning_rate=0, **penalties)

    def run():
        return loss_and_gradients(net, images.astype(float), labels, recipe, np.random.default_rng(2))

    assert_gradients(net, run, every=7)


@pytest.mark.parametrize(("optimiser", "learning_rate"), [("adam", 0.02), ("sgd", 0.1)])
def test_images_are_learnt_and_the_seed_determines_the_result(optimiser, learning_rate):
    recipe = replace(RECIPE, optimiser=optimiser, n_epochs=14, learning_rate=learning_rate)
    trained = fit(network(), *stripes(), recipe)
    assert trained.accuracy(*stripes(seed=8)) > 0.9
    assert same(trained, fit(network(), *stripes(), recipe))
    assert not same(trained, fit(network(), *stripes(), replace(recipe, seed=4)))


def test_the_network_given_is_left_alone():
    net = network()
    fit(net, *stripes(), RECIPE)
    assert same(net, network())


def test_zero_weights_and_gammas_stay_zero_and_only_they():
    net, mask = network(), np.random.default_rng(5).random((8, 54)) < 0.2
    hidden = net.modules["hidden"]
    gamma = np.array([1, 0, 1, 1, 0, 1], np.float32)
    net = net.replace(
        {
            "hidden": replace(hidden, weights=hidden.weights * mask),
            "norm": replace(net.modules["norm"], gamma=gamma),
        }
    )
    tuned = fit(net, *stripes(), replace(RECIPE, l1=1e-3, l2=1e-3, activation_l1=1e-3, gamma_l1=1e-3))
    assert np.array_equal(tuned.modules["hidden"].weights != 0, mask)
    assert np.array_equal(tuned.modules["norm"].gamma != 0, gamma != 0)
    assert (tuned.modules["hidden"].bias != 0).any()
    assert (tuned.modules["conv"].weights != net.modules["conv"].weights).all()


def test_a_centroid_moves_by_the_sum_of_its_members_gradients():
    # SGD's first step moves a value by rate * gradient: the codebook by that times the sum over its members.
    images, labels = stripes()
    shared = [share(workload, bits=3) for workload in lower(network(), images, n_columns=1)]
    net = restore(network(), shared)
    recipe = Recipe(n_epochs=1, learning_rate=0.01, batch=len(labels), optimiser="sgd", seed=1)
    _, gradients = loss_and_gradients(net, images, labels, recipe)
    moved = fit(network(), images, labels, recipe, shared)
    for workload in shared:
        module, gradient = moved.modules[workload.name], gradients[workload.name]
        codes = np.append(workload.codes, bias_codes(workload))
        by_place = np.append(gradient["weights"], gradient["bias"])
        for code, value in zip(codes, np.append(module.weights, module.bias), strict=True):
            expected = workload.codebook[code] - 0.01 * by_place[codes == code].sum() if code else 0
            assert value == pytest.approx(expected, abs=1e-6)


def test_shared_values_stay_shared_and_sharing_again_finds_their_codes():
    images, labels = stripes()
    shared = [share(prune(workload, 0.5), bits=4) for workload in lower(network(), images, n_columns=1)]
    tuned = fit(network(), images, labels, RECIPE, shared)
    for before, after in zip(shared, lower(tuned, images, n_columns=1), strict=True):
        assert not np.array_equal(before.weights, after.weights)
        again = share(after, bits=4)
        assert np.array_equal(again.weights, after.weights)
        assert np.array_equal(again.codes == 0, before.codes == 0)
        for code in np.unique(before.codes):
            assert len(np.unique(after.weights[before.codes == code])) == 1


def test_momentum_by_hand():
    # One class and l2 only: the gradient is l2 * w. w0 = 1, l2 = 1, rates 0.1 and 0.05 (cosine over two steps).
    # v1 = 1, w1 = 1 - 0.1 = 0.9; v2 = 0.9 * 1 + 0.9 = 1.8, w2 = 0.9 - 0.05 * 1.8 = 0.81.
    net = Sequential({"ip": Linear(weights=[[1.0]])})
    recipe = Recipe(n_epochs=2, learning_rate=0.1, l2=1.0, optimiser="sgd")
    moved = fit(net, np.ones((1, 1), np.float32), np.zeros(1, int), recipe)
    assert moved.modules["ip"].weights[0, 0] == pytest.approx(0.81, abs=1e-6)


def test_the_penalty_on_gamma_shrinks_it():
    sums = [
        np.abs(fit(network(), *stripes(), replace(RECIPE, gamma_l1=penalty)).modules["norm"].gamma).sum()
        for penalty in (0, 0.1)
    ]
    assert sums[1] < 0.8 * sums[0]


def test_dropout_drops_its_share_and_scales_up_the_rest():
    # The softmax of two equal logits is 0.5, so the gradient by the weights of class 0 is (0.5 - 1) * input.
    net = Sequential({"relu": ReLU(), "out": Linear(weights=np.full((2, 1000), 0.1))})
    ones, labels = np.ones((1, 1000), np.float32), np.zeros(1, int)
    recipe = Recipe(n_epochs=1, learning_rate=0, dropout=0.25)
    _, gradients = loss_and_gradients(net, ones, labels, recipe, np.random.default_rng(0))
    seen = gradients["out"]["weights"][0] / -0.5
    assert np.mean(seen == 0) == pytest.approx(0.25, abs=0.06)  # 1,000 draws: one sigma is 0.014
    assert seen[seen != 0] == pytest.approx(1 / 0.75, rel=1e-5)


def test_every_norm_gets_the_statistics_of_the_trained_network():
    images, labels = stripes()
    trained = fit(network(), images, labels, RECIPE)
    again = with_statistics(trained, images).modules["norm"]
    assert np.array_equal(again.mean, trained.modules["norm"].mean)
    conv = trained.modules["conv"].forward(images)
    assert again.mean == pytest.approx(conv.mean(axis=(0, 2, 3)), abs=1e-5)


def test_no_moment_decays_to_a_denormal(monkeypatch):
    monkeypatch.setattr("workloads.networks.train.N_STEPS_LONGEST", 100)
    # Input 2 is alive in one batch of 1,200: by the last, 0.9**n of its weights' mean gradient would be below 1e-38.
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(1200, 3)).astype(np.float32)
    inputs[:, 2] = 0
    inputs[np.random.default_rng(RECIPE.seed).permutation(1200)[5], 2] = 1
    net = Sequential({"ip": Linear(weights=np.ones((2, 3)))})
    with np.errstate(under="raise"):
        fit(net, inputs, rng.integers(0, 2, 1200), replace(RECIPE, n_epochs=1, batch=1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fit(network(), *stripes(), RECIPE, lower(network(), stripes()[0], 1)), "layer 'conv' must be shared"),
        (lambda: fit(network(), stripes()[0], np.zeros(3, int), RECIPE), r"labels must be int\[240\].*got int64\[3\]"),
        (lambda: fit(network(), stripes()[0], np.full(240, 3), RECIPE), "labels must be 0 to 2, got 3 to 3"),
        (lambda: fit(network(), stripes()[0] * np.nan, stripes()[1], RECIPE), "inputs must be finite f32, got nan"),
        (lambda: Recipe(n_epochs=1, learning_rate=1, optimiser="adan"), "unknown optimiser 'adan', did you mean"),
        (lambda: Recipe(n_epochs=1, learning_rate=1, dropout=1), "dropout must be below 1, got 1"),
        (lambda: Recipe(n_epochs=1, learning_rate=1, gamma_l1=-1), "gamma_l1 must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_trained_is_named(make, message):
    with pytest.raises(BadInput, match=message):
        make()


def test_a_loss_that_is_no_longer_finite_is_named():
    net = Sequential({"ip": Linear(weights=np.ones((2, 2)))})
    recipe = Recipe(n_epochs=9, learning_rate=1e30, l2=1.0, optimiser="sgd")
    with pytest.raises(BadInput, match=r"learning_rate must keep the loss finite, got 1e\+30: take a lower one"):
        fit(net, np.eye(2, dtype=np.float32), np.arange(2), recipe)
