"""Is every rule of the card, G1 to G7, met to the tick: not one early, not one late? Each table was drawn by hand.

The smallest card (card_cases.SMALL): the SM is free at 0, has its tile at 10 and asks at once; the request is at L2 at
20. A's chunk holds L2 from 20 to 24 and HBM from 20 to 40, and is there at max(24 + 30, 40 + 50) = 90; B's holds L2 to
30 and HBM to 70, and is there at max(30 + 30, 70 + 50) = 120. The k-step is computed from 120 to 220. The result is at
L2 at 230, holds it to 237 and HBM to 239.
"""

import numpy as np
import pytest

from tensorcore_sim.card.plan import order, plan
from tensorcore_sim.card.tiling import Problem, Tiling
from tensorcore_sim.card.timeline import HBM, L2, LATE, SHARED
from tensorcore_sim.simulate import ENGINES
from tensorcore_sim.spec import Spec
from tests.card_cases import FAST_HBM, card

SAME, OWN = [(0, 0), (0, 0)], [(0, 0), (1, 1)]  # two tiles of the same chunks, or of chunks of their own


@pytest.fixture(params=tuple(ENGINES))
def play(request):
    return ENGINES[request.param]


def came_from(found):
    """Return where the chunks came from, whatever they waited for."""
    return found.source & (HBM | SHARED)


def test_one_tile_of_one_k_step(play):
    found = play(card())
    assert (found.place.tolist(), found.begun.tolist(), found.finished.tolist()) == ([0], [10], [237])
    assert (found.asked.tolist(), found.arrived.tolist(), found.started.tolist()) == ([[10]], [[120]], [[120]])
    assert came_from(found).tolist() == [[[HBM, HBM]]]
    assert found.end == 240


# G1


def test_bands_along_m_are_dealt_column_by_column():
    rows, columns = order(5, 3, 2)
    # band of rows 0, 1 | rows 2, 3 | the ragged rest, row 4
    assert rows.tolist() == [0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 4, 4, 4]
    assert columns.tolist() == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2, 0, 1, 2]
    rows, columns = order(5, 2, 3)
    assert rows.tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 3, 4]
    assert columns.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 1, 1]


@pytest.mark.parametrize("band", [3, 4, 100])
def test_a_band_that_holds_all_rows_is_the_only_one(band):
    assert [places.tolist() for places in order(3, 2, band)] == [[0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1]]


def test_of_sms_free_at_once_the_lowest_get_tiles(play):
    found = play(card(OWN, n_sms=3))
    assert found.place.tolist() == [0, 1]
    assert found.begun.tolist() == [10, 10]


def test_an_sm_that_is_free_has_the_next_tile_a_cycle_later(play):
    # fast HBM, see below: SM 0 has its chunks at 60, SM 1 at 70; they compute to 160 and 170, their results are at L2
    # at 170 and 180 and through it at 177 and 187. SM 0 goes first.
    found = play(card([(0, 0), (1, 1), (2, 2), (3, 3)], n_sms=2, **FAST_HBM))
    assert found.finished[:2].tolist() == [177, 187]
    assert found.place.tolist() == [0, 1, 0, 1]
    assert found.begun.tolist() == [10, 10, 187, 197]


def test_the_kernel_starts_after_launch_and_set_up(play):
    found = play(card(begin=33))
    assert found.begun.tolist() == [43]
    assert found.started.tolist() == [[153]]
    assert found.end == 280  # 239 + 33 = 272


# G2. Fast HBM: A's chunk is there at 24 + 30 = 54, B's at 60; of the second k-step, at L2 at 30, at 64 and 70.


def test_the_first_stages_are_asked_for_a_cycle_apart_and_the_rest_when_one_is_free(play):
    found = play(card(n_steps=5, n_stages=3, **FAST_HBM))
    # computed from 60, 160, 260: the stage of k-step 0 is free at 160, that of k-step 1 at 260
    assert found.asked.tolist() == [[10, 20, 30, 160, 260]]
    assert found.arrived.tolist() == [[60, 70, 80, 210, 310]]
    assert found.started.tolist() == [[60, 160, 260, 360, 460]]


def test_with_one_stage_nothing_is_asked_for_before_it_is_computed(play):
    found = play(card(n_steps=3, n_stages=1, **FAST_HBM))
    assert found.asked.tolist() == [[10, 160, 310]]
    assert found.started.tolist() == [[60, 210, 360]]


