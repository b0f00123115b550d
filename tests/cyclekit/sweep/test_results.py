"""Are a store's results the sums over layers and means over inputs of its rows, priced, and is Pareto's front right?"""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie_sim
from cyclekit.page.tables import facts
from cyclekit.sweep.results import front, maps, read
from cyclekit.sweep.store import Row, Store
from cyclekit.sweep.sweep import sweep
from tests.sweep_cases import small
from workloads import BadInput, Layer, Network, Shape


def row(task: str, part: int = 0, **found) -> Row:
    """Return a row of a machine that is not installed: 10 cycles, of them 6 busy, unless said otherwise."""
    about = {"work": "net", "content": "1", "machine": "gone", "workload": f"net/{part}", "input": 0, "engine": "only"}
    about |= {"spec": json.dumps({"n": 1}), "id": task, "cycles": 10, "time_us": 1.0, "load_balance": 0.5}
    about |= {"actions": {"macs": 3}, "states": {"pe": {"busy": 6, "idle": 4}}, "output_sha256": ""} | found
    for name in ("actions", "states"):
        about[name] = json.dumps(about[name])
    return Row(task=task, part=part, check="null", measures="{}", notes="[]", **about)


def results(tmp_path, *rows: Row, prices: str | None = None):
    with Store(tmp_path / "results.db") as store:
        for one in rows:
            store.add([one])
        return read(store, prices)


def test_layers_are_summed_and_inputs_averaged(tmp_path):
    second = {"cycles": 30, "time_us": 3.0, "load_balance": 1.0, "states": {"pe": {"busy": 30, "idle": 0}}}
    (found,) = results(
        tmp_path,
        row("a"),
        row("a", 1, **second),
        row("b", input=1, cycles=20, time_us=2.0, states={"pe": {"busy": 2, "idle": 18}}, actions={"macs": 5}),
    )
    # Input 0 takes 40 cycles, at a balance of (10 x 0.5 + 30 x 1) / 40 = 0.875; input 1 takes 20 at 0.5.
    assert (found.workload, found.n_inputs, found.cycles, found.time_us) == ("net", 2, 30.0, 3.0)
    assert found.load_balance == pytest.approx((0.875 + 0.5) / 2)
    assert found.actions == {"macs": (3 + 3 + 5) / 2}
    assert found.states["pe"] == pytest.approx({"busy": 38 / 60, "idle": 22 / 60})
    assert found.energy_pj is None
    assert "unknown machine 'gone'" in found.unpriced


def test_designs_workloads_and_engines_stay_apart(tmp_path):
    found = results(tmp_path, row("a"), row("b", spec='{"n":2}'), row("c", work="other"), row("d", engine="second"))
    assert len(found) == 4


def test_what_was_stored_later_of_the_same_input_holds(tmp_path):
    (found,) = results(tmp_path, row("a"), row("b", cycles=50, states={"pe": {"busy": 50, "idle": 0}}))
    assert (found.n_inputs, found.cycles) == (1, 50)


@pytest.mark.parametrize("damage", [{"spec": "{"}, {"actions": "[]"}, {"cycles": None}, {"cycles": -1}, {"check": "x"}])
def test_a_damaged_row_is_named(tmp_path, damage):
    with pytest.raises(
        BadInput, match="a row of the store is damaged \\(task b, input 1 of 'net'\\): compute it again"
    ):
        results(tmp_path, row("a"), row("b", input=1)._replace(**damage))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"work": b"net"}, "work of a row is b'net'"),
        ({"machine": b"gone"}, "machine of a row is b'gone'"),
        ({"task": b"b"}, "task of a row is b'b'"),
        ({"cycles": "ten"}, "cycles of a row is 'ten'"),
        ({"spec": b"{}"}, "spec of a row is b'{}'"),
        ({"reason": b"too small"}, "reason of a row is b'too small'"),
    ],
)
def test_a_row_of_other_kinds_than_its_columns_is_named(tmp_path, damage, said):
    with pytest.raises(BadInput, match=f"is damaged: {re.escape(said)}"):
        results(tmp_path, row("a"), row("b", input=1)._replace(**damage))


@pytest.mark.parametrize("name", ["work", "machine"])
def test_counting_rows_names_a_damaged_one(tmp_path, name):
    with Store(tmp_path / "results.db") as store:
        store.add([row("a")._replace(**{name: b"x"})])
        with pytest.raises(BadInput, match="is damaged: a row is of "):
            store.counts()


@pytest.mark.parametrize("spec", ["{", "[]", "3", "null"])
def test_a_damaged_design_is_named_whether_or_not_it_was_feasible(tmp_path, spec):
    for reason in (None, "too small"):
        damaged = row("b", spec=spec, reason=reason)
        with pytest.raises(BadInput, match="a row of the store is damaged"):
            damaged.design()
        with pytest.raises(BadInput, match="a row of the store is damaged"):
            results(tmp_path, damaged)


def test_a_damaged_map_is_named(tmp_path):
    with Store(tmp_path / "results.db") as store:
        store.add([row("a")._replace(unit_map=b"no zlib")])
        with pytest.raises(BadInput, match="a row of the store is damaged"):
            list(maps(store))


