"""Is a sweep's row the single run's, each computed once, an infeasible one kept, and what cannot be swept refused?"""

import dataclasses
import json

import numpy as np
import pytest

import eie_sim
import tensorcore_sim
from cyclekit import machine as machines
from cyclekit.spec import CHOSEN
from cyclekit.sweep import sweep as sweeping
from cyclekit.sweep.results import read
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import prepare, sweep
from cyclekit.sweep.tasks import Runner, Work
from tests.sweep_cases import VARY, rows, small
from workloads import BadInput, Layer, Network, Shape, Workload


def network() -> Network:
    layer = small(1)
    second = Layer(name="second", weights=np.eye(5, 20))
    return Network(name="net", layers=(layer, second), inputs=layer.activations)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "results.db"


@pytest.fixture
def encodings(monkeypatch):
    """Count the encodings and simulations of EIE in this process."""
    counts = {"encode": 0, "simulate": 0}

    def counted(name):
        real = getattr(eie_sim.MACHINE, name)

        def work(*args, **options):
            counts[name] += 1
            return real(*args, **options)

        return work

    machine = dataclasses.replace(eie_sim.MACHINE, **{name: counted(name) for name in counts})
    monkeypatch.setattr(machines, "load", lambda name: machine)
    return counts


# A row is the run


@pytest.mark.parametrize("n_workers", [1, 2])
def test_the_rows_are_those_of_single_runs(store, n_workers):
    work, net = small(), network()
    summary = sweep("eie", [work, net], vary=VARY, into=store, n_workers=n_workers)
    assert (summary.n_points, summary.n_tasks, summary.n_computed) == (36, 144, 144)
    expected = {}
    for n_pes in VARY["n_pes"]:
        for depth in VARY["queue_depth"]:
            for width in VARY["spmat_width_bits"]:
                for clock in VARY["clock_mhz"]:
                    spec = eie_sim.Spec(n_pes=n_pes, queue_depth=depth, spmat_width_bits=width, clock_mhz=clock)
                    runs = eie_sim.simulate(eie_sim.encode(work, spec), work.activations, spec, engine="schedule")
                    runs += eie_sim.simulate(eie_sim.encode(net, spec), net.inputs, spec, engine="schedule")
                    expected |= {(run.workload, run.input, json.dumps(run.spec)): run.without_arrays() for run in runs}
    found = {
        (run.workload, run.input, json.dumps(run.spec)): run for run in (row.run() for row in rows(store).values())
    }
    assert len(found) == 36 * (2 + 2 * 2)
    assert found == expected


def test_a_machine_of_batches_and_of_sizes(store):
    vary = {"sparsity": "dense,2:4", "clock_mhz": "1000,1410"}
    shape = Shape(name="64x64x64", n_out=64, n_in=64, batch=64)
    sweep("tensorcore", [shape], vary=vary, into=store, n_workers=1)
    found = [row.run() for row in rows(store).values()]
    spec = tensorcore_sim.Spec(sparsity="2:4", clock_mhz=1000)
    single = tensorcore_sim.simulate(tensorcore_sim.encode(shape, spec), None, spec)
    assert single.without_arrays() in found
    assert len(found) == 4


def test_batches_are_tasks_of_their_own_and_stand_beside_others(store):
    work, vary = small(batch=5), {"clock_mhz": "1000,1410"}
    options = {"vary": vary, "into": store, "n_workers": 1}
    for batch, n in ((2, 3), (None, 1), (3, 2), (1, 5)):
        assert sweep("tensorcore", [work], batch=batch, **options).n_computed == 2 * n
        assert sweep("tensorcore", [work], batch=batch, **options).n_computed == 0
    spec = tensorcore_sim.Spec(clock_mhz=1000)
    image = tensorcore_sim.encode(work, spec)
    by_name = {}
    for row in rows(store).values():
        by_name.setdefault(row.work, []).append(row)
    assert set(by_name) == {"small", *(f"small (batch {n})" for n in (1, 2, 3))}
    of_two = {row.input: row.run() for row in by_name["small (batch 2)"] if row.run().spec["clock_mhz"] == 1000}
    for index in range(3):
        part = work.activations[2 * index : 2 * index + 2]
        expected = tensorcore_sim.simulate(image, part, spec, index=index).without_arrays()
        assert of_two[index] == expected
    with Store(store, write=False) as opened:
        means = {result.workload: result.cycles for result in read(opened) if result.spec["clock_mhz"] == 1000}
    assert means["small (batch 2)"] == np.mean([run.cycles for run in of_two.values()])


