"""Is a design that cannot be refused in one line, and does every result say what of it is not verified?"""

import pytest

from pointacc_sim.simulate import encode, simulate
from pointacc_sim.spec import PRESETS, Spec, unverified
from tests.pointacc_cases import layer
from workloads import BadInput


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"merger_width": 48}, "merger_width must be a power of two, got 48"),
        ({"merger_width": 2}, "merger_width must be at least 4, got 2"),
        ({"weight_bytes": 100}, "weight_bytes must be at least 16384, two tiles of the array, got 100"),
        ({"accumulator_bytes": 8}, "accumulator_bytes must be at least 512, two rows of the array, got 8"),
        ({"cache_bytes": 8}, "cache_bytes must be at least 128, a point in each way, got 8"),
        ({"cache_bytes": 1 << 20}, "sram_bytes must be at least 1638400, the sum of its four parts, got 794624"),
        ({"dataflow": "gather"}, "dataflow must be one of fetch-on-demand, gather-scatter, got 'gather'"),
        ({"cache_block_points": "some"}, "cache_block_points must be a whole number or chosen, got 'some'"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(BadInput, match=message):
        Spec().replace(**changes)


def test_the_presets_are_those_of_the_facts():
    server, edge = PRESETS["server"], PRESETS["edge"]
    assert (server.n_rows, server.n_columns, server.sram_bytes, server.dram_gbps) == (64, 64, 776 * 1024, 256.0)
    assert (edge.n_rows, edge.n_columns, edge.sram_bytes, edge.dram_gbps) == (16, 16, 274 * 1024, 17.0)
    assert 2 * 64 * 64 * server.clock_mhz * 1e6 == pytest.approx(8.19e12, rel=1e-3)


def test_a_run_says_what_it_rests_on():
    for spec in PRESETS.values():
        run = simulate(encode(layer(), spec), None, spec)
        said = "; ".join(run.notes)
        assert f"n_rows={spec.n_rows}" in said
        assert f"sram_bytes={spec.sram_bytes}" in said
        assert "unverified" in said
        assert f"dram_latency_cycles={spec.dram_latency_cycles}" in said.split("assumed")[1]


def test_what_the_user_says_is_not_unverified():
    said = "; ".join(unverified(Spec(n_rows=32, dram_latency_cycles=7)))
    assert "n_rows" not in said
    assert "dram_latency_cycles" not in said
    assert "n_columns=64" in said
