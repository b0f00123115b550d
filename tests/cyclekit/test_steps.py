"""Do steps ride on a Chrome trace as its spans' arguments and as counters, and do they fit a terminal as text?"""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie_sim
from cyclekit.trace.formats import chrome
from cyclekit.trace.steps import WIDTH, Step, cells
from cyclekit.trace.tracks import Trace, limited
from tests import chrome_format, eie_cases
from workloads import BadInput, load


def traced(workload, spec):
    """Return a trace of EIE and its steps."""
    image = eie_sim.encode(workload, spec)
    run = eie_sim.simulate(image, workload.activations[0], spec, engine="schedule")
    window = {"begin": 0, "end": run.cycles, "n_units": None}
    tracks = limited(eie_sim.MACHINE.spans(run, image, spec, **window))
    trace = Trace(title="a run", cycle_us=0.00125, ticks_per_cycle=1, begin=0, end=run.cycles, tracks=tracks)
    return trace, list(eie_sim.MACHINE.steps(run, image, workload.activations[0], spec, **window))


# The Chrome trace


@settings(max_examples=30)
@given(eie_cases.workloads(max_in=10, max_out=12), st.integers(1, 5), st.integers(2, 4))
def test_each_span_s_arguments_are_what_its_unit_s_steps_say_in_all_of_its_cycles(workload, n_pes, depth):
    trace, steps = traced(workload, eie_sim.Spec(n_pes=n_pes, queue_depth=depth))
    found = chrome_format.read(chrome(trace, steps))
    said, levels = {}, {}
    for step in (step for step in steps if step.begin is not None):
        for rows in step.tables.values():
            for row in rows:
                said.setdefault((row["unit"], step.begin), {}).update(row)
        for unit, of_unit in step.levels.items():
            levels[unit, step.begin] = of_unit["queue"]
    painted = {}
    for (_, unit), spans in found.slices.items():
        for begin, end, name, args in spans:
            for cycle in range(int(begin), int(end)):
                assert (unit, cycle) not in painted
                painted[unit, cycle] = {"unit": unit, "does": name, **args}
    assert painted.keys() == said.keys()
    for place, args in painted.items():
        assert args == {name: value for name, value in said[place].items() if value is not None and value != []}
    for (_, name), points in found.counters.items():
        times, values = [time for time, _ in points], [args["queue"] for _, args in points]
        for cycle in range(trace.end):
            assert levels[name, cycle] == values[np.searchsorted(times, cycle, "right") - 1]
        assert all(a != b for a, b in zip(values, values[1:]))
    assert {name for _, name in found.counters} == {name for name, _ in levels}


def test_the_spans_without_steps_stay_as_they_are():
    trace, steps = traced(load("lecture-eie"), eie_sim.Spec(n_pes=4))
    plain, told = chrome_format.read(chrome(trace)), chrome_format.read(chrome(trace, steps))
    assert not plain.counters
    for unit, spans in plain.slices.items():
        assert all(not args for *_, args in spans)
        edges = {edge for begin, end, *_ in spans for edge in (begin, end)}
        assert edges <= {edge for begin, end, *_ in told.slices[unit] for edge in (begin, end)}
    some = [step for step in steps if step.begin in (2, 3)]
    cut = chrome_format.read(chrome(trace, some)).slices["pe", "PE 0"]
    assert [(begin, end) for begin, end, _, args in cut if args] == [(2, 3), (3, 4)]
    assert (cut[0][0], cut[-1][1]) == (0, trace.end)


def test_too_many_rows_are_refused(monkeypatch):
    trace, steps = traced(load("lecture-eie"), eie_sim.Spec(n_pes=4))
    monkeypatch.setattr("cyclekit.trace.tracks.MOST_SPANS", 20)
    with pytest.raises(BadInput, match="rows of steps: ask for a smaller --window or --units"):
        chrome(trace, steps)


# The text


def test_a_long_list_is_shown_by_its_ends_where_the_table_would_be_too_wide():
    rows = [
        {"unit": "PE 0", "queue": list(range(1000, 1030)), "value": 0.1234567},
        {"unit": "PE 1", "queue": [], "value": None},
    ]
    assert cells(rows) == [["PE 0", "1000 .. 1029 (30)", "0.12346"], ["PE 1", "-", "-"]]
    short = [{"queue": [1, 2.5, -0.0]}]
    assert cells(short) == [["1 2.5 0"]]


@pytest.mark.parametrize("spec", [{}, {"n_pes": 256}, {"queue_depth": 30, "n_pes": 2}])
def test_a_layer_s_steps_fit_80_columns_and_keep_every_number(spec):
    _, steps = traced(small_layer(), eie_sim.Spec(**spec))
    for rows in (rows for step in steps for rows in step.tables.values()):
        table = cells(rows)
        assert sum(2 + max(map(len, column)) for column in zip(rows[0], *table, strict=True)) <= WIDTH
        for row, texts in zip(rows, table, strict=True):
            for value, text in zip(row.values(), texts, strict=True):
                assert not isinstance(value, int | float) or float(text) == pytest.approx(value, rel=1e-4)


def small_layer():
    return eie_cases.layer(np.tile([[3], [1]], (1, 70)), activations=np.linspace(0.001, 1, 70))


def test_a_step_survives_json():
    step = Step(
        title="t", begin=10, end=20, lines=["l"], tables={"a": [{"unit": "u", "n": None}]}, levels={"u": {"q": 2}}
    )
    assert json.loads(json.dumps(step.as_dict(10))) == {
        "title": "t",
        "begin": 1.0,
        "end": 2.0,
        "lines": ["l"],
        "tables": {"a": [{"unit": "u", "n": None}]},
        "levels": {"u": {"q": 2}},
    }