def test_a_batch_of_sizes_and_of_a_machine_that_takes_none(store):
    shape = Shape(name="64x64x64", n_out=64, n_in=64, batch=64)
    sweep("tensorcore", [shape], vary={"clock_mhz": "1000"}, batch=8, into=store, n_workers=1)
    (row,) = rows(store).values()
    spec = tensorcore_sim.Spec(clock_mhz=1000)
    eight = dataclasses.replace(shape, batch=8)
    assert row.run().cycles == tensorcore_sim.simulate(tensorcore_sim.encode(eight, spec), None, spec).cycles
    with pytest.raises(BadInput, match="--batch must be 1 for eie, which takes one input at a time, got 2"):
        prepare("eie", [small()], vary={"n_pes": "1,2"}, batch=2)


def test_a_users_machine(toy, store, layer_npz):
    summary = sweep("toy", [layer_npz], vary={"clock_mhz": "1:5"}, into=store, n_workers=1)
    assert summary.n_computed == 5
    assert sorted(row.time_us for row in rows(store).values()) == [24 / clock for clock in (5, 4, 3, 2, 1)]


@pytest.mark.parametrize("machine", [eie_sim.MACHINE, tensorcore_sim.MACHINE], ids=lambda machine: machine.name)
def test_an_image_depends_on_no_other_field(machine):
    layer = small()
    work = dataclasses.replace(layer, weights=np.zeros_like(layer.weights))
    base = machine.presets[next(iter(machine.presets))]
    (before,) = machine.encode([work], base)
    for field in dataclasses.fields(machine.spec):
        if field.name in machine.encoding_fields:
            continue
        value = getattr(base, field.name)
        others = [o for o in field.metadata.get("options", ()) if o != value] or [
            8 if value == CHOSEN else not value if isinstance(value, bool) else value * 2 or 1
        ]
        for other in others:
            try:
                changed = base.replace(**{field.name: other})
            except BadInput:  # a maximum below
                changed = base.replace(**{field.name: type(value)(value / 2)})
            (after,) = machine.encode([work], changed)
            assert (after.digest, after.notes) == (before.digest, before.notes), field.name


# Identity


def identity_of(machine=eie_sim.MACHINE, work=None, index=0, engine="schedule", **changes) -> str:
    work = work or small()
    runner = Runner(machine, engine, eie_sim.Spec(), [])
    return runner.identities(Work.of(machine, work, None), index)(changes)


def changed(name: str, value) -> Workload:
    return dataclasses.replace(small(), **{name: value})


def test_everything_that_determines_a_result_changes_its_identity():
    layer = small()
    weights, activations, bias = layer.weights.copy(), layer.activations.copy(), layer.bias.copy()
    weights[3, 4] += 1
    activations[0, 2] += 0.5
    bias[7] += 1
    found = [
        identity_of(),
        identity_of(machine=dataclasses.replace(eie_sim.MACHINE, name="other")),
        identity_of(machine=dataclasses.replace(eie_sim.MACHINE, model_version=eie_sim.MACHINE.model_version + 1)),
        identity_of(engine="events"),
        identity_of(activation_fraction_bits=8),
        identity_of(weight_fraction_bits=8),
        identity_of(index=1),
        identity_of(work=changed("name", "other")),
        identity_of(work=changed("weights", weights)),
        identity_of(work=changed("activations", activations)),
        identity_of(work=changed("bias", bias)),
        identity_of(work=changed("bias", None)),
        identity_of(work=changed("relu", False)),
        identity_of(work=network()),
        *(
            identity_of(**{name: values[-1]})
            for name, values in (VARY | {"clock_mhz": (1.0,)}).items()
            if name != "n_pes"
        ),
        identity_of(n_pes=2),
    ]
    assert len(set(found)) == len(found) - 2  # the defaults: a depth of 8 and a width of 64
    assert identity_of() == identity_of()
    assert identity_of(work=changed("provenance", "elsewhere")) == identity_of()


def test_a_task_is_the_same_in_whatever_sweep_it_stands(store):
    sweep("eie", [small()], vary={"queue_depth": (4, 8)}, into=store, n_workers=1)
    summary = sweep("eie", [small()], vary={"clock_mhz": "800", "queue_depth": "8,16"}, into=store, n_workers=1)
    assert (summary.n_stored_before, summary.n_computed) == (2, 2)