@pytest.mark.parametrize(("step", "apart"), [(9, 10), (10, 10), (11, 11)])
def test_stages_that_are_free_sooner_do_not_make_it_two_requests_a_cycle(play, step, apart):
    # SM 1's result holds L2 for 300 ticks, in which SM 0 asks for the first two k-steps of its second tile: their four
    # chunks then follow each other, and are there at 32 and 34 ticks after it. The second waits for the first.
    made = card([*OWN, (2, 2)], n_sms=2, n_steps=4, step=step, a_l2=1, b_l2=1, store_l2=[1, 300, 1], **FAST_HBM)
    found = play(made)
    begins = found.finished[1] + 32
    assert found.place.tolist() == [0, 1, 0]
    assert found.arrived[2, :2].tolist() == [begins, begins + 2]
    assert found.started[2, :2].tolist() == [begins, begins + step]
    assert found.asked[2, 2:].tolist() == [begins + step, begins + step + apart]


# G3


def test_l2_serves_in_order_of_arrival_ties_to_the_lowest_sm_and_a_before_b(play):
    # at 20: SM 0's A 20-24, B 24-30, SM 1's A 30-34, B 34-40; at 30 their second k-steps: 40-44-50, 50-54-60
    found = play(card(OWN, n_sms=2, n_steps=2, a_l2=4, b_l2=6, **FAST_HBM))
    assert found.arrived.tolist() == [[60, 80], [70, 90]]


def test_a_request_that_reaches_l2_first_goes_first_whatever_its_sm(play):
    # One stage, one group: SM 0's A holds L2 20-70, its B 70-76: there at 106. SM 1's A 76-77, and SM 0's B is its own:
    # there at 107. SM 0's second k-step is at L2 at 216: 216-220-226, SM 1's, at 217, after it: 226-230.
    tiles, shared = [(0, 0), (1, 0)], {"n_sms": 2, "n_sharing": 2, "n_stages": 1, "n_steps": 2}
    found = play(card(tiles, a_l2=[[50, 4], [1, 4]], **shared, **FAST_HBM))
    assert found.arrived.tolist() == [[106, 256], [107, 260]]
    # Now SM 0's A holds HBM 20-320, its B 320-321, SM 1's A 321-322: there at 321, 322 and 323. SM 2, of another group,
    # hits SM 0's chunks, and is as late.
    times = {"a_hbm": [[300, 1], [1, 1]], "b_hbm": 1, "hbm_latency": 1, "a_l2": 1, "b_l2": 1}
    found = play(card([*tiles, (0, 0)], **shared | {"n_sms": 3}, **times))
    assert found.arrived[:, 0].tolist() == [322, 323, 322]
    # so that at 432 SM 0's A is served 432-433, its B to 434, SM 2's to 436, and SM 1's A, at L2 at 433, to 437
    assert found.arrived[:, 1].tolist() == [464, 467, 466]


# G4


def test_neighbours_share_what_is_on_its_way(play):
    # SM 0: A 20-24, B 24-30; SM 1: A 30-34, and B comes with SM 0's, at 60
    found = play(card([(0, 0), (1, 0)], n_sms=2, n_sharing=2, **FAST_HBM))
    assert found.arrived.tolist() == [[60], [64]]
    assert came_from(found).tolist() == [[[HBM, HBM]], [[HBM, HBM | SHARED]]]


def test_an_sm_of_another_group_is_served_by_l2_itself(play):
    # groups {0, 1} and {2}, the last one ragged: SM 2's B is served, 38-44
    found = play(card([(0, 0), (1, 0), (2, 0)], n_sms=3, n_sharing=2, **FAST_HBM))
    assert came_from(found)[:, 0, 1].tolist() == [HBM, HBM | SHARED, L2]
    assert found.arrived.tolist() == [[60], [64], [74]]


def test_sharing_is_by_groups_not_by_distance(play):
    # SMs 1 and 2 are neighbours, but of the groups {0, 1} and {2, 3}
    found = play(card([(0, 0), (1, 1), (2, 1)], n_sms=4, n_sharing=2, **FAST_HBM))
    assert came_from(found)[2, 0].tolist() == [HBM, L2]


@pytest.mark.parametrize(("held", "source", "arrived"), [(39, HBM | SHARED, 243), (40, L2, 250)])
def test_sharing_ends_at_the_tick_of_arrival(play, held, source, arrived):
    # One stage. SM 0's first k-step is there at 60, computed to 160, its second at L2 at 170: A 170-174, B 174-180,
    # there at 210. SM 1's first A holds L2 from 30 to 30 + held, is there at 60 + held; its second k-step is at L2 at
    # 170 + held. At 209 B is still on its way: A 209-213, there at 243, later than B. At 210 it is not: A 210-214,
    # and B is served again, 214-220.
    made = card([(0, 0), (1, 0)], n_sms=2, n_sharing=2, n_stages=1, n_steps=2, a_l2=[[4, 4], [held, 4]], **FAST_HBM)
    found = play(made)
    assert came_from(found)[1, 1].tolist() == [HBM, source]
    assert found.arrived[1, 1] == arrived


