"""Is a design that cannot be refused in one line, and does every result say what of it is not verified?"""

import pytest

from pointacc_sim.simulate import encode, simulate
from pointacc_sim.spec import PRESETS, Spec, unverified
from tests.pointacc_cases import layer
from workloads import BadInput

# What is recalled of MICRO 2021, docs/pointacc.md: 776 and 274 KB of SRAM, in four parts of which no source tells
KB = 1024
SERVER = {
    "n_rows": 64, "n_columns": 64, "clock_mhz": 1000, "node_nm": 40, "area_mm2": 15.7, "merger_width": 64,
    "emits": "half", "distance_lanes": 64, "compare_stage_cycles": 1, "symmetry": False, "reuse_maps": True,
    "dataflow": "fetch-on-demand", "cache": True, "cache_ways": 1, "cache_block_points": "chosen", "fusion": True,
    "steps_ahead": 4, "sram_bytes": 776 * KB, "cache_bytes": 192 * KB, "weight_bytes": 64 * KB,
    "accumulator_bytes": 384 * KB, "coordinate_bytes": 128 * KB, "dram": "hbm2", "dram_gbps": 256,
    "dram_latency_cycles": 100, "dram_burst_bytes": 64,
}  # fmt: skip
EDGE = {
    "n_rows": 16, "n_columns": 16, "area_mm2": 3.9, "sram_bytes": 274 * KB, "cache_bytes": 64 * KB,
    "weight_bytes": 32 * KB, "accumulator_bytes": 96 * KB, "coordinate_bytes": 64 * KB, "dram": "ddr4", "dram_gbps": 17,
}  # fmt: skip
# (the last that is refused, the least, the most, the next that is refused)
LIMITS = {
    "n_rows": (0, 1, 1024, 1025), "n_columns": (0, 1, 1024, 1025), "clock_mhz": (9e-4, 0.001, None, None),
    "node_nm": (0, 1, 65, 66), "area_mm2": (-0.1, 0, None, None), "merger_width": (2, 4, 1024, 2048),
    "distance_lanes": (0, 1, 4096, 4097), "compare_stage_cycles": (0, 1, 100, 101), "cache_ways": (0, 1, 64, 65),
    "cache_block_points": (0, 1, 1024, 1025), "steps_ahead": (0, 1, 1024, 1025), "sram_bytes": (0, None, None, None),
    "cache_bytes": (0, None, None, None), "weight_bytes": (0, None, None, None),
    "accumulator_bytes": (0, None, None, None), "coordinate_bytes": (0, 1, None, None),
    "dram_gbps": (9e-4, 0.001, None, None), "dram_latency_cycles": (0, 1, 10**6, 10**6 + 1),
    "dram_burst_bytes": (0, 1, 4096, 8192),
}  # fmt: skip
FEW = {"cache_bytes": 4096, "weight_bytes": 4096, "accumulator_bytes": 8192, "coordinate_bytes": 1}
AMPLE = {"n_rows": 1, "n_columns": 1, "sram_bytes": 2**62} | FEW


def test_the_presets_are_those_of_the_page():
    assert PRESETS["server"].as_dict() == Spec().as_dict() == SERVER
    assert PRESETS["edge"].as_dict() == SERVER | EDGE


@pytest.mark.parametrize("name", LIMITS)
def test_a_number_is_taken_up_to_its_limits_and_refused_beyond(name):
    below, least, most, beyond = LIMITS[name]
    for value in (least, most):
        assert value is None or getattr(Spec(**AMPLE | {name: value}), name) == value
    for value, told in ((below, f"least {1 if least is None else least}"), (beyond, f"most {most}")):
        if value is not None:
            with pytest.raises(BadInput, match=f"{name} must be at {told}, got "):
                Spec(**AMPLE | {name: value})


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("weight_bytes", 2 * 8 * 4 * 2),  # two tiles of 8 x 4 of 2 bytes
        ("accumulator_bytes", 2 * 4 * 4),  # two rows of 4 sums of 4 bytes
        ("cache_bytes", 8 * 2 * 3),  # in three ways a point of 8 channels of 2 bytes
        ("sram_bytes", sum(FEW.values())),
    ],
)
def test_a_memory_is_taken_from_the_least_that_the_array_needs(name, least):
    design = AMPLE | {"n_rows": 8, "n_columns": 4, "cache_ways": 3}
    assert getattr(Spec(**design | {name: least}), name) == least
    with pytest.raises(BadInput, match=f"{name} must be at least {least}, "):
        Spec(**design | {name: least - 1})


def test_what_follows_from_the_fields():
    # A merger of 64 holds two blocks of 32: 6 columns; a sorter of as many elements has 6 (6 + 1) / 2; Batcher 1968
    spec = Spec(n_columns=16, accumulator_bytes=64 * KB, clock_mhz=500.0, dram_gbps=32.0)
    assert (spec.block, spec.merge_columns, spec.sort_columns) == (32, 6, 21)
    assert (Spec(emits="all").block, Spec(emits="all").merge_columns, Spec(emits="all").sort_columns) == (64, 7, 28)
    assert spec.tile_outputs == 32 * KB // (16 * 4)  # half of the accumulators, sums of 4 bytes
    assert spec.bytes_per_cycle == 64  # 32 bytes a nanosecond, which is half a cycle
    assert [spec.transfer_cycles(n) for n in (1, 64, 65, 640)] == [1, 1, 2, 10]


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


def test_the_server_has_the_peak_of_the_paper():
    spec = PRESETS["server"]
    assert 2 * spec.n_rows * spec.n_columns * spec.clock_mhz * 1e6 == pytest.approx(8e12, rel=0.03)  # 8 TOPS


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
