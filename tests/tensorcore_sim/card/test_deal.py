"""Does every block have the k-steps that its scheduler deals it, and is every k-step of every tile dealt once?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorcore_sim.card.deal import deal


def blocks(n_tiles: int, n_steps: int, n_places: int, scheduler: str, splits: int = 1) -> list[list[tuple]]:
    """Return each block's parts (tile, first k-step, length)."""
    parts = deal(n_tiles, n_steps, n_places, scheduler, splits)
    each = list(zip(parts.tile.tolist(), parts.first.tolist(), parts.length.tolist(), strict=True))
    return [each[begin:end] for begin, end in zip(parts.blocks, parts.blocks[1:])]


def test_a_grid_has_a_block_for_each_tile():
    assert blocks(3, 4, 2, "grid") == [[(0, 0, 4)], [(1, 0, 4)], [(2, 0, 4)]]


def test_a_grid_that_cuts_k_has_all_first_runs_before_all_second_ones():
    assert blocks(2, 5, 9, "grid", 2) == [[(0, 0, 3)], [(1, 0, 3)], [(0, 3, 2)], [(1, 3, 2)]]


def test_runs_of_k_are_equal_but_for_the_last_and_none_is_empty():
    assert blocks(1, 5, 9, "grid", 4) == [[(0, 0, 2)], [(0, 2, 2)], [(0, 4, 1)]]


def test_persistent_blocks_have_every_so_many_th_tile():
    assert blocks(5, 4, 2, "persistent") == [[(0, 0, 4), (2, 0, 4), (4, 0, 4)], [(1, 0, 4), (3, 0, 4)]]
    assert blocks(2, 4, 3, "persistent") == [[(0, 0, 4)], [(1, 0, 4)]]


def test_stream_k_shares_out_what_is_beyond_whole_rounds_and_one_round_more():
    # three tiles of four k-steps on two places: six for each
    assert blocks(3, 4, 2, "stream-k") == [[(0, 0, 4), (1, 0, 2)], [(1, 2, 2), (2, 0, 4)]]
    # five: three shared out as above, then a tile for each
    assert blocks(5, 4, 2, "stream-k") == [[(0, 0, 4), (1, 0, 2), (3, 0, 4)], [(1, 2, 2), (2, 0, 4), (4, 0, 4)]]
    # one tile on three places: k-steps 0, 1, and 2 and 3
    assert blocks(1, 4, 3, "stream-k") == [[(0, 0, 1)], [(0, 1, 1)], [(0, 2, 2)]]


def test_stream_k_of_whole_rounds_shares_nothing():
    assert blocks(4, 3, 2, "stream-k") == blocks(4, 3, 2, "persistent")


@settings(max_examples=200)
@given(
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(1, 20),
    st.sampled_from(["grid", "persistent", "stream-k"]),
    st.integers(1, 12),
)
def test_every_k_step_of_every_tile_is_dealt_once(n_tiles, n_steps, n_places, scheduler, splits):
    parts = deal(n_tiles, n_steps, n_places, scheduler, splits)
    times = np.zeros((n_tiles, n_steps), int)
    for tile, first, length in zip(parts.tile, parts.first, parts.length, strict=True):
        times[tile, first : first + length] += 1
    assert (times == 1).all()
    assert (parts.length > 0).all()
    assert (np.diff(parts.blocks) > 0).all()
    assert (parts.blocks[0], parts.blocks[-1]) == (0, len(parts.tile))
    if scheduler != "grid":
        assert len(parts.blocks) - 1 <= n_places
        of_block = np.add.reduceat(parts.length, parts.blocks[:-1])
        assert of_block.max() - of_block.min() <= (1 if scheduler == "stream-k" else n_steps)


@pytest.mark.parametrize("n_places", [1, 7])
def test_one_block_of_stream_k_on_one_place_is_a_persistent_one(n_places):
    assert blocks(n_places, 3, n_places, "stream-k") == blocks(n_places, 3, n_places, "persistent")
