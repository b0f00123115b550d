"""Is energy counts times prices, do its parts sum to the whole, and is nothing left without a price?"""

import dataclasses
import json
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclekit.energy import Energy, Price, Prices, charge
from workloads import BadInput

TABLE = Prices(
    name="made up",
    actions={
        "reads": [Price("memory", 5.0, "pJ", "a book")],
        "macs": [Price("unit", 2.0, "pJ", "a book"), Price("memory", 1.0, "pJ", "a book")],
    },
    free={"hops": "no source"},
    standing={"clock": [Price("unit", 0.5, "mW", "a book")], "leakage": [Price("memory", 0.25, "mW", "a book")]},
    area=[Price("memory", 3000.0, "um2", "a book"), Price("unit", 1000.0, "um2", "a book")],
    notes=("mind the gap",),
)


def test_a_run_by_hand():
    # 10 reads of 5 pJ, 4 macs of 2 + 1 pJ; over 0.02 us: 0.5 mW are 10 pJ, 0.25 mW are 5 pJ
    cost = charge(TABLE, {"reads": 10, "macs": 4, "hops": 99}, 0.02, 4)
    assert cost.pj == {"memory": {"reads": 50, "macs": 4, "leakage": 5}, "unit": {"macs": 8, "clock": 10}}
    assert cost.module_pj == {"memory": 59, "unit": 18}
    assert cost.total_pj == 77
    assert cost.power_mw == pytest.approx(77 / 20)  # pJ over ns
    assert cost.edp_nj_us == pytest.approx(0.077 * 0.02)
    assert cost.pj_per_mac == 77 / 4
    assert cost.total_area_mm2 == 0.004
    assert cost.notes == ("mind the gap",)


def test_a_counted_action_without_a_price_is_an_error_that_says_how_often_it_happened():
    with pytest.raises(BadInput, match="prices made up have none for jumps, which happened 1,234 times"):
        charge(TABLE, {"reads": 1, "jumps": 1234}, 1.0, 1)


def test_nothing_done_in_no_time_costs_nothing():
    cost = charge(TABLE, {"reads": 0, "macs": 0}, 0.0, 0)
    assert (cost.total_pj, cost.power_mw, cost.pj_per_mac, cost.edp_nj_us) == (0, 0, 0, 0)


COUNTS = st.fixed_dictionaries({name: st.integers(0, 10**12) for name in ("reads", "macs", "hops")})
TIMES = st.just(0.0) | st.floats(1e-6, 1e9)


@given(COUNTS, TIMES)
def test_modules_sum_to_the_whole(counts, time_us):
    cost = charge(TABLE, counts, time_us, counts["macs"])
    assert fsum(cost.module_pj.values()) == pytest.approx(cost.total_pj, rel=1e-9)
    assert cost.total_pj == pytest.approx(5 * counts["reads"] + 3 * counts["macs"] + 750 * time_us, rel=1e-9)
    assert cost.power_mw * time_us * 1e3 == pytest.approx(cost.total_pj if time_us else 0, rel=1e-9)


@given(COUNTS, COUNTS, TIMES, TIMES)
def test_two_runs_cost_what_one_run_of_both_costs(first, second, time, more):
    both = {name: first[name] + second[name] for name in first}
    parts = [charge(TABLE, counts, t, 1).total_pj for counts, t in ((first, time), (second, more))]
    assert charge(TABLE, both, time + more, 1).total_pj == pytest.approx(sum(parts), rel=1e-9)


@given(COUNTS, TIMES)
def test_an_energy_survives_json(counts, time_us):
    cost = charge(TABLE, counts, time_us, counts["macs"])
    assert Energy.from_dict(json.loads(json.dumps(cost.as_dict()))) == cost


def test_an_energy_whose_parts_contradict_the_whole_is_refused():
    cost = charge(TABLE, {"reads": 10}, 1.0, 1)
    with pytest.raises(ValueError, match=r"must sum to 801 pJ, got 800"):
        dataclasses.replace(cost, total_pj=801)
    with pytest.raises(ValueError, match="may be negative"):
        dataclasses.replace(cost, time_us=-1.0)
    with pytest.raises(BadInput, match="power_mw is 1"):
        Energy.from_dict(cost.as_dict() | {"power_mw": 1.0})
    with pytest.raises(BadInput, match="exactly the fields"):
        Energy.from_dict({"total_pj": 1.0})


@pytest.mark.parametrize("wrong", [("m", -1.0, "pJ", "s"), ("m", 1.0, "J", "s"), ("m", float("nan"), "pJ", "s")])
def test_a_price_is_a_number_with_a_known_unit(wrong):
    with pytest.raises(ValueError, match="a price must be"):
        Price(*wrong)


def test_a_price_needs_a_source():
    with pytest.raises(ValueError, match="with a source"):
        Price("m", 1.0, "pJ", "")


def test_a_table_mixes_no_units_and_calls_nothing_both_priced_and_free():
    with pytest.raises(ValueError, match="must be in pJ here"):
        dataclasses.replace(TABLE, actions={"reads": [Price("m", 1.0, "mW", "s")]})
    with pytest.raises(ValueError, match=r"must not call \['macs'\] both priced and free"):
        dataclasses.replace(TABLE, free={"macs": "why not"})


def test_a_price_may_be_zero_but_not_without_end():
    assert Price("m", 0.0, "pJ", "s").value == 0
    with pytest.raises(ValueError, match="a price must be"):
        Price("m", float("inf"), "pJ", "s")
