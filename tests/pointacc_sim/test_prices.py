"""Does every counted action have a price from the table, and does the sum come out by hand?"""

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


def test_unknown_prices_are_refused():
    run = simulate(encode(layer(), PRESETS["edge"]), None, PRESETS["edge"])
    with pytest.raises(BadInput, match="unknown prices 'table'"):
        energy(run, "table")
