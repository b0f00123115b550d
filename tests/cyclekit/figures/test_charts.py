"""Do the figures of stored results show the results' numbers, and only what the results support?"""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclekit.figures import charts as charts_module
from cyclekit.figures.charts import MOST_MAPS, charts
from cyclekit.figures.colours import STATES, places_of_modules
from cyclekit.figures.cuts import cut
from cyclekit.spec import Spec
from cyclekit.sweep.results import Result, UnitMap, value, varied
from cyclekit.views import ENERGY, LOAD_BALANCE, SPEED_UP, TIME, View, count, energy_of, energy_per, measure

TIMES_US = {1: 120.0, 2: 60.0, 4: 40.0}  # of n_lanes; so the speed-ups over one lane are 1, 2 and 3


def result(workload="a", *, time_us=1.0, energy_pj=None, reason=None, **spec) -> Result:
    about = {"machine": "unknown", "workload": workload, "engine": "only", "spec": spec}
    if reason is not None:
        return Result(**about, reason=reason)
    return Result(
        **about,
        n_inputs=1,
        cycles=100,
        time_us=time_us,
        load_balance=0.5,
        actions={"reads": 8},
        states={"lane": {"busy": 1 / time_us, "idle": 1 - 1 / time_us}, "feeder": {"busy": 1.0}},
        energy_pj=energy_pj,
        module_pj={} if energy_pj is None else {"sram": 0.75 * energy_pj, "alu": 0.25 * energy_pj},
        area_um2={"sram": 1e6 * spec.get("n_lanes", 1)},
        unpriced="" if energy_pj is not None else "unknown has no prices",
    )


def lanes(workload="a", **more) -> list[Result]:
    """Return one result for each number of lanes, each of which takes 1,000 pJ."""
    return [result(workload, time_us=us, energy_pj=1000.0 * n, n_lanes=n, **more) for n, us in TIMES_US.items()]


@pytest.fixture
def machine(monkeypatch):
    """Return a function that installs a machine with some views, whose default design has one lane."""

    def install(*views: View) -> None:
        preset = SimpleNamespace(as_dict=lambda: {"n_lanes": 1, "depth": 8})
        known = {"views": views, "presets": {"plain": preset}, "balance": "occupancy", "spec": Spec}
        known |= {"preset": "plain", "design": lambda name, changes: preset}
        known = SimpleNamespace(**known, cautions={}, modules=("alu", "SRAM"))
        monkeypatch.setattr(charts_module.machines, "load", lambda name: known)

    return install


def by_name(found) -> Mapping[str, charts_module.Chart]:
    assert len({chart.name for chart in found}) == len(found)
    return {chart.name: chart for chart in found}


def panels(chart) -> dict:
    return {panel.y_label: dict(panel.lines) for panel in chart.data.panels}


# Numbers


def test_a_machine_that_says_nothing_is_shown_by_time_balance_and_energy_against_what_varies():
    found = by_name(charts(lanes()[::-1]))
    assert list(found) == ["unknown_n_lanes", "unknown_n_lanes_states", "unknown_n_lanes_energy", "unknown_pareto"]
    assert found["unknown_n_lanes"].data.x_label == "number of lanes"
    assert panels(found["unknown_n_lanes"]) == {
        "time [us]": {"": ((1, 2, 4), (120, 60, 40))},
        "load balance [%]": {"": ((1, 2, 4), (50, 50, 50))},
        "energy [nJ]": {"": ((1, 2, 4), (1, 2, 4))},
    }


def test_speed_up_is_over_the_smallest_size_and_says_so(machine):
    machine(View("n_lanes", (SPEED_UP,), label="lanes"))
    # b was not run on one lane: it has no speed-up, and a's is not lent to it
    found = by_name(charts([*lanes("a"), *lanes("b")[1:]]))
    panel = found["unknown_n_lanes"].data.panels[0]
    assert panel.y_label == "speed-up over lanes = 1 [times]"
    assert panel.lines == {"a": ((1, 2, 4), (1, 2, 3))}
    assert panel.in_proportion


