"""Is it said where a best design lies at an end of what was tried, and only there?"""

from dataclasses import replace

import pytest

from cyclekit.sweep.edges import at_the_ends, ends
from cyclekit.sweep.results import Result
from cyclekit.sweep.sweep import prepare
from tests.cyclekit import toy_sim


def result(time_us, energy_pj=None, workload="fc", reason=None, **spec):
    about = {"machine": "nobody's", "workload": workload, "engine": "e", "spec": spec, "reason": reason}
    return Result(**about, time_us=time_us, energy_pj=energy_pj)


@pytest.mark.parametrize(
    ("best", "tried", "at"),
    [
        ([4], [1, 2, 4], {"a": "4, the most tried"}),
        ([1], [1, 2, 4], {"a": "1, the least tried"}),
        ([2], [1, 2, 4], {}),
        ([4], [2, 4], {}),  # of two values each is an end
        ([2, 4], [1, 2, 4], {}),  # as good inside
        (["z"], ["x", "y", "z"], {}),
        ([True], [True, False], {}),
        ([0.5], [0.1, 0.2, 0.5], {"a": "0.5, the most tried"}),
    ],
)
def test_an_end_is_where_all_that_are_best_lie(best, tried, at):
    assert ends([{"a": value} for value in best], {"a": tried}) == at


def test_the_least_that_a_spec_allows_is_no_end():
    tried = {"expected_s": [0, 1, 2], "clock_mhz": [2, 3, 4]}
    assert ends([{"expected_s": 0, "clock_mhz": 2}], tried, toy_sim.MACHINE) == {"clock_mhz": "2, the least tried"}


def test_each_workload_s_best_are_told_by_quantity():
    # fc: time falls with a, energy is least at a = 2 in the middle; gru: time is least in the middle; b changes nothing
    fc = [result(8 / a, 100 + (a - 2) ** 2, a=a, b=b) for a in (1, 2, 3) for b in (5, 6, 7)]
    gru = [result(10 + (a - 2) ** 2, workload="gru", a=a, b=5) for a in (1, 2, 3)]
    said = "fc: least time and energy x time at a = 3, the most tried: beyond it may be better"
    assert at_the_ends([*fc, *gru]) == [said]
    # what was tried and does not fit is tried, too
    assert at_the_ends([*fc, result(0, a=4, b=5, reason="too large")]) == []


def test_a_field_that_has_a_caution_is_told_where_it_varies(layer_npz):
    toy = replace(toy_sim.MACHINE, cautions={"clock_mhz": "it is free"})
    said = {field: prepare(toy, [layer_npz], vary={field: "1,2,3"}).said() for field in ("clock_mhz", "expected_s")}
    assert said["clock_mhz"].count("clock_mhz: it is free") == 1
    assert not any("free" in note for note in said["expected_s"])
