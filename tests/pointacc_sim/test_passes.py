"""Is the Mapping Unit's program the one that a person writes down: which passes, in which order, over how much?"""

from dataclasses import replace
from math import ceil, log2

import pytest

from pointacc_sim.image import encode
from pointacc_sim.passes import mapping_passes, passes_of, ranking
from pointacc_sim.plan import MERGE, RANK, READY, SORT
from pointacc_sim.spec import Spec
from tests.pointacc_cases import layer

COORDINATE, ENTRY = 8, 8  # bytes
# Four elements a cycle: a merger of eight has 3 columns of compare-exchanges, the sorter of eight 1 + 2 + 3.
SPEC = Spec(n_rows=4, n_columns=4, merger_width=8, compare_stage_cycles=2)
NONE = [READY]


def program(work, spec=SPEC, **of_image):
    """Return the passes as rows (kind, blocks, waits, bytes read, bytes written), and the pass of each offset."""
    passes, of_offset = mapping_passes(replace(encode([work], spec)[0], **of_image), spec)
    columns = passes.kind, passes.blocks, passes.waits, passes.read_bytes, passes.write_bytes
    return list(zip(*(column.tolist() for column in columns), strict=True)), of_offset.tolist()


def sort_of(n, n_read):
    """Return the passes that sort n keys by hand: eights through the sorter, then runs merged two by two."""
    eights = ceil(n / 8)
    merges = ceil(log2(eights)) if eights > 1 else 0
    return [(SORT, eights, 0, n_read * COORDINATE, 0), *[(SORT, ceil(n / 4), 1, 0, 0)] * merges]


def merges_of(work, *, first_waits, first_reads, later_read=0):
    """Return a merge for each offset but the centre, in order."""
    joined = work.map
    blocks = ceil(len(joined.inputs) / 4) + ceil(len(joined.outputs) / 4)
    sizes = [size for offset, size in enumerate(joined.sizes.tolist()) if offset != joined.centre]
    return [
        (MERGE, blocks, int(first_waits and not place), later_read if place else first_reads, ENTRY * size)
        for place, size in enumerate(sizes)
    ]


@pytest.mark.parametrize("n", [5, 8, 9, 40])
def test_a_submanifold_layer_sorts_its_cloud_and_merges_it_with_itself(n):
    work = layer(n)
    n = len(work.map.inputs)
    rows, of_offset = program(work)
    sort = sort_of(n, n)
    assert rows == sort + merges_of(work, first_waits=True, first_reads=0)
    assert of_offset == [*range(len(sort), len(sort) + 13), READY, *range(len(sort) + 13, len(sort) + 26)]


def test_a_sorted_cloud_is_read_for_the_first_merge_or_for_every_one_where_it_does_not_fit():
    work = layer(40)
    read = len(work.map.inputs) * COORDINATE
    rows, _ = program(work, is_sorted=True)
    assert rows == merges_of(work, first_waits=False, first_reads=read)
    fits = SPEC.replace(coordinate_bytes=read)
    assert program(work, fits, is_sorted=True)[0] == rows
    rows, _ = program(work, SPEC.replace(coordinate_bytes=read - 1), is_sorted=True)
    assert rows == merges_of(work, first_waits=False, first_reads=read, later_read=read)


def test_offsets_that_mirror_each_other_share_a_merge_that_writes_for_both():
    work = layer(40)
    rows, of_offset = program(work, SPEC.replace(symmetry=True), is_sorted=True)
    first = merges_of(work, first_waits=False, first_reads=len(work.map.inputs) * COORDINATE)[:13]
    assert rows == [(*row[:4], 2 * row[4]) for row in first]
    assert of_offset == [*range(13), READY, *reversed(range(13))]


def test_a_strided_layer_sorts_its_inputs_and_a_dilating_one_all_candidates():
    work = layer(40, shape=(2, 2, "floor"))
    n = len(work.map.inputs)
    for is_sorted in (False, True):  # outputs are to be made from either
        rows, of_offset = program(work, is_sorted=is_sorted)
        assert rows == sort_of(n, n) + merges_of(work, first_waits=True, first_reads=0)
        assert of_offset == list(range(len(rows) - 8, len(rows)))
    work = layer(40, shape=(3, 2, "dilating"))
    n = len(work.map.inputs)
    rows, _ = program(work)
    assert rows == sort_of(work.map.n_maps, n) + merges_of(work, first_waits=True, first_reads=0)
    both = (n + work.positions) * COORDINATE
    rows, _ = program(work, SPEC.replace(coordinate_bytes=both - 1))
    assert rows[-1][3] == both
    assert program(work, SPEC.replace(coordinate_bytes=both))[0][-1][3] == 0


def test_a_transposed_layer_has_both_clouds_already():
    work = layer(40, shape=(2, 2, "floor"), transposed=True)
    both = (len(work.map.inputs) + work.positions) * COORDINATE
    assert program(work)[0] == merges_of(work, first_waits=False, first_reads=both)


def test_no_pass_where_no_map_is_needed_or_one_is_there():
    assert program(layer(40, shape=(1, 1, "floor"))) == ([], [READY])
    shared = layer(40, map_from="before")
    assert program(shared) == ([], [READY] * 27)
    assert program(shared, SPEC.replace(reuse_maps=False)) == program(layer(40))


def test_what_a_pass_takes_beyond_its_blocks_and_compares():
    rows = [(SORT, 5, 0, 0, 0), (SORT, 10, 1, 0, 0), (MERGE, 3, 1, 0, 0), (MERGE, 3, 0, 0, 0), (RANK, 2, 0, 0, 0)]
    passes = passes_of(rows, SPEC)
    columns = [6, 3, 3, 3, 9]  # the sorter, the merger, and both
    assert passes.latency.tolist() == [4 + 2 * n for n in columns]
    assert passes.compares.tolist() == [n * blocks * 4 for n, blocks in zip(columns, [5, 10, 3, 3, 2], strict=True)]


@pytest.mark.parametrize(("waits", "expected"), [(True, [0, 1, 1]), (False, [0, 0, 0])])
def test_ranks_wait_for_each_other_or_do_not(waits, expected):
    plan = ranking([4, 3, 3], waits, SPEC)
    assert (plan.passes.kind.tolist(), plan.passes.blocks.tolist()) == ([RANK] * 3, [4, 3, 3])
    assert plan.passes.waits.tolist() == expected
    assert (len(plan.steps), plan.n_tiles, plan.block_points) == (0, 0, 0)
