"""Does no plan end later than the time by which it is refused, and is that time what it says, everything in a row?"""

from hypothesis import given, settings

from tensorcore_sim.card import schedule
from tensorcore_sim.card.plan import _latest
from tensorcore_sim.spec import TICKS
from tests import card_cases


@settings(max_examples=50)
@given(card_cases.cards())
def test_no_plan_ends_later(plan):
    assert schedule.timeline(plan).end <= _latest(plan)


def test_the_longest_of_every_chunk_and_store_one_after_the_other():
    """Two tiles of three k-steps, the second tile in two parts: six k-steps and three parts."""
    plan = card_cases.card(
        tiles=((0, 0), (1, 0)),
        blocks=[[(0, 0, 3), (1, 0, 1)], [(1, 1, 2)]],
        n_steps=3,
        begin=1000,
        step=100,
        overhead=7,
        turn=13,
        l2_latency=30,
        hbm_latency=50,
        a_l2=[[4, 3], [2, 1]],
        a_hbm=[[20, 21], [22, 19]],
        b_l2=[[5, 6]],
        b_hbm=[[31, 30]],
        store_l2=[7, 8],
        store_hbm=[9, 10],
        sums_l2=[12, 11],
    )
    k_step = 100 + 7 + 13 + 30 + 50 + (4 + 22 + 6 + 31) + 2 * TICKS  # a wait for the next cycle at L2 and at HBM
    part = 8 + 10 + 12 + 3 * TICKS + 30  # and at the sums, stored and read again
    assert _latest(plan) == 1000 + 6 * k_step + 2 * 3 * part
