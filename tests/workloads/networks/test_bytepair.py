"""Does byte-pair encoding merge the most frequent pair in turn, keep words apart and give every text back?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.errors import BadInput
from workloads.networks.bytepair import decode, encode, learn

TEXT = "low lower lowest\nnew newer newest\n" * 3


def naive_encode(text, merges):
    """Return the tokens, merged pair by pair from the left in a list."""
    tokens = list(text.encode())
    for i, pair in enumerate(merges):
        merged = []
        while tokens:
            step = 2 if tuple(tokens[:2]) == pair else 1
            merged.append(256 + i if step == 2 else tokens[0])
            del tokens[:step]
        tokens = merged
    return tokens


def test_the_most_frequent_pair_goes_first():
    # "we" stands in lower, lowest, newer and newest; " n", "lo", "ne" and "ow" or "ew" three times at most.
    assert learn("low lower lowest new newer newest", 1) == [(ord("w"), ord("e"))]
    # By then " n", "lo" and "ne" stand three times: of equals the lowest bytes.
    assert learn("low lower lowest new newer newest", 2)[1] == (ord(" "), ord("n"))


def test_no_token_spans_two_words_or_lines():
    merges = learn(TEXT, 14)
    spelt = [decode(np.array([256 + i]), merges) for i in range(14)]
    assert all("\n" not in word and " " not in word[1:] for word in spelt)
    assert {" lowest", " newest"} <= set(spelt)


@given(st.text(alphabet="ab \né", max_size=40))
def test_a_text_comes_back_and_tokens_are_the_naive_twins(text):
    merges = learn("aaab abab aaaa bbab\n" * 2, 6)
    tokens = encode(text, merges)
    assert tokens.tolist() == naive_encode(text, merges)
    assert decode(tokens, merges) == text


def test_more_merges_than_pairs_are_refused():
    with pytest.raises(BadInput, match=r"n_merges must be at most 1, where no pair comes twice, got 9"):
        learn("ab ab", 9)
