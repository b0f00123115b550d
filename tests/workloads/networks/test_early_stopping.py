"""Is the epoch with the least loss on what was held out the one that is kept, and the start where none is better?"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax

from tests.small_transformers import drawn_decoder, drawn_samples
from workloads.networks import early_stopping, language, train
from workloads.networks.lowering import lower
from workloads.networks.modules import BatchNorm
from workloads.networks.nets import convnet, mlp
from workloads.networks.sequential import with_statistics
from workloads.networks.train import Recipe
from workloads.quantisation.share import bias_codes, share

# A constant rate, so that the first epochs are the same however many there are.
RECIPE = Recipe(n_epochs=5, learning_rate=1e-2, batch=16, seed=4, schedule="exponential")
N, N_HELD_OUT = 103, 20  # 0.2 of 103 is 20.6


@pytest.fixture(scope="module")
def points():
    """Return f32[103, 6] and labels: the largest of the first three numbers, one in four of them wrong."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((N, 6), np.float32)
    labels = inputs[:, :3].argmax(axis=1)
    return inputs, np.where(rng.random(N) < 0.25, rng.integers(0, 3, N), labels)


def parted(seed=RECIPE.seed):
    order = np.random.default_rng(seed).permutation(N)
    return order[:N_HELD_OUT], order[N_HELD_OUT:]


def loss(network, inputs, labels):
    return -log_softmax(network.forward(inputs).astype(float), axis=1)[np.arange(len(labels)), labels].mean()


def same(one, other):
    return all(
        np.array_equal(array, other.modules[name].parameters[key])
        for name, module in one.modules.items()
        for key, array in module.parameters.items()
    )


def epochs(network, inputs, labels, recipe):
    """Return the network at the start and after each epoch of a training on what is not held out."""
    _, seen = parted()
    trained = (train.fit(network, inputs[seen], labels[seen], replace(recipe, n_epochs=n)) for n in range(1, 6))
    return [network, *trained]


def test_of_all_epochs_the_best_is_kept(points):
    network, (inputs, labels) = mlp((6, 32, 3), seed=1), points
    found, kept = early_stopping.fit(network, inputs, labels, replace(RECIPE, learning_rate=0.03), held_out=0.2)
    held, _ = parted()
    all_of_them = epochs(network, inputs, labels, replace(RECIPE, learning_rate=0.03))
    losses = [loss(one, inputs[held], labels[held]) for one in all_of_them]
    assert (kept.epoch, kept.n_epochs, kept.n_held_out) == (np.argmin(losses), 5, N_HELD_OUT)
    assert 0 < kept.epoch < 5  # of these points: it learns, and then learns the wrong ones by heart
    assert same(found, all_of_them[kept.epoch])


@pytest.mark.parametrize("patience", [None, 2])
def test_what_every_epoch_makes_worse_stays_as_it_was(points, patience):
    network, (inputs, labels) = mlp((6, 12, 3), seed=1), points
    trained = train.fit(network, inputs, labels, replace(RECIPE, n_epochs=20))
    found, kept = early_stopping.fit(
        trained, inputs, labels, replace(RECIPE, learning_rate=30.0), held_out=0.2, patience=patience
    )
    assert (kept.epoch, kept.n_epochs) == (0, patience or 5)
    assert same(found, trained)


def test_the_training_ends_after_as_many_epochs_without_a_better_one(points):
    network, (inputs, labels) = mlp((6, 32, 3), seed=1), points
    recipe = replace(RECIPE, learning_rate=0.03, n_epochs=50)
    found, kept = early_stopping.fit(network, inputs, labels, recipe, held_out=0.2, patience=3)
    assert kept.n_epochs == kept.epoch + 3 < 50
    _, seen = parted()
    assert same(found, train.fit(network, inputs[seen], labels[seen], replace(recipe, n_epochs=kept.epoch)))