def test_the_tail_of_a_chain_of_sharers_arrives_with_the_first(play):
    found = play(card([(row, 0) for row in range(4)], n_sms=4, n_sharing=4, a_l2=1, **FAST_HBM))
    # A 20-21, B 21-27, then the others' A 27-28, 28-29, 29-30; every B is there at 57
    assert found.arrived.tolist() == [[57], [58], [59], [60]]
    assert came_from(found)[:, 0, 1].tolist() == [HBM] + 3 * [HBM | SHARED]


# G5


def test_the_chunk_used_longest_ago_leaves_l2(play):
    tiles = [(0, 0), (1, 0), (0, 1), (1, 1), (0, 0)]
    # 50 bytes of L2, A 10, B 20. What is there, oldest first: A0 B0 | A0 A1 B0 | A1 B0 A0, and with B1 60 bytes: A1
    # leaves | B0 A0 B1, and with A1 60: B0 leaves, A0 A1 B1 | A1 B1 A0, and with B0 60: A1 leaves.
    found = play(card(tiles, l2_bytes=50))
    assert came_from(found)[:, 0].tolist() == [[HBM, HBM], [HBM, L2], [L2, HBM], [HBM, L2], [L2, HBM]]


@pytest.mark.parametrize(("l2_bytes", "second"), [(30, L2), (29, HBM), (19, HBM), (0, HBM)])
def test_what_fits_to_the_byte_stays_and_what_is_larger_than_l2_does_not(play, l2_bytes, second):
    # 29: B's 20 bytes push A out, A pushes B out, B pushes A out. 19: B pushes out A, and itself.
    found = play(card(SAME, l2_bytes=l2_bytes))
    assert came_from(found)[:, 0].tolist() == [[HBM, HBM], [second, second]]


def test_a_chunk_larger_than_l2_pushes_the_others_out_too(play):
    assert came_from(play(card(SAME, l2_bytes=10, b_bytes=10)))[1, 0].tolist() == [HBM, HBM]
    assert came_from(play(card([(0, 0), (0, 1)], l2_bytes=19, b_bytes=[[20, 20], [1, 1]])))[1, 0].tolist() == [HBM, HBM]
    assert came_from(play(card([(0, 0), (0, 1)], l2_bytes=19, b_bytes=[[9, 9], [1, 1]])))[1, 0].tolist() == [L2, HBM]


def test_a_hit_on_a_chunk_still_on_its_way_from_hbm_comes_no_earlier(play):
    # SM 0's chunks are there at 90 and 120; SM 1's hits hold L2 30-34-40 and wait for the same times
    found = play(card(SAME, n_sms=2))
    assert came_from(found).tolist() == [[[HBM, HBM]], [[L2, L2]]]
    assert found.arrived.tolist() == [[120], [120]]
    # and a hit that comes late from L2 itself is later: 34-40 with B's latency of 90 after L2 is 130
    late = play(card(SAME, n_sms=2, l2_latency=90))
    assert late.arrived.tolist() == [[120], [130]]


def test_whether_hbm_or_l2_was_what_a_chunk_waited_for(play):
    # A: L2 at 24 + l2_latency, HBM at 90; B: L2 at 30 + l2_latency, HBM at 120
    for l2_latency, late in ((65, [LATE, LATE]), (66, [0, LATE]), (89, [0, LATE]), (90, [0, 0])):
        found = play(card(l2_latency=l2_latency))
        assert (found.source & LATE).tolist() == [[late]], l2_latency
    # a hit on what is still on its way waits for HBM too, a later one does not; a neighbour waits as the one it joins
    assert play(card(SAME, n_sms=2)).source[1, 0].tolist() == [L2 | LATE, L2 | LATE]
    assert play(card(SAME)).source[1, 0].tolist() == [L2, L2]
    assert play(card(SAME, n_sms=2, n_sharing=2)).source[1, 0].tolist() == [HBM | SHARED | LATE] * 2


def test_hbm_takes_one_chunk_at_a_time(play):
    # HBM: 20-40 | 40-70 | 70-90 | 90-120, each there 50 ticks later
    found = play(card(OWN, n_sms=2))
    assert found.arrived.tolist() == [[120], [170]]


# G6


def test_a_k_step_waits_for_both_chunks_and_for_the_one_before(play):
    # HBM: 20-40, 40-70, of the second k-step 70-90, 90-120: there at 120 and 170
    assert play(card(n_steps=2, step=40)).started.tolist() == [[120, 170]]
    assert play(card(n_steps=2, step=50)).started.tolist() == [[120, 170]]
    assert play(card(n_steps=2, step=51)).started.tolist() == [[120, 171]]
    # A later than B: A takes 100 ticks of HBM, 20-120, and B, that is asked for after it, is not before
    assert play(card(a_hbm=100, b_hbm=1, a_l2=90, b_l2=1)).arrived.tolist() == [[171]]


