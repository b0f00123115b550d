"""Are a transformer's scores the formulas of their sources, and are blocks taken in the order that they say?"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.pruning.structured import (
    activation_norms,
    block_influence,
    greedy_blocks,
    highest,
    lowest_blocks,
    of_heads,
    taylor,
)

# Perplexity with that block out, and the blocks of the least Taylor scores, least first: Shortened LLaMA's published
# analysis (Kim et al. 2024; github.com/Nota-NetsPresso/shortened-llm). Not all blocks are published.
LLAMA_2_7B = {
    11: 21.356,
    8: 21.485,
    24: 21.486,
    21: 21.499,
    12: 21.543,
    7: 21.564,
    9: 21.583,
    10: 21.606,
    18: 21.607,
    27: 21.681,
    29: 22.985,
    4: 23.437,
    16: 23.543,
    30: 24.121,
    3: 24.887,
    2: 26.337,
    31: 45.737,
    1: 14742.75,
    0: 19177.85,
}
LLAMA_3_8B = {8: 24.76, 23: 25.15, 9: 25.16, 31: 81.6, 1: 717.4, 0: 4906.8}
TAYLOR_OF_LLAMA_2_7B = (0, 28, 27, 25, 29, 26, 24)


def test_an_activation_norm_is_that_over_samples_of_the_mean_size_over_tokens():
    # Channel 0: means 2 and 4 of (1, -3) and (4, 4); channel 1: means 3 and 0.
    samples = [np.array([[1.0, 3], [-3, -3]]), np.array([[4.0, 0], [4, 0]])]
    assert activation_norms(samples) == pytest.approx([math.sqrt(2**2 + 4**2), 3])


def test_samples_of_different_lengths_weigh_alike():
    assert activation_norms([np.ones((9, 1)), np.ones((1, 1))]) == pytest.approx([math.sqrt(2)])


def test_a_head_scores_the_norm_over_its_values():
    assert of_heads(np.array([3.0, 4, 0, 5, 8, 15]), 3) == pytest.approx([5, 5, 17])


def test_block_influence_is_what_the_cosine_lacks():
    before = np.array([[1.0, 0], [0, 2], [3, 0], [1, 0]])
    behind = np.array([[5.0, 0], [2, 0], [-1, 0], [1, 1]])  # cosines 1, 0, -1 and 1 / sqrt 2
    assert block_influence(before, behind) == pytest.approx(1 - math.sqrt(0.5) / 4)
    assert block_influence(before, 7 * before) == pytest.approx(0)
    assert block_influence(np.zeros((1, 2)), np.ones((1, 2))) == 1


def test_taylor_sums_what_each_weight_would_change():
    weights, gradients = [np.array([[1.0, -2]]), np.array([[3.0]])], [np.array([[-4.0, 5]]), np.array([[0.5]])]
    assert taylor(weights, gradients) == pytest.approx(4 + 10 + 1.5)


def test_as_many_of_each_group_stay():
    scores = np.array([9.0, 8, 7, 6, 1, 4, 3, 2])
    assert highest(scores, 4, n_groups=2).tolist() == [0, 1, 5, 6]
    assert highest(scores, 4).tolist() == [0, 1, 2, 3]
    assert highest(np.ones(5), 2).tolist() == [0, 1]


@given(st.lists(st.integers(0, 5), min_size=6, max_size=6), st.integers(1, 3))
def test_nothing_that_goes_scores_above_what_stays_in_its_group(values, n):
    scores = np.array(values, float)
    stay = highest(scores, 2 * n, n_groups=2)
    for group in (range(3), range(3, 6)):
        inside = [place for place in group if place in stay]
        assert len(inside) == n
        assert all(scores[gone] <= scores[inside].min() for gone in set(group) - set(inside))


def test_blocks_go_by_their_published_perplexities():
    order = lowest_blocks(dict(sorted(LLAMA_2_7B.items())), len(LLAMA_2_7B))
    assert order[:10] == [11, 8, 24, 21, 12, 7, 9, 10, 18, 27]
    assert order[-3:] == [31, 1, 0]
    assert lowest_blocks(dict(sorted(LLAMA_3_8B.items())), 6) == [8, 23, 9, 31, 1, 0]


def test_the_protection_of_both_ends_saves_taylor_from_the_first_block():
    # The published least seven, and the others behind them.
    scores = {block: float(place) for place, block in enumerate(TAYLOR_OF_LLAMA_2_7B)}
    scores |= {block: 100.0 + block for block in range(32) if block not in scores}
    assert lowest_blocks(scores, 3) == [0, 28, 27]  # and without block 0 the perplexity is 19177.85
    assert lowest_blocks(scores, 6, protected=(0, 1, 2, 3, 30, 31)) == [28, 27, 25, 29, 26, 24]


def test_of_equals_the_first_block_goes():
    assert lowest_blocks({2: 1.0, 0: 1.0, 1: 0.5}, 2) == [1, 0]


def test_the_greedy_choice_looks_again_after_each_block():
    # Alone 1 and 2 cost least, but they do the same work: without both the loss is worst.
    alone = {0: 9.0, 1: 1.0, 2: 2.0, 3: 3.0, 4: 0.0}

    def loss_without(gone):
        return sum(alone[block] for block in gone) + (50 if {1, 2} <= gone else 0)

    assert lowest_blocks(alone, 2, protected=(0, 4)) == [1, 2]
    assert greedy_blocks(loss_without, tuple(alone), 2, protected=(0, 4)) == [1, 3]


@given(st.dictionaries(st.integers(0, 9), st.integers(0, 99), min_size=3), st.integers(0, 3))
def test_where_losses_add_up_the_greedy_choice_is_that_of_one_shot(alone, n):
    blocks = tuple(sorted(alone))
    greedy = greedy_blocks(lambda gone: sum(alone[block] for block in gone), blocks, n)
    assert greedy == lowest_blocks({block: alone[block] for block in blocks}, n)


def test_the_greedy_choice_tries_each_block_that_is_left_once_a_round():
    tried = []
    greedy_blocks(lambda gone: tried.append(gone) or len(tried), range(6), 2, protected=(0, 5))
    assert tried == [{1}, {2}, {3}, {4}, {1, 2}, {1, 3}, {1, 4}]
