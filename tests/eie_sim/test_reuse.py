"""Is a result a value: does nothing done to one change the next, and is one by another key computed anew?"""

import numpy as np
import pytest

import eie_sim
from tests.spoil import spoil
from workloads import Workload

SPEC = eie_sim.Spec(n_pes=4, queue_depth=4)
ACTIVATIONS = np.array([1, 0, 0.5, 0, 0, 2, 0.25, 0], np.float32)


@pytest.fixture
def image():
    weights = np.arange(1, 49, dtype=np.float32).reshape(6, 8) % 5
    return eie_sim.encode(Workload(name="w", weights=weights, activations=ACTIVATIONS), SPEC)


@pytest.mark.parametrize("later", [SPEC, SPEC.replace(clock_mhz=SPEC.clock_mhz / 2)], ids=["the same", "another clock"])
def test_what_is_done_to_a_result_does_not_reach_the_next(image, engine, later):
    untouched = eie_sim.simulate(image, ACTIVATIONS, later, engine=engine).as_dict()
    run = eie_sim.simulate(image, ACTIVATIONS, SPEC, engine=engine)
    timeline, ledger, outputs = run.timeline, run.ledger, run.outputs.copy()
    sent, actions = timeline.sent.copy(), dict(ledger.actions)
    assert spoil(run) > 10
    after = eie_sim.simulate(image, ACTIVATIONS, later, engine=engine)
    assert after.as_dict() == untouched
    assert after.timeline.sent.tolist() == sent.tolist()
    assert after.ledger.actions == actions
    assert after.outputs.tolist() == outputs.tolist()


def test_the_clock_alone_plays_nothing_again(image, engine, monkeypatch):
    eie_sim.simulate(image, ACTIVATIONS, SPEC, engine=engine)
    monkeypatch.setitem(eie_sim.simulate.__globals__["ENGINES"], engine, lambda *_: pytest.fail("played again"))
    eie_sim.simulate(image, ACTIVATIONS, SPEC.replace(clock_mhz=1), engine=engine)
    with pytest.raises(pytest.fail.Exception, match="played again"):
        eie_sim.simulate(image, ACTIVATIONS, SPEC.replace(queue_depth=5), engine=engine)
