"""Do the rules give the cycles that a person works out by hand?"""

import numpy as np
import pytest

from pointacc_sim import events, schedule
from pointacc_sim.account import account
from pointacc_sim.bounds import bounds
from pointacc_sim.compile import compiled
from pointacc_sim.image import encode
from pointacc_sim.plan import MERGE, READY, Passes, Steps, of
from pointacc_sim.spec import Spec
from tests.pointacc_cases import layer

engines = pytest.mark.parametrize("play", [schedule.timeline, events.timeline], ids=["schedule", "events"])
# Two rows, three columns, 1 byte a cycle from DRAM, 5 cycles of latency.
SPEC = Spec(n_rows=2, n_columns=3, dram_gbps=1.0, dram_latency_cycles=5, steps_ahead=2, merger_width=4)


def i64(*numbers):
    return np.array(numbers, np.int64)


def passes(blocks=(), latency=(), waits=(), read=(), write=()):
    kind, none = i64(*[MERGE] * len(blocks)), i64(*[0] * len(blocks))
    return Passes(
        kind=kind,
        blocks=i64(*blocks),
        latency=i64(*latency),
        waits=i64(*waits),
        read_bytes=i64(*read),
        write_bytes=i64(*write),
        compares=none,
    )


def steps(rows=(), tile=(), fetch=(), map_pass=None):
    zeros = np.zeros(len(rows), np.int64)
    return Steps(
        map_pass=i64(*(map_pass or [READY] * len(rows))),
        rows=i64(*rows),
        tile=i64(*tile),
        weight_bytes=i64(*fetch),
        map_bytes=zeros,
        feature_bytes=zeros,
        misses=zeros,
        offset=zeros,
        in_channels=zeros,
        out_channels=zeros,
    )


@engines
def test_one_step(play):
    # Lookups 1 to 4; asked in 4, arrives in 5, moved 5 to 7; there 5 cycles later, 12; rows 13 to 16; the last sum
    # leaves 5 cycles after its row, 21; asked, arrives in 22, moved 22 to 23.
    timeline = play(of(passes(), steps([4], [0], [3]), i64(2), 0, SPEC), SPEC)
    assert timeline.looked.tolist() == [[1, 4]]
    assert timeline.fetched.tolist() == [[5, 7]]
    assert timeline.computed.tolist() == [[13, 16]]
    assert timeline.written.tolist() == [[22, 23]]
    assert timeline.cycles == 23


@engines
def test_a_step_of_fewer_rows_than_the_array_waits_for_the_next_weights(play):
    timeline = play(of(passes(), steps([1, 1], [0, 0], [0, 0]), i64(0), 0, SPEC), SPEC)
    assert timeline.looked.tolist() == [[1, 1], [2, 2]]
    assert timeline.computed.tolist() == [[2, 3], [4, 5]]  # two rows of weights shift in
    assert timeline.cycles == 4 + 5


@engines
def test_no_more_steps_are_looked_up_than_may_be_ahead(play):
    timeline = play(of(passes(), steps([3] * 3, [0] * 3, [0] * 3), i64(0), 0, SPEC), SPEC)
    assert timeline.computed.tolist() == [[4, 6], [7, 9], [10, 12]]
    assert timeline.looked.tolist() == [[1, 3], [4, 6], [7, 9]]  # the third behind the first's end, 6
    late = SPEC.replace(steps_ahead=1)
    timeline = play(of(passes(), steps([3] * 2, [0] * 2, [0] * 2), i64(0), 0, late), late)
    assert timeline.looked.tolist() == [[1, 3], [7, 9]]


@engines
def test_a_third_tile_waits_for_the_first_s_accumulators(play):
    timeline = play(of(passes(), steps([3] * 3, [0, 1, 2], [0] * 3), i64(20, 0, 0), 0, SPEC), SPEC)
    # The first tile's last row is in 6, out in 11, its write moved 12 to 31.
    assert timeline.written.tolist() == [[12, 31], [0, 0], [0, 0]]
    assert timeline.computed.tolist() == [[4, 6], [7, 9], [32, 34]]


@engines
def test_a_map_is_there_behind_its_write(play):
    # Blocks 1 to 3, out in 7; arrives in 8, moved 8 to 11; the step that needs it is looked up from 12 on.
    plan = of(passes([3], [4], [0], [0], [4]), steps([2], [0], [0], [0]), i64(0), 0, SPEC)
    timeline = play(plan, SPEC)
    assert timeline.passed.tolist() == [[1, 3]]
    assert timeline.mapped.tolist() == [[8, 11]]
    assert timeline.looked.tolist() == [[12, 13]]


@engines
def test_passes_follow_each_other_or_wait_for_results(play):
    plan = of(passes([3, 2, 2], [4, 4, 4], [0, 0, 1], [0] * 3, [0] * 3), steps(), i64(), 0, SPEC)
    timeline = play(plan, SPEC)
    assert timeline.passed.tolist() == [[1, 3], [4, 5], [10, 11]]  # the third behind 5 + 4
    assert timeline.cycles == 15


@engines
def test_a_pass_streams_its_coordinates(play):
    # Ready in 1, arrives in 2, moved 2 to 10; begins 5 cycles later, in 7, and takes the 9 cycles of the transfer.
    timeline = play(of(passes([3], [4], [0], [9], [0]), steps(), i64(), 0, SPEC), SPEC)
    assert timeline.read.tolist() == [[2, 10]]
    assert timeline.passed.tolist() == [[7, 15]]
    assert timeline.cycles == 19


@engines
def test_of_requests_that_arrive_together_coordinates_come_first(play):
    # The step is looked up in 1 and arrives in 2, as the pass's coordinates do.
    timeline = play(of(passes([1], [4], [0], [3], [0]), steps([1], [0], [2]), i64(0), 0, SPEC), SPEC)
    assert timeline.read.tolist() == [[2, 4]]
    assert timeline.fetched.tolist() == [[5, 6]]


def test_every_cycle_has_its_reason():
    # As in the first test: the array waits 1 to 4 for lookups, 5 to 12 for DRAM, computes 13 to 16, is done to 23.
    plan = of(passes(), steps([4], [0], [3]), i64(2), 0, SPEC)
    image = encode([layer()], SPEC)[0]
    books = account(schedule.timeline(plan, SPEC), plan, image, SPEC).totals()
    assert {name: n for name, n in books["matrix"].items() if n} == {"lookup": 4, "memory": 8, "compute": 4, "done": 7}
    assert {name: n for name, n in books["memory"].items() if n} == {"lookup": 4, "done": 19}
    assert {name: n for name, n in books["dram"].items() if n} == {"fetch": 3, "outputs": 2, "idle": 18}
    assert books["mapping"]["done"] == 23


def test_waiting_for_accumulators_is_told_apart():
    plan = of(passes(), steps([3] * 3, [0, 1, 2], [0] * 3), i64(20, 0, 0), 0, SPEC)
    image = encode([layer()], SPEC)[0]
    books = account(schedule.timeline(plan, SPEC), plan, image, SPEC).totals()
    # 10 to 31 without a row: lookups were done by 9.
    assert books["matrix"]["output"] == 22


def test_no_run_beats_its_bounds():
    for n in (5, 60):
        image = encode([layer(n)], SPEC.replace(cache_bytes=4096))[0]
        plan = compiled(image, SPEC.replace(cache_bytes=4096))
        assert schedule.timeline(plan, SPEC).cycles >= max(bounds(plan, SPEC))
