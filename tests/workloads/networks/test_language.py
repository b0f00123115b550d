"""Does the training of a decoder learn, repeat itself to the bit, and keep zeros and shared values?"""

import numpy as np
import pytest

from tests.small_transformers import drawn_decoder, drawn_samples, trained_decoder
from workloads.errors import BadInput
from workloads.networks import bytepair, language
from workloads.networks.lowering import lower_blocks
from workloads.networks.train import Recipe
from workloads.quantisation.share import share

RECIPE = Recipe(n_epochs=20, learning_rate=1e-2, batch=2, seed=3)


def test_a_trained_decoder_beats_the_frequencies_of_the_tokens_and_of_pairs():
    decoder, seen, others = trained_decoder(0)
    n_words = bytepair.N_BYTES + 128
    counts = np.bincount(seen.ravel(), minlength=n_words) + 1
    of_tokens = np.exp(-np.log(counts / counts.sum())[others[:, 1:]].mean())
    pairs = np.full((n_words, n_words), 0.05)  # about what is best for the pairs that were never seen
    np.add.at(pairs, (seen[:, :-1].ravel(), seen[:, 1:].ravel()), 1)
    pairs /= pairs.sum(axis=1, keepdims=True)
    of_pairs = np.exp(-np.log(pairs[others[:, :-1], others[:, 1:]]).mean())
    assert decoder.perplexity(others) < 0.8 * of_pairs < 0.4 * of_tokens


def test_equal_seeds_give_equal_bits():
    first, again = (language.fit(drawn_decoder(), drawn_samples(), RECIPE) for _ in range(2))
    assert all(np.array_equal(first.arrays[name], again.arrays[name]) for name in first.arrays)
    assert first.loss(drawn_samples()) < drawn_decoder().loss(drawn_samples()) * 0.7
    assert drawn_decoder().loss(drawn_samples()) == drawn_decoder().loss(drawn_samples())  # the given one is left alone


def test_a_weight_that_is_zero_stays_zero_and_all_else_moves():
    decoder = drawn_decoder(biases=True)
    pruned = decoder.with_matrices({name: m * (np.abs(m) > 0.3) for name, m in decoder.matrices.items()})
    tuned = language.fit(pruned, drawn_samples(), RECIPE)
    for name, matrix in pruned.matrices.items():
        assert np.array_equal(tuned.matrices[name] != 0, matrix != 0)
    for name, array in pruned.arrays.items():
        assert not np.array_equal(tuned.arrays[name], array)


def test_shared_values_stay_shared():
    decoder, samples = drawn_decoder(biases=True), drawn_samples()
    shared = [share(layer, 3) for layer in lower_blocks(decoder, samples, 4)]
    tuned = language.fit(decoder, samples, RECIPE, shared)
    for layer in shared:
        matrix = tuned.matrices[layer.name]
        for code in range(8):
            assert len(np.unique(matrix[layer.codes == code])) <= 1
        assert not np.array_equal(matrix, layer.weights)


def test_samples_are_parts_of_the_text_that_meet():
    merges = bytepair.learn("the cat the hat\n" * 3, 4)
    samples = language.samples(["the cat", "the hat"], merges, n_tokens=3)
    tokens = bytepair.encode("the cat\nthe hat", merges)
    assert samples.shape[1] == 4
    assert np.array_equal(samples[1:, 0], samples[:-1, -1])
    assert np.array_equal(np.append(samples[:, :-1].ravel(), samples[-1, -1]), tokens[: samples[:, :-1].size + 1])


def test_what_a_decoder_has_no_place_for_is_refused():
    with pytest.raises(BadInput, match=r"dropout is not for a decoder: leave it out, got 0.5"):
        language.fit(drawn_decoder(), drawn_samples(), Recipe(n_epochs=1, learning_rate=1e-2, dropout=0.5))
    with pytest.raises(BadInput, match="learning_rate must keep the loss finite"):
        language.fit(drawn_decoder(), drawn_samples(), Recipe(n_epochs=9, learning_rate=1e30, batch=2))
