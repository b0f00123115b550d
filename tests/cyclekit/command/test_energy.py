"""Does `zeroskip run` say what a run costs, by which table, and why where it cannot?"""

import json

import pytest

from cyclekit.run import Run


def as_json(ended):
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_a_run_is_priced_by_the_machine_s_default_table(zeroskip, layer_npz):
    stored = as_json(zeroskip("run", "eie", layer_npz, "--engine", "schedule", "--json", "-"))
    cost = stored["energy"]
    assert cost["prices"] == "bottom-up"
    assert sum(part for parts in cost["pj"].values() for part in parts.values()) == pytest.approx(cost["total_pj"])
    assert cost["power_mw"] == pytest.approx(cost["total_pj"] / stored["time_us"] / 1e3)
    assert cost["pj_per_mac"] == pytest.approx(cost["total_pj"] / stored["actions"]["macs"])
    assert cost["edp_nj_us"] == pytest.approx(cost["total_pj"] / 1e3 * stored["time_us"])
    assert {"schema_version": "1.0", "command": "run"} | Run.from_dict(stored).as_dict() == stored


@pytest.mark.parametrize("table", ["bottom-up", "calibrated"])
def test_energy_power_area_edp_and_modules_are_printed(zeroskip, layer_npz, table):
    text = zeroskip("run", "eie", layer_npz, "--engine", "schedule", "--prices", table).out
    labels = (
        f"energy, {table} [nJ]", "power [mW]", "area [mm2]", "energy x time [nJ us]", "energy of a useful MAC [pJ]",
        "energy of SpmatRead [nJ]", "energy of PtrRead [nJ]", "energy of ArithmUnit [nJ]",
    )  # fmt: skip
    for label in labels:
        assert f"  {label} " in text
    assert f"note: prices {table}: " in text


def test_an_unknown_table_is_bad_input(zeroskip, layer_npz):
    ended = zeroskip("run", "eie", layer_npz, "--prices", "calibratet")
    assert ended.code == 2
    assert "unknown prices 'calibratet', did you mean 'calibrated'?" in ended.err


def test_a_design_that_cannot_be_priced_runs_without_energy_unless_it_was_asked_for(zeroskip, layer_npz):
    command = ("run", "eie", layer_npz, "--engine", "schedule", "--set", "spmat_width_bits=2048")
    ended = zeroskip(*command)
    assert ended.code == 0
    assert "note: no energy: the Spmat SRAM must have at most 1024 bits of width to have a price, got 2048" in ended.out
    assert as_json(zeroskip(*command, "--json", "-"))["energy"] is None
    ended = zeroskip(*command, "--prices", "bottom-up")
    assert ended.code == 2
    assert "must have at most 1024 bits of width" in ended.err


def test_a_machine_without_a_default_table_says_which_there_are(zeroskip):
    command = ("run", "tensorcore", "128x64x128", "--set", "in_dtype=int8", "--set", "sparsity=2:4")
    assert "note: no energy: it takes a table of prices: --prices sparseloop or tpuv4i" in zeroskip(*command).out
    text = zeroskip(*command, "--prices", "sparseloop").out
    assert "  energy, sparseloop [uJ] " in text
    assert "times this energy" in text
    assert "area [mm2]" not in text


@pytest.mark.usefixtures("toy")
def test_a_machine_without_prices_runs_all_the_same(zeroskip, layer_npz):
    ended = zeroskip("run", "toy", layer_npz)
    assert ended.code == 0
    assert "note: no energy: toy has no prices" in ended.out
    ended = zeroskip("run", "toy", layer_npz, "--prices", "any")
    assert ended.code == 2
    assert "unknown prices 'any': toy has none" in ended.err