# G7


def test_a_result_waits_for_l2_like_a_request(play):
    # SM 1's chunks are there at 70, its result is at L2 at 180; SM 0's, at 170, holds L2 to 195
    found = play(card(OWN, n_sms=2, store_l2=[25, 7], **FAST_HBM))
    assert found.finished.tolist() == [195, 202]


@pytest.mark.parametrize(("store_hbm", "end"), [(9, 240), (10, 240), (11, 250), (300, 530)])
def test_the_kernel_ends_at_a_full_cycle_when_hbm_has_the_last_result(play, store_hbm, end):
    found = play(card(store_hbm=store_hbm))  # from 230 on
    assert found.finished.tolist() == [237]
    assert found.end == end


def test_results_queue_for_hbm_behind_chunks(play):
    # SM 0's tile as ever, but its result is at L2 at 230 while SM 1's A holds HBM: 70-370, B 370-400
    found = play(card(OWN, n_sms=2, a_hbm=[[20, 20], [300, 300]]))
    # SM 1's chunks are there at 420 and 450, computed to 550, at L2 and HBM at 560; SM 0's result held HBM 400-409
    assert found.arrived.tolist() == [[120], [450]]
    assert found.finished.tolist() == [237, 567]
    assert found.end == 570


# The Plan: bytes and ticks


def test_chunks_and_results_at_the_edges_take_what_they_hold():
    # 100 x 20 x 70 in tiles of 64 x 16 x 32: rows 64, 36; columns 16, 4; the last k-step of 6
    tiling = Tiling(tile_m=64, tile_n=16, tile_k=32, n_stages=2, warps=(4, 1), group_k=16)
    spec = Spec(l2_bytes_per_cycle=512, hbm_gb_per_s=128.0, hbm_share=0.5, clock_mhz=1000.0, launch_us=2.5)
    made = plan(Problem(m=100, n=20, k=70), tiling, 1234, spec)
    assert made.n_steps == 3
    assert made.a_bytes.tolist() == [[64 * 32 * 2, 64 * 6 * 2], [36 * 32 * 2, 36 * 6 * 2]]
    assert made.b_bytes.tolist() == [[16 * 32 * 2, 16 * 6 * 2], [4 * 32 * 2, 4 * 6 * 2]]
    assert (made.row.tolist(), made.column.tolist()) == ([0, 1, 0, 1], [0, 0, 1, 1])
    assert made.store_bytes.tolist() == [64 * 16 * 2, 36 * 16 * 2, 64 * 4 * 2, 36 * 4 * 2]
    # L2: 51.2 bytes a tick; HBM: 64 bytes a cycle, 6.4 a tick; rounded up
    assert made.a_l2.tolist() == [[80, 15], [45, 9]]
    assert made.a_hbm.tolist() == [[640, 120], [360, 68]]
    assert made.store_l2.tolist() == [40, 23, 10, 6]
    assert made.store_hbm.tolist() == [320, 180, 80, 45]
    assert (made.begin, made.step, made.overhead) == (25_000, 1234, 900)
    assert made.turn == 10 * 64 * 16 * 8 / 128  # every f32 sum through the port, there and back
    assert made.sums_l2.tolist() == [80, 45, 20, 12]
    assert (made.l2_latency, made.hbm_latency) == (2823, 5660)


def test_a_compressed_or_quantised_a_takes_fewer_bytes():
    tiling = Tiling(tile_m=16, tile_n=8, tile_k=128, n_stages=2, warps=(1, 1), group_k=16)
    for changes, bits in (
        ({"sparsity": "2:4"}, 9),  # half of 16 + 2
        ({"sparsity": "2:4", "in_dtype": "int8"}, 5),  # half of 8 + 2
        ({"sparsity": "2:4", "in_dtype": "int4"}, 2.5),  # half of 4 + 1
        ({"sparsity": "2:4", "in_dtype": "tf32"}, 18),  # half of 32 + 4
        ({"sparsity": "1:4"}, 4.5),  # a quarter of 16 + 2
        ({"sparsity": "2:16"}, 2.5),  # an eighth of 16 + 4
        ({"int4_weights": True}, 4.125),
        ({"int4_weights": True, "sparsity": "2:4"}, 3.125),
    ):
        made = plan(Problem(m=16, n=8, k=128), tiling, 1, Spec(**changes))
        assert made.a_bytes.tolist() == [[16 * 128 * bits / 8] * 2], changes
    odd = plan(Problem(m=16, n=8, k=128), tiling, 1, Spec(int4_weights=True, scale_group=7))
    assert odd.a_bytes[0, 0] == np.ceil(16 * 128 * (4 + 16 / 7) / 8)
