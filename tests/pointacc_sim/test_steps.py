"""Do the steps of a merge take, exchange and let out what the merger does, in the cycles of the run?"""

import re
from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pointacc_sim import MACHINE, encode, simulate
from pointacc_sim.mapping import LAST, merge_steps, merged
from pointacc_sim.spec import Spec
from pointacc_sim.steps import GIVES, MERGER, SORTER, TAKES
from tests.pointacc_cases import layer, layers, specs
from workloads.points.kernel_map import kernel_map

keys = st.lists(st.integers(-1000, 1000), min_size=1, max_size=80, unique=True).map(lambda some: np.sort(some))


def shown(of_layer, spec, engine="schedule", **window):
    """Return a run and its steps, without what is said first."""
    image = encode(of_layer, spec)
    run = simulate(image, None, spec, engine=engine)
    _, *steps = MACHINE.steps(run, image, None, spec, **{"begin": 0, "end": run.cycles, "n_units": None} | window)
    return run, steps


@settings(max_examples=60)
@given(keys, keys, st.sampled_from([2, 4, 8]))
def test_the_steps_are_those_of_the_whole_merge(one, other, block):
    steps = list(merge_steps(one, other, block))
    whole, _, of, n_blocks = merged(one, other, block)
    assert len(steps) == n_blocks + 1
    assert np.concatenate([step.left for step in steps]).tolist() == whole.tolist()
    assert np.concatenate([step.of for step in steps]).tolist() == of.tolist()
    for name, stream in ((False, one), (True, other)):
        taken = [step.taken for step in steps if step.from_other == name and len(step.taken)]
        assert np.concatenate(taken).tolist() == stream.tolist()
    for step in steps[1:-1]:
        contents = [columns.tolist() for columns, _ in step.columns]
        assert len(contents) == 1 + int(np.log2(2 * block))
        rises = [b >= a for a, b in zip(contents[0], contents[0][1:])]
        assert all(rises[: block - 1])  # what stayed
        assert not any(b > a for a, b in zip(contents[0][block:], contents[0][block + 1 :]))  # what enters upside down
        assert contents[-1] == sorted(contents[0])
        for before, behind, half in zip(contents, contents[1:], [block >> i for i in range(8)]):
            for i in range(2 * block):  # compared with the element `half` away, and with no other
                low, high = min(i, i ^ half), max(i, i ^ half)
                pair = sorted((before[low], before[high]))
                assert [behind[low], behind[high]] == pair
        assert contents[-1][:block] == [*step.left.tolist(), *[LAST] * (block - len(step.left))]


def test_a_merge_by_hand():
    # Three voxels in a row, blocks of two; offset (-1 0 0): the inputs shifted by 1 are x = 1 2 3, the outputs 0 1 2.
    # Output 0 is less than input 1: block o0 o1 fills; then i1 < o2: block i1 i2 enters, upside down; o0 o1 leave.
    # Then o2, less than i3: i1 (equal to o1, which left last: an entry) and i2 leave, the last block is i3.
    line = kernel_map(np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], np.int32), 3, 1)
    of_layer = replace(layer(), map=line, features=np.ones((3, 4), np.float32))
    _, steps = shown(of_layer, Spec(merger_width=4, symmetry=False))
    own = [step for step in steps if step.tables[TAKES][0].get("offset") == "-1 0 0"]
    assert [(s.tables[TAKES][0]["from"], s.tables[TAKES][0]["takes"]) for s in own] == [
        ("output", ["(0 0 0)", "(1 0 0)"]),
        ("shifted input", ["(1 0 0)", "(2 0 0)"]),
        ("output", ["(2 0 0)"]),
        ("shifted input", ["(3 0 0)"]),
        ("nothing: the rest leaves", []),
    ]
    assert [row["before"] for row in own[1].tables[MERGER]] == ["o(0 0 0)", "o(1 0 0)", "i(2 0 0)", "i(1 0 0)"]
    assert [row["then"] for row in own[1].tables[MERGER]] == ["leaves", "leaves", "stays", "stays"]
    assert [entry for s in own for entry in s.tables[GIVES][0]["map entries"]] == ["=(1 0 0)", "=(2 0 0)"]
    assert [s.begin is None for s in own] == [False, False, False, False, True]


