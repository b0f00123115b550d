"""Do depth and width leave what their criterion values, refuse what cannot be, and fit among the other steps?"""

from dataclasses import replace

import numpy as np
import pytest

from tests.small_transformers import drawn_decoder, drawn_encoder, drawn_samples, drawn_sentences
from workloads.errors import BadInput
from workloads.networks import cut
from workloads.networks.modules import Linear
from workloads.networks.sequential import Sequential
from workloads.pruning.structured import activation_norms, highest
from workloads.recipes.cuts import refitted
from workloads.recipes.recipe import Recipe


def fitted(text, network=None, inputs=None):
    """Return what a step, with its keys in TOML, makes of the drawn decoder or of another network."""
    network = drawn_decoder() if network is None else network
    steps = "\n".join(f"[[step]]\n{step}" for step in text.split(";"))
    return Recipe.parse(steps.replace(",", "\n")).fit(network, drawn_samples() if inputs is None else inputs)


def test_a_block_that_changes_no_state_goes_first_by_every_criterion_that_sees_it():
    network = drawn_decoder()
    nothing = {
        f"{network.prefix(1)}{part}": np.zeros_like(network.matrices[f"{network.prefix(1)}{part}"])
        for part in (network.OUTPUT, network.NARROWER)
    }
    idle = network.with_matrices(nothing)
    for criterion in ("influence", "sleb"):
        left = fitted(f'do = "depth",blocks = 2,criterion = "{criterion}"', idle).apply()
        assert left.layers == (0, 2)
        assert left.loss(drawn_samples()) == pytest.approx(idle.loss(drawn_samples()), rel=1e-6)


def test_perplexity_takes_the_block_whose_loss_is_least():
    network, samples = drawn_decoder(), drawn_samples()
    least = min(network.layers, key=lambda layer: network.without([layer]).loss(samples))
    left = fitted('do = "depth",blocks = 2,criterion = "perplexity"')
    assert least not in left.apply().layers
    assert left.notes[0] == f"step 1 (depth): takes block {least}"
    assert left.notes[1].startswith("step 1 (depth): leaves ")


def test_of_an_encoder_the_block_goes_without_which_embeddings_stay_most_alike():
    network, sentences = drawn_encoder(), drawn_sentences()
    dense = network.embed(sentences)
    cosines = {i: (network.without([i]).embed(sentences) * dense).sum(axis=1).mean() for i in network.layers}
    left = fitted('do = "depth",blocks = 2,criterion = "perplexity"', network, sentences).apply()
    assert max(cosines, key=cosines.get) not in left.layers


def test_taylor_weighs_by_the_gradient_of_the_loss():
    network, samples = drawn_decoder(), drawn_samples()
    _, gradients = network.loss_and_gradients(samples)
    scores = dict.fromkeys(network.layers, 0.0)
    for name, matrix in network.matrices.items():
        if name.startswith("model."):
            scores[int(name.split(".")[2])] += np.abs(matrix * gradients[f"{name}.weight"]).sum()
    left = fitted('do = "depth",blocks = 2,criterion = "taylor"').apply()
    assert min(scores, key=scores.get) not in left.layers


def test_width_keeps_the_neurons_heads_and_channels_of_the_highest_scores():
    network, samples = drawn_decoder(), drawn_samples()
    reaching, ends = network.inputs(samples), np.arange(6, 30, 6)

    def norms(layer, part):
        return activation_norms(np.split(reaching[f"{network.prefix(layer)}{part}"], ends))

    neurons = {layer: highest(norms(layer, network.NARROWER), 4) for layer in network.layers}
    narrow = fitted('do = "width",ffn = 4,reconstruct = false').apply()
    wanted = cut.neurons(network, neurons)
    assert all(np.array_equal(narrow.arrays[name], wanted.arrays[name]) for name in wanted.arrays)

    by_head = {layer: np.square(norms(layer, network.OUTPUT)).reshape(2, 2, 4).sum(axis=2) for layer in network.layers}
    heads = {layer: scores.argmax(axis=1) + np.array([0, 2]) for layer, scores in by_head.items()}
    narrow, wanted = fitted('do = "width",heads = 2,reconstruct = false').apply(), cut.heads(network, heads)
    assert all(np.array_equal(narrow.arrays[name], wanted.arrays[name]) for name in wanted.arrays)

    total = sum(norms(layer, part) for layer in network.layers for part in (network.QUERY, network.WIDER[0]))
    narrow = fitted('do = "width",hidden = 5,reconstruct = false').apply()
    wanted = cut.channels(network, np.sort(np.argsort(-total)[:5]))
    assert all(np.array_equal(narrow.arrays[name], wanted.arrays[name]) for name in wanted.arrays)


