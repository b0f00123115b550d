"""Does the merge that is shown take its blocks, and find its entries, as a person does it by hand?"""

import numpy as np
import pytest

from pointacc_sim.explain import explain
from pointacc_sim.spec import Spec
from workloads import BadInput
from workloads.points.convolution import SparseConvolution
from workloads.points.kernel_map import kernel_map

SPEC = Spec(merger_width=4)  # blocks of two
INPUT, OUTPUT, REST = "shifted input", "output", "nothing: the rest leaves"


def pair(kernel_size=3, stride=1, *, transposed=False):
    """Return a layer on two voxels beside each other."""
    joined = kernel_map(np.array([[0, 0, 0], [1, 0, 0]], np.int32), kernel_size, stride)
    joined = joined.transposed() if transposed else joined
    shape = len(joined.sizes), 1, 1
    return SparseConvolution(name="two", weights=np.ones(shape), map=joined, features=np.ones((len(joined.inputs), 1)))


# Offsets count x first: 0 is (-1, -1, -1), 13 the centre, 14 (1, 0, 0), 26 (1, 1, 1).
@pytest.mark.parametrize(
    ("offset", "taken", "entries"),
    [
        (0, [OUTPUT, INPUT, REST], []),  # inputs at (1 1 1) and (2 1 1): behind all outputs
        (26, [INPUT, OUTPUT, REST], []),  # at (-1 -1 -1) and (0 -1 -1): before them
        (13, [INPUT, OUTPUT, REST], ["(0 0 0)", "(1 0 0)"]),  # of equal voxels the input's come first
        (14, [INPUT, OUTPUT, REST], ["(0 0 0)"]),  # at (-1 0 0) and (0 0 0)
        (12, [OUTPUT, INPUT, REST], ["(1 0 0)"]),  # at (1 0 0) and (2 0 0)
    ],
)
def test_two_voxels_and_themselves(offset, taken, entries):
    shown = explain(pair(), SPEC, offset, 0)
    (table,) = shown.tables.values()
    assert [row["takes a block of"] for row in table] == taken
    assert [row["step"] for row in table] == ["0", "1", "2"]
    found = [word.removeprefix("=") for row in table for word in row["entries"].replace(") ", ")|").split("|")]
    assert [word for word in found if word != "-"] == entries
    assert shown.remarks[1].startswith(f"2 and 2 voxels in blocks of 2: 2 cycles, a block a cycle, and {len(entries)} ")
    assert [row["takes"] for row in table][-1] == "-"


def test_what_leaves_is_a_block_behind_and_the_rest_at_the_end():
    (table,) = explain(pair(), SPEC, 14, 0).tables.values()
    assert [row["takes"] for row in table] == ["(-1 0 0) (0 0 0)", "(0 0 0) (1 0 0)", "-"]
    first, second, rest = (row["leaves"] for row in table)
    assert first == "-"
    assert second[: -len("i(0 0 0)")] + rest[len("o(0 0 0)") :] == "i(-1 0 0)  o(1 0 0)"
    assert {second[-len("i(0 0 0)") :], rest[: len("o(0 0 0)")]} == {"i(0 0 0)", "o(0 0 0)"}  # equal ones in any order
    (later,) = explain(pair(), SPEC, 14, 1).tables.values()  # from the second step on
    assert later == table[1:]


@pytest.mark.parametrize("transposed", [False, True])
def test_of_a_strided_layer_the_coarse_cloud_is_scaled(transposed):
    # Voxels (0 0 0) and (1 0 0) halve to (0 0 0). Of a kernel of two, z counts first: offset 4 brings (1 0 0) there.
    shown = explain(pair(2, 2, transposed=transposed), SPEC, 4, 0)
    assert shown.remarks[1].startswith("2 and 1 voxels in blocks of 2: 2 cycles, a block a cycle, and 1 entries")
    assert shown.remarks[0].startswith("offset 4 is (1, 0, 0): the input cloud, shifted by (-1, 0, 0), stays sorted")


@pytest.mark.parametrize(
    ("row", "column", "complaint"),
    [
        (27, 0, "row must be an offset, from 0 to 26 in two, got 27"),
        (0, 2, "column must be a step of the merge, from 0 to 1, got 2"),
    ],
)
def test_what_is_not_there_is_refused(row, column, complaint):
    with pytest.raises(BadInput) as refused:
        explain(pair(), SPEC, row, column)
    assert str(refused.value) == complaint
