"""Does a cut network compute what the whole one computes when what was cut is silent?"""

import numpy as np
import pytest

from tests.small_transformers import drawn_decoder, drawn_encoder, drawn_samples, drawn_sentences
from workloads.networks import cut
from workloads.networks.decoder import Decoder


@pytest.fixture(params=["decoder", "decoder with biases", "decoder that shares nothing", "encoder"])
def case(request):
    """Return a network, its samples, and what gives its outputs."""
    if request.param == "encoder":
        return drawn_encoder(), drawn_sentences(), lambda network, samples: network.embed(samples)
    network = drawn_decoder(biases="biases" in request.param, n_kv_heads=4 if "nothing" in request.param else 2)
    return network, drawn_samples(), lambda network, samples: network.losses(samples)


def test_neurons_that_are_cut_are_silent_ones(case):
    network, samples, outputs = case
    gone = {layer: [layer, 4] for layer in network.layers}
    silent = network
    for layer, places in gone.items():
        for place in places:
            silent = cut.without_one(silent, "ffn", layer, place)
    stay = {layer: np.delete(np.arange(network.n_neurons), places) for layer, places in gone.items()}
    narrow = cut.neurons(network, stay)
    assert narrow.n_neurons == network.n_neurons - 2
    assert outputs(narrow, samples) == pytest.approx(outputs(silent, samples), abs=1e-5)
    assert outputs(narrow, samples) != pytest.approx(outputs(network, samples), abs=1e-3)


def test_heads_that_are_cut_are_silent_ones(case):
    network, samples, outputs = case
    # Of a decoder's 4 heads in 2 groups one of each, of an encoder's 2 heads the first.
    gone = [1, 2] if isinstance(network, Decoder) else [0]
    silent = network
    for layer in network.layers:
        for place in gone:
            silent = cut.without_one(silent, "heads", layer, place)
    stay = np.delete(np.arange(network.n_heads), gone)
    narrow = cut.heads(network, dict.fromkeys(network.layers, stay))
    assert (narrow.n_heads, narrow.head_dim) == (network.n_heads - len(gone), network.head_dim)
    assert outputs(narrow, samples) == pytest.approx(outputs(silent, samples), abs=1e-5)
    n_values = {name.split(".", 3)[3]: len(matrix) for name, matrix in narrow.matrices.items() if name.count(".") > 3}
    if isinstance(network, Decoder):
        # Two groups of 4 values are as before, and of 4 that are one head's each two stay.
        assert n_values["self_attn.k_proj"] == 8
    else:
        assert n_values["attention.self.key"] == 4  # that of the head that stays


def test_a_block_that_is_dropped_adds_nothing(case):
    network, samples, _ = case
    states, left = list(network.states(samples)), network.without([1])
    assert np.array_equal(list(left.states(samples))[1], states[1])
    reaching = left.inputs(samples)[f"{network.prefix(2)}{network.QUERY}"]
    assert np.array_equal(reaching, network.inputs(samples)[f"{network.prefix(1)}{network.QUERY}"]) == (
        network.norms[0] == "embeddings.LayerNorm"  # an encoder's blocks read the states as they are
    )


def test_channels_go_from_every_array(case):
    network, samples, outputs = case
    stay = np.array([0, 1, 3, 6, 7])
    narrow = cut.channels(network, stay)
    assert narrow.width == 5
    assert {array.shape for name, array in narrow.arrays.items() if name.endswith(("norm.weight", "Norm.bias"))} == {
        (5,)
    }
    writers = (network.OUTPUT, network.NARROWER)
    for name, matrix in network.matrices.items():
        expected = matrix[stay] if name.endswith(writers) else matrix[:, stay]
        assert np.array_equal(narrow.matrices[name], expected)
    assert outputs(narrow, samples).shape == outputs(network, samples).shape
    whole = cut.channels(network, np.arange(8))
    assert np.array_equal(outputs(whole, samples), outputs(network, samples))


def test_an_embedding_keeps_its_width_and_the_places_of_its_channels():
    encoder, sentences = drawn_encoder(), drawn_sentences()
    narrow = cut.channels(cut.channels(encoder, np.array([0, 1, 3, 6, 7])), np.array([1, 2, 4]))
    embedding = narrow.embed(sentences)
    assert embedding.shape == (12, 8)
    assert np.array_equal(np.flatnonzero(embedding.any(axis=0)), [1, 3, 7])
    assert np.linalg.norm(embedding, axis=1) == pytest.approx(np.ones(12))


def test_what_nobody_computes_with_is_left_behind_with_the_channels():
    encoder = drawn_encoder()
    more = type(encoder)({**encoder.arrays, "pooler.dense.weight": np.ones((8, 8), np.float32)}, n_heads=2)
    assert "pooler.dense.weight" not in cut.channels(more, np.arange(4)).arrays
    assert "pooler.dense.weight" in cut.neurons(more, dict.fromkeys(more.layers, np.arange(4))).arrays
