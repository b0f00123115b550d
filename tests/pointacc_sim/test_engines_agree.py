"""Do both engines, and the plain cycle-by-cycle twin, give the same Timeline on every input?"""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointacc_sim import events, schedule
from pointacc_sim.compile import compiled
from pointacc_sim.image import encode
from pointacc_sim.spec import PRESETS
from pointacc_sim.timeline import Timeline
from tests import naive_pointacc
from tests.pointacc_cases import layer, layers, plans, specs
from tests.shuffled import ShuffledEnvironment
from workloads.errors import BadInput


def laid_out(work, spec):
    """Return the plan of a layer, or None where the design cannot take it."""
    try:
        return compiled(encode([work], spec)[0], spec)
    except BadInput as error:
        if "does not fit a cache" not in str(error):
            raise
        return None


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(layers(), specs())
def test_events_and_schedule_are_one_on_every_layer(work, spec):
    if (plan := laid_out(work, spec)) is not None:
        assert events.timeline(plan, spec).differences(schedule.timeline(plan, spec)) == []


@settings(max_examples=200)
@given(st.data(), specs())
def test_events_schedule_and_the_twin_are_one_on_every_plan(data, spec):
    plan = data.draw(plans(spec))
    played, scheduled = events.timeline(plan, spec), schedule.timeline(plan, spec)
    assert played.differences(scheduled) == []
    expected, last = naive_pointacc.tick(plan, spec)
    for name, spans in expected.items():
        assert getattr(scheduled, name).tolist() == spans, name
    assert scheduled.cycles == last


@settings(max_examples=40)
@given(st.data(), specs(), st.integers(0, 2**32 - 1))
def test_the_order_of_events_inside_a_cycle_never_matters(data, spec, seed):
    plan = data.draw(plans(spec))
    shuffled = events.play(ShuffledEnvironment(seed), plan, spec)
    assert shuffled.differences(events.timeline(plan, spec)) == []


def test_a_difference_would_be_seen():
    spec = PRESETS["server"]
    timeline = schedule.timeline(laid_out(layer(), spec), spec)
    fields = {name: getattr(timeline, name) for name in Timeline.__dataclass_fields__}
    assert timeline.differences(Timeline(**fields | {"looked": timeline.looked + 1})) == ["looked"]
