"""Does a network that is pruned while it trains keep at each step what Zhu and Gupta's cubic says, and end there?"""

import numpy as np
import pytest

from tests.small_transformers import drawn_decoder, drawn_samples
from workloads.errors import BadInput
from workloads.networks import early_stopping, language, train
from workloads.networks.gradual import Gradual
from workloads.networks.nets import convnet, mlp
from workloads.recipes.recipe import Recipe
from workloads.recipes.repair import Tune

# Equation 1 by hand, from 1 to 0.1 in four prunings: 0.1 + 0.9 (1 - i / 4)^3 of 1,100 weights, in whole ones.
DENSE = [528, 234, 125, 110]  # 527.7, 233.8, 125.5 (less three hundredths), 110
# From the half that it has to 0.1: 0.1 + 0.4 (1 - i / 4)^3.
HALF = [296, 165, 117, 110]  # 295.6, 165, 116.9, 110


def values(n_zeros=0):
    """Return f32[1100] in a shape of three axes, n_zeros of them zero."""
    array = np.random.default_rng(3).standard_normal(1100).astype(np.float32)
    array[:n_zeros] = 0
    return np.random.default_rng(4).permutation(array).reshape(11, 20, 5)


@pytest.mark.parametrize(("n_zeros", "expected"), [(0, DENSE), (550, HALF)])
def test_the_cubic_by_hand(n_zeros, expected):
    array = values(n_zeros)
    first = array.copy()
    prune = Gradual(densities={"a": 0.1}, end_epoch=2, frequency=3).pruning({"a": array}, 7)  # 14 steps: 3, 6, 9, 12
    kept = []
    for step in range(1, 15):
        prune(step)
        kept.append(np.count_nonzero(array))
        assert np.array_equal(array[array != 0], first[array != 0])
    assert kept == [1100 - n_zeros] * 2 + [n for n in expected for _ in range(3)]
    assert np.abs(array[array != 0]).min() >= np.sort(np.abs(first).ravel())[-110]  # the largest stay


def test_what_is_gone_stays_gone_whatever_a_step_gives_it():
    array = values()
    prune = Gradual(densities={"a": 0.1}, end_epoch=1, frequency=2).pruning({"a": array}, 8)
    for step in range(1, 20):
        before = array == 0
        array += 1e-3
        prune(step)
        assert not (before & (array != 0))[before & (step >= 2)].any()
    assert np.count_nonzero(array) == 110


def test_of_a_training_each_epoch_ends_at_its_density():
    rng = np.random.default_rng(0)
    inputs, labels = rng.standard_normal((64, 1, 4, 4)).astype(np.float32), rng.integers(0, 3, 64)
    network, kept = convnet((1, 4, 4), (44,), 3, seed=1), []
    sizes = {name: matrix.size for name, matrix in network.matrices.items()}

    def until(now):
        kept.append([np.count_nonzero(matrix) for matrix in now.matrices.values()])
        return False

    gradual = Gradual(densities={"conv1": 0.1, "ip": 0.5}, end_epoch=4, frequency=4)  # once an epoch
    recipe = train.Recipe(n_epochs=6, learning_rate=1e-3, batch=16)
    train.fit(network, inputs, labels, recipe, until=until, gradual=gradual)
    assert list(sizes.values()) == [396, 528]
    # 0.1 + 0.9 x 27/64, x 1/8, x 1/64, x 0 of 396; 0.5 + 0.5 x the same of 528
    assert kept == [[190, 375], [84, 297], [45, 268], *[[40, 264]] * 3]


@pytest.mark.parametrize("patience", [None, 1])
def test_no_epoch_is_kept_before_the_density_is_reached(patience):
    rng = np.random.default_rng(0)
    inputs, labels = rng.standard_normal((80, 6)).astype(np.float32), rng.integers(0, 3, 80)
    gradual = Gradual(densities={"ip1": 0.2, "ip2": 0.2}, end_epoch=3, frequency=2)
    recipe = train.Recipe(n_epochs=5, learning_rate=0.3, batch=16)  # each epoch makes it worse
    found, kept = early_stopping.fit(
        mlp((6, 20, 3), seed=1), inputs, labels, recipe, held_out=0.2, patience=patience, gradual=gradual
    )
    assert kept.epoch >= 3
    assert [np.count_nonzero(matrix) for matrix in found.matrices.values()] == [24, 12]


def test_a_decoder_too():
    network = drawn_decoder()
    densities = dict.fromkeys(network.matrices, 0.25)
    recipe = train.Recipe(n_epochs=2, learning_rate=1e-3, batch=2)
    gradual = Gradual(densities=densities, end_epoch=1, frequency=1)
    found = language.fit(network, drawn_samples(), recipe, gradual=gradual)
    for name, matrix in found.matrices.items():
        assert np.count_nonzero(matrix) == round(0.25 * matrix.size), name


def test_as_keys_of_tune_and_said_so():
    rng = np.random.default_rng(0)
    inputs, labels = rng.standard_normal((100, 6)).astype(np.float32), rng.integers(0, 3, 100)
    tune = {"epochs": 4, "batch": 10, "density": {"*": 0.5, "ip2": 1.0}, "end_epoch": 2, "frequency": 3}
    fitted = Recipe(steps=[Tune(**tune)]).fit(mlp((6, 20, 3), seed=1), inputs, labels)
    assert [row["density"] for row in fitted.steps] == [0.5, 1.0]
    (note,) = [note for note in fitted.notes if "pruned" in note]
    assert note == "step 1 (tune): pruned every 3 steps until the end of epoch 2"


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"density": 0.5, "frequency": 21}, "frequency must be at most 20, the steps until epoch 2 ends, got 21"),
        ({"density": 0.01}, "matrix 'ip2' would be pruned away whole: raise density"),
        ({"density": {"ip1": 0.5}}, "layer 'ip2' has no density"),
    ],
)
def test_what_does_not_fit_the_network(keys, complaint):
    network, steps = mlp((6, 20, 2), seed=1), [Tune(epochs=4, batch=10, held_out=0, **keys)]
    with pytest.raises(BadInput, match=r"step 1 \(tune\)") as error:
        Recipe(steps=steps).fit(network, np.ones((100, 6), np.float32), np.arange(100) % 2)
    assert complaint in str(error.value)


def test_a_density_above_what_a_matrix_has():
    network = mlp((6, 20, 2), seed=1)
    thin = network.with_matrices({"ip1": np.where(np.arange(120).reshape(20, 6) % 4, 0, network.matrices["ip1"])})
    with pytest.raises(BadInput, match=r"density of matrix 'ip1' must be at most its own, 0\.25, got 0.5"):
        Recipe(steps=[Tune(density=0.5)]).fit(thin, np.ones((100, 6), np.float32), np.arange(100) % 2)


def test_shared_values_are_refused():
    text = '[[step]]\ndo = "share"\n[[step]]\ndo = "tune"\ndensity = 0.5'
    with pytest.raises(BadInput, match="density is for weights that are not shared by now"):
        Recipe.parse(text).fit(mlp((6, 20, 2), seed=1), np.ones((100, 6), np.float32), np.arange(100) % 2)
