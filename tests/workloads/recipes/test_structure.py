"""Do the scores say how the loss of a decoder that learnt to write rises, and do they beat weights and chance?

Three decoders of 6 blocks, each with its own seed of training and of which sentences are held out. The text is that of
the Python at hand, so that the means over the seeds are compared; docs/pruning.md has the figures of larger ones.
"""

from statistics import fmean

import numpy as np
import pytest
from scipy.stats import spearmanr

from tests.small_transformers import SEEDS, trained_decoder
from workloads.blas import one_thread
from workloads.networks import cut
from workloads.pruning.structured import highest
from workloads.recipes import structure

N_SAMPLES = 128  # to score by, and as many others to judge by
N_CHANCES = 3  # draws of what goes by chance


def perplexities(make):
    """Return [seed][...] of what `make` gives for each seed's decoder, the samples to score by and others."""
    with one_thread():
        cases = map(trained_decoder, SEEDS)
        return [make(decoder, seen[:N_SAMPLES], others[:N_SAMPLES]) for decoder, seen, others in cases]


@pytest.fixture(scope="module")
def rises():
    """Return [seed][block]: by how much the loss on others rises without a block."""
    return perplexities(lambda d, _, others: [d.without([i]).loss(others) - d.loss(others) for i in d.layers])


@pytest.mark.parametrize(("criterion", "least"), [("perplexity", 0.8), ("influence", 0.5), ("taylor", 0.5)])
def test_a_score_of_blocks_ranks_them_as_the_loss_without_them_does(rises, criterion, least):
    scores = perplexities(lambda d, seen, _: [*structure.block_scores(d, seen, criterion, 0).values()])
    assert fmean(spearmanr(*pair)[0] for pair in zip(scores, rises, strict=True)) > least


def test_the_weights_of_a_block_do_not_tell_what_it_is_worth(rises):
    """The last blocks have the larger weights and the first is worth most: magnitude is the baseline that fails."""
    scores = perplexities(lambda d, seen, _: [*structure.block_scores(d, seen, "magnitude", 0).values()])
    assert fmean(spearmanr(*pair)[0] for pair in zip(scores, rises, strict=True)) < 0


@pytest.mark.parametrize("criterion", ["influence", "perplexity", "taylor", "sleb"])
def test_blocks_that_go_by_a_score_cost_less_than_by_chance_or_weights(criterion):
    def make(decoder, seen, others):
        def left(by, seed=0):
            return decoder.without(structure.blocks_to_drop(decoder, seen, 2, by, seed)).perplexity(others)

        return left(criterion), left("magnitude"), fmean(left("random", seed) for seed in range(N_CHANCES))

    by_score, by_weights, by_chance = map(fmean, zip(*perplexities(make), strict=True))
    assert by_score < by_chance
    assert by_score < by_weights


def narrowed(part, n_kept, decoder, seen, others):
    """Return {criterion: perplexity}, by chance the mean of several draws, nothing reconstructed."""

    def by(criterion, seed=0):
        scores = structure.SCORES[part](decoder, seen, criterion, seed)
        if part == "hidden":
            return cut.channels(decoder, highest(scores, n_kept)).perplexity(others)
        n_groups = decoder.n_groups if part == "heads" else 1
        stay = {layer: highest(values, n_kept, n_groups) for layer, values in scores.items()}
        return (cut.neurons if part == "ffn" else cut.heads)(decoder, stay).perplexity(others)

    chance = fmean(by("random", seed) for seed in range(N_CHANCES))
    return {"activation": by("activation"), "magnitude": by("magnitude"), "random": chance}


@pytest.mark.parametrize(("part", "n_kept"), [("ffn", 32), ("hidden", 24)])
def test_neurons_and_channels_that_go_by_activation_cost_less_than_by_chance_or_weights(part, n_kept):
    rows = perplexities(lambda *case: narrowed(part, n_kept, *case))
    means = {criterion: fmean(row[criterion] for row in rows) for criterion in rows[0]}
    assert means["activation"] < means["magnitude"]
    assert means["activation"] < means["random"]


def test_heads_that_go_by_activation_cost_less_than_by_chance():
    """Of the mean alone: with two heads in a group there is little to choose."""
    rows = perplexities(lambda *case: narrowed("heads", 2, *case))
    assert fmean(of["activation"] for of in rows) < fmean(of["random"] for of in rows)


def test_a_score_of_heads_ranks_them_as_the_loss_without_them_does():
    def make(decoder, seen, others):
        scores = structure.head_scores(decoder, seen, "activation", 0)
        pairs = [
            (scores[layer][place], cut.without_one(decoder, "heads", layer, place).loss(others))
            for layer in decoder.layers
            for place in range(decoder.n_heads)
        ]
        return spearmanr(*zip(*pairs, strict=True))[0]

    assert fmean(perplexities(make)) > 0.5


def test_chance_is_that_of_the_seed():
    decoder, seen, _ = trained_decoder(0)
    for scores in (structure.neuron_scores, structure.head_scores):
        first, again, other = (scores(decoder, seen[:2], "random", seed)[0] for seed in (1, 1, 2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