def test_magnitude_keeps_the_largest_weights():
    network = drawn_decoder()
    for layer in network.layers:
        for name in (*network.WIDER, network.NARROWER):
            matrix = network.matrices[f"{network.prefix(layer)}{name}"]
            matrix[(slice(None), 3) if name == network.NARROWER else 3] *= 100
    narrow = fitted('do = "width",ffn = 1,criterion = "magnitude",reconstruct = false', network).apply()
    for layer in network.layers:
        name = f"{network.prefix(layer)}{network.NARROWER}"
        assert np.array_equal(narrow.matrices[name], network.matrices[name][:, [3]])


@pytest.mark.parametrize(
    ("network", "samples"), [(drawn_decoder(), drawn_samples()), (drawn_encoder(), drawn_sentences())], ids=["d", "e"]
)
def test_least_squares_gives_a_neuron_what_its_twin_gave(network, samples):
    arrays = dict(network.arrays)
    names = [
        f"{network.prefix(layer)}{name}.{kind}"
        for layer in network.layers
        for name in network.WIDER
        for kind in ("weight", "bias")
    ]
    for name in set(names) & set(arrays):
        arrays[name] = arrays[name].copy()
        arrays[name][1] = arrays[name][0]
    network = replace(network, arrays=arrays)
    stay = dict.fromkeys(network.layers, np.delete(np.arange(network.n_neurons), 1))
    narrow = cut.neurons(network, stay)
    again = refitted(network, narrow, samples, "ffn", stay)
    behind, silent, wanted = (list(one.states(samples))[-1] for one in (again, narrow, network))
    assert behind == pytest.approx(wanted, abs=1e-3)
    assert silent != pytest.approx(wanted, abs=1e-1)


@pytest.mark.parametrize("key", ["ffn = 3", "heads = 2", "hidden = 5"])
def test_least_squares_comes_nearer_to_what_the_dense_network_gave(key):
    # Many samples, so that there is something to fit and not to learn by heart.
    samples = np.random.default_rng(5).integers(0, 11, (200, 7))
    network = drawn_decoder()
    dense = list(network.states(samples))[-1]
    errors = []
    for reconstruct in ("false", "true"):
        narrow = fitted(f'do = "width",{key},reconstruct = {reconstruct}', network, samples).apply()
        states = list(narrow.states(samples))[-1]
        if "hidden" in key:
            states, wanted = narrow.losses(samples), network.losses(samples)
        else:
            wanted = dense
        errors.append(np.linalg.norm(states - wanted))
    assert errors[1] < errors[0]


def test_a_cut_is_the_new_dense_network_and_its_times_are_of_the_given_one():
    left = fitted('do = "depth",blocks = 2;do = "prune",density = 0.5')
    samples = drawn_samples()
    pruned, dense, given = left.workloads(samples), left.dense_workloads(samples), left.given_workloads(samples)
    assert left.is_cut
    assert [layer.name for layer in pruned] == [layer.name for layer in dense]
    assert all((layer.weights != 0).all() for layer in dense)
    assert all(0.4 < (layer.weights != 0).mean() < 0.6 for layer in pruned)
    assert [layer.name for layer in given] == drawn_decoder().names
    assert not fitted('do = "prune",density = 0.5').is_cut


