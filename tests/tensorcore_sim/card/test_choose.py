"""Which kernels has a GEMM to choose from: do stages, blocks, warps and ways of dealing fit as the rules say?"""

import pytest

from tensorcore_sim.card import choose
from tensorcore_sim.card.tiling import Problem, Tiling
from tensorcore_sim.spec import PRESETS
from workloads.errors import BadInput

A100, H100 = PRESETS["a100-sxm-80gb"], PRESETS["h100-sxm"]


def kernels(spec, *fields):
    """Return those fields of all kernels of a tile of the user's."""
    return {tuple(getattr(kernel, field) for field in fields) for kernel in choose._kernels(spec)}


@pytest.mark.parametrize(
    ("preset", "tile", "expected"),
    # Bytes of f16 in a stage; 166,912 on A100 and 232,448 on H100 for a block. Stages: as many as fit one block, and
    # two blocks, six at most, more than one; blocks: as shared memory and 128 KiB of sums allow, four at most
    [
        (A100, (128, 128, 64), {(5, 1), (2, 2)}),  # 32,768: 5.09, 2.5; sums 64 KiB
        (A100, (64, 64, 32), {(6, 3)}),  # 8,192: 20, 10; 6 stages of it 49,152, so 3.4 blocks
        (A100, (64, 64, 64), {(6, 1), (5, 2)}),  # 16,384
        (A100, (128, 256, 64), {(3, 1)}),  # 49,152; two blocks have one stage each
        (A100, (256, 128, 128), {(1, 1)}),  # 98,304
        (A100, (64, 8, 32), {(6, 4)}),  # 4,608: 6 blocks fit
        (H100, (128, 256, 64), {(4, 1), (2, 1)}),  # sums fill it
        (H100, (64, 256, 128), {(2, 1)}),  # 81,920
        (H100, (128, 128, 32), {(6, 2)}),  # 16,384
    ],
)
def test_stages_and_blocks_fit_an_sm(preset, tile, expected):
    spec = preset.replace(**dict(zip(("tile_m", "tile_n", "tile_k"), tile, strict=True)))
    assert kernels(spec, "n_stages", "n_resident") == expected


def test_what_the_user_asks_for_is_all_there_is():
    asked = A100.replace(tile_m=64, tile_n=64, tile_k=32, n_stages=9, raster_tiles=3)
    assert kernels(asked, "n_stages", "n_resident", "raster_tiles") == {(9, 2, 3)}
    assert kernels(A100.replace(tile_m=64, tile_n=64, tile_k=32), "raster_tiles") == {(8,)}
    assert kernels(A100.replace(tile_m=256, tile_n=256), "tile_m") == set()  # 256 KiB of sums
    assert kernels(A100.replace(tile_m=256, tile_n=128, tile_k=512), "tile_m") == set()  # 393,216 bytes a stage
    for changes, fits in (({"tile_m": 24}, 0), ({"tile_n": 12}, 0), ({"tile_k": 24}, 0), ({"tile_k": 48}, 1)):
        spec = A100.replace(**{"tile_m": 64, "tile_n": 64, "tile_k": 32} | changes)
        assert bool(kernels(spec, "tile_m")) == fits, changes
    for changes, fits in (({"tile_m": 96}, 0), ({"tile_n": 24}, 1), ({"tile_n": 264}, 0), ({"tile_n": 256}, 1)):
        spec = H100.replace(**{"tile_m": 64, "tile_n": 64, "tile_k": 64} | changes)
        assert bool(kernels(spec, "tile_m")) == fits, changes


def test_depths_are_bytes_of_a_dense_row_in_whole_instructions():
    for changes, depths in (
        ({}, {32, 64, 128}),
        ({"in_dtype": "int8"}, {64, 128, 256}),
        ({"in_dtype": "tf32"}, {16, 32, 64}),
        ({"in_dtype": "int4"}, {128, 256, 512}),
        ({"sparsity": "2:4"}, {32, 64, 128}),  # of k32
        ({"sparsity": "1:4"}, {64, 128}),  # k64 holds 16 products
        ({"sparsity": "1:8"}, {128}),
    ):
        spec = A100.replace(tile_m=64, tile_n=64, **changes)
        assert {depth for (depth,) in kernels(spec, "tile_k")} == depths, changes


def test_neighbours_share_what_the_kernel_or_the_card_shares():
    assert kernels(A100.replace(tile_m=64), "cluster") == {(2,)}  # A100's two SMs
    assert kernels(A100.replace(tile_m=64, n_sms_sharing_reads=1), "cluster") == {(1,)}
    assert kernels(H100.replace(tile_m=64), "cluster") == {(2,)}  # the best kernel's cluster
    assert kernels(H100.replace(tile_m=64, n_sms_sharing_reads=4), "cluster") == {(4,)}


