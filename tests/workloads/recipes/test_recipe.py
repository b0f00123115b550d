"""Do recipes do what their steps say, in order, the same each time, on every kind of network?"""

import math
from dataclasses import replace

import numpy as np
import pytest

from workloads import BadInput, Layer, Model, Network, Workload
from workloads.networks.modules import BatchNorm, Conv2d, Linear
from workloads.networks.nets import convnet, mlp
from workloads.networks.sequential import Flatten, ReLU, Sequential
from workloads.pruning.permute import permute_inputs
from workloads.pruning.prune import compacted
from workloads.pruning.scores import obd
from workloads.recipes.recipe import Recipe
from workloads.recipes.repair import Tune
from workloads.recipes.steps import Prune, Share


@pytest.fixture(scope="module")
def calibration():
    """Return inputs f32[40, 8] and labels int[40] of three classes."""
    rng = np.random.default_rng(5)
    return rng.standard_normal((40, 8), np.float32), rng.integers(0, 3, 40)


@pytest.fixture(scope="module")
def net():
    """Return a network 8 -> 12 -> 8 -> 3 with biases."""
    found = mlp((8, 12, 8, 3), seed=1)
    rng = np.random.default_rng(2)
    changes = {
        name: replace(m, bias=rng.standard_normal(len(m.bias), np.float32)) for name, m in found.weighted.items()
    }
    return found.replace(changes)


def kept(network):
    return {name: int(np.count_nonzero(matrix)) for name, matrix in network.matrices.items()}


def one(text, network, *calibration):
    return Recipe.parse(f"[[step]]\n{text}").fit(network, *calibration)


# Pruning


def test_pruning_by_magnitude_by_hand():
    layer = Workload(name="w", weights=[[1, -4], [3, 2]], activations=[[1, 1]])
    found = one('do = "prune"\ndensity = 0.5', layer).apply()
    assert found.weights.tolist() == [[0, -4], [3, 0]]


def test_the_last_glob_that_fits_gives_the_density(net, calibration):
    found = one('do = "prune"\ndensity = {"*" = 0.25, "ip2" = 0.5}', net, *calibration).apply()
    assert kept(found) == {"ip1": 24, "ip2": 48, "ip3": 6}


def test_targets_and_ignore_choose_the_matrices(net, calibration):
    found = one('do = "prune"\ndensity = 0.5\ntargets = ["ip1", "ip3"]\nignore = ["*3"]', net, *calibration).apply()
    assert kept(found) == {"ip1": 48, "ip2": 96, "ip3": 24}


def test_one_ranking_over_all_keeps_the_floor():
    layers = (
        Workload(name="small", weights=[[1, 2, 3, 4]], activations=[0, 0, 0, 0]),
        Workload(name="large", weights=[[10, 20, 30, 40]], activations=[0, 0, 0, 0]),
    )
    text = 'do = "prune"\ndensity = 0.5\nscope = "global"\n'
    found = one(text + "floor = 0.25", Model(name="two", operators=layers)).apply()
    assert [layer.weights.tolist() for layer in found.layers] == [[[0, 0, 0, 4]], [[0, 20, 30, 40]]]
    found = one(text + "allow_empty = true", Model(name="two", operators=layers)).apply()
    assert [layer.weights.tolist() for layer in found.layers] == [[[0, 0, 0, 0]], [[10, 20, 30, 40]]]


def test_wanda_ranks_within_a_row_by_the_inputs_norm():
    layer = Workload(name="w", weights=[[3, 2], [9, 8]], activations=[[0, 3], [1, 4]])
    # Norms of the inputs 1 and 5: scores [[3, 10], [9, 40]]
    found = one('do = "prune"\ncriterion = "wanda"\ndensity = 0.5', layer).apply()
    assert found.weights.tolist() == [[0, 2], [0, 8]]


