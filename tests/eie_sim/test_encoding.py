"""Is the image the paper's format, lossless and canonical?"""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie_sim import Spec, decode, encode
from eie_sim import image as image_module
from tests import eie_cases, naive_eie
from workloads import BadInput, Workload


def column(values: dict[int, float], n_out: int) -> Workload:
    weights = np.zeros((n_out, 1), np.float32)
    for row, value in values.items():
        weights[row] = value
    return Workload(name="column", weights=weights, activations=np.ones(1))


def entries(image, pe=0) -> list[tuple[int, int]]:
    own = image.entries[image.pe_start[pe] : image.pe_start[pe + 1]]
    return [(int(entry) >> 4, int(entry) & 15) for entry in own]


def test_the_paper_s_own_example():
    # 1 at row 2, 2 at row 3, 3 at row 22: v = [1, 2, 0, 3], z = [2, 0, 15, 2]
    image = encode(column({2: 1, 3: 2, 22: 3}, 30), Spec(n_pes=1))
    assert entries(image) == [(1, 2), (2, 0), (0, 15), (3, 2)]
    assert image.codebook[:4].tolist() == [0, 1, 2, 3]
    assert image.paddings.tolist() == [[1]]
    assert image.pointers.tolist() == [[0], [4]]


@pytest.mark.parametrize(
    ("row", "expected"),
    [(15, [(1, 15)]), (16, [(0, 15), (1, 0)]), (31, [(0, 15), (1, 15)]), (32, [(0, 15), (0, 15), (1, 0)])],
)
def test_a_gap_costs_a_padding_for_every_sixteen_zeros(row, expected):
    assert entries(encode(column({row: 0.5}, 40), Spec(n_pes=1))) == expected


def test_trailing_zeros_cost_nothing_and_each_column_starts_at_the_first_row():
    weights = np.zeros((40, 2), np.float32)
    weights[0, :] = 1
    image = encode(Workload(name="two", weights=weights, activations=np.ones(2)), Spec(n_pes=1))
    assert entries(image) == [(1, 0), (1, 0)]


def test_rows_are_dealt_to_the_pes_in_turn():
    # rows 0, 3, 6 lie in PE 0 (local 0, 1, 2), row 4 in PE 1 (local 1), row 5 in PE 2 (local 1)
    image = encode(column({0: 1, 6: 1, 4: 2, 5: 3}, 7), Spec(n_pes=3))
    assert [entries(image, pe) for pe in range(3)] == [[(1, 0), (1, 1)], [(2, 1)], [(3, 1)]]


def test_the_bias_is_the_column_after_the_inputs():
    workload = Workload(name="b", weights=[[1.0], [0.0]], bias=[0.0, 2.0], activations=[1.0])
    image = encode(workload, Spec(n_pes=1))
    assert entries(image) == [(1, 0), (2, 1)]
    assert image.pointers.ravel().tolist() == [0, 1, 2]


@settings(max_examples=150)
@given(eie_cases.workloads(max_out=90), st.integers(1, 9))
def test_encode_is_lossless_and_entry_for_entry_the_naive_one(workload, n_pes):
    image = encode(workload, Spec(n_pes=n_pes))
    codes, bias_codes = decode(image)
    np.testing.assert_array_equal(image.codebook[codes], workload.weights)
    bias = np.zeros(workload.n_out) if workload.bias is None else workload.bias
    np.testing.assert_array_equal(image.codebook[bias_codes], bias)
    every = np.column_stack((codes, bias_codes))[:, : image.n_columns]
    for pe in range(n_pes):
        expected = []
        for j in range(image.n_columns):
            local = every[pe::n_pes, j]
            rows = np.flatnonzero(local)
            naive = naive_eie.encode_column(rows.tolist(), local[rows].tolist())
            assert naive_eie.decode_column(naive) == dict(zip(rows.tolist(), local[rows].tolist(), strict=True))
            assert image.pointers[j + 1, pe] - image.pointers[j, pe] == len(naive)
            assert image.paddings[j, pe] == sum(code == 0 for code, _ in naive)
            expected += naive
        assert entries(image, pe) == expected


def test_fifteen_values_are_kept_exactly_and_codes_ascend():
    values = np.delete(np.arange(-7, 9), 7).astype(np.float32)
    image = encode(Workload(name="15", weights=values[None], activations=np.ones(15)), Spec(n_pes=1))
    assert image.codebook.tolist() == [0, *values.tolist()]
    assert image.notes == ()