def test_a_design_of_other_fields_than_the_machines_has_no_price(tmp_path):
    for place, (spec, field) in enumerate(
        (
            (eie_sim.Spec().as_dict() | {"n_pe": 4}, "n_pe"),
            ({"n_pes": 4}, "queue_depth"),
        )
    ):
        folder = tmp_path / str(place)
        folder.mkdir()
        (found,) = results(folder, row("a", machine="eie", spec=json.dumps(spec)))
        assert found.energy_pj is None
        assert found.unpriced.startswith("a stored design must have exactly the fields of this version, differs in [")
        assert repr(field) in found.unpriced


def test_a_workload_that_has_changed_replaces_all_of_the_former(tmp_path):
    former = row("a"), row("b", input=1), row("c", input=2)
    (found,) = results(tmp_path, *former, row("d", content="2", cycles=50, states={"pe": {"busy": 50, "idle": 0}}))
    assert (found.n_inputs, found.cycles) == (1, 50)


def test_the_content_of_a_workload_does_not_hang_on_how_many_of_its_inputs_run(tmp_path):
    into, work = tmp_path / "results.db", small(batch=3)
    other = replace(work, activations=work.activations[:2] + 1)
    for layer, n_inputs, n_expected in ((work, 1, 1), (work, 3, 3), (work, 2, 3), (other, None, 2)):
        sweep("eie", [layer], vary={"n_pes": (2,)}, into=into, n_workers=1, n_inputs=n_inputs)
        with Store(into, write=False) as store:
            (found,) = read(store)
        assert found.n_inputs == n_expected


def test_a_mean_is_over_the_inputs_that_all_designs_of_a_workload_have(tmp_path):
    slow = {"cycles": 90, "states": {"pe": {"busy": 90, "idle": 0}}}
    one = [row("a"), row("b", input=1, **slow), row("c", input=2, **slow)]
    two = [row("d", spec='{"n":2}'), row("e", spec='{"n":2}', input=2)]
    gone = row("f", spec='{"n":3}', reason="too small", cycles=0, states={})  # which runs no input
    other = [row("g", work="other"), row("h", work="other", input=1, **slow)]
    found = {(result.workload, result.spec["n"]): result for result in results(tmp_path, *one, *two, gone, *other)}
    assert {design: (of.cycles, of.n_inputs, of.n_left_out) for design, of in found.items()} == {
        ("net", 1): ((10 + 90) / 2, 2, 1),  # inputs 0 and 2
        ("net", 2): (10, 2, 0),
        ("net", 3): (0, 0, 0),
        ("other", 1): ((10 + 90) / 2, 2, 0),
    }
    assert facts(list(found.values()), {}, None, 8, "1")["results"] == [
        "4, one a design and workload; 1 infeasible",
        "1 inputs of 1 results are in no mean: other designs do not have them",
    ]


def test_an_infeasible_design_says_why(tmp_path):
    (found,) = results(tmp_path, Row("a", 0, "net", "1", "gone", "net", 0, "only", '{"n":1}', reason="too small"))
    assert (found.reason, found.cycles, found.energy_pj) == ("too small", 0, None)


def test_energy_is_the_machines_own_of_every_run(tmp_path):
    layer = small(1)
    net = Network(name="net", layers=(layer, Layer(name="second", weights=np.eye(5, 20))), inputs=layer.activations)
    sweep("eie", [net], vary={"n_pes": (2, 4)}, into=tmp_path / "results.db", n_workers=1)
    with Store(tmp_path / "results.db", write=False) as store:
        for table in (None, "calibrated"):
            by_size = {found.spec["n_pes"]: found for found in read(store, table)}
            spec = eie_sim.Spec(n_pes=4)
            runs = eie_sim.simulate(eie_sim.encode(net, spec), net.inputs, spec)
            costs = [eie_sim.MACHINE.price(run, table) for run in runs]
            found = by_size[4]
            assert found.energy_pj == pytest.approx(sum(cost.total_pj for cost in costs) / 2)
            assert sum(found.module_pj.values()) == pytest.approx(found.energy_pj)
            assert found.area_mm2 == pytest.approx(costs[0].total_area_mm2)
            assert found.power_mw == pytest.approx(found.energy_pj / found.time_us / 1e3)
        with pytest.raises(BadInput, match="unknown prices 'gold'"):
            read(store, "gold")


def test_a_table_that_one_of_the_machines_has_is_enough(tmp_path):
    into = tmp_path / "results.db"
    sweep("eie", [small()], vary={"n_pes": (2,)}, into=into, n_workers=1)
    sweep("tensorcore", [Shape(name="64x64x64", n_out=64, n_in=64, batch=64)], vary={"clock_mhz": "1000"}, into=into)
    with Store(into, write=False) as store:
        eie, card = read(store, "tpuv4i")
    assert (eie.energy_pj, card.unpriced) == (None, "")
    assert "unknown prices 'tpuv4i'" in eie.unpriced


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=30))
def test_the_front_is_all_that_nothing_beats(points):
    def beaten(point):
        return any(all(a <= b for a, b in zip(other, point)) and other != point for other in points)

    assert front(points) == [place for place, point in enumerate(points) if not beaten(point)]