def test_what_was_pruned_before_a_cut_is_measured_against_what_was_not():
    left = fitted('do = "prune",density = 0.5;do = "width",ffn = 4,reconstruct = false')
    for now, dense in zip(left.workloads(drawn_samples()), left.dense_workloads(drawn_samples()), strict=True):
        assert (dense.weights != 0).all()
        assert np.array_equal(now.weights[now.weights != 0], dense.weights[now.weights != 0])


def test_blocks_that_are_left_keep_their_bits_and_take_other_steps():
    left = fitted('do = "share",bits = 3;do = "depth",blocks = 2,criterion = "random";do = "tune",batch = 2')
    network = left.apply()
    assert network.n_layers == 2
    assert all(len(np.unique(matrix)) <= 8 for matrix in network.matrices.values())
    layers = left.workloads(drawn_samples())
    assert all(layer.codes is not None for layer in layers)


def test_a_decoder_that_was_cut_heals():
    network, samples = drawn_decoder(), drawn_samples()
    alone = fitted('do = "depth",blocks = 2').apply().loss(samples)
    tuned = fitted('do = "depth",blocks = 2;do = "tune",epochs = 20,batch = 2,learning_rate = 1e-2', network).apply()
    assert tuned.loss(samples) < alone


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('do = "depth"', r"step 1 \(depth\): depth must say how many blocks stay"),
        ('do = "depth",blocks = 4', r"step 1 \(depth\): blocks must be a whole number from 1 to 3, got 4"),
        ('do = "depth",blocks = 0', "blocks must be a whole number from 1 to 3, got 0"),
        ('do = "depth",blocks = 2.0', r"blocks must be a whole number from 1 to 3, got 2\.0"),
        ('do = "depth",blocks = true', "blocks must be a whole number from 1 to 3, got True"),
        (
            'do = "depth",blocks = 1,criterion = "sleb"',
            "blocks must be at least 2: 'sleb' takes none of 0, 2, got 1",
        ),
        (
            'do = "depth",blocks = 2,criterion = "taylor+"',
            r"blocks must be at least 3: 'taylor\+' takes none of 0, 1, 2, got 2",
        ),
        ('do = "depth",blocks = 2,criterion = "perplexty"', "unknown criterion 'perplexty', did you mean 'perplexity'"),
        ('do = "depth",blocks = 2,targets = "*mlp*"', "targets and ignore are not for depth"),
        ('do = "depth",layers = 2', r"unknown key 'layers'"),
        ('do = "width"', "width must say what stays: ffn, heads or hidden"),
        ('do = "width",ffn = 7', "ffn must be a whole number from 1 to 6, got 7"),
        ('do = "width",hidden = 0', "hidden must be a whole number from 1 to 8, got 0"),
        ('do = "width",heads = 3', "heads must be a multiple of 2, as many for each key and value .* got 3"),
        ('do = "width",heads = 8', "heads must be a whole number from 1 to 4, got 8"),
        ('do = "width",ffn = 4,criterion = "wanda"', "unknown criterion 'wanda'"),
        ('do = "width",ffn = 4,reconstruct = 1', "reconstruct must be true or false, got 1"),
        ('do = "prune",density = 0.5;do = "width",ffn = 4', r"step 2 .* least squares would fill its \d+ zeros"),
        ('do = "quantise";do = "width",ffn = 4', "is quantised, which this would undo: put this step first"),
        ('do = "tune",dropout = 0.1', "dropout is not for a decoder"),
        ('do = "permute"', "has no matrix before it"),
    ],
)
def test_what_cannot_be_is_named(text, message):
    with pytest.raises(BadInput, match=message):
        fitted(text)


def test_taylor_takes_a_gradient_that_an_encoder_has_none_of():
    with pytest.raises(BadInput, match="criterion 'taylor' takes the gradient of a loss, which an encoder has none of"):
        fitted('do = "depth",blocks = 2,criterion = "taylor"', drawn_encoder(), drawn_sentences())


def test_modules_in_a_row_have_no_blocks():
    network = Sequential({"fc": Linear(weights=np.ones((2, 3), np.float32))})
    with pytest.raises(BadInput, match="depth takes an encoder or a decoder"):
        fitted('do = "depth",blocks = 2', network, np.ones((4, 3), np.float32))
