"""Do an SM's tracks tell what it was at at every tick, as the rules say and the ledger counts?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorcore_sim import MACHINE, PRESETS
from tensorcore_sim.actions import SmPhase, SmState
from tensorcore_sim.card import account as card_account
from tensorcore_sim.simulate import ENGINES
from tests.card_cases import card, cards
from workloads import Shape

IN_A_K_STEP = (SmState.COMPUTE, SmState.PADDING, SmState.FLOOR, SmState.PORT, SmState.ISSUE, SmState.LOOP)


@pytest.fixture(params=tuple(ENGINES))
def play(request):
    return ENGINES[request.param]


def spans(timeline, plan) -> list[list[tuple[str, int, int]]]:
    """Return (phase, begin, end) of every SM."""
    tracks = card_account.spans(timeline, plan, begin=0, end=timeline.end, n_units=None)
    return [
        [(SmPhase(state).name, *span) for state, *span in zip(t.state, t.edges.tolist(), t.edges.tolist()[1:])]
        for t in tracks
    ]


def test_one_tile_and_an_sm_without_one_by_hand(play):
    # card_cases.SMALL with two k-steps, from 50 on: dealt there, both chunks of the first k-step there at 120 + 50, of
    # the second at 170 + 50; each takes 100. The result is at L2 10 later, holds it for 7, and HBM for 9: the end, at a
    # full cycle, is 390.
    made = card(n_steps=2, n_sms=2, begin=50)
    busy, idle = spans(play(made), made)
    assert busy == [
        ("LAUNCH", 0, 50),
        ("FILL", 50, 170),
        ("K_STEP", 170, 270),
        ("K_STEP", 270, 370),
        ("DRAIN", 370, 387),
        ("WAVE", 387, 390),
    ]
    assert idle == [("LAUNCH", 0, 50), ("WAVE", 50, 390)]


def test_waits_between_k_steps_by_hand(play):
    # One stage: the second k-step is asked for when the first is computed, at 220, and is at L2 at 230; HBM has A from
    # 230 and B from 250 to 280, there at 330. The second tile, of the same chunks, is dealt at 447 and asks at 457; L2
    # has A from 467 and B from 471 to 477, there at 507. Its second k-step is asked for at 607: there at 657.
    made = card([(0, 0), (0, 0)], n_steps=2, n_stages=1)
    assert spans(play(made), made) == [
        [
            ("FILL", 0, 120),
            ("K_STEP", 120, 220),
            ("HBM", 220, 330),
            ("K_STEP", 330, 430),
            ("DRAIN", 430, 447),
            ("FILL", 447, 507),
            ("K_STEP", 507, 607),
            ("L2", 607, 657),
            ("K_STEP", 657, 757),
            ("DRAIN", 757, 774),
            ("WAVE", 774, 780),
        ]
    ]


@settings(max_examples=100)
@given(cards(), st.data())
def test_spans_fill_the_run_and_a_window_is_a_part_of_it(made, data):
    whole = {name: spans(engine(made), made) for name, engine in ENGINES.items()}
    assert whole["events"] == whole["schedule"]
    timeline = ENGINES["schedule"](made)
    assert len(whole["schedule"]) == made.n_sms
    n_steps = 0
    for of_sm in whole["schedule"]:
        edges = [0, *(until for _, _, until in of_sm)]
        assert edges == [*(since for _, since, _ in of_sm), timeline.end]
        assert all(since < until for _, since, until in of_sm)
        n_steps += sum(until - since >= made.step for phase, since, until in of_sm if phase == "K_STEP")
    assert n_steps == made.n_tiles * made.n_steps
    begin = data.draw(st.integers(0, timeline.end - 1))
    end = data.draw(st.integers(begin + 1, timeline.end))
    n_units = data.draw(st.integers(1, made.n_sms + 1))
    cut = list(card_account.spans(timeline, made, begin=begin, end=end, n_units=n_units))
    assert len(cut) == min(n_units, made.n_sms)
    for of_sm, track in zip(whole["schedule"], cut):
        inside = [
            (phase, max(since, begin), min(until, end))
            for phase, since, until in of_sm
            if since < end and until > begin
        ]
        assert [SmPhase(state).name for state in track.state] == [phase for phase, _, _ in inside]
        assert track.edges.tolist() == [begin, *(until for _, _, until in inside)]


@settings(max_examples=20)
@given(
    st.sampled_from(("a100-sxm-80gb", "h100-sxm")),
    st.tuples(*[st.integers(1, 900)] * 3),
    st.fixed_dictionaries(
        {
            "sparsity": st.sampled_from(["dense", "2:4"]),
            "n_sms": st.integers(1, 30),
            "l2_bytes": st.sampled_from([0, 50 * 2**20]),
            "hbm_gb_per_s": st.sampled_from([50.0, 2039.0]),
        }
    ),
)
def test_durations_sum_to_the_ledger_s_states(preset, sizes, changes):
    spec = PRESETS[preset].replace(**changes)
    shape = Shape(name="gemm", n_out=sizes[0], batch=sizes[1], n_in=sizes[2])
    (image,) = MACHINE.encode([shape], spec)
    run = MACHINE.simulate(image, None, spec)
    end = run.cycles * MACHINE.ticks_per_cycle
    tracks = list(MACHINE.spans(run, image, spec, begin=0, end=end, n_units=None))
    spent = run.ledger.states["sm"][1]
    for track, counted in zip(tracks, spent, strict=True):
        cycles = np.bincount(track.state, np.diff(track.edges), len(SmPhase)) / MACHINE.ticks_per_cycle
        # The ledger's are whole cycles: each is off by one at most.
        assert cycles[SmPhase.K_STEP] == pytest.approx(counted[list(IN_A_K_STEP)].sum(), abs=1)
        for phase in set(SmPhase) - {SmPhase.K_STEP}:
            assert cycles[phase] == pytest.approx(counted[SmState[phase.name]], abs=1)


def test_a_batch_of_values_has_the_spans_of_its_sizes():
    from workloads import Workload

    spec = PRESETS["a100-sxm-80gb"]
    rng = np.random.default_rng(0)
    layer = Workload(name="w", weights=rng.normal(size=(300, 64)), activations=rng.normal(size=(200, 64)))
    shape = Shape(name="s", n_out=300, batch=200, n_in=64)
    found = []
    for work, entering in ((layer, layer.activations), (shape, None)):
        (image,) = MACHINE.encode([work], spec)
        run = MACHINE.simulate(image, entering, spec)
        end = run.cycles * MACHINE.ticks_per_cycle
        found.append([t.edges.tolist() for t in MACHINE.spans(run, image, spec, begin=0, end=end, n_units=None)])
    assert found[0] == found[1]