def test_sixteen_values_are_shared_and_the_image_says_so():
    # The two nearest values, 8 and 8.5, fall together; everything else stays: the exact k-means of 16 values in 15.
    values = np.array([*range(1, 9), 8.5, *range(10, 17)], np.float32)
    image = encode(Workload(name="16", weights=values[None], activations=np.ones(16)), Spec(n_pes=1))
    assert "shared by exact k-means" in image.notes[0]
    assert image.workload.weights[0].tolist() == [*range(1, 8), 8.25, 8.25, *range(10, 17)]


def test_what_sharing_did_to_weights_and_to_the_bias_is_said():
    # 15 values of weights are kept and leave no place to the bias: 8.5 becomes 8 or 9
    values = np.array([*range(1, 9), *range(10, 17)], np.float32)
    image = encode(Workload(name="b", weights=values[None], bias=[8.5], activations=np.ones(15)), Spec(n_pes=1))
    assert image.notes[0].endswith("shared by exact k-means in 15, rms error 0 a weight, 0.5 a bias")
    # 8 and 8.5 of 16 weights: sqrt(2 * 0.25**2 / 16)
    values = np.append(values, np.float32(8.5))
    image = encode(Workload(name="w", weights=values[None], activations=np.ones(16)), Spec(n_pes=1))
    assert image.notes[0].endswith("rms error 0.0884 a weight")


def test_nothing_is_shared_where_there_is_nothing():
    image = encode(Workload(name="0", weights=np.zeros((2, 3)), activations=np.ones(3)), Spec(n_pes=2))
    assert (image.notes, image.codebook.tolist(), image.n_entries) == ((), [0] * 16, 0)


def test_a_codebook_given_with_the_workload_is_kept():
    book = np.array([0, 0.5, -0.25, 3] + [0] * 12, np.float32)
    codes = np.array([[1, 0, 2]], np.uint8)
    workload = Workload(name="c", weights=book[codes], codes=codes, codebook=book, activations=np.ones(3), bias=[3])
    found, bias = decode(image := encode(workload, Spec(n_pes=1)))
    assert image.codebook.tolist() == book.tolist()
    assert (found.tolist(), bias.tolist()) == (codes.tolist(), [3])


@pytest.mark.parametrize(
    "broken",
    [
        [(0, 15), (0, 15)],  # ends in a padding
        [(0, 3), (1, 0)],  # a padding of fewer than 16 rows
        [(0, 15), (1, 15)],  # beyond the last row
    ],
)
def test_decode_refuses_what_is_not_canonical(broken):
    image = encode(column({16: 1}, 30), Spec(n_pes=1))
    assert len(image.entries) == len(broken)
    damaged = dataclasses.replace(image, entries=np.array([code << 4 | run for code, run in broken], np.uint8))
    with pytest.raises(BadInput, match="not canonical"):
        decode(damaged)


def test_decode_refuses_a_column_that_ends_in_a_padding_where_another_follows():
    """Two columns of a 1 at row 16: a padding of 16 rows, and the entry; in the first a padding stands for it."""
    workload = Workload(name="two", weights=np.eye(1, 40, 16).T.repeat(2, axis=1), activations=np.ones(2))
    image = encode(workload, Spec(n_pes=1))
    assert image.entries.tolist() == [0x0F, 0x10, 0x0F, 0x10]
    with pytest.raises(BadInput, match="not canonical"):
        decode(dataclasses.replace(image, entries=np.array([0x0F, 0x0F, 0x0F, 0x10], np.uint8)))


@pytest.mark.parametrize("in_second_column", [2**30 - 1, 2**30])
def test_a_pe_holds_as_many_entries_as_a_pointer_of_31_bits_can_name(in_second_column, monkeypatch):
    """Two columns, which give the first of two PEs 2**31 - 1 entries or one more, and the other one each."""
    counts = np.array([[2**30, in_second_column], [1, 1]], np.int32)
    monkeypatch.setattr(image_module, "_count", lambda *_: (counts, np.zeros_like(counts)))
    monkeypatch.setattr(image_module, "_fill", lambda *_: None)  # nothing of 2 GiB is touched
    workload = Workload(name="large", weights=np.ones((2, 2)), activations=np.ones(2))
    if 2**30 + in_second_column == 2**31:
        with pytest.raises(BadInput, match="n_pes must be larger than 2 for large: a PE would hold 2"):
            encode(workload, Spec(n_pes=2))
    else:
        image = encode(workload, Spec(n_pes=2))
        assert image.pe_start.tolist() == [0, 2**31 - 1, 2**31 + 1]
        assert image.pointers.tolist() == [[0, 0], [2**30, 1], [2**31 - 1, 2]]
