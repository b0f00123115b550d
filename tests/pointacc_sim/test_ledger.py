"""Do the books come out by hand: one reason for every cycle of every unit, and every action counted?"""

import numpy as np
import pytest

from pointacc_sim import schedule
from pointacc_sim.account import account, actions
from pointacc_sim.bounds import bounds
from pointacc_sim.image import encode
from pointacc_sim.plan import MERGE, RANK, READY, SORT, Passes, Steps, of
from pointacc_sim.spec import Spec
from tests.pointacc_cases import layer

# Two rows, three columns, 1 byte a cycle from DRAM, 5 cycles of latency, two elements a block.
SPEC = Spec(n_rows=2, n_columns=3, dram_gbps=1.0, dram_latency_cycles=5, steps_ahead=2, merger_width=4)
NAMES = ("mapping", "memory", "matrix", "dram")


def plan_of(passes=(), steps=(), written=(), block_points=0):
    """Return a plan: (kind, blocks, latency, waits, read, written) of passes, {field: number} of steps."""
    columns = np.array(passes, np.int64).reshape(-1, 6).T
    names = ("kind", "blocks", "latency", "waits", "read_bytes", "write_bytes")
    of_passes = Passes(**dict(zip(names, columns, strict=True)), compares=10 * columns[1])
    default = dict.fromkeys(Steps.__dataclass_fields__, 0) | {"map_pass": READY}
    of_steps = [default | step for step in steps]
    fields = {name: np.array([step[name] for step in of_steps], np.int64) for name in default}
    return of(of_passes, Steps(**fields), np.array(written, np.int64), block_points, SPEC)


def spent(plan, spec=SPEC) -> list[dict[str, int]]:
    """Return the cycles of each unit by state, those that there are."""
    books = account(schedule.timeline(plan, spec), plan, encode([layer()], SPEC)[0], spec).totals()
    return [{state: n for state, n in books[name].items() if n} for name in NAMES]


def test_a_pass_that_needs_results_waits_for_them():
    # Blocks in 1 to 3 and 4 to 5, the last result out in 9; blocks in 10 to 11, out in 15.
    plan = plan_of([(SORT, 3, 4, 0, 0, 0), (SORT, 2, 4, 0, 0, 0), (MERGE, 2, 4, 1, 0, 0)])
    assert spent(plan) == [{"sort": 5, "merge": 2, "flush": 4, "done": 4}, {"done": 15}, {"done": 15}, {"idle": 15}]


def test_a_pass_that_streams_waits_for_coordinates_first_and_between_blocks():
    # Asked in 1, moved 2 to 10; the first there in 7; three blocks in the nine cycles to 15, out in 19.
    mapping, _, _, dram = spent(plan_of([(RANK, 3, 4, 0, 9, 0)]))
    assert mapping == {"rank": 3, "load": 6 + 6, "done": 4}
    assert dram == {"coordinates": 9, "idle": 10}


def test_all_wait_for_a_map():
    # Blocks 1 to 3, out in 7, written 8 to 11; lookups 12 and 13, rows 14 and 15, the last sum out in 20.
    plan = plan_of([(MERGE, 3, 4, 0, 0, 4)], [{"map_pass": 0, "rows": 2}], [0])
    assert spent(plan) == [
        {"merge": 3, "done": 17},
        {"map": 11, "lookup": 2, "done": 7},
        {"map": 11, "lookup": 2, "compute": 2, "done": 5},
        {"maps": 4, "idle": 16},
    ]


def test_a_map_that_is_not_written_is_there_with_its_last_result():
    # Out in 7; the lookup in 8, its row in 9 and 10: of one row, and the next weights shift in; out in 9 + 5.
    plan = plan_of([(MERGE, 3, 4, 0, 0, 0)], [{"map_pass": 0, "rows": 1}], [0])
    _, memory, matrix, _ = spent(plan)
    assert memory == {"map": 7, "lookup": 1, "done": 6}
    assert matrix == {"map": 7, "lookup": 1, "compute": 1, "weights": 1, "done": 4}


def test_weights_that_shift_in_are_waited_for():
    # Lookups in 1 and 2; a row in 2, weights in 3, a row in 4, weights in 5, the last sum out in 9.
    _, memory, matrix, _ = spent(plan_of((), [{"rows": 1}] * 2, [0]))
    assert memory == {"lookup": 2, "done": 7}
    assert matrix == {"lookup": 1, "compute": 2, "weights": 2, "done": 4}


def test_lookups_wait_for_a_step_to_be_computed():
    # One step ahead: lookups 1 to 3, rows 4 to 6, lookups 7 to 9, rows 10 to 12, out in 17.
    spec = SPEC.replace(steps_ahead=1)
    _, memory, matrix, _ = spent(plan_of((), [{"rows": 3}] * 2, [0]), spec)
    assert memory == {"lookup": 6, "slot": 3, "done": 8}
    assert matrix == {"lookup": 6, "compute": 6, "done": 5}


STEPS = [
    {"rows": 4, "in_channels": 3, "out_channels": 5, "misses": 2},
    {"rows": 2, "in_channels": 2, "out_channels": 5, "misses": 1},
]
BYTES = [
    {"weight_bytes": 30, "map_bytes": 32, "feature_bytes": 64},
    {"weight_bytes": 20, "map_bytes": 16, "feature_bytes": 32},
]


@pytest.mark.parametrize("block_points", [2, 0])
def test_every_action_is_counted(block_points):
    passes = [(SORT, 3, 4, 0, 10, 16), (MERGE, 2, 4, 0, 5, 8)]
    plan = plan_of(passes, [step | n for step, n in zip(STEPS, BYTES, strict=True)], [40], block_points)
    image = encode([layer()], SPEC)[0]
    assert actions(plan, image, SPEC) == {
        "compares": 50,
        "distances": 0,
        "coordinate_reads": (3 + 2) * 2,
        "tag_lookups": 6 if block_points else 0,
        "cache_misses": 3 if block_points else 0,
        "feature_read_bytes": (4 * 3 + 2 * 2) * 2,
        "feature_write_bytes": 96,
        "weight_read_bytes": (3 * 5 + 2 * 5) * 2,
        "accumulations": 4 * 5 + 2 * 5,
        "macs": 4 * 3 * 5 + 2 * 2 * 5,
        "outputs": image.layer.positions * 6,
        "dram_coordinate_bytes": 15,
        "dram_map_bytes": 16 + 8 + 32 + 16,
        "dram_weight_bytes": 50,
        "dram_feature_bytes": 96,
        "dram_output_bytes": 40,
    }


def test_bounds_by_hand():
    plan = plan_of([(SORT, 3, 4, 0, 10, 16)], [step | n for step, n in zip(STEPS, BYTES, strict=True)], [40])
    # Six rows through two by three; of DRAM 10 + 16 of the pass, 126 and 68 of the steps, 40 of the tile
    assert bounds(plan, SPEC) == (6 + 2 + 3, 3, 10 + 16 + 126 + 68 + 40, 6)
    assert bounds(plan_of([(SORT, 3, 4, 0, 0, 0)]), SPEC) == (0, 3, 0, 0)
