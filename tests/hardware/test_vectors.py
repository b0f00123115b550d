"""Do the families of vectors hold what they say, and do files give back what was put in?"""

from fractions import Fraction

import numpy as np
import pytest

from benchmarks.hardware import vectors
from benchmarks.hardware.instructions import VECTORS, Measured
from tests.naive_tensorcore import FIELDS, decode

CASES = pytest.mark.parametrize("row", VECTORS, ids=lambda row: row.key)
KEPT = {0b0100: (0, 1), 0b1000: (0, 2), 0b1001: (1, 2), 0b1100: (0, 3), 0b1101: (1, 3), 0b1110: (2, 3)}  # PTX ISA


def of_family(row: Measured, family: str):
    """Return [A, B, C] of the tiles of a family, each with its format's name."""
    tiles = vectors.make(row)
    chosen = tiles.family == family
    assert chosen.sum() * row.shape.m == vectors.ROWS
    return [(tiles.values[chosen], row.in_dtype), (tiles.b[chosen], row.in_dtype), (tiles.c[chosen], row.out_dtype)]


def fields(bits: np.ndarray, kind: str) -> np.ndarray:
    exponent_bits, fraction_bits = FIELDS[kind]
    return bits.astype(np.int64) >> (fraction_bits + 13 * (kind == "tf32")) & (2**exponent_bits - 1)


def is_zero(bits: np.ndarray) -> np.ndarray:
    return (bits & ~bits.dtype.type(1 << (8 * bits.itemsize - 1))) == 0


def decoded(bits: np.ndarray, kind: str) -> list:
    return [decode(int(pattern), kind) for pattern in np.unique(bits)]


@CASES
def test_the_same_seed_gives_the_same_tiles_and_another_others(row):
    first, again, other = vectors.make(row, 5), vectors.make(row, 5), vectors.make(row, 6)
    assert all(np.array_equal(getattr(first, name), getattr(again, name)) for name in vectors.Tiles.__annotations__)
    assert not np.array_equal(first.values, other.values)


@CASES
def test_only_the_family_of_infinities_has_any_and_it_has_each_kind(row):
    for family in vectors.FAMILIES:
        in_a, in_b, in_c = (
            {value for value in decoded(bits, kind) if isinstance(value, str)} for bits, kind in of_family(row, family)
        )
        if family == "infinite":
            assert in_c == {"inf", "-inf", "nan"}
            assert in_a
            assert in_b
        else:
            assert not in_a | in_b | in_c


@CASES
def test_exact_has_whole_numbers_only(row):
    for bits, kind in of_family(row, "exact"):
        values = {value for value, _ in decoded(bits, kind)}
        assert values == set(range(-4, 5))


@CASES
def test_subnormal_has_an_a_of_subnormals_zeros_and_the_least_normals(row):
    bits, kind = of_family(row, "subnormal")[0]
    assert set(fields(bits, kind).ravel()) == {0, 1}
    assert ((fields(bits, kind) == 0) & ~is_zero(bits)).sum() > bits.size // 4


@CASES
def test_random_is_near_one_and_wide_is_not(row):
    for bits, kind in of_family(row, "random")[:2]:
        assert np.ptp(fields(bits, kind)) == 8
    for bits, kind in of_family(row, "wide")[:2]:
        assert np.ptp(fields(bits, kind)) >= 12


@CASES
def test_large_has_the_largest_exponents_only(row):
    for bits, kind in of_family(row, "large"):
        highest = 2 ** FIELDS[kind][0] - (1 if kind == "e4m3" else 2)
        assert set(fields(bits, kind).ravel()) == set(range(highest - 3, highest + 1))


@CASES
def test_zeros_has_zeros_of_both_signs_and_some_others(row):
    for bits, _ in of_family(row, "zeros"):
        zero = is_zero(bits)
        assert 0.7 < zero.mean() < 0.9
        assert 0.3 < (bits[zero] == 0).mean() < 0.7


@CASES
def test_cancelling_has_pairs_of_products_that_sum_to_zero_but_one(row):
    tiles = vectors.make(row)
    a, b, _ = vectors.flat(tiles, row)
    half = a.shape[1] // 2
    per_family = vectors.ROWS * row.shape.n
    first = list(vectors.FAMILIES).index("cancelling") * per_family
    for element in range(first, first + per_family, 37):
        products = [
            decode(int(x), row.in_dtype)[0] * decode(int(y), row.in_dtype)[0]
            for x, y in zip(a[element], b[element], strict=True)
        ]
        sums = [products[place] + products[place + half] for place in range(half)]
        assert sums[:-1] == [Fraction(0)] * (half - 1)
        assert sums[-1] != 0


@CASES
def test_each_output_element_multiplies_what_the_metadata_select(row):
    tiles = vectors.make(row)
    a, b, c = (array.reshape(len(tiles.c), row.shape.m, row.shape.n, -1) for array in vectors.flat(tiles, row))
    rng = np.random.default_rng(2)
    for _ in range(50):
        tile, i, j = (int(rng.integers(0, size)) for size in tiles.c.shape)
        columns = list(range(row.shape.k))
        if row.in_dtype == "tf32" and row.shape.sparse:  # one of two: nibble 0100 keeps the lower
            columns = [2 * g + (nibble == 0b1110) for g, nibble in enumerate(tiles.nibbles[tile, i])]
        elif row.shape.sparse:
            columns = [4 * g + place for g, nibble in enumerate(tiles.nibbles[tile, i]) for place in KEPT[int(nibble)]]
        assert a[tile, i, j].tolist() == tiles.values[tile, i].tolist()
        assert b[tile, i, j].tolist() == [tiles.b[tile, column, j] for column in columns]
        assert c[tile, i, j].tolist() == [tiles.c[tile, i, j]]


@CASES
def test_a_record_holds_what_a_thread_holds_and_results_reads_c_back(row):
    tiles = vectors.make(row)
    records = vectors.records(tiles, row)
    n_a, n_b, n_c = row.n_registers
    assert records.shape == (len(vectors.FAMILIES) * vectors.ROWS // row.shape.m, row.n_threads, n_a + n_b + 1 + n_c)
    assert np.array_equal(vectors.results(records[:, :, -n_c:].ravel(), row), tiles.c)


@CASES
def test_a_file_gives_back_what_was_saved(row, tmp_path):
    tiles = vectors.make(row)
    vectors.save(tmp_path / "f.npz", row, tiles, tiles.c, {"card": "none", "driver": "1", "cuda": "2"})
    measured, loaded, result = vectors.load(tmp_path / "f.npz")
    assert measured == row
    assert all(np.array_equal(getattr(loaded, name), getattr(tiles, name)) for name in vectors.Tiles.__annotations__)
    assert np.array_equal(result, tiles.c)