@pytest.mark.parametrize("penalty", ["l1", "l2", "activation_l1"])
def test_what_is_minimised_is_what_tells(points, penalty):
    # Each epoch makes the cross-entropy of a trained network worse, and by far lowers what it is penalised for.
    network, (inputs, labels) = mlp((6, 12, 3), seed=1), points
    trained = train.fit(network, inputs, labels, replace(RECIPE, n_epochs=20))
    recipe = replace(RECIPE, **{penalty: 1.0})
    found, kept = early_stopping.fit(trained, inputs, labels, recipe, held_out=0.2)
    held, _ = parted()
    objective = [train.loss_and_gradients(one, inputs[held], labels[held], recipe)[0] for one in (trained, found)]
    assert kept.epoch == 5
    assert objective[1] < objective[0]
    assert loss(found, inputs[held], labels[held]) > loss(trained, inputs[held], labels[held])


def test_where_none_can_be_held_out_it_is_the_training_itself(points):
    network, (inputs, labels) = mlp((6, 12, 3), seed=1), points
    for held_out in (0, 0.9 / N):
        found, kept = early_stopping.fit(network, inputs, labels, RECIPE, held_out=held_out)
        assert (kept.epoch, kept.n_held_out) == (5, 0)
        assert same(found, train.fit(network, inputs, labels, RECIPE))


def test_normalisations_go_by_what_is_not_held_out(points):
    network = convnet((1, 2, 3), (4,), 3, seed=2)
    inputs, labels = points[0].reshape(-1, 1, 2, 3), points[1]
    found, kept = early_stopping.fit(network, inputs, labels, RECIPE, held_out=0.2)
    _, seen = parted()
    assert kept.epoch > 0
    (norm,) = (module for module in found.modules.values() if isinstance(module, BatchNorm))
    (expected,) = (m for m in with_statistics(found, inputs[seen]).modules.values() if isinstance(m, BatchNorm))
    assert np.array_equal(norm.mean, expected.mean)
    assert np.array_equal(norm.variance, expected.variance)


def test_shared_values_stay_shared(points):
    network, (inputs, labels) = mlp((6, 12, 3), seed=1), points
    shared = [share(layer, 2) for layer in lower(network, inputs, n_columns=1)]
    found, kept = early_stopping.fit(network, inputs, labels, RECIPE, shared, held_out=0.2)
    assert kept.epoch > 0
    for layer in shared:
        module = found.modules[layer.name]
        codes = np.column_stack([layer.codes, bias_codes(layer)])
        values = np.column_stack([module.weights, module.bias])
        assert all(len(np.unique(values[codes == code])) == 1 for code in np.unique(codes))


def test_of_a_decoder_s_epochs_the_best_is_kept_too():
    network, samples = drawn_decoder(), drawn_samples()
    recipe = replace(RECIPE, learning_rate=3e-2, batch=2)
    found, kept = early_stopping.fit(network, samples, None, recipe, held_out=0.5)
    order = np.random.default_rng(recipe.seed).permutation(len(samples))
    held, seen = samples[order[: len(samples) // 2]], samples[order[len(samples) // 2 :]]
    after = [language.fit(network, seen, replace(recipe, n_epochs=n)) for n in range(1, 6)]
    losses = [one.loss(held) for one in (network, *after)]
    assert (kept.epoch, kept.n_epochs, kept.n_held_out) == (np.argmin(losses), 5, len(samples) // 2)
    expected = (network, *after)[kept.epoch]
    assert all(np.array_equal(array, expected.arrays[name]) for name, array in found.arrays.items())
    untouched, kept = early_stopping.fit(network, samples, None, replace(recipe, l2=1.0), held_out=0.5)
    assert kept.epoch == 5  # it is the penalty, then, that is least
    assert sum((matrix**2).sum() for matrix in untouched.matrices.values()) < sum(
        (matrix**2).sum() for matrix in network.matrices.values()
    )