def test_wanda_ranks_whole_rows_where_they_go_together():
    layer = Workload(name="w", weights=[[3, 2], [9, 8]], activations=[[0, 3], [1, 4]])
    found = one('do = "prune"\ncriterion = "wanda"\npattern = "filter"\ndensity = 0.5', layer).apply()
    assert found.weights.tolist() == [[0, 0], [9, 8]]  # sums of the scores 13 and 49


def test_scaling_takes_the_gammas_and_keeps_the_filter_of_the_largest():
    norm = replace(BatchNorm.identity(2), gamma=np.array([0.1, -2], np.float32))
    conv = Conv2d(weights=np.full((2, 1, 1, 1), 5, np.float32))
    net = Sequential({"conv": conv, "norm": norm, "relu": ReLU(), "flat": Flatten()})
    text = 'do = "prune"\npattern = "filter"\ncriterion = "scaling"\ndensity = 0.5'
    assert one(text, net, np.ones((1, 1, 1, 1), np.float32)).apply().matrices["conv"].tolist() == [[0], [5]]


def test_apoz_prunes_the_output_that_is_never_active():
    layers = (Layer(name="a", weights=[[1, 0], [-1, -1]]), Layer(name="b", weights=[[1, 1]], relu=False))
    net = Network(name="n", layers=layers, inputs=[[1, 1], [2, 1]])
    text = 'do = "prune"\npattern = "filter"\ndensity = 0.5\ntargets = "a"\ncriterion = '
    for criterion in ('"apoz"', '"contribution"'):
        assert one(text + criterion, net).apply().layers[0].weights.tolist() == [[1, 0], [0, 0]]


def test_obd_takes_the_gradients_of_single_samples(calibration):
    inputs, labels = calibration
    rng = np.random.default_rng(0)
    net = Sequential({"ip": Linear(weights=rng.standard_normal((3, 8), np.float32))})
    # Of softmax and cross-entropy: the gradient of a sample is (probabilities - one-hot) times the input.
    logits = inputs @ net.matrices["ip"].T
    deltas = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) - np.eye(3)[labels]
    fisher = np.mean([np.outer(d, x) ** 2 for d, x in zip(deltas, inputs, strict=True)], axis=0)
    expected = np.sort(obd(net.matrices["ip"], fisher).ravel())[-12:].min()
    found = one('do = "prune"\ncriterion = "obd"\ndensity = 0.5', net, *calibration).masks["ip"]
    assert np.array_equal(found, obd(net.matrices["ip"], fisher) >= expected * (1 - 1e-5))


@pytest.mark.parametrize("criterion", ["lasso", "thinet"])
def test_channel_selection_keeps_whole_channels(net, calibration, criterion):
    text = f'do = "prune"\npattern = "channel"\ncriterion = "{criterion}"\ndensity = 0.5'
    masks = one(text, net, *calibration).masks
    for name, n_in in (("ip1", 8), ("ip2", 12), ("ip3", 8)):
        columns = masks[name].any(axis=0)
        assert (masks[name] == columns).all()
        assert columns.sum() == n_in // 2


def test_chance_depends_on_the_seed_and_on_the_matrix(net, calibration):
    text = '[[step]]\ndo = "prune"\ncriterion = "random"\ndensity = 0.5'
    masks = [Recipe.parse(f"seed = {seed}\n{text}").fit(net, *calibration).masks for seed in (0, 0, 1)]
    assert np.array_equal(masks[0]["ip2"], masks[1]["ip2"])
    assert not np.array_equal(masks[0]["ip2"], masks[2]["ip2"])
    assert not np.array_equal(masks[0]["ip1"], masks[0]["ip2"].T)


# What the other steps promise


def errors(fitted, calibration):
    """Return the squared error of each matrix' outputs for the inputs that reach it, against the dense network's."""
    pairs = zip(fitted.workloads(calibration[0]), fitted.dense_workloads(calibration[0]), strict=True)
    found = {}
    for made, dense in pairs:
        difference = made.activations @ made.weights.T - dense.activations @ dense.weights.T
        difference += (0 if made.bias is None else made.bias) - (0 if dense.bias is None else dense.bias)
        found[made.name] = float(np.square(difference).sum())
    return found