def test_a_view_shows_counts_a_modules_energy_and_measures(machine):
    quantities = (count("reads", "reads"), energy_per("sram", "reads", "a read"), energy_of("sram", "all"))
    machine(View("n_lanes", (*quantities, measure("rate", "rate", "GB/s"))))
    chart = by_name(charts(lanes()))["unknown_n_lanes"]
    assert panels(chart) == {
        "reads": {"": ((1, 2, 4), (8, 8, 8))},
        "a read [pJ]": {"": ((1, 2, 4), (93.75, 187.5, 375))},  # 0.75 x 1000 n / 8
        "all [nJ]": {"": ((1, 2, 4), (0.75, 1.5, 3))},
    }


def test_stacks_show_shares_of_the_first_kinds_cycles_and_energy_by_module():
    found = by_name(charts(lanes()))
    data = found["unknown_n_lanes_states"].data
    assert data.y_label == "share of lane cycles [%]"
    assert data.panels[""]["4"] == pytest.approx({"busy": 2.5, "idle": 97.5})
    assert data.places == {"busy": 0, "idle": STATES["idle"]}
    data = found["unknown_n_lanes_energy"].data
    assert data.y_label == "energy [nJ]"
    assert data.panels[""]["4"] == {"sram": 3.0, "alu": 1.0}


def test_a_module_has_the_colour_that_its_machine_gives_it():
    assert places_of_modules({"wires", "SRAM", "alu"}, ("alu", "DRAM", "SRAM")) == {"alu": 0, "wires": 1, "SRAM": 2}
    assert places_of_modules({"b", "a"}, ()) == {"a": 0, "b": 1}


def test_energies_too_different_to_stand_beside_each_other_are_shown_as_shares():
    small = replace(result(energy_pj=10.0, n_lanes=1), module_pj={"sram": 4.0, "alu": 6.0})
    data = by_name(charts([small, result(energy_pj=200.0, n_lanes=2)]))["unknown_n_lanes_energy"].data
    assert data.y_label == "share of energy [%]"
    assert data.panels[""] == {"1": {"sram": 40, "alu": 60}, "2": {"sram": 75, "alu": 25}}


def test_paretos_front_adds_up_workloads_and_leaves_out_designs_that_lack_one():
    results = [*lanes("a"), *lanes("b"), result("a", time_us=0.1, energy_pj=1.0, n_lanes=8)]
    results += [result(w, time_us=60.0, energy_pj=9000.0, n_lanes=3) for w in "ab"]  # as fast as 2 lanes, at more
    chart = by_name(charts(results))["unknown_pareto"]
    time_energy, time_area = chart.data.planes
    assert time_energy.designs == {"1": (240, 2), "2": (120, 4), "4": (80, 8), "3": (120, 18)}  # us, nJ
    assert list(time_energy.front) == ["4", "2", "1"]
    assert time_area.designs == {"1": (240, 1), "2": (120, 2), "4": (80, 4), "3": (120, 3)}
    assert "4 designs" in chart.caption
    assert "one input of each of 2 workloads together (a, b)" in chart.caption


def test_panels_that_are_all_the_same_are_one():
    results = [result(time_us=us, n_lanes=n, width=w) for w in (8, 16, 32) for n, us in ((1, 4.0), (2, 2.0 + (w > 16)))]
    data = by_name(charts(results))["unknown_n_lanes_states"].data
    assert list(data.panels) == ["width = 8, 16", "width = 32"]


# What is fixed, left out, absent


