"""Is a preset an axis like a field, and are designs called by presets where that says shorter what differs?"""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclekit.sweep.points import points
from cyclekit.sweep.presets import by_presets
from cyclekit.sweep.results import read, varied
from cyclekit.sweep.search import search
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import prepare, sweep
from eie_sim import PRESETS
from tests.sweep_cases import small
from workloads import BadInput

NAMES = ("silicon", "isca2016-28nm")  # they differ from the default and from each other in several fields
A = {"lanes": 1, "depth": 8, "clock": 800, "word": "a"}
THREE = {"a": A, "b": A | {"lanes": 4, "clock": 900}, "c": A | {"lanes": 2, "clock": 700, "word": "c"}}


def test_a_point_is_the_presets_design_with_the_other_fields_on_top():
    chosen = prepare("eie", [small()], vary={"preset": NAMES, "queue_depth": "2,4"}, changes={"clock_mhz": 500}).points
    wanted = [PRESETS[name].replace(clock_mhz=500, queue_depth=depth) for name in NAMES for depth in (2, 4)]
    assert [chosen.base.replace(**changes) for changes in chosen.changes()] == wanted
    assert len(chosen) == 4


@given(st.lists(st.sampled_from(["n_pes", "queue_depth", "clock_mhz", "capacity"]), unique=True), st.booleans())
def test_groups_hold_every_point_once_and_agree_in_their_fields(fields, depth_first):
    axes = [("queue_depth", (2, 4)), ("preset", NAMES)]
    vary = dict(axes if depth_first else axes[::-1])
    space = points(PRESETS[NAMES[0]], vary, {name: PRESETS[name] for name in NAMES})
    groups = list(space.groups(fields))
    whole = [space.base.replace(**changes) for changes in space.changes()]
    grouped = [[space.base.replace(**changes) for changes in group.changes()] for _, group in groups]
    assert sorted(map(str, itertools.chain(*grouped))) == sorted(map(str, whole))
    assert len(groups) == space.n_groups(fields)
    for (fixed, _), designs in zip(groups, grouped, strict=True):
        base = space.base.replace(**fixed)
        assert all(getattr(design, name) == getattr(base, name) for design in designs for name in fields)


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"vary": {"preset": "silicon,silico"}}, "unknown preset 'silico' of eie, did you mean 'silicon'?"),
        ({"vary": {"preset": []}}, "preset must have at least one value, got none"),
        ({"vary": {"preset": "silicon"}, "machine": "eie:silicon"}, "preset is both set, as 'eie:silicon', and varied"),
        ({"machine": "eie:silico", "vary": {}}, "unknown preset 'silico' of eie, did you mean 'silicon'?"),
        ({"vary": {}, "changes": {"preset": "silicon"}}, "a preset is named with its machine, as eie:silicon"),
        (
            {
                "vary": {"preset": "isca2016,silicon", "n_pes": "1,2"},
                "changes": {name: of for name, of in PRESETS["silicon"].as_dict().items() if name != "n_pes"},
            },
            "presets isca2016 and silicon differ in nothing but what is set or varied: name one of them",
        ),
    ],
)
def test_presets_that_cannot_be_varied_are_refused(how, complaint):
    with pytest.raises(BadInput, match=re.escape(complaint)):
        prepare(how.pop("machine", "eie"), [small()], **how)


def test_a_point_is_the_same_task_as_the_design_by_itself(tmp_path):
    into = tmp_path / "results.db"
    for name in NAMES:
        sweep(f"eie:{name}", [small()], vary={"queue_depth": "2,4"}, into=into, n_workers=1)
    both = {"vary": {"preset": NAMES, "queue_depth": (2, 4)}, "into": into, "n_workers": 1}
    again = sweep("eie", [small()], **both)
    assert (again.n_points, again.n_computed, again.n_stored_before) == (4, 0, again.n_tasks)
    found = search("eie", [small()], minimise=["time_us"], **both)
    assert found.n_computed == 0
    assert {tuple(design.changes) for design in found.front} == {("preset", "queue_depth")}
    with Store(into, write=False) as store:
        results = read(store)
    assert varied(results) == ["preset", "queue_depth"]
    assert {(result.called["preset"], result.spec["queue_depth"]) for result in results} == {
        (name, depth) for name in NAMES for depth in (2, 4)
    }


def test_a_design_that_only_a_preset_explains_is_called_by_it():
    specs = [THREE[name] | {"depth": depth} for name in "abc" for depth in (2, 4)]
    called = by_presets(specs, THREE)
    assert [(own["preset"], own["depth"]) for own in called] == [(name, depth) for name in "abc" for depth in (2, 4)]
    assert all(own.keys() == {"preset", "depth"} for own in called)


@pytest.mark.parametrize(
    "specs",
    [
        [A | {"lanes": lanes} for lanes in (1, 2, 4)],  # each is a preset's value, and the field says as much
        [
            A | {"lanes": lanes, "clock": clock} for lanes in (1, 4) for clock in (800, 900)
        ],  # no preset's in two of four
        [A | {"lanes": lanes} for lanes in (1, 3)],
        [A],
        [],
    ],
)
def test_fields_that_say_as_much_as_presets_stay(specs):
    assert by_presets(specs, THREE) == [None] * len(specs)


DESIGNS = st.fixed_dictionaries({
    "lanes": st.sampled_from([1, 2, 4]), "depth": st.sampled_from([8, 9]), "clock": st.sampled_from([700, 800, 900]),
    "word": st.sampled_from("ac"),
})  # fmt: skip


@given(st.lists(st.one_of(DESIGNS, st.sampled_from(list(THREE.values()))), min_size=1, max_size=6))
def test_what_a_design_is_called_says_all_of_it(specs):
    for spec, own in zip(specs, by_presets(specs, THREE), strict=True):
        if own is not None:
            assert THREE[own["preset"]] | {name: value for name, value in own.items() if name != "preset"} == spec
