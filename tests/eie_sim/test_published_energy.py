"""How near to Table II, Table V and Fig 9 are energy and area, and which side of them is no evidence?"""

import numpy as np
import pytest

import eie_sim
from cyclekit.validation import mean_error
from eie_sim.prices import DRIVERS
from eie_sim.published_energy import CLUSTERED, FEATURE_MAPS, RULE, clustered
from workloads.catalogue import benchmarks, draw


def of(validation, layer, **wanted):
    (row,) = validation.select(layer=layer, **wanted)
    return row


def test_bottom_up_power_is_within_a_quarter_of_table_2_on_both_kinds_of_layers(validation):
    for kind in ("as published", "calibrated"):
        row = of(validation, "total", source="Table II", quantity=f"power, layers {kind}", kind="bottom-up")
        assert row.published == 9.157
        assert abs(row.error) <= 25


def test_calibrated_power_is_within_two_percent_in_every_module(validation):
    # by construction: it also says that the rates in prices.py are still the simulated ones
    rows = validation.select(source="Table II", quantity="power, layers calibrated", kind="calibrated")
    assert len(rows) == len(DRIVERS) + 1
    assert max(abs(row.error) for row in rows) <= 2


def test_each_module_of_table_2_has_its_error_on_both_sides(validation):
    for kind in ("bottom-up", "calibrated"):
        for quantity in ("power, layers as published", "power, layers calibrated", "area"):
            layers = {row.layer for row in validation.select(source="Table II", quantity=quantity, kind=kind)}
            assert layers >= {"Act_queue", "PtrRead", "SpmatRead", "ArithmUnit", "ActRW", "total"}


def test_bottom_up_area_is_within_a_quarter_and_the_srams_nearer(validation):
    errors = {
        row.layer: abs(row.error) for row in validation.select(source="Table II", quantity="area", kind="bottom-up")
    }
    assert errors["total"] <= 25
    assert errors["SpmatRead"] <= 15
    assert errors["PtrRead"] <= 15


def test_table_5_follows_from_the_paper_s_rule(validation):
    # its printed figures are rounded to three or four digits
    rows = validation.select(source="Table V", kind=RULE)
    assert len(rows) == 10
    assert max(abs(row.error) for row in rows) <= 0.1


def test_64_pes_of_table_5_are_met_by_the_simulated_layer(validation):
    for row in validation.select(source="Table V", layer="64 PEs, 45 nm", kind="calibrated"):
        assert abs(row.error) <= 3


def test_256_pes_of_table_5_run_at_the_clock_of_its_throughput(validation):
    """Alex-7 in as many cycles as at any clock, at 1.6 x 800 MHz: 81,967 x 3.25 x 1.6 are Table V's 426,230."""
    spec = eie_sim.Spec(n_pes=256)
    work = draw(benchmarks()["alex-7-calibrated"])
    run = eie_sim.simulate(eie_sim.encode(work, spec), work.activations[0], spec, engine="schedule")
    (row,) = validation.select(source="Table V", layer="256 PEs, 28 nm", quantity="throughput", kind="bottom-up")
    assert row.simulated == pytest.approx(1280e6 / run.cycles)


def test_reads_of_fig_9_are_within_two_percent_once_feature_maps_are_clustered(validation):
    rows = validation.select(source="Fig 9", quantity="reads against width", kind=CLUSTERED)
    assert [row.setting for row in rows] == ["32", "64", "128", "256", "512"]
    assert max(abs(row.error) for row in rows) <= 2


def test_read_energies_of_the_layers_that_take_no_feature_maps_agree(validation):
    # at the paper's own prices; the figure is read to 50 nJ. VGG-7's points contradict its own entries.
    rows = [
        row
        for row in validation.select(
            source="Fig 9", quantity="read energy at the paper's pJ against width", kind="calibrated"
        )
        if row.layer not in (*FEATURE_MAPS, "vgg-7")
    ]
    assert len(rows) == 6 * 5
    assert mean_error(rows) <= 3


def test_every_layer_has_its_best_width_beside_the_paper_s(validation):
    rows = validation.select(source="Fig 9, optimum", quantity="width at the paper's pJ", kind="calibrated")
    assert {row.layer: row.published for row in rows} == {
        "alex-6": 128, "alex-7": 64, "alex-8": 128, "vgg-6": 64, "vgg-7": 64, "vgg-8": 256, "nt-we": 256,
        "nt-wd": 256, "nt-lstm": 256,
    }  # fmt: skip
    for row in validation.select(source="Fig 9, optimum", quantity="width at the paper's pJ", kind=CLUSTERED):
        assert row.simulated == row.published


@pytest.mark.parametrize("layer", FEATURE_MAPS)
def test_clustering_moves_the_non_zeros_and_nothing_else(layer):
    inputs = draw(benchmarks()[f"{layer}-calibrated"]).activations[0]
    n_positions, empty, stay = FEATURE_MAPS[layer]
    moved = clustered(inputs, n_positions, empty, stay)
    np.testing.assert_array_equal(moved[moved != 0], inputs[inputs != 0])
    maps = moved.reshape(-1, n_positions)
    assert (maps == 0).all(axis=1).mean() == pytest.approx(empty, abs=0.02)
    on = moved != 0
    assert (on[1:] & on[:-1]).sum() / on.sum() == pytest.approx(stay, abs=0.02)
