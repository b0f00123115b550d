"""Does `zeroskip search` show the front that a sweep of the same space has, and refuse bad input in one line?"""

import json
import sys

import pytest

from cyclekit.sweep.results import front, read
from cyclekit.sweep.store import Store

VARY = ("--vary", "n_pes=1,2,4", "--vary", "queue_depth=2:16:x2", "--vary", "spmat_width_bits=32,64")  # 24 points


@pytest.fixture
def into(tmp_path):
    return tmp_path / "results.db"


def test_the_front_of_a_whole_space_is_that_of_its_sweep(zeroskip, layer_npz, into):
    ended = zeroskip("search", "eie", layer_npz, *VARY, "--into", into, "--workers", 1, "--json", "-")
    said = json.loads(ended.out)
    assert (ended.code, said["whole"], said["n_trials"], said["n_computed"]) == (0, True, 24, 24)
    with Store(into, write=False) as store:
        swept = read(store)
    assert len(swept) == 24
    costs = [(one.time_us, one.energy_pj, one.area_mm2) for one in swept]
    expected = [(swept[place].spec, costs[place]) for place in front(costs)]
    found = [(one["changes"], tuple(one["values"][name] for name in said["minimise"])) for one in said["front"]]
    assert len(found) == len(expected)
    for changes, values in found:
        (place,) = [i for i, (spec, _) in enumerate(expected) if changes.items() <= spec.items()]
        assert values == pytest.approx(expected[place][1])


def test_what_a_search_says(zeroskip, layer_npz, into):
    words = ("search", "eie", layer_npz, *VARY, "--into", into, "--workers", 1, "--trials", 10)
    ended = zeroskip(*words, "--minimise", "cycles, area_mm2", "--where", "area_mm2<=2", "--prices", "calibrated")
    title, heads, *rows = ended.out.splitlines()
    notes = [row for row in rows if row.startswith("  note: ")]
    rows = [row for row in rows if row not in notes]
    assert ended.code == 0
    assert notes[0].startswith("  note: spmat_width_bits: validation contradicts the best width")
    assert ended.err.startswith("zeroskip: 24 points, trying 10 of them on 1 workers: expecting about ")
    assert title.endswith(" designs that no other tried beats in cycles, area_mm2, of those with area_mm2<=2")
    named = ["n_pes", "queue_depth", "spmat_width_bits", "cycles", "area_mm2", "time_us", "energy_pj", "power_mw"]
    assert heads.split() == [*named, "edp_nj_us", "load", "balance", "[%]", "equal", "in", "these"]
    areas = [float(row.split()[4]) for row in rows[:-4]]
    n_more = sum(int(row.split()[-2]) for row in rows if row.endswith(" more"))
    assert len(areas) + n_more == int(title.split()[0])
    assert max(areas) <= 2
    assert rows[-4].startswith("10 designs tried, of 24, in ")
    assert rows[-4].endswith(": of 10 tasks 10 computed, 0 were stored before")
    assert rows[-3].startswith("  outside the constraints: ")
    assert rows[-2] == f"  workload: file {layer_npz.name}"
    assert rows[-1] == f"  rows in {into}"
    again = zeroskip("rows", into, "--json", "-")
    (told,) = json.loads(again.out)
    assert told == {
        "schema_version": "1.0",
        "command": "rows",
        "machine": "eie",
        "workload": "layer",
        "rows": 10,
        "infeasible": 0,
    }


def test_no_design_within_the_constraints_is_no_success(zeroskip, layer_npz, into):
    words = ("search", "eie", layer_npz, *VARY, "--into", into, "--workers", 1, "--where", "cycles<=1")
    ended = zeroskip(*words, "--minimise", "cycles", "--json", "-")
    said = json.loads(ended.out)
    assert (ended.code, said["front"], said["n_violating"]) == (1, [], 24)
    with Store(into, write=False) as store:
        least = min(one.cycles for one in read(store))
    assert said["nearest"]["values"]["cycles"] == least
    assert f"no design tried has cycles<=1: the nearest, {100 * (least - 1):,.1f}% off" in ended.err


