"""Do the figures of stored results show the results' numbers, and only those figures that the results support?"""

import pytest

from cyclekit.charts import charts, write
from cyclekit.results import Result

MS = 1000.0


def result(workload="a", reason=None, machine="unknown", energy_pj=None, **spec):
    """Return a result that takes 100 us / (n_lanes x depth) and has the energy given."""
    design = {"n_lanes": 1, "depth": 1, **spec}
    work = 100.0 / (design["n_lanes"] * design["depth"])
    about = {"machine": machine, "workload": workload, "engine": "only", "spec": design}
    if reason:
        return Result(**about, reason=reason)
    return Result(
        **about,
        n_inputs=1,
        cycles=10 * work,
        time_us=work,
        load_balance=0.5,
        states={"lane": {"busy": 0.25, "idle": 0.75}},
        energy_pj=energy_pj,
        module_pj={} if energy_pj is None else {"sram": 0.75 * energy_pj, "alu": 0.25 * energy_pj},
    )


def named(found, name):
    return next(chart for chart in found if chart.name == name)


def test_a_varied_number_is_shown_against_time_balance_and_energy():
    found = charts([result(n_lanes=n, energy_pj=1000.0 * n) for n in (4, 1, 2)])
    data = named(found, "unknown_n_lanes").data
    assert data.x_label == "n lanes"
    assert {panel.y_label: panel.lines[""] for panel in data.panels} == {
        "time [us]": ((1, 2, 4), (100, 50, 25)),
        "load balance [%]": ((1, 2, 4), (50, 50, 50)),
        "energy [nJ]": ((1, 2, 4), (1, 2, 4)),
    }


@pytest.mark.parametrize("theme", ["print", "dark"])
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_every_figure_is_written_in_both_formats_and_themes(theme, suffix, tmp_path):
    for chart in charts([result(n_lanes=n, energy_pj=1000.0 * n) for n in (4, 1, 2)]):
        path = tmp_path / f"{chart.name}{suffix}"
        write(chart, path, theme)
        assert path.read_bytes().startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
