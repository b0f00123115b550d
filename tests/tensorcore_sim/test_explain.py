"""Does explain show the indices that compress makes, where the hardware looks for them?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorcore_sim import PRESETS, compress
from tensorcore_sim.explain.tiles import explain
from tensorcore_sim.format.metadata import thread_words, to_sm90
from tensorcore_sim.format.operand import to_format, to_reals
from workloads import BadInput, Workload

AMPERE, HOPPER = PRESETS["a100-sxm-40gb"], PRESETS["h100-sxm"]
# design, its instruction, rows and columns of a tile, columns of a group, elements kept together
CASES = [
    (AMPERE.replace(in_dtype="f16"), "mma.sp.m16n8k32", 16, 32, 4, 1),
    (AMPERE.replace(in_dtype="bf16"), "mma.sp.m16n8k32", 16, 32, 4, 1),
    (AMPERE.replace(in_dtype="tf32"), "mma.sp.m16n8k16", 16, 16, 2, 1),
    (AMPERE.replace(in_dtype="int8"), "mma.sp.m16n8k64", 16, 64, 4, 1),
    (AMPERE.replace(in_dtype="int4"), "mma.sp.m16n8k128", 16, 128, 8, 2),
    (HOPPER.replace(in_dtype="f16"), "wgmma.sp.m64n256k32", 64, 32, 4, 1),
    (HOPPER.replace(in_dtype="tf32"), "wgmma.sp.m64n256k16", 64, 16, 2, 1),
    (HOPPER.replace(in_dtype="e4m3"), "wgmma.sp.m64n256k64", 64, 64, 4, 1),
    (HOPPER.replace(in_dtype="int8"), "wgmma.sp.m64n256k64", 64, 64, 4, 1),
]


def layer(weights, name="layer"):
    weights = np.asarray(weights, np.float32)
    return Workload(name=name, weights=weights, activations=np.ones(weights.shape[1]))


def table(found, columns):
    """Return the one table that has these columns."""
    (rows,) = [rows for rows in found.tables.values() if set(columns) <= rows[0].keys()]
    return rows


def random_layer(seed, group, together, density=0.5):
    """Return a layer of odd size, at most half of each group kept, in elements or pairs."""
    rng = np.random.default_rng(seed)
    m, k = rng.integers(1, 90), rng.integers(1, 150)
    units = group // together
    mask = rng.random((m, -(-k // group), units)).argsort(axis=2) < units // 2
    mask &= rng.random(mask.shape) < 2 * density
    weights = rng.standard_normal((m, mask.shape[1] * group)) * np.repeat(mask, together, axis=2).reshape(m, -1)
    return layer(weights[:, :k])


def test_a_tile_by_hand():
    # Row 0: [0 5 0 7] keeps places 1, 3: 1101; [1 2 0 0]: 0100; six groups of zeros beyond the edge: 1110, so the word
    # is 0xEEEEEE4D. Thread 0 holds groups 0 to 3 of row 0 (0xEE4D) and, above, of row 8: zeros.
    found = explain(layer([[0, 5, 0, 7, 1, 2, 0, 0], [0, 0, 3, 0, 0, 0, 0, 0]]), AMPERE.replace(sparsity="2:4"), 0, 5)
    groups, picture, threads = found.tables.values()
    assert list(groups[0].values()) == ["0 to 3", "0 5 0 7", "5 7", "1 3", "1101", ""]
    assert list(groups[1].values()) == ["4 to 7", "1 2 0 0", "1 2", "0 1", "0100", "column 5"]
    assert list(groups[7].values()) == ["28 to 31", "0 0 0 0", "0 0", "2 3", "1110", ""]
    edge = " ..oo" * 6
    assert [list(row.values()) for row in picture] == [
        ["0", ".#.# ##.." + edge, "0xeeeeee4d"],
        ["1", "..#o ..oo" + edge, "0xeeeeeeee"],
    ]
    assert [list(row.values()) for row in threads[:3]] == [
        ["0", "0xeeeeee4d", "0 and 8", "0 to 15", "row 0, column 5"],
        ["1", "0xeeeeeeee", "0 and 8", "16 to 31", ""],
        ["4", "0xeeeeeeee", "1 and 9", "0 to 15", ""],
    ]
    assert [row["thread"] for row in threads[-2:]] == ["28", "29"]
    assert "metadata come from these threads of each quad, selector by selector: 0, 1; 2, 3" in found.remarks


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].architecture} {case[0].in_dtype}")
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_what_is_shown_is_what_compress_makes(case, seed, data):
    spec, instruction, m, k, group, together = case
    workload = random_layer(seed, group, together)
    row, column = data.draw(st.integers(0, workload.n_out - 1)), data.draw(st.integers(0, workload.n_in - 1))
    found = explain(workload, spec.replace(sparsity=data.draw(st.sampled_from(("dense", "2:4")))), row, column)
    bits, _ = to_format(workload.weights, spec.in_dtype)
    top, left = row // m * m, column // k * k
    tile = np.zeros((m, k), bits.dtype)
    piece = bits[top : top + m, left : left + k]
    tile[: piece.shape[0], : piece.shape[1]] = piece
    image = compress(tile, spec.in_dtype)
    values = to_reals(tile, spec.in_dtype)

    groups = table(found, ["indices", "nibble"])
    assert [int(row["nibble"], 2) for row in groups] == image.nibbles[row - top].tolist()
    rebuilt = np.zeros(k)
    for place, shown in enumerate(groups):
        first, second = map(int, shown["indices"].split())
        assert second << 2 | first == int(shown["nibble"], 2)
        cells = {"tf32": [first // 2], "int4": [2 * first, 2 * first + 1, 2 * second, 2 * second + 1]}
        kept = [float(value) for value in shown["kept"].split()]
        rebuilt[place * group + np.array(cells.get(spec.in_dtype, [first, second]))] = kept
        assert shown["columns"] == f"{left + place * group} to {left + place * group + group - 1}"
        assert bool(shown["asked for"]) == (place == (column - left) // group)
    assert rebuilt.tolist() == [float(f"{value:g}") for value in values[row - top]]

    picture = table(found, ["row", "metadata"])
    assert any(instruction in title for title in found.tables)
    assert [int(row["row"]) for row in picture] == list(range(top, min(top + m, workload.n_out)))
    for shown, words, cells in zip(picture, image.metadata(), values, strict=False):
        assert [int(word, 16) for word in shown["metadata"].split()] == words.tolist()
        signs = shown["cells"].replace(" ", "")
        assert [sign == "#" for sign in signs] == (cells != 0).tolist()
        assert sum(sign in "#o" for sign in signs) == k // 2

    threads = table(found, ["thread", "word"])
    words = thread_words(image.nibbles, instruction, spec.in_dtype)
    shown = {(int(row["thread"]) // 4, int(row["thread"]) % 4): int(row["word"], 16) for row in threads}
    assert shown == dict(np.ndenumerate(words))
    (asked,) = [row for row in threads if row["asked for"]]
    assert str(row) in asked["rows"].split(" and ")
    if spec.architecture == "hopper":
        layout = to_sm90(image.nibbles, spec.in_dtype, k)
        for shown in groups:
            byte, half, _ = shown["SM90 byte"].replace(",", "").split()
            assert layout[int(byte)] >> (0 if half == "low" else 4) & 15 == int(shown["nibble"], 2)


def test_a_dense_design_says_whether_the_tile_would_fit():
    fits = np.zeros((40, 40))
    fits[:, ::2] = 1
    assert "the design stores the weights dense; this tile would fit 2:4" in explain(layer(fits), AMPERE, 20, 5).remarks
    fits[17, 33] = 1  # row 1, column 1 of the tile at (16, 32)
    found = explain(layer(fits), AMPERE, 20, 35)
    ((title, picture),) = found.tables.items()
    assert title == "layer: rows 16 to 31, columns 32 to 63, non-zeros"
    assert picture[1] == {"row": "17", "cells": "###. #.#. .... .... .... .... .... ...."}
    assert found.remarks[-1] == (
        "the design stores the weights dense; this tile would not fit, as counted from its corner: matrix must be 2:4 "
        "for f16: the group at row 1, columns 0 to 3 has 3 non-zeros"
    )
    assert any("would fit 2:4" in remark for remark in explain(layer(fits), AMPERE, 20, 5).remarks)


@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_another_pattern_is_shown_without_metadata(seed, data):
    n, m = data.draw(st.sampled_from([(1, 4), (2, 8), (4, 8), (8, 16)]))
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 100, (20, 8 * m)).reshape(20, 8, m) * (rng.random((20, 8, m)).argsort(axis=2) < n)
    weights = weights.reshape(20, -1)
    row, column = data.draw(st.integers(0, 19)), data.draw(st.integers(0, 8 * m - 1))
    found = explain(layer(weights), AMPERE.replace(sparsity=f"{n}:{m}"), row, column)
    groups, picture = found.tables.values()
    k = 16 * m // n  # the 16 products of mma.m16n8k16
    left = column // k * k
    assert len(groups) * m == k
    for place, shown in enumerate(groups):
        start = left + place * m
        cells = np.zeros(m)
        cells[list(map(int, shown["indices"].split()))] = list(map(float, shown["kept"].split()))
        assert cells.tolist() == (weights[row, start : start + m].tolist() or [0] * m)
        assert "nibble" not in shown
    assert picture[row % 16]["row"] == str(row)
    bits = {4: 2, 8: 3, 16: 4}[m]
    assert found.remarks[-2:] == [
        f"an index takes {bits} bits; there are no words and no threads",
        f"{n}:{m} is a what-if: no card has it",
    ]


def test_remarks_say_what_rounding_did():
    # f16: the largest subnormal's half step is 2**-25; both signs of 2**-26 go to zero
    found = explain(layer([[2.0**-26, -(2.0**-26), 0, 1]]), AMPERE, 0, 0)
    assert "non-zeros of layer that round to zero: 2" in found.remarks
    assert table(found, ["kept"])[0]["cells"] == "0 0 0 1"
    found = explain(layer([[896, -0.1, 0, 0]]), HOPPER.replace(in_dtype="e4m3"), 0, 0)
    assert "numbers are the weights, divided by 2, rounded to e4m3; beyond their edges zeros" in found.remarks
    assert table(found, ["kept"])[0]["cells"] == "448 -0.0507812 0 0"  # 2**-5 * (1 + 5/8)
    found = explain(layer([[896, -0.001, 0, 0]]), HOPPER.replace(in_dtype="e4m3"), 0, 0)
    assert "non-zeros of layer that round to zero: 1" in found.remarks


def test_int4_weights_are_shown_on_their_grid():
    # The largest, 7, makes the grid 1: 2.4 becomes 2 and 0.4 becomes 0
    found = explain(layer([[7, 2.4, 0.4, 0]]), AMPERE.replace(int4_weights=True), 0, 0)
    assert table(found, ["kept"])[0]["cells"] == "7 2 0 0"
    assert "numbers are the weights, rounded to int4 and then f16; beyond their edges zeros" in found.remarks


@pytest.mark.parametrize(
    ("spec", "row", "column", "told"),
    [
        (AMPERE, 40, 0, "row must be from 0 to 39 in layer, got 40"),
        (AMPERE, 0, 42, "column must be from 0 to 41 in layer, got 42"),
        (AMPERE.replace(sparsity="2:4"), 0, 0, "2:4 for f16: the group at row 37, columns 20 to 23 has 3 non-zeros"),
        (
            AMPERE.replace(sparsity="2:4", in_dtype="tf32"),
            0,
            0,
            "the group at row 37, columns 20 to 21 has 2 non-zeros",
        ),
        (AMPERE.replace(sparsity="2:8"), 0, 0, "2:8: the group at row 37, columns 16 to 23 has 3 non-zeros"),
        (AMPERE.replace(in_dtype="e4m3"), 0, 0, "in_dtype 'e4m3' has no mma.sp on a100"),
        (HOPPER.replace(in_dtype="int4"), 0, 0, "in_dtype 'int4' has no wgmma.sp on h100"),
        (HOPPER.replace(in_dtype="int4", int4_fma_per_cycle=64), 0, 0, "has no wgmma.sp on h100"),
        (PRESETS["t4"], 0, 0, "in_dtype 'f16' has no mma.sp on t4"),
        (PRESETS["b200"], 0, 0, "card must be one with mma or wgmma: tcgen05's metadata are not shown, got 'b200'"),
    ],
)
def test_what_cannot_be_shown(spec, row, column, told):
    weights = np.zeros((40, 42))
    weights[37, 20:23] = 1
    with pytest.raises(BadInput, match=told):
        explain(layer(weights), spec, row, column)


def test_a_weight_beyond_the_format_is_named():
    with pytest.raises(BadInput, match=r"values must be at most 65504 in size for f16, got 70000 at \(0, 1\)"):
        explain(layer([[0, 70000]]), AMPERE, 0, 0)