def test_other_fields_are_fixed_at_the_default_presets_value_and_named(machine):
    machine(View("n_lanes", (TIME,)))
    results = [
        result(time_us=n * depth, n_lanes=n, depth=depth, mode=m) for m in "xy" for depth in (4, 8) for n in (1, 2)
    ]
    results = [*results, *(replace(one, workload="b") for one in results)]
    chart = by_name(charts(results))["unknown_n_lanes"]
    assert panels(chart) == {"time [us]": {"a": ((1, 2), (8, 16)), "b": ((1, 2), (8, 16))}}
    assert "Fixed: preset plain, mode = x, depth = 8." in chart.caption


def test_of_one_workload_the_lines_are_a_second_field():
    results = [result(time_us=n * depth, n_lanes=n, depth=depth) for depth in (8, 4) for n in (1, 2)]
    chart = by_name(charts(results))["unknown_n_lanes"]
    assert panels(chart)["time [us]"] == {"4": ((1, 2), (4, 8)), "8": ((1, 2), (8, 16))}
    assert chart.data.series_label == "depth"
    assert "workload = a" in chart.caption


def test_what_lines_differ_in_is_called_as_the_machines_view_over_it_calls_it(machine):
    machine(View("depth", (TIME,)), View("n_lanes", (TIME,), label="Lanes"))
    results = [result(time_us=n * depth, n_lanes=n, depth=depth) for depth in (8, 4) for n in (1, 2)]
    chart = by_name(charts(results))["unknown_depth"]
    assert chart.data.series_label == "Lanes"
    assert "a line for each number of Lanes" in chart.caption


def test_a_lone_line_is_named_among_what_is_fixed():
    chart = by_name(charts([*lanes("a"), *lanes("b")[:1]]))["unknown_n_lanes"]
    assert panels(chart)["time [us]"] == {"": ((1, 2, 4), (120, 60, 40))}
    assert "Fixed: workload = a." in chart.caption
    assert "Not shown: 1 " in chart.caption


def test_infeasible_results_are_left_out_and_counted():
    chart = by_name(charts([*lanes(), result(n_lanes=8, reason="too many")]))["unknown_n_lanes"]
    assert panels(chart)["time [us]"] == {"": ((1, 2, 4), (120, 60, 40))}
    assert "Left out: 1 without a result." in chart.caption


def test_where_some_of_several_lines_have_their_best_at_an_end_the_caption_says_of_what_they_are_the_values():
    """Of a line for each depth the least time is at the most lanes; of depth 9 at the second of them."""
    deep = [result(time_us=us, n_lanes=n, depth=9) for n, us in {1: 9.0, 2: 3.0, 4: 5.0}.items()]
    caption = by_name(charts([*lanes(depth=4), *lanes(depth=8), *deep]))["unknown_n_lanes"].caption
    assert "depth = 4, 8: least time at n_lanes = 4, the most tried" in caption


def test_without_prices_there_is_no_energy_and_the_caption_says_why():
    found = by_name(charts([replace(one, energy_pj=None, module_pj={}, unpriced="no price of x") for one in lanes()]))
    assert list(panels(found["unknown_n_lanes"])) == ["time [us]", "load balance [%]"]
    assert "No energy: no price of x." in found["unknown_n_lanes"].caption
    assert "unknown_n_lanes_energy" not in found
    assert [plane.y_label for plane in found["unknown_pareto"].data.planes] == ["area [mm2]"]


def test_results_that_lack_a_price_are_counted():
    some = [replace(one, energy_pj=None, module_pj={}, unpriced="no price of x") for one in lanes()[2:]]
    found = by_name(charts([*lanes()[:2], *some]))
    assert panels(found["unknown_n_lanes"])["energy [nJ]"] == {"": ((1, 2), (1, 2))}
    assert "No energy of 1 of 3: no price of x." in found["unknown_n_lanes"].caption
    assert "unknown_n_lanes_energy" not in found


def test_what_is_the_same_at_every_x_has_no_stacks():
    assert list(by_name(charts([result(n_lanes=n) for n in (1, 2)]))) == ["unknown_n_lanes", "unknown_pareto"]


