"""How near to the published instruction figures is the model, and are both sides told honestly?

The expected errors are those of the closed form in docs/tensorcore.md, worked out without this code: the period of an
iteration is max(latency, w * ILP * interval) + overhead, for w warps a sub-core.
"""

import pytest

from cyclekit.validation import mean_error, worst
from tensorcore_sim import published
from tensorcore_sim.spec import PRESETS
from workloads.files import read_table

A100 = PRESETS["a100-sxm-80gb"]


@pytest.fixture(scope="module")
def validation():
    """The instructions' part: that of GEMMs has a file of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published.gemms, "compare", lambda progress: iter(()))
        return published.validate()


def test_throughputs_are_within_three_percent_on_average_and_twenty_five_of_twenty_eight_within_five(validation):
    rows = validation.select(quantity="throughput")
    assert len(rows) == 28
    assert mean_error(rows) <= 3
    assert sum(abs(row.error) <= 5 for row in rows) == 25


def test_the_three_points_beyond_five_percent_are_the_known_ones(validation):
    rows = validation.select(quantity="throughput")
    beyond = {(row.layer, row.setting) for row in rows if abs(row.error) > 5}
    assert beyond == {
        ("mma.m16n8k8 f16 to f16", "4 warps, ILP 4"),
        ("mma.m16n8k256 b1 to s32", "8 warps, ILP 2"),
        ("mma.sp.m16n8k16 f16 to f32", "4 warps, ILP 4"),
    }
    assert worst(rows).error == pytest.approx(16.7, abs=0.1)


def test_each_throughput_is_the_closed_forms():
    # w, ILP, interval and latency (one or two passes) by hand from the row; 4 sub-cores
    small = {"mma.m16n8k8 f16", "mma.sp.m16n8k16 f16", "mma.sp.m16n8k8 tf32", "mma.sp.m16n8k32 int8"}
    for row in read_table("tensorcore_sim", "sun_a100_mma"):
        name = f"{row['instruction']} {row['in_dtype']}"
        sparse = ".sp." in name
        interval, latency = (max(4.0, 6.2 * sparse), 17.7) if name in small else (8.0, 24.7)
        m, n, k = 16, 8, int(row["instruction"].rpartition("k")[2])
        for w, overhead in ((1, 2.6), (2, 0.8)):
            ilp = int(row[f"ilp_{4 * w}warp"])
            period = max(latency, w * ilp * interval) + overhead
            reached = published.throughput(
                row["instruction"], A100, in_dtype=row["in_dtype"], n_warps=4 * w, ilp=ilp
            ).fma_per_cycle
            assert reached == pytest.approx(4 * w * ilp * m * n * k / period, rel=1e-9), name


def test_completion_latencies_are_within_a_cycle_but_for_the_binary_one(validation):
    rows = validation.select(quantity="completion latency")
    beyond = [row for row in rows if abs(row.simulated - row.published) > 1]
    assert len(rows) == 14
    assert [(row.layer, round(row.simulated - row.published, 1)) for row in beyond] == [
        ("mma.m16n8k256 b1 to s32", -1.3)
    ]


def test_loads_are_within_a_cycle_and_a_percent(validation):
    latencies, throughputs = (validation.select(quantity=f"load {name}") for name in ("latency", "throughput"))
    assert (len(latencies), len(throughputs)) == (7, 3)
    assert max(abs(row.simulated - row.published) for row in latencies) <= 1
    assert max(abs(row.error) for row in throughputs) <= 1


def test_wgmma_is_within_three_percent(validation):
    rows = [row for row in validation.comparisons if row.source == "Luo et al."]
    assert len(rows) == 16
    assert max(abs(row.error) for row in rows) <= 3
    # m64n8k16 SS: 18 cycles of the port, 4 of multiply-adds
    (small,) = validation.select(layer="wgmma.m64n8k16 f16 SS")
    assert small.simulated == pytest.approx(728.5 * 4 / 18)


def test_what_a_constant_was_fitted_on_is_marked_so(validation):
    papers = ("Sun et al.", "Luo et al.")
    evidence = [row for row in validation.select(kind="as published") if row.source in papers]
    assert {row.quantity for row in evidence} == {
        "completion latency",
        "load throughput",
        "wgmma interval",
        "wgmma throughput",
    }
    assert "wgmma.m64n8k16 f16 RS" not in {row.layer for row in evidence}
    assert any("garbled" in note for note in validation.footnotes)


def test_the_two_latencies_that_spec_py_names_as_its_source_are_no_evidence(validation):
    rows = [row for row in validation.select(kind="calibrated") if row.quantity == "completion latency"]
    assert {row.layer for row in rows} == {"mma.m16n8k8 f16 to f32", "mma.m16n8k16 f16 to f32"}


def test_a_load_is_called_by_the_banks_that_collide(validation):
    """Seven latencies, four of them of one load: without a conflict, and of two, four and eight ways."""
    assert [row.layer for row in validation.select(quantity="load latency")] == [
        *(f"ldmatrix.x{n}" for n in (1, 2, 4)),
        *("ld.shared.u32" + way for way in ("", ", 2-way conflict", ", 4-way conflict", ", 8-way conflict")),
    ]


def test_no_published_rate_is_above_the_cards_own():
    for row in read_table("tensorcore_sim", "sun_a100_mma"):
        peak = A100.fma_per_cycle(row["in_dtype"]) * (2 if ".sp." in row["instruction"] else 1)
        assert 0.5 * peak < float(row["fma_4warp"]) < float(row["fma_8warp"]) <= peak
