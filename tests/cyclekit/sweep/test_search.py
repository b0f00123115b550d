"""Is a search's front that of its designs, found from few of them, none tried twice, and does it resume?"""

import dataclasses
import itertools
import random
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclekit.energy import Price, Prices, charge
from cyclekit.run import Run
from cyclekit.spec import Spec as BaseSpec
from cyclekit.spec import choice, number
from cyclekit.sweep.objectives import Constraint
from cyclekit.sweep.sampler import Sampler
from cyclekit.sweep.search import prepare, search
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import sweep
from tests.cyclekit import toy_sim
from workloads import BadInput, Workload


@dataclass(frozen=True, kw_only=True)
class Spec(BaseSpec):
    lanes: int = number(1, "lanes", source="made up", minimum=1)
    depth: int = number(1, "depth", source="made up", minimum=1)
    cell: str = choice("small", "cell", source="made up", options=("small", "fast"))


def closed_form(n_weights: int, lanes: int, depth: int, cell: str = "small") -> tuple[float, float, float]:
    """Return time [us], energy [pJ] and area [mm2] of a design: what the machine below must be found to take."""
    cycles = -(-600 * n_weights // lanes) + 60 * n_weights // depth
    return cycles / (200 if cell == "fast" else 100), 10 * n_weights * depth + cycles, lanes * depth


def simulate(layer, activations, spec, *, engine, check, index, progress):
    if spec.lanes * spec.depth > 300:
        raise BadInput(f"{spec.lanes} lanes of {spec.depth} do not fit")
    time_us, energy_pj, _ = closed_form(layer.weights.size, spec.lanes, spec.depth, spec.cell)
    cycles = round(time_us * (200 if spec.cell == "fast" else 100))
    about = {"machine": "hill", "workload": layer.name, "input": index, "engine": engine, "spec": spec.as_dict()}
    return Run(
        **about,
        id="",
        cycles=cycles,
        time_us=time_us,
        load_balance=1 / spec.depth,
        actions={"pj": energy_pj},
        states={"unit": {"busy": cycles}},
        output_sha256="",
    )


def energy(run, table):
    if run.spec["depth"] == 13:
        raise BadInput("a depth of 13 brings bad luck")
    area = [Price("all", run.spec["lanes"] * run.spec["depth"] * 1e6, "um2", "made up")] if table == "full" else []
    actions = {"pj": [Price("all", 1.0, "pJ", "made up")]}
    return charge(Prices(name=table, actions=actions, free={}, standing={}, area=area), run.actions, run.time_us, 1)


HILL = dataclasses.replace(
    toy_sim.MACHINE,
    name="hill",
    spec=Spec,
    presets={"only": Spec()},
    preset_notes={"only": ""},
    simulate=simulate,
    estimate=lambda layers, spec, *, engine, check: (0.0, 0),
    energy=energy,
    prices={"full": "", "flat": "without area"},
    default_prices="full",
)
SPACE = {"lanes": range(1, 41), "depth": range(1, 26)}  # 1,000 points
SMALL = {"lanes": range(1, 7), "depth": range(1, 6)}


def work(n_weights: int = 1, name: str = "work") -> Workload:
    return Workload(name=name, weights=np.ones((1, n_weights)), activations=np.ones((1, n_weights)))


def unbeaten(costs: dict) -> set:
    """Return the keys of a front by its definition, each against each."""
    return {
        a
        for a, cost in costs.items()
        if not any(all(x <= y for x, y in zip(other, cost)) and other != cost for other in costs.values())
    }


def true_front(space) -> set:
    points = itertools.product(*space.values())
    return unbeaten({p: closed_form(1, *p) for p in points if p[0] * p[1] <= 300 and p[1] != 13})


def places(found) -> set:
    return {tuple(design.changes.values()) for design in found.front}


@pytest.fixture
def into(tmp_path):
    return tmp_path / "results.db"


# The front


def test_a_space_no_larger_than_the_trials_is_tried_whole(into):
    found = search(HILL, [work()], vary=SPACE, n_trials=1000, into=into, n_workers=1)
    assert places(found) == true_front(SPACE)
    n_infeasible = sum(lanes * depth > 300 for lanes, depth in itertools.product(*SPACE.values()))
    n_unpriced = sum(lanes * 13 <= 300 for lanes in SPACE["lanes"])
    assert (found.whole, found.n_points, found.n_trials, found.n_computed) == (True, 1000, 1000, 1000)
    assert (found.n_infeasible, found.n_unpriced, found.n_violating) == (n_infeasible, n_unpriced, 0)
    assert (found.why_infeasible, found.why_unpriced) == ("13 lanes of 24 do not fit", "a depth of 13 brings bad luck")
    times = [design.values["time_us"] for design in found.front]
    assert times == sorted(times)


def test_a_tenth_of_a_space_gives_the_front_that_chance_does_not(into):
    feasible = [p for p in itertools.product(*SPACE.values()) if p[0] * p[1] <= 300 and p[1] != 13]
    true = unbeaten({p: closed_form(1, *p)[:2] for p in feasible})
    how = {"minimise": ["time_us", "energy_pj"], "n_trials": 100}
    found = search(HILL, [work()], vary=SPACE, into=into, n_workers=1, **how)
    assert places(found) == true
    assert not found.whole
    assert all(not true <= set(random.Random(seed).sample(feasible, 100)) for seed in range(100))


def test_the_same_seed_on_any_number_of_workers_tries_the_same(tmp_path):
    found = [
        search(HILL, [work()], vary=SPACE, n_trials=40, into=tmp_path / f"{n}.db", n_workers=n, seed=3) for n in (1, 2)
    ]
    assert dataclasses.replace(found[0], seconds=0) == dataclasses.replace(found[1], seconds=0)
    other = search(HILL, [work()], vary=SPACE, n_trials=40, into=tmp_path / "1.db", n_workers=1, seed=4)
    assert other.n_computed > 0


def test_only_designs_of_this_search_are_on_its_front(into):
    sweep(HILL, [work()], vary=SPACE, into=into, n_workers=1)
    found = search(HILL, [work()], vary=SMALL, n_trials=30, into=into, n_workers=1)
    assert places(found) == true_front(SMALL)
    assert (found.n_computed, found.n_stored_before) == (0, 30)


def test_values_over_several_workloads(into):
    vary = {"lanes": [4], "depth": [2], "cell": ["fast"]}
    (design,) = search(HILL, [work(1), work(3, "other")], vary=vary, into=into, n_workers=1).front
    # Cycles: 600 / 4 + 60 / 2 = 180 and three times that, at 200 MHz; energy: 10 x 2 + 180 = 200 and three times that.
    expected = {"cycles": 720, "time_us": 3.6, "load_balance": 0.5, "energy_pj": 800, "area_mm2": 8}
    assert design.values == pytest.approx(expected | {"power_mw": 800 / 3600, "edp_nj_us": 0.8 * 3.6})


# Constraints


def test_the_front_under_constraints(into):
    where = ["area_mm2 <= 40", "load_balance>=0.2", "time_us<=3.5"]
    found = search(HILL, [work()], vary=SPACE, n_trials=1000, where=where, into=into, n_workers=1)
    costs = {p: closed_form(1, *p) for p in itertools.product(*SPACE.values())}
    within = {p: c for p, c in costs.items() if c[2] <= 40 and p[1] <= 5 and c[0] <= 3.5}
    assert within
    assert places(found) == unbeaten(within)
    assert found.n_violating == sum(p[0] * p[1] <= 300 and p[1] != 13 for p in costs) - len(within)
    assert found.nearest is None


def test_the_nearest_where_none_meets_them(into):
    found = search(HILL, [work()], vary=SMALL, where=["time_us<=1", "area_mm2<=40"], into=into, n_workers=1)
    # 6 lanes of 5 take 600 / 6 + 60 / 5 = 112 cycles at 100 MHz, on 30 mm2.
    assert (found.front, found.nearest.changes) == ((), {"lanes": 6, "depth": 5})
    assert found.nearest.excess == pytest.approx(0.12)


def test_a_search_finds_the_few_designs_within_tight_constraints(into):
    where = ["time_us<=0.28", "energy_pj<=95"]
    costs = {p: closed_form(1, *p) for p in itertools.product(*SPACE.values()) if p[0] * p[1] <= 300 and p[1] != 13}
    meeting = {p for p, cost in costs.items() if cost[0] <= 0.28 and cost[1] <= 95}
    assert 0 < len(meeting) < 20  # of 1,000
    found = search(HILL, [work()], vary=SPACE, n_trials=150, where=where, into=into, n_workers=1)
    assert places(found)
    assert places(found) <= meeting


@pytest.mark.parametrize(("bound", "excess"), [("time_us<=8", 0.25), ("time_us>=20", 0.5), ("time_us<=0", 10)])
def test_by_how_much_a_constraint_is_missed(bound, excess):
    assert Constraint.of(bound).excess({"time_us": 10.0}) == excess
    assert Constraint.of("time_us<=10").excess({"time_us": 10.0}) == 0


# The store


def test_a_killed_search_goes_on_and_a_repeated_one_computes_nothing(into, tmp_path):
    def kill(what, done, total):
        if done >= 64:
            raise KeyboardInterrupt

    how = {"vary": SPACE, "n_trials": 80, "n_workers": 1}
    with pytest.raises(KeyboardInterrupt):
        search(HILL, [work()], into=into, progress=kill, **how)
    with Store(into, write=False) as store:
        assert len(store) == 64
    resumed = search(HILL, [work()], into=into, **how)
    undisturbed = search(HILL, [work()], into=tmp_path / "other.db", **how)
    again = search(HILL, [work()], into=into, **how)
    assert [found.n_computed for found in (resumed, undisturbed, again)] == [16, 80, 0]
    assert resumed.front == undisturbed.front == again.front


def test_every_trial_is_a_new_design(into):
    found = search(HILL, [work()], vary=SMALL, n_trials=29, into=into, n_workers=1)
    assert (found.whole, found.n_trials, found.n_computed) == (False, 29, 29)
    with Store(into, write=False) as store:
        assert len(store) == 29


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.booleans(), st.integers(0, 5))
def test_proposals_cover_a_grid_without_a_repetition(sizes, words, seed):
    values = {f"f{i}": [10 * place for place in range(n)] for i, n in enumerate(sizes)}
    if words:
        values["word"] = ["one", "other"]
    points = {tuple(point) for point in itertools.product(*values.values())}
    proposing = Sampler(values, 2, seed)
    tried = []
    while len(tried) < len(points):
        some = proposing.propose(min(5, len(points) - len(tried)))
        proposing.tell([None if not len(tried) else (1.0, 0.0)] * len(some), [float("inf")] * len(some))
        tried += [tuple(point.values()) for point in some]
    assert len(tried) == len(points)
    assert set(tried) == points


