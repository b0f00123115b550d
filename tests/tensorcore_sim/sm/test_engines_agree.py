"""Do both engines give the same Timeline on every program, and never mind the order of events inside a tick?"""

from hypothesis import given, settings
from hypothesis import strategies as st

from tensorcore_sim.sm import events, schedule
from tensorcore_sim.sm import program as p
from tensorcore_sim.sm.microbenchmark import loop
from tensorcore_sim.sm.timeline import Timeline
from tensorcore_sim.spec import PRESETS
from tests.shuffled import ShuffledEnvironment
from tests.tensorcore_programs import programs

A100 = PRESETS["a100-sxm-80gb"]


@settings(max_examples=150, deadline=None)
@given(programs())
def test_events_and_schedule_are_one(program):
    assert events.timeline(program).differences(schedule.timeline(program)) == []


@settings(max_examples=60, deadline=None)
@given(programs(), st.integers(0, 2**32 - 1))
def test_the_order_of_events_inside_a_tick_never_matters(program, seed):
    assert events.play(ShuffledEnvironment(seed), program).differences(schedule.timeline(program)) == []


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["mma.m16n8k8", "mma.sp.m16n8k16", "ldmatrix.x4"]), st.integers(1, 12), st.integers(1, 4))
def test_they_are_one_on_the_benchmarks_own_loops(name, n_warps, ilp):
    operation = p.load(name, A100) if name.startswith("ld") else p.mma(name, "f16", A100)
    program = loop(operation, n_warps, ilp, 6, A100)
    assert events.timeline(program).differences(schedule.timeline(program)) == []


def test_a_difference_would_be_seen():
    timeline = schedule.timeline(loop(p.mma("mma.m16n8k8", "f16", A100), 4, 2, 3, A100))
    fields = {name: getattr(timeline, name) for name in Timeline.__dataclass_fields__}
    assert timeline.differences(Timeline(**fields | {"served": timeline.served + 1})) == ["served"]