@settings(max_examples=15)
@given(layers(), specs(), st.data())
def test_every_block_has_its_cycle_and_every_entry_is_found(of_layer, spec, data):
    run, steps = shown(of_layer, spec)
    timed = [step for step in steps if step.begin is not None]
    assert all(step.end == step.begin + 1 for step in timed)
    assert len({step.begin for step in timed}) == len(timed)
    cycles = {}
    for step in timed:  # a pass enters from its first cycle on, a block a cycle (R2)
        cycle, place = map(int, re.match(r"cycle (\d+): pass (\d+), ", step.title).groups())
        assert (step.begin, step.end) == (cycle - 1, cycle)
        cycles.setdefault(place, []).append(cycle)
    for place, (first, last) in enumerate(run.timeline.passed.tolist()):
        own = cycles.get(place, [])
        assert own == list(range(first, first + len(own)))
        assert own[-1:] <= [last]
    spent = run.states["mapping"]
    kinds = [step.tables[TAKES][0]["does"] for step in timed]
    assert (kinds.count("sort"), kinds.count("merge")) == (spent["sort"], spent["merge"])
    is_dilating = of_layer.map.convention == "dilating" and not of_layer.map.is_submanifold
    sorts = [row for step in timed if (row := step.tables[TAKES][0])["does"] == "sort"]
    assert all(("takes" in row) != is_dilating for row in sorts)
    found = {}
    for step in steps:
        if GIVES in step.tables and (offset := step.tables[TAKES][0].get("offset")) is not None:
            found.setdefault(offset, []).extend(step.tables[GIVES][0]["map entries"])
    joined = of_layer.map
    for row, offset in enumerate(joined.offsets.tolist()):
        if (name := " ".join(map(str, offset))) in found:
            assert len(found[name]) == joined.sizes[row]
    assert [vars(step) for step in shown(of_layer, spec, "events")[1]] == [vars(step) for step in steps]
    assume(timed)
    begin = data.draw(st.integers(0, run.cycles - 1))
    end = data.draw(st.integers(begin + 1, run.cycles))
    _, some = shown(of_layer, spec, begin=begin, end=end)
    cut, is_shown = [], False
    for step in steps:  # what leaves behind a block is shown with it
        is_shown = is_shown if step.begin is None else begin <= step.begin < end
        cut += [step.title] if is_shown else []
    assert [step.title for step in some] == cut


def test_of_a_wide_merger_the_columns_between_are_left_out():
    _, steps = shown(layer(60), Spec(merger_width=32))
    tables = [step.tables[MERGER] for step in steps if MERGER in step.tables]
    assert {tuple(rows[0]) for rows in tables} == {("element", "before", "behind", "then")}
    assert {len(rows) for rows in tables} == {32}


def test_sorts_give_the_keys_in_order_pass_by_pass():
    # 30 voxels in no order, a sorter of 8: four blocks, runs of 8 and 6, then of 16, then all.
    of_layer, spec = layer(30), Spec(merger_width=8)
    _, steps = shown(of_layer, spec)
    n = len(of_layer.map.inputs)
    assert 24 < n <= 30
    takes, gives = {}, {}
    for step in (step for step in steps if step.tables[TAKES][0]["does"] == "sort"):
        number = step.title.split("pass ")[1].split(",")[0].split(":")[0]
        takes.setdefault(number, []).extend(step.tables[TAKES][0]["takes"])
        if SORTER in step.tables:
            rows = step.tables[SORTER]
            assert [row["before"] for row in rows] == step.tables[TAKES][0]["takes"]
            gives.setdefault(number, []).extend(row["behind"] for row in rows)
        else:
            gives.setdefault(number, []).extend(text.lstrip("ab") for text in step.tables[GIVES][0]["leaves"])
    assert list(takes) == ["0", "1", "2"]
    places = [tuple(map(int, text.strip("()").split())) for text in takes["0"]]
    assert places == [tuple(voxel) for voxel in of_layer.map.inputs.tolist()]
    for number, run in zip(takes, (8, 16, 32)):
        told = [tuple(map(int, text.strip("()").split())) for text in gives[number]]
        ordered = [sorted(places[at : at + run], key=lambda voxel: voxel[::-1]) for at in range(0, n, run)]
        assert told == [voxel for part in ordered for voxel in part]
