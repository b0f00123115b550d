"""How free is a mask of each pattern, and which patterns are compared where?"""

import math

import numpy as np
import pytest

from workloads import BadInput, Model, Workload
from workloads.networks.nets import convnet
from workloads.recipes.granularity import flexibility, ladder, targets


def layer(n_out, n_in, name="w"):
    return Workload(name=name, weights=np.ones((n_out, n_in)), activations=np.ones(n_in))


@pytest.mark.parametrize(
    ("pattern", "n_masks"),
    [
        ("element", math.comb(32, 16)),
        ("2:4", math.comb(4, 2) ** 8),
        ("vector 1x4", math.comb(8, 4)),
        ("vector 4x1", math.comb(8, 4)),
        ("block 4x4", math.comb(2, 1)),
        ("filter", math.comb(4, 2)),
        ("channel", math.comb(8, 4)),
    ],
)
def test_flexibility_counts_the_masks(pattern, n_masks):
    assert flexibility(layer(4, 8), pattern, 0.5, ["w"]) == pytest.approx(math.log2(n_masks) / 32)


def test_flexibility_of_several_matrices_is_by_weight():
    both = Model(name="two", operators=(layer(4, 8, "a"), layer(2, 4, "b")))
    expected = (math.log2(math.comb(32, 16)) + math.log2(math.comb(8, 4))) / 40
    assert flexibility(both, "element", 0.5, ["a", "b"]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("density", "last"), [(0.5, "2:4"), (0.25, "1:4"), (0.375, "3:8"), (0.1, "channel"), (1, "channel")]
)
def test_the_n_of_m_of_a_density_is_compared_where_there_is_one(density, last):
    found = ladder(layer(4, 8), density)
    assert found[-1] == last
    assert "kernel" not in found
    assert "kernel" in ladder(convnet((1, 4, 4), (2,), 3, 0), density)


def test_the_asked_for_patterns_by_their_canonical_names():
    assert ladder(layer(4, 8), 0.5, "row, element,2:4") == ["filter", "element", "2:4"]


@pytest.mark.parametrize(
    ("asked", "density", "complaint"),
    [
        ("element,blok", 0.5, "pattern must be element, "),
        ("2:4", 0.25, "density must be 0.5 for pattern '2:4', got 0.25"),
        ("row,filter", 0.5, "patterns must differ from each other, got filter, filter"),
        (None, 0, "density must be a number above 0"),
    ],
)
def test_patterns_that_cannot_be_compared(asked, density, complaint):
    with pytest.raises(BadInput) as error:
        ladder(layer(4, 8), density, asked)
    assert str(error.value).startswith(complaint)


def test_a_matrix_is_left_out_where_one_pattern_does_not_fit():
    both = Model(name="two", operators=(layer(4, 8, "a"), layer(3, 8, "b")))
    assert targets(both, ["element", "block 4x4"]) == (["a"], ["b"])


def test_where_no_matrix_takes_all_patterns_each_says_why():
    many = Model(name="m", operators=tuple(layer(20, 30, name) for name in "abcde"))
    with pytest.raises(BadInput) as error:
        targets(many, ["element", "vector 1x4", "block 4x4"])
    why = "shape must be a multiple of 1 x 4 for pattern 'vector 1x4', got (20, 30)"
    each = "; ".join(f"'{name}': {why}" for name in "abc")
    assert str(error.value) == f"patterns must all fit one of the matrices; {each}; and 2 more: name others"