# Once


def test_an_image_is_encoded_once_and_a_repeated_sweep_computes_nothing(store, encodings):
    first = sweep("eie", [small()], vary=VARY, into=store, n_workers=1)
    assert encodings == {"encode": 3, "simulate": 72}
    second = sweep("eie", [small()], vary=VARY, into=store, n_workers=1)
    assert encodings == {"encode": 3, "simulate": 72}
    assert (first.n_computed, second.n_computed, second.n_stored_before) == (72, 0, 72)


def test_there_are_no_more_workers_than_tasks():
    assert prepare("eie", [small(batch=2)], vary={"queue_depth": (4, 8)}, n_workers=1000).n_workers == 4


def test_workers_share_the_one_group_there_is(store, tmp_path):
    vary = {"queue_depth": "2:41", "clock_mhz": "1:5"}
    sweep("eie", [small()], vary=vary, into=store, n_workers=3)
    sweep("eie", [small()], vary=vary, into=tmp_path / "alone.db", n_workers=1)
    assert rows(store) == rows(tmp_path / "alone.db")


def test_an_infeasible_point_becomes_a_row_with_its_reason(store):
    vary = {"n_pes": (1, 2), "capacity": "report,enforce", "register_file_entries": (16, 64), "clock_mhz": (1.0, 2.0)}
    summary = sweep("eie", [small()], vary=vary, into=store, n_workers=1)
    found = rows(store).values()
    bad = [json.loads(row.spec) for row in found if row.reason is not None]
    wanted = [  # 30 inputs and 20 outputs: with one PE neither register file holds them, with two both
        (1, "enforce", 16, clock) for _ in range(2) for clock in (1.0, 2.0)
    ]
    assert summary.n_infeasible == len(bad) == len(wanted)
    fields = ("n_pes", "capacity", "register_file_entries", "clock_mhz")
    assert sorted(tuple(spec[name] for name in fields) for spec in bad) == sorted(wanted)
    assert {row.reason.partition(":")[0] for row in found if row.reason} == {"small does not fit"}
    assert len(found) == 32
    again = sweep("eie", [small()], vary=vary, into=store, n_workers=1)
    assert (again.n_computed, again.n_stored_before) == (0, 32)


def test_a_combination_that_the_spec_forbids_is_a_row_too(store):
    vary = {"in_dtype": "f16,int8", "int4_weights": "no,yes"}
    shape = Shape(name="64x64x64", n_out=64, n_in=64, batch=64)
    summary = sweep("tensorcore", [shape], vary=vary, into=store, n_workers=1)
    (reason,) = (row.reason for row in rows(store).values() if row.reason)
    assert (summary.n_computed, summary.n_infeasible) == (4, 1)
    assert reason == "in_dtype must be f16 or bf16 with int4_weights, got 'int8'"


# What is asked


def test_the_estimate_grows_with_the_sweep():
    few, many = (prepare("eie", [small()], vary={"queue_depth": f"2:{n}"}, n_workers=1).estimate() for n in (11, 1001))
    assert 0 < few[0] < many[0] / 10
    assert few[1] == many[1] > 1e8


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"vary": {"n_pe": "1"}}, "unknown field 'n_pe', did you mean 'n_pes'?"),
        ({"changes": {"n_pes": 3}}, "n_pes is both set and varied: do one of them"),
        ({"n_workers": 0}, "n_workers must be at least 1, got 0"),
        ({"n_inputs": 0}, "n_inputs must be at least 1, got 0"),
        ({"engine": "event"}, "unknown engine 'event' of eie, did you mean 'events'?"),
        ({"workloads": []}, "a sweep needs at least one workload, got none"),
    ],
)
def test_what_cannot_be_swept(how, complaint):
    how = {"workloads": [small()], "vary": {"n_pes": "1,2"}} | how
    with pytest.raises(BadInput) as refused:
        prepare("eie", how.pop("workloads"), **how)
    assert str(refused.value) == complaint


def test_nothing_runs_before_the_store_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(sweeping, "in_this_process", lambda *_: pytest.fail("work was done"))
    (tmp_path / "notes.txt").write_text("no store " * 100)
    with pytest.raises(BadInput, match="is no store of zeroskip"):
        sweep("eie", [small()], vary=VARY, into=tmp_path / "notes.txt", n_workers=1)