@pytest.mark.parametrize(("pattern", "method"), [("channel", "least-squares"), ("channel", "sweep"), ("2:4", "sweep")])
def test_reconstruction_brings_the_outputs_nearer(net, calibration, pattern, method):
    density = "" if ":" in pattern else "density = 0.5\n"
    pruned = f'do = "prune"\npattern = "{pattern}"\n{density}targets = "ip2"\n'
    before = one(pruned, net, *calibration)
    after = one(f'{pruned}[[step]]\ndo = "reconstruct"\nmethod = "{method}"\ntargets = "ip2"', net, *calibration)
    assert errors(after, calibration)["ip2"] < errors(before, calibration)["ip2"]
    assert not (after.masks["ip2"] & ~before.masks["ip2"]).any()


def test_least_squares_with_all_channels_gives_the_dense_layer_again(net, calibration):
    found = one('do = "reconstruct"\ntargets = "ip2"', net, *calibration)
    assert errors(found, calibration)["ip2"] < 1e-6


def test_sharing_leaves_the_codes_and_the_zeros(net, calibration):
    text = 'do = "prune"\ndensity = 0.5\n[[step]]\ndo = "share"\nbits = 3\n[[step]]\ndo = "tune"\nepochs = 2'
    fitted = one(text, net, *calibration)
    for layer in fitted.workloads(calibration[0]):
        assert layer.codebook.size == 8
        assert np.array_equal(layer.mask, fitted.masks[layer.name])
        assert layer.mask.mean() == 0.5
        assert len(np.unique(layer.weights[layer.mask])) <= 7


@pytest.mark.parametrize(("method", "n_values"), [("rtn", 15), ("gptq", 15), ("awq", None)])
def test_quantised_rows_take_few_values(net, calibration, method, n_values):
    text = f'do = "prune"\ndensity = 0.5\n[[step]]\ndo = "quantise"\nmethod = "{method}"'
    found = one(text, net, *calibration)
    assert all(mask.mean() <= 0.5 for mask in found.masks.values())
    if n_values:
        assert all(len(np.unique(row)) <= n_values for row in found.apply().matrices["ip1"])


def test_a_permutation_leaves_the_function_as_it_was(net, calibration):
    found = one('do = "permute"\nignore = ["ip1"]\nkicks = 3', net, *calibration)
    assert np.allclose(found.apply().forward(calibration[0]), net.forward(calibration[0]), atol=1e-5)
    assert not np.array_equal(found.apply().matrices["ip2"], net.matrices["ip2"])
    assert max(errors(found, calibration).values()) < 1e-6


def test_a_permutation_is_kicked_as_often_as_its_function_by_itself_unless_said(net, calibration):
    assert Recipe.parse('[[step]]\ndo = "permute"').steps[0].kicks == 100
    weights = net.matrices["ip2"]
    for kicks in (0, 3):
        found = (
            one(f'do = "permute"\nignore = ["ip1", "ip3"]\nkicks = {kicks}', net, *calibration).apply().matrices["ip2"]
        )
        assert np.array_equal(found, weights[:, permute_inputs(weights, n_kicks=kicks)])


def test_no_permutation_goes_through_a_normalisation_that_stays(calibration):
    first, last = (Linear(weights=np.eye(8, dtype=np.float32)) for _ in range(2))
    net = Sequential({"a": first, "relu": ReLU(), "norm": BatchNorm.identity(8), "b": last})
    with pytest.raises(BadInput, match="matrix 'b' has no matrix before it"):
        Recipe.parse('[[step]]\ndo = "permute"\ntargets = ["b"]').fit(net, calibration[0])


def test_tuning_lowers_the_loss_and_keeps_zeros(net, calibration):
    text = 'do = "prune"\ndensity = 0.5'
    before = one(text, net, *calibration).apply()
    # labels by chance: what is learnt of them says nothing of others, held out
    tune = 'do = "tune"\nepochs = 100\nlearning_rate = 0.01\nheld_out = 0'
    after = one(f"{text}\n[[step]]\n{tune}", net, *calibration).apply()
    assert kept(after) == kept(before)
    assert after.accuracy(*calibration) > before.accuracy(*calibration)


