"""Do both engines, and the plain cycle-by-cycle twin, give the same Timeline on every input?"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eie_sim import Spec, events
from eie_sim.timeline import Timeline
from tests import eie_cases, naive_eie
from tests.shuffled import ShuffledEnvironment


def twin(workload, spec: Spec) -> dict:
    image, non_zero, pauses = eie_cases.lay_out(workload, spec)
    by_row = {row: (int(c), bool(r)) for row, (c, r) in enumerate(zip(pauses.cycles, pauses.refill, strict=True)) if c}
    n = np.diff(image.pointers, axis=0).T.tolist()
    return naive_eie.tick(n, non_zero, spec, by_row, bias=workload.bias is not None)


@settings(max_examples=150)
@given(eie_cases.workloads(), eie_cases.specs())
def test_events_schedule_and_the_twin_are_one(workload, spec):
    played = eie_cases.play("events", workload, spec)
    scheduled = eie_cases.play("schedule", workload, spec)
    assert played.differences(scheduled) == []
    expected = twin(workload, spec)
    for name in ("column", "paused", "resumed", "ready", "sent", "popped", "row_reads"):
        found = getattr(scheduled, name)
        assert found.tolist() == np.array(expected[name], int).reshape(found.shape).tolist(), name
    assert scheduled.cycles == expected["cycles"]


@settings(max_examples=25)
@given(eie_cases.workloads(), eie_cases.specs(), st.integers(0, 2**32 - 1))
def test_the_order_of_events_inside_a_cycle_never_matters(workload, spec, seed):
    laid_out = eie_cases.lay_out(workload, spec)
    shuffled = events.play(ShuffledEnvironment(seed), *laid_out, spec)
    assert shuffled.differences(events.timeline(*laid_out, spec)) == []


def test_a_difference_would_be_seen():
    timeline = eie_cases.play("schedule", eie_cases.layer([[1, 2]]), Spec(n_pes=1))
    fields = {name: getattr(timeline, name) for name in Timeline.__dataclass_fields__}
    later = Timeline(**fields | {"sent": timeline.sent + 1})
    assert timeline.differences(later) == ["sent"]
