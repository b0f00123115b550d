"""Does the trainer follow the true gradient, learn, and keep what must be kept?"""

from dataclasses import replace

import numpy as np
import pytest

from tests import naive_workloads as naive
from workloads.errors import BadInput
from workloads.networks.modules import Linear
from workloads.networks.sequential import ReLU, Sequential
from workloads.networks.train import Recipe, initialise, loss_and_gradients, train, tune_centroids
from workloads.pruning.prune import prune
from workloads.quantisation.share import share
from workloads.records import Layer, Network, with_activations

RECIPE = Recipe(n_epochs=12, learning_rate=1e-2, batch=50, seed=3)


def blobs(n=300, seed=7):
    """Return inputs f32[n, 6] and labels: three classes around three corners; input 5 is always 0."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    inputs = 0.25 * rng.standard_normal((n, 6)) + 1.5 * np.eye(6)[labels]
    inputs[:, 5] = 0
    return inputs.astype(np.float32), labels


@pytest.fixture(scope="module")
def start():
    return initialise("blobs", (6, 12, 8, 3), *blobs(), seed=1)


@pytest.fixture(scope="module")
def pruned(start):
    network = train(start, RECIPE)
    return replace(network, layers=tuple(prune(layer, 0.4) for layer in network.layers))


@pytest.fixture(scope="module")
def shared(pruned):
    network = with_activations(pruned)
    return replace(network, layers=tuple(share(layer, bits=3) for layer in network.layers))


def same(one, other):
    pairs = zip(one.layers, other.layers, strict=True)
    return all(np.array_equal(a.weights, b.weights) and np.array_equal(a.bias, b.bias) for a, b in pairs)


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(11)
    tables = [rng.normal(size=shape) for shape in ((5, 4 + 1), (4, 5 + 1), (3, 4 + 1))]
    return tables, (True, True, False), rng.normal(size=(7, 4)), np.array([0, 1, 2, 2, 1, 0, 1])


def found(tables, relus, inputs, labels, l2, activation_l1):
    """Return the loss and, for each table, its gradient, the bias as the last column."""
    modules = {}
    for i, (table, relu) in enumerate(zip(tables, relus, strict=True)):
        modules |= {f"{i}": Linear(weights=table[:, :-1], bias=table[:, -1])} | ({f"{i} relu": ReLU()} if relu else {})
    recipe = Recipe(n_epochs=1, learning_rate=0, l2=l2, activation_l1=activation_l1)
    loss, gradients = loss_and_gradients(Sequential(modules), inputs, labels, recipe)
    return loss, [np.column_stack([by["weights"], by["bias"]]) for by in gradients.values() if by]


@pytest.mark.parametrize("penalties", [(0, 0), (0.3, 0), (0, 0.2), (0.3, 0.2)])
def test_the_loss_is_the_naive_twins(case, penalties):
    l2, activation_l1 = penalties
    loss, _ = found(*case, l2=l2, activation_l1=activation_l1)
    assert loss == pytest.approx(naive.loss(*case, l2, activation_l1), rel=1e-12)


@pytest.mark.parametrize("penalties", [(0, 0), (0.3, 0.2)])
def test_the_gradient_is_the_finite_difference_of_the_naive_loss(case, penalties):
    tables, *rest = case
    _, gradients = found(tables, *rest, *penalties)
    step = 1e-6
    for which, gradient in enumerate(gradients):
        for place in np.ndindex(gradient.shape):
            ends = []
            for sign in (1, -1):
                moved = [table.copy() for table in tables]
                moved[which][place] += sign * step
                ends.append(naive.loss(moved, *rest, *penalties))
            assert gradient[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-7)


def test_the_first_step_of_adam_moves_every_weight_by_the_learning_rate():
    # After one step m / (1 - beta1) = g and v / (1 - beta2) = g**2, so the step is rate * g / (|g| + epsilon).
    inputs, labels = np.eye(3, dtype=np.float32), np.arange(3)
    layer = Layer(name="a", weights=np.ones((3, 3)), relu=False)
    start = Network(name="n", layers=(layer,), inputs=inputs, labels=labels)
    moved = train(start, Recipe(n_epochs=1, learning_rate=0.01, batch=3)).layers[0]
    expected = np.where(np.eye(3), 1.01, 0.99)
    assert moved.weights == pytest.approx(expected, abs=1e-6)
    assert moved.bias is None


def test_he_initialisation_has_variance_two_over_inputs():
    inputs, labels = np.zeros((1, 400), np.float32), np.zeros(1, int)
    first, last = initialise("n", (400, 300, 5), inputs, labels, seed=0).layers
    assert first.weights.var() == pytest.approx(2 / 400, rel=0.02)  # 120,000 samples: one sigma is 0.4%
    assert first.weights.mean() == pytest.approx(0, abs=5 * np.sqrt(2 / 400 / 120_000))
    assert not first.bias.any()
    assert (first.relu, last.relu) == (True, False)


def test_three_separate_classes_are_learnt(start):
    inputs, labels = blobs(seed=8)
    assert replace(train(start, RECIPE), inputs=inputs, labels=labels).accuracy() > 0.98


def test_a_seed_determines_the_result(start):
    once = train(start, RECIPE)
    assert same(once, train(start, RECIPE))
    assert not same(once, train(start, replace(RECIPE, seed=4)))
    assert same(start, initialise("blobs", (6, 12, 8, 3), *blobs(), seed=1))


def test_pruned_weights_stay_zero_and_the_others_learn(pruned):
    tuned = train(pruned, replace(RECIPE, l2=1e-3, activation_l1=1e-3))
    for before, after in zip(pruned.layers, tuned.layers, strict=True):
        assert np.array_equal(before.weights != 0, after.weights != 0)
    assert not same(pruned, tuned)
    assert tuned.accuracy() > 0.98


def test_the_penalty_makes_hidden_activations_sparser(start):
    free, held = (train(start, replace(RECIPE, activation_l1=penalty)) for penalty in (0, 0.02))
    densities = [np.mean(network.forward()[0] > 0) for network in (free, held)]
    assert densities[1] < densities[0]


def test_the_network_given_is_left_alone(pruned):
    before = [layer.weights.copy() for layer in pruned.layers]
    train(pruned, RECIPE)
    assert all(np.array_equal(w, layer.weights) for w, layer in zip(before, pruned.layers, strict=True))


def test_the_learning_rate_falls_as_a_cosine():
    # One class, so only l2 pulls, and at w = 100 it pulls evenly: Adam moves by the rate of each of the 4 steps,
    # 0.01 * (1 + cos(pi * t / 4)) / 2, which is 0.01 * 2.5 in all.
    layer = Layer(name="a", weights=np.array([[100.0]]), relu=False)
    network = Network(name="n", layers=(layer,), inputs=np.ones((1, 1)), labels=np.zeros(1, int))
    moved = train(network, Recipe(n_epochs=4, learning_rate=0.01, l2=1.0)).layers[0]
    assert moved.weights[0, 0] == pytest.approx(100 - 0.025, abs=1e-4)


def share_one_layer(weights, bias, inputs, labels):
    layer = Layer(name="a", weights=np.array(weights), bias=np.array(bias), relu=False)
    network = Network(name="n", layers=(layer,), inputs=np.array(inputs, np.float32), labels=np.array(labels))
    return replace(network, layers=(share(with_activations(network).layers[0], bits=2),))


def test_a_centroid_follows_the_sum_of_its_weights_gradients():
    # One class: softmax is 1 whatever the logit, so only l2 pulls, with l2 * w for every weight w. Adam first moves by
    # rate * g / (|g| + epsilon / sqrt(1 - beta2)) = rate * g / (|g| + 3.1623e-7): with g near 3e-7 its size shows.
    shared = share_one_layer([[1.0, 1.0, 1.0, 2.0]], [2.0], [[1, 1, 1, 1]], [0])
    tuned = tune_centroids(shared, Recipe(n_epochs=1, learning_rate=0.1, l2=1e-7)).layers[0]
    expected = [0, 1 - 0.1 * 3 / (3 + 3.1623), 2 - 0.1 * 2 / (2 + 3.1623), 0]
    assert tuned.codebook.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_centroid_follows_its_biases_too():
    # Inputs of zero leave the weights without a gradient; label 0 pulls the bias of class 0 up, that of class 1 down.
    shared = share_one_layer([[1.0, 0.0], [3.0, 3.0]], [1.0, 3.0], [[0, 0]], [0])
    tuned = tune_centroids(shared, Recipe(n_epochs=1, learning_rate=0.1)).layers[0]
    assert tuned.codebook.tolist() == pytest.approx([0, 1.1, 2.9, 0], abs=1e-5)
    assert tuned.bias.tolist() == tuned.codebook[1:3].tolist()


def test_zeros_stay_zero_and_codes_stay_put_through_centroid_tuning(shared):
    tuned = tune_centroids(shared, RECIPE)
    for before, after in zip(shared.layers, tuned.layers, strict=True):
        assert np.array_equal(before.codes == 0, after.codes == 0)
        assert np.array_equal(after.weights, after.codebook[after.codes])
        used = after.codebook[1 : 1 + np.count_nonzero(after.codebook)]
        assert (np.diff(used) > 0).all()
        assert np.isin(after.bias, after.codebook).all()
        # Two weights share a centroid afterwards exactly when they did before.
        pairs = set(zip(before.codes.ravel().tolist(), after.codes.ravel().tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_centroid_tuning_lowers_the_loss_and_repeats(shared):
    def loss(network):
        logits = network.forward()[-1].astype(float)
        chosen = logits[np.arange(len(logits)), network.labels]
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - chosen)

    tuned = tune_centroids(shared, RECIPE)
    assert loss(tuned) < loss(shared)
    assert same(tuned, tune_centroids(shared, RECIPE))


def test_activations_are_what_reaches_each_layer(shared):
    tuned = tune_centroids(shared, RECIPE)
    signal = tuned.inputs
    for layer in tuned.layers:
        assert np.array_equal(layer.activations, signal)
        signal = layer.forward(signal)


def test_what_cannot_be_trained_is_named(start):
    with pytest.raises(BadInput, match="network 'blobs' has no labels to learn from"):
        train(replace(start, labels=None), RECIPE)
    with pytest.raises(BadInput, match="layer 'ip1' must be shared before its centroids are tuned"):
        tune_centroids(start, RECIPE)
    with pytest.raises(BadInput, match="n_epochs must be at least 1, got 0"):
        Recipe(n_epochs=0, learning_rate=1e-3)
