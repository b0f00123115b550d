"""Do codes and gaps take the bits that theory says?"""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workloads.errors import BadInput
from workloads.quantisation.huffman import code_lengths, coded_bits, entropy, huffman_bytes, index_gaps
from workloads.records import Workload

SYMBOLS = hnp.arrays(np.uint8, st.integers(1, 200), elements=st.integers(0, 15))


@pytest.mark.parametrize(
    ("counts", "lengths"),
    [
        ([1, 1, 2, 4, 8], [4, 4, 3, 2, 1]),  # powers of two: log2 of the total over the count
        ([5, 5, 5, 5], [2, 2, 2, 2]),
        ([45, 13, 12, 16, 9, 5], [1, 3, 3, 3, 4, 4]),  # Cormen et al., Introduction to Algorithms, figure 16.3
        ([3, 0, 1], [1, 0, 1]),
        ([0, 7, 0], [0, 1, 0]),
        ([0, 0], [0, 0]),
        ([], []),
    ],
)
def test_hand_worked_trees(counts, lengths):
    assert code_lengths(np.array(counts, int)).tolist() == lengths


@given(hnp.arrays(np.int64, st.integers(2, 40), elements=st.integers(1, 1000)))
def test_the_code_is_complete_and_rarer_symbols_are_never_shorter(counts):
    lengths = code_lengths(counts)
    assert sum(2.0**-length for length in lengths.tolist()) == 1  # Kraft's equality
    order = np.argsort(counts)
    for a, b in itertools.pairwise(order):
        assert counts[a] == counts[b] or lengths[a] >= lengths[b]


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5))
def test_no_prefix_code_is_shorter(counts):
    # All complete sets of lengths for up to 5 symbols, tried.
    n = len(counts)
    best = min(
        sum(c * length for c, length in zip(counts, lengths, strict=True))
        for lengths in itertools.product(range(1, n), repeat=n)
        if sum(2.0**-length for length in lengths) <= 1
    )
    assert sum(np.array(counts) * code_lengths(np.array(counts))) == best


@given(SYMBOLS)
def test_the_mean_length_is_within_a_bit_of_the_entropy(symbols):
    mean = coded_bits(symbols) / len(symbols)
    assert entropy(symbols) <= mean + 1e-9
    assert mean < entropy(symbols) + 1 or len(set(symbols.tolist())) == 1


def test_entropy_of_known_frequencies():
    assert entropy(np.arange(16)) == 4
    assert entropy(np.zeros(9, int)) == 0
    assert entropy(np.zeros(0, int)) == 0
    assert entropy(np.array([0, 1, 1, 1])) == pytest.approx(2 - 0.75 * math.log2(3))


def test_gaps_by_hand():
    # Deep Compression's figure 2: entries at 1, 4 and 15, gaps of 3 bits. Between 4 and 15 stand 10 zeros: a filler
    # that covers 8 places, then 2 zeros.
    codes = np.zeros(17, np.uint8)
    codes[[1, 4, 15]] = [3, 9, 1]
    stored, gaps = index_gaps(codes, 3)
    assert stored.tolist() == [3, 9, 0, 1]
    assert gaps.tolist() == [1, 2, 7, 2]


@given(hnp.arrays(np.uint8, st.integers(1, 300), elements=st.sampled_from([0] * 9 + [1, 2])), st.integers(1, 6))
def test_gaps_lead_back_to_the_codes(codes, bits):
    stored, gaps = index_gaps(codes, bits)
    rebuilt = np.zeros_like(codes)
    rebuilt[np.cumsum(gaps + 1) - 1] = stored
    assert np.array_equal(rebuilt, codes)
    assert gaps.size == 0 or gaps.max() < 2**bits
    assert np.count_nonzero(stored) == np.count_nonzero(codes)


@pytest.mark.parametrize(
    ("n_zeros", "n_bits"),
    [
        (31, 8 + 8),  # 5 bits say 31: codes 8 times 1, gaps 8 times 31
        (40, 16 + 16),  # a filler before each: codes 0 and 1, gaps 31 and 8, a bit for each of 16
    ],
)
def test_the_bytes_of_a_layer_by_hand(n_zeros, n_bits):
    book, codes = np.array([0, 3], np.float32), np.tile(np.append(np.zeros(n_zeros, np.uint8), np.uint8(1)), (8, 1))
    layer = Workload(name="w", weights=book[codes], codes=codes, codebook=book, activations=np.ones(n_zeros + 1))
    assert huffman_bytes(layer) == n_bits / 8 + 4 * 2
    assert huffman_bytes(replace(layer, bias=[3] * 8)) == n_bits / 8 + 4 * 2 + 4 * 8


def test_what_cannot_be_asked_is_named():
    with pytest.raises(BadInput, match="layer 'w' must be shared to be Huffman-coded, got no codes"):
        huffman_bytes(Workload(name="w", weights=[[1]], activations=[1]))
    with pytest.raises(BadInput, match="bits must be 1 to 32, got 0"):
        index_gaps(np.ones(3, int), 0)
    with pytest.raises(BadInput, match=r"counts must be int\[n\], none negative, got int64\[2\]"):
        code_lengths(np.array([1, -1]))
    with pytest.raises(BadInput, match="counts must be"):
        code_lengths(np.array([0.5, 0.5]))
