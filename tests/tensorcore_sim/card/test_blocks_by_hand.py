"""Are blocks that share an SM, parts of tiles and what L2 holds at the start played to the tick? Drawn by hand.

The smallest card is card_cases.SMALL; with fast HBM a chunk is there 30 ticks after L2 is through with it.
"""

import pytest

from tensorcore_sim.card.timeline import HBM, L2, SHARED
from tensorcore_sim.simulate import ENGINES
from tests.card_cases import FAST_HBM, card

SAME, OWN = [(0, 0), (0, 0)], [(0, 0), (1, 1)]  # two tiles of the same chunks, or of chunks of their own


@pytest.fixture(params=tuple(ENGINES))
def play(request):
    return ENGINES[request.param]


def test_blocks_of_one_sm_share_its_tensor_cores(play):
    # Both ask at 10: A 20-24, B 24-30, there at 60; A 30-34, B 34-40, at 70. The second waits for the first.
    found = play(card(OWN, n_resident=2, **FAST_HBM))
    assert found.place.tolist() == [0, 1]
    assert found.arrived.tolist() == [[60], [70]]
    assert found.started.tolist() == [[60], [160]]
    assert found.finished.tolist() == [177, 277]


def test_the_first_places_of_all_sms_are_lower_than_the_second_of_any(play):
    found = play(card([(row, row) for row in range(5)], n_sms=2, n_resident=2, **FAST_HBM))
    assert found.place.tolist() == [0, 1, 2, 3, 0]  # the fifth tile goes to the first place that is free


def test_what_a_block_takes_beyond_its_instructions_is_hidden_behind_another(play):
    # Two k-steps of 100 and 50 beyond. At L2 at 20: 20-30, 30-40, at 30: 40-50, 50-60: there at 60, 70, 80, 90.
    # 60-160 | 160-260, ready 210 | 260-360, ready 310 | 360-460
    made = card(OWN, n_resident=2, n_steps=2, overhead=50, **FAST_HBM)
    found = play(made)
    assert found.arrived.tolist() == [[60, 80], [70, 90]]
    assert found.started.tolist() == [[60, 260], [160, 360]]
    # alone: 60-160, ready 210-310
    assert play(card(n_steps=2, overhead=50, **FAST_HBM)).started.tolist() == [[60, 210]]


def test_of_the_k_steps_that_are_ready_the_one_that_waits_longest_goes_first(play):
    # One stage, L2 slow for the first block's A: 20-90, B 90-96: there at 126; the second's 96-100-106: 136.
    # First 126-226, asks 226, at L2 at 236; second 226-326. First's second k-step: L2 236-240-246, there at 276;
    # the second's is asked for at 326: 336-340-346, there at 376. First 326-426: it waits since 276.
    made = card(OWN, n_resident=2, n_steps=2, n_stages=1, a_l2=[[70, 4], [4, 4]], **FAST_HBM)
    found = play(made)
    assert found.started.tolist() == [[126, 326], [226, 426]]


def test_the_part_that_comes_last_reads_the_sums_of_the_others_and_stores(play):
    # A tile of two k-steps, one for each of two SMs: there at 60 and 70, multiplied to 160 and 170. The first's sums
    # are at L2 at 170, through it at 181; the second, there at 180, reads them from 181 to 192 and stores to 199, and
    # has waited 30 for them: 229.
    made = card(blocks=[[(0, 0, 1)], [(0, 1, 1)]], n_sms=2, n_steps=2, **FAST_HBM)
    found = play(made)
    assert found.place.tolist() == [0, 1]
    assert found.started.tolist() == [[60, 70]]
    assert found.finished.tolist() == [181, 229]
    assert found.end == 230


def test_a_block_runs_on_into_its_next_part_while_a_result_is_on_its_way_out(play):
    # The chunks are the same: the second's come with the first's. Multiplied 60-160; the result is out at 177; 177-277
    found = play(card(SAME, blocks=[[(0, 0, 1), (1, 0, 1)]], **FAST_HBM))
    assert found.asked.tolist() == [[10], [20]]
    assert found.arrived.tolist() == [[60], [60]]
    assert found.started.tolist() == [[60], [177]]
    assert (found.begun.tolist(), found.finished.tolist()) == ([10, 177], [177, 294])


def test_what_is_in_l2_at_the_start_comes_from_there(play):
    # the numbers of A's and B's only chunks: L2 to 24 and 30, there at 54 and 60
    found = play(card(in_l2=(0, 1)))
    assert found.arrived.tolist() == [[60]]
    assert found.source.tolist() == [[[L2, L2]]]


def test_what_is_in_l2_at_the_start_leaves_in_the_order_given(play):
    # 60 bytes hold A0 and A1 (10 each), B0 (20) and the first tile's A2; the second's B1 (20) needs 10 more, and of A0
    # and A1 the one used longest ago leaves
    tiles = [(2, 0), (2, 1), (0, 1)]
    for in_l2, source in (((0, 1, 3), HBM), ((1, 0, 3), L2)):
        found = play(card(tiles, l2_bytes=60, in_l2=in_l2))
        assert found.source[2, 0, 0] & (HBM | SHARED) == source


def test_a_result_is_turned_round_before_it_goes_out(play):
    found = play(card(turn=40, **FAST_HBM))
    assert found.finished.tolist() == [160 + 40 + 10 + 7]