@pytest.mark.parametrize(
    ("tile", "on_a100", "on_h100"),
    # The tiles of warps are nearest to squares: the least sum of sides, of equal ones the fewest along m. Eight warps
    # from 128 x 256 on, else four, or two or one where its rows in 16 and columns in 8 allow no more
    [
        ((256, 128), (4, 2), (2, 1)),
        ((128, 256), (2, 4), (2, 1)),
        ((256, 256), (2, 4), (2, 1)),
        ((128, 128), (2, 2), (2, 1)),
        ((256, 64), (4, 1), (2, 1)),
        ((64, 256), (1, 4), (1, 1)),
        ((64, 64), (2, 2), (1, 1)),
        ((128, 32), (4, 1), (2, 1)),
        ((64, 32), (2, 2), (1, 1)),
        ((64, 8), (4, 1), (1, 1)),
        ((32, 8), (2, 1), None),
        ((16, 16), (1, 2), None),
        ((16, 8), (1, 1), None),
        ((48, 24), (1, 1), None),
        ((24, 8), None, None),
    ],
)
def test_warps_of_a_tile(tile, on_a100, on_h100):
    assert choose._warps(*tile, hopper=False) == on_a100
    if on_h100:
        assert choose._warps(*tile, hopper=True) == on_h100


KERNEL = Tiling(tile_m=128, tile_n=128, tile_k=64, n_stages=2, warps=(2, 2), group_k=16)


def dealt(problem, **changes):
    spec = PRESETS["a100-sxm-80gb"].replace(**changes)
    return [(one.scheduler, one.splits) for one in choose._dealt(problem, KERNEL, spec)]


def test_k_is_cut_where_parts_find_places_and_a_k_step_each():
    # A100: 108 places, four times as many parts at most
    assert [n for _, n in dealt(Problem(m=128, n=128, k=4096))] == [1, 2, 3, 4, 6, 8, 12, 16]
    assert [n for _, n in dealt(Problem(m=128, n=128, k=64 * 6))] == [1, 2, 3, 4, 6]  # six k-steps
    assert [n for _, n in dealt(Problem(m=128, n=128, k=64 * 5 + 1))] == [1, 2, 3, 4, 6]
    assert [n for _, n in dealt(Problem(m=128 * 9, n=128 * 12, k=4096))] == [1, 2, 3, 4]  # 108 tiles
    assert [n for _, n in dealt(Problem(m=128 * 109, n=128, k=4096))] == [1, 2, 3]
    assert [n for _, n in dealt(Problem(m=128 * 433, n=128, k=4096))] == [1]
    # cuBLAS cuts no part below 1,700 of k
    assert [n for _, n in dealt(Problem(m=128, n=128, k=5100), kernels="cublas")] == [1, 2, 3]
    assert [n for _, n in dealt(Problem(m=128, n=128, k=5099), kernels="cublas")] == [1, 2]
    # What is asked for is done, as far as there are k-steps
    assert dealt(Problem(m=128, n=128, k=4096), split_k=5) == [("grid", 5)]
    assert dealt(Problem(m=128, n=128, k=128), split_k=5) == [("grid", 2)]
    assert dealt(Problem(m=128 * 433, n=128, k=4096), split_k=3) == [("grid", 3)]


def test_schedulers_are_the_library_s_or_the_user_s():
    few, many = Problem(m=128, n=128, k=64), Problem(m=128 * 200, n=128, k=64)
    hopper = {"card": "h100", "fp8_fma_per_cycle": 4096}
    assert dealt(many, **hopper) == [("grid", 1), ("persistent", 1), ("stream-k", 1)]
    # Where all tiles find a place, dealing them beforehand is the same as as places come free
    assert dealt(few, **hopper) == [("grid", 1), ("grid", 1), ("stream-k", 1)]
    for scheduler in ("persistent", "stream-k"):
        assert dealt(few, scheduler=scheduler) == [(scheduler, 1)]
    assert [n for _, n in dealt(few, scheduler="grid")] == [1]


def test_a_gemm_of_more_k_steps_than_a_timeline_holds_is_refused():
    spec = A100.replace(tile_m=16, tile_n=8, tile_k=16, n_stages=2)
    problem = Problem(m=16 * 1000, n=8 * 1000, k=16 * 20)
    assert choose.tiling(problem, spec).tile_m == 16  # 1,000 x 1,000 x 20: as many as there may be
    with pytest.raises(
        BadInput, match="at most 20,000,000 k-steps of tiles, got 16000 x 8000 x 321, 21,000,000 of 16x8"
    ):
        choose.tiling(Problem(m=16 * 1000, n=8 * 1000, k=16 * 20 + 1), spec)


def test_a_tile_that_fits_nothing_is_refused_with_what_would_do():
    line = "multiples of {}, 8 and the instruction's k, 131,072 bytes of accumulators and 100 of shared memory, got "
    line += "0, 0, 0, 1"
    for preset, rows in ((A100, 16), (H100, 64)):
        with pytest.raises(BadInput) as refusal:
            choose.tiling(Problem(m=8, n=8, k=8), preset.replace(n_stages=1, shared_bytes_of_block=100))
        assert str(refusal.value).endswith(line.format(rows))


def test_tiles_that_do_not_suit_an_instruction_are_left_out_and_no_other():
    # tcgen05 with block scales has 128 rows and columns in sixteens: of Hopper's tiles those
    wide = {(256, 128), (256, 64), (128, 256), (128, 192), (128, 128), (128, 64), (128, 32), (128, 16)}
    narrow = {(64, 256), (64, 128), (64, 64), (64, 32), (64, 16), (64, 8), (128, 8)}
    assert kernels(PRESETS["b200"].replace(in_dtype="nvfp4"), "tile_m", "tile_n") == wide
    assert kernels(PRESETS["b200"].replace(in_dtype="e4m3"), "tile_m", "tile_n") == wide | narrow