def test_normalisations_are_folded_before_values_are_shared(calibration):
    net = convnet((1, 4, 4), (2, 4), 3, seed=0)
    images = np.random.default_rng(1).standard_normal((10, 1, 4, 4)).astype(np.float32)
    fitted = one('do = "share"', net, images, np.arange(10) % 3)
    layers = fitted.workloads(images)
    assert [layer.name for layer in layers] == ["conv1", "conv2", "ip"]
    assert all(layer.codes is not None for layer in layers)


# The whole


def test_equal_arguments_give_equal_bits(net, calibration):
    recipe = Recipe(steps=[Prune(density=0.5, criterion="random"), Tune(epochs=2, held_out=0), Share()], seed=3)
    first, second = (recipe.fit(net, *calibration).apply() for _ in range(2))
    for name, matrix in first.matrices.items():
        assert matrix.tobytes() == second.matrices[name].tobytes()


def test_a_network_of_layers_comes_back_as_one_with_codes(net, calibration):
    layers = [Layer(name=name, weights=m.weights, bias=m.bias, relu=name != "ip3") for name, m in net.weighted.items()]
    given = Network(name="n", layers=tuple(layers), inputs=calibration[0], labels=calibration[1])
    found = Recipe(steps=[Prune(density=0.5), Share()]).fit(given).apply()
    as_modules = Recipe(steps=[Prune(density=0.5), Share()]).fit(net, *calibration).apply()
    assert [layer.codes is not None for layer in found.layers] == [True] * 3
    assert np.array_equal(found.forward()[-1], as_modules.forward(calibration[0]))


def test_each_step_leaves_a_row_for_each_matrix(net, calibration):
    found = Recipe(steps=[Prune(density=0.5), Prune(density=0.25, targets="ip1")]).fit(net, *calibration)
    rows = {(row["step"], row["layer"]): row["density"] for row in found.steps}
    assert rows == {
        (1, "ip1"): 0.5, (1, "ip2"): 0.5, (1, "ip3"): 0.5,
        (2, "ip1"): 0.25, (2, "ip2"): 0.5, (2, "ip3"): 0.5,
    }  # fmt: skip


def test_compaction_leaves_the_outputs_of_the_rows_that_stay():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((4, 6)).astype(np.float32)
    weights[1], weights[:, [0, 4]] = 0, 0
    full = Workload(name="w", weights=weights, bias=[1, 2, 3, 4], activations=rng.random((3, 6)))
    small = compacted(full)
    assert small.weights.shape == (3, 4)
    assert np.allclose(small.forward(small.activations), full.forward(full.activations)[:, [0, 2, 3]])
    assert compacted(replace(full, weights=0 * weights)).weights.tolist() == [[0]]


def test_every_density_is_a_share_kept(net, calibration):
    for density in (0.25, 0.5, 1):
        masks = Recipe(steps=[Prune(density=density)]).fit(net, *calibration).masks
        assert all(math.isclose(mask.mean(), density) for mask in masks.values())


@pytest.mark.parametrize(("step", "bits"), [("prune", 4), ("quantise", None)])
def test_the_bits_of_weights_stay_while_each_is_as_it_was_or_gone(step, bits):
    """3-bit weights in the place of 4-bit ones: the largest stay on the grid, others do not."""
    weights = np.arange(1, 17, dtype=np.float32).reshape(4, 4)
    layer = Workload(name="q", weights=weights, activations=np.ones((2, 4)), weight_bits=4)
    more = "density = 0.5" if step == "prune" else "bits = 3"
    fitted = Recipe.parse(f'[[step]]\ndo = "{step}"\n{more}\n').fit(Model(name="m", operators=(layer,)))
    (after,) = fitted.workloads(None)
    assert after.weight_bits == bits
    assert (after.weights == weights).any()
