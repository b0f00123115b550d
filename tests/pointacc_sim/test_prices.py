"""Does every counted action have a price from the table, and does the sum come out by hand?"""

from math import log

import pytest

from pointacc_sim.actions import DRAM, Action
from pointacc_sim.prices import bottom_up, energy, sram_pj_of_byte
from pointacc_sim.simulate import encode, simulate
from pointacc_sim.spec import PRESETS
from tests.pointacc_cases import layer
from workloads import BadInput


def test_every_action_is_priced_or_free():
    table = bottom_up(PRESETS["server"])
    assert {action.value for action in Action} == {str(action) for action in (*table.actions, *table.free)}


def test_an_sram_costs_what_horowitz_prints_of_its_size():
    # 64 bits: 10 pJ from 8 KB, 20 from 32 KB, 100 from 1 MB; between two sizes a power of the size.
    assert sram_pj_of_byte(8192) == pytest.approx(10 / 8)
    assert sram_pj_of_byte(16384) == pytest.approx(10 / 8 * 2**0.5)
    assert sram_pj_of_byte(1 << 20) == pytest.approx(100 / 8)


def test_dram_by_hand():
    for preset, pj in (("server", 250 / 8), ("edge", 1300 / 8)):
        spec = PRESETS[preset]
        run = simulate(encode(layer(), spec), None, spec)
        cost = energy(run, "bottom-up")
        assert cost.module_pj["dram"] == pytest.approx(pj * sum(run.actions[action] for action in DRAM))
        assert cost.module_pj["matrix_unit"] == pytest.approx((1.1 + 0.9) * run.actions["macs"])


@pytest.mark.parametrize("preset", ["server", "edge"])
def test_the_parts_of_the_chip_by_hand(preset):
    """Horowitz: 0.1 pJ an int32 addition, 0.9 an FP32 one; SRAM from 32 KB to 1 MB grows 5 times in 32 times."""
    spec = PRESETS[preset].replace(cache_ways=2)
    run = simulate(encode(layer(60), spec), None, spec)
    n, cost = run.actions, energy(run, "bottom-up")

    def of_byte(n_bytes):
        return 20 / 8 * (n_bytes / 32768) ** (log(5) / log(32))

    assert cost.module_pj == pytest.approx(
        {
            "mapping_unit": 2 * 0.1 * n["compares"] + 8 * of_byte(spec.coordinate_bytes) * n["coordinate_reads"],
            "cache": 2 * 0.1 * n["tag_lookups"]
            + of_byte(spec.cache_bytes) * (n["feature_read_bytes"] + n["feature_write_bytes"]),
            "weight_buffer": of_byte(spec.weight_bytes) * n["weight_read_bytes"],
            "matrix_unit": 2.0 * n["macs"],
            "accumulators": (8 * of_byte(spec.accumulator_bytes) + 0.9) * n["accumulations"]
            + (4 * of_byte(spec.accumulator_bytes) + 0.9) * n["outputs"],
            "dram": cost.module_pj["dram"],  # in the test above
        }
    )
    assert cost.n_macs == n["macs"]


def test_a_distance_is_three_subtractions_three_squares_and_two_additions():
    # of int32: 0.1 pJ a subtraction or an addition, 3.1 a product
    (price,) = bottom_up(PRESETS["server"]).actions["distances"]
    assert price.value == pytest.approx(3 * 0.1 + 3 * 3.1 + 2 * 0.1)


def test_unknown_prices_are_refused():
    run = simulate(encode(layer(), PRESETS["edge"]), None, PRESETS["edge"])
    with pytest.raises(BadInput, match="unknown prices 'table'"):
        energy(run, "table")