def test_nothing_but_infeasible_designs(zeroskip, layer_npz, into):
    fields = ("--vary", "spmat_bytes=1,2", "--set", "capacity=enforce", "--set", "n_pes=1")
    ended = zeroskip("search", "eie", layer_npz, *fields, "--into", into, "--workers", 1)
    lines = ended.out.splitlines()
    assert (ended.code, lines[0]) == (1, "no design tried is feasible and has a price")
    assert lines[2].startswith("  infeasible: 2, each a row with its reason, such as: layer does not fit: Spmat SRAM")


# Bad input


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("eie FILE", "a search needs at least one --vary field=values, got none"),
        ("eie FILE --vary n_pes=1,2 --minimise tim_us", "--minimise knows no 'tim_us', did you mean 'time_us'?"),
        ("eie FILE --vary n_pes=1,2 --minimise load_balance", "--minimise knows no 'load_balance': one of area_mm2, "),
        ("eie FILE --vary n_pes=1,2 --where area<=4", "--where knows no 'area', did you mean 'area_mm2'?"),
        ("eie FILE --vary n_pes=1,2 --where area_mm2<4", "--where must look like area_mm2<=40 or load_balance>=0.8, "),
        ("eie FILE --vary n_pes=1,2 --where area_mm2<=nan", "--where must bound area_mm2 by a number, got 'area_mm2<="),
        ("eie FILE --vary n_pes=1,2 --where area_mm2<=x", "--where must bound area_mm2 by a number, got 'area_mm2<=x'"),
        ("eie FILE --vary n_pes=1,2 --trials 0", "argument --trials: must be a whole number of at least 1, got '0'"),
        ("eie FILE --vary n_pes=1,2 --seed 4294967296", "--seed must be from 0 to 4294967295, got 4294967296"),
        ("eie FILE --vary n_pes=1,2 --prices calib", "unknown prices 'calib' of eie, did you mean 'calibrated'?"),
        ("eie FILE --vary n_pe=1,2", "unknown field 'n_pe', did you mean 'n_pes'?"),
        ("eie FILE --vary n_pes=1,2 --set n_pes=2", "n_pes is both set and varied: do one of them"),
        ("eie FILE --vary n_pes=1,2 --into FILE", "'FILE' is no store of zeroskip: name another file"),
        ("eie --vary n_pes=1,2", "the following arguments are required: WORKLOAD"),
        ("tensorcore 64x64x64 --vary clock_mhz=1000,1410", "energy_pj takes a table of prices: --prices "),
    ],
)
def test_words_that_mean_nothing(refused, layer_npz, into, words, complaint):
    words = words if "--into" in words else f"{words} --into DB"
    words, complaint = (text.replace("FILE", str(layer_npz)).replace("DB", str(into)) for text in (words, complaint))
    assert refused("search", *words.split()).startswith(complaint)


def test_a_store_must_be_named(refused, layer_npz):
    assert refused("search", "eie", layer_npz, *VARY).startswith("the following arguments are required: --into")


def test_a_machine_without_prices(refused, toy, layer_npz, into):
    words = ("search", "toy", layer_npz, "--vary", "clock_mhz=100,200", "--into", into)
    assert refused(*words) == "toy has no prices, which energy_pj takes: ask for --minimise cycles,time_us"


def test_a_user_s_machine_by_time_alone(zeroskip, toy, layer_npz, into):
    words = ("search", "toy", layer_npz, "--vary", "clock_mhz=100,200", "--into", into, "--workers", 1)
    ended = zeroskip(*words, "--minimise", "time_us", "--json", "-")
    (best,) = json.loads(ended.out)["front"]
    assert (best["changes"], best["values"]["time_us"]) == ({"clock_mhz": 200}, 24 / 200)  # its 24 weights, one a cycle


def test_without_optuna(refused, layer_npz, into, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    complaint = refused("search", "eie", layer_npz, *VARY, "--trials", 3, "--into", into)
    assert complaint == "a search of a space larger than --trials needs optuna: pip install '.[search]' in a checkout"