def test_words_have_bars_and_no_lines():
    results = [result(time_us=us, mode=mode) for mode, us in (("slow", 4.0), ("fast", 2.0))]
    (chart,) = charts(results)
    assert chart.name == "unknown_mode_states"
    assert list(chart.data.panels[""]) == ["slow", "fast"]


def test_one_design_shows_where_its_workloads_cycles_went():
    (chart,) = charts([result("a", time_us=2.0), result("b", time_us=4.0)])
    assert chart.data.panels == {"": {"a": {"busy": 50, "idle": 50}, "b": {"busy": 25, "idle": 75}}}
    (alone,) = charts([result(time_us=2.0)])
    assert alone.data.panels == {"": {"a": {"busy": 50, "idle": 50}}}


@pytest.mark.parametrize(
    "results", [[], [result(n_lanes=1, reason="no")], [result(reason="no", n_lanes=n) for n in "12"]]
)
def test_nothing_feasible_has_no_figures(results):
    assert charts(results) == []


def test_more_workloads_than_colours_are_counted():
    chart = by_name(charts([one for k in range(11) for one in lanes(f"w{k}")]))["unknown_n_lanes"]
    assert list(panels(chart)["time [us]"]) == [f"w{k}" for k in range(9)]
    assert "Not shown: 2 " in chart.caption


GRIDS = st.lists(
    st.tuples(*(st.integers(0, 2) for _ in range(4))).map(
        lambda key: dict(zip(("w", "x", "y", "z"), key, strict=True))
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda spec: tuple(spec.values()),
)


@given(GRIDS)
def test_every_field_that_varies_is_x_or_lines_or_fixed(grid):
    results = [result("ab"[spec["w"] % 2], **spec) for spec in grid]
    for name in "xyz":
        made = cut(results, View(name, (TIME,)), None)
        if made is None:
            continue
        shown = [(label, x, one) for label, points in made.lines.items() for x, one in points]
        assert len({(label, x) for label, x, _ in shown}) == len(shown)
        assert {name, made.lines_by, *made.fixed} >= set(varied(results))
        for label, x, one in shown:
            assert value(one, name) == x
            assert str(value(one, made.lines_by)) == label or not made.lines_by
            assert all(value(one, field) == of_field for field, of_field in made.fixed.items())


# Maps


def unit_map(workload="a", n_units=2, kind="lane", states=("busy", "idle")) -> UnitMap:
    cells = np.zeros((n_units, 3), np.uint8)
    about = {"machine": "unknown", "workload": workload, "engine": "only", "input": 0, "spec": {"n_lanes": n_units}}
    return UnitMap(**about, kind=kind, states=states, cells=cells, cycles=300)


def test_of_each_workload_the_smallest_and_the_largest_map_is_shown_of_the_most_numerous_units():
    maps = [unit_map(w, n, kind) for w in "ab" for n in (4, 2, 8, 8) for kind in ("feeder", "lane")]
    maps = [replace(one, cells=one.cells[:1]) if one.kind == "feeder" else one for one in maps]
    found = by_name(charts([], iter(maps)))
    assert list(found) == [f"unknown_map_{w}_{n}" for w in "ab" for n in (2, 8)]
    assert {chart.data.unit for chart in found.values()} == {"lane"}
    assert "3 evenly spaced moments of 300 cycles" in found["unknown_map_a_2"].caption
    assert len(charts([], [unit_map(str(k)) for k in range(20)])) == MOST_MAPS


def test_a_state_has_the_same_colour_in_maps_and_in_stacks():
    chart = charts([result(time_us=2.0)], [unit_map(states=("work", "idle"))])[-1]
    assert chart.data.places == {"work": 0, "idle": STATES["idle"]}


def test_the_usual_quantities_name_their_units():
    assert [one.unit for one in (TIME, LOAD_BALANCE, ENERGY, SPEED_UP)] == ["us", "%", "pJ", "times"]
