"""Do both card engines, and a third said as plainly as possible, give the same CardTimeline on every Plan?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorcore_sim.card import events as card_events
from tensorcore_sim.card import schedule as card_schedule
from tensorcore_sim.card.timeline import CardTimeline
from tests import naive_card
from tests.card_cases import card, cards, gemms
from tests.shuffled import ShuffledEnvironment


@settings(max_examples=300)
@given(cards())
def test_events_schedule_and_the_naive_twin_are_one(made):
    timeline = card_schedule.timeline(made)
    assert naive_card.timeline(made).differences(timeline) == []
    assert card_events.timeline(made).differences(timeline) == []


@settings(max_examples=150)
@given(cards(), st.integers(0, 2**32 - 1))
def test_the_order_of_events_inside_a_tick_never_matters(made, seed):
    assert card_events.play(ShuffledEnvironment(seed), made).differences(card_schedule.timeline(made)) == []


@settings(max_examples=25)
@given(gemms())
def test_they_are_one_on_gemms_with_edge_tiles_and_tails(made):
    timeline = card_schedule.timeline(made)
    assert card_events.timeline(made).differences(timeline) == []
    assert naive_card.timeline(made).differences(timeline) == []


@pytest.mark.parametrize("sms", [1, 3, 64])
def test_more_sms_than_tiles_and_the_reverse(sms):
    made = card([(row, column) for column in range(3) for row in range(4)], n_sms=sms, n_sharing=2, n_steps=3)
    timeline = card_schedule.timeline(made)
    assert card_events.timeline(made).differences(timeline) == []
    assert naive_card.timeline(made).differences(timeline) == []


def test_a_difference_would_be_seen():
    timeline = card_schedule.timeline(card())
    fields = {name: getattr(timeline, name) for name in CardTimeline.__dataclass_fields__}
    assert timeline.differences(CardTimeline(**fields | {"end": timeline.end + 1})) == ["end"]
    assert timeline.differences(CardTimeline(**fields | {"source": timeline.source + 1})) == ["source"]
