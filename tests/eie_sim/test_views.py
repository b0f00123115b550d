"""Do EIE's own figures show what the paper's Figs 8, 9, 11 and 13 are about?"""

import pytest

from cyclekit.figures.charts import charts
from cyclekit.sweep.results import Result
from eie_sim import MACHINE, PRESETS


def result(**changes) -> Result:
    """Return a design whose cycles fall with the PEs, and whose reads fall as the width grows, at 0.5 pJ a bit."""
    spec = PRESETS["isca2016"].replace(**changes)
    reads = 4096 * 64 // spec.spmat_width_bits
    return Result(
        machine="eie",
        workload="layer",
        engine="schedule",
        spec=spec.as_dict(),
        n_inputs=1,
        cycles=6400 / spec.n_pes,
        time_us=8 / spec.n_pes,
        load_balance=1 - 1 / spec.queue_depth,
        actions={"spmat_row_reads": reads},
        energy_pj=2.0 * reads * spec.spmat_width_bits,
        module_pj={"SpmatRead": 0.5 * reads * spec.spmat_width_bits, "PtrRead": 1.5 * reads * spec.spmat_width_bits},
    )


def panels(results, name) -> dict:
    (data,) = [chart.data for chart in charts(results) if chart.name == name]
    return {panel.y_label: panel.lines[""] for panel in data.panels}


def test_fig_9_reads_energy_of_a_read_and_their_product():
    reads, each, product = panels(
        [result(spmat_width_bits=width) for width in (32, 64, 128)], "eie_spmat_width_bits"
    ).items()
    assert reads == ("Spmat row reads", ((32, 64, 128), (8192, 4096, 2048)))
    assert each == ("energy of SpmatRead a read [pJ]", ((32, 64, 128), (16, 32, 64)))
    assert product == ("energy of SpmatRead [nJ]", ((32, 64, 128), pytest.approx((131.072,) * 3)))


def test_figs_11_and_13_speed_up_load_balance_and_energy_against_pes():
    found = panels([result(n_pes=n) for n in (1, 2, 4)], "eie_n_pes")
    assert found["speed-up over PEs = 1 [times]"] == ((1, 2, 4), (1, 2, 4))
    assert list(found)[1:] == ["load balance [%]", "energy [nJ]"]


def test_fig_8_load_balance_against_queue_depth():
    found = panels([result(queue_depth=depth) for depth in (2, 4, 8)], "eie_queue_depth")
    assert found == {"load balance [%]": ((2, 4, 8), (50, 75, 87.5))}


def test_views_are_of_fields_that_there_are():
    assert {view.over for view in MACHINE.views} < PRESETS["isca2016"].as_dict().keys()