# What cannot be searched


def test_no_price(into):
    with pytest.raises(
        BadInput, match=r"energy_pj, area_mm2 asked for, but the first \d+ designs that ran have no price: its"
    ):
        search(HILL, [work()], vary=SPACE, prices="flat", into=into, n_workers=1, where=["area_mm2<=2"])
    with pytest.raises(BadInput, match="the first 1 designs that ran have no price: a depth of 13 brings bad luck"):
        search(HILL, [work()], vary={"depth": [13]}, into=into, n_workers=1)
    with Store(into, write=False) as store:
        assert len(store) <= 17
    found = search(HILL, [work()], vary=SMALL, prices="flat", minimise=["cycles", "energy_pj"], into=into, n_workers=1)
    assert "area_mm2" not in found.front[0].values


def test_a_table_that_must_be_named(into):
    nameless = dataclasses.replace(HILL, default_prices=None)
    with pytest.raises(BadInput, match="energy_pj takes a table of prices: --prices full or flat"):
        prepare(nameless, [work()], vary=SMALL)
    with pytest.raises(BadInput, match="unknown prices 'ful' of hill, did you mean 'full'"):
        prepare(HILL, [work()], vary=SMALL, prices="ful")
    with pytest.raises(BadInput, match="toy has no prices, which energy_pj takes: ask for --minimise cycles,time_us"):
        prepare(toy_sim.MACHINE, [work()], vary={"clock_mhz": [1, 2]})
    assert prepare(toy_sim.MACHINE, [work()], vary={"clock_mhz": [1, 2]}, minimise=["time_us"])


def test_without_optuna_only_a_whole_space_is_searched(into, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert search(HILL, [work()], vary=SMALL, n_trials=30, into=into, n_workers=1).whole
    with pytest.raises(BadInput, match=r"needs optuna: pip install '.\[search\]' in a checkout"):
        prepare(HILL, [work()], vary=SMALL, n_trials=29)


def test_optuna_says_nothing(into, capfd):
    import optuna

    spoken = optuna.logging.get_verbosity()
    search(HILL, [work()], vary=SPACE, n_trials=40, into=into, n_workers=1)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == spoken
