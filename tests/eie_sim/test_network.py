"""Do networks and batches run layer after layer without leaving the machine, and does the trained one still see?"""

import numpy as np
import pytest

import workloads
from cyclekit.machine import layers_and_inputs, run_through
from eie_sim import PRESETS, Spec, encode, simulate
from workloads import BadInput, Layer, Network, Workload


def test_what_leaves_a_layer_enters_the_next_bit_for_bit():
    # 0.3 is 77/256; times 0.5 is 38.5/256, rounded up to 39; the second layer must see 39, not the real's 38.4
    first = Workload(name="a", weights=[[0.5], [-1.0]], activations=[[0.3]])
    second = Workload(name="b", weights=[[1.0, 1.0]], activations=[[0.0, 0.0]], relu=False)
    network = Network(name="n", layers=(first, second), inputs=np.array([[0.3]]))
    spec = Spec(n_pes=1, activation_fraction_bits=8, weight_fraction_bits=12)
    layers, inputs = layers_and_inputs(network)
    one, two = run_through(simulate, encode(layers, spec), inputs, spec, engine="events", check=True)
    assert one.outputs.tolist() == [39, 0]
    assert two.actions["broadcasts"] == 1  # the negative output became zero and is skipped
    assert two.outputs.tolist() == [39]
    assert one.check["passed"]
    assert two.check["passed"]
    assert (one.workload, two.workload) == ("n/a", "n/b")


def test_dense_layers_of_a_network_become_workloads():
    rng = np.random.default_rng(0)
    network = Network(
        name="dense",
        layers=(Layer(name="a", weights=rng.normal(size=(6, 5))), Layer(name="b", weights=rng.normal(size=(3, 6)))),
        inputs=rng.random((2, 5)),
    )
    spec = Spec(n_pes=2)
    layers, inputs = layers_and_inputs(network)
    np.testing.assert_array_equal(layers[1].activations, network.forward()[0])
    runs = list(run_through(simulate, encode(layers, spec), inputs, spec, engine="schedule", check=True))
    assert [run.input for run in runs] == [0, 0, 1, 1]
    assert all(run.check["passed"] for run in runs)
    assert "shared by exact k-means" in runs[0].notes[0]


def test_a_batch_runs_one_by_one(engine):
    rng = np.random.default_rng(1)
    workload = Workload(name="w", weights=rng.integers(0, 3, (8, 6)), activations=rng.random((3, 6)))
    spec = Spec(n_pes=2)
    image = encode(workload, spec)
    runs = simulate(image, workload.activations, spec, engine=engine)
    alone = [simulate(image, row, spec, engine=engine) for row in workload.activations]
    assert [run.input for run in runs] == [0, 1, 2]
    assert [(run.cycles, run.output_sha256, run.id) for run in runs] == [
        (run.cycles, run.output_sha256, run.id) for run in alone
    ]
    assert simulate(image, workload.activations[:1], spec, engine=engine) == alone[0]


def test_both_engines_give_one_identity_and_one_result():
    rng = np.random.default_rng(2)
    workload = Workload(
        name="w", weights=rng.integers(0, 3, (8, 6)), activations=rng.random(6), bias=rng.integers(0, 2, 8)
    )
    spec = Spec(n_pes=4)
    image = encode(workload, spec)
    events, schedule = (simulate(image, workload.activations[0], spec, engine=e) for e in ("events", "schedule"))
    found, expected = events.as_dict(), schedule.as_dict()
    assert (found.pop("engine"), expected.pop("engine")) == ("events", "schedule")
    assert found == expected
    deeper = spec.replace(queue_depth=9)
    assert simulate(image, workload.activations[0], deeper, engine="schedule").id != schedule.id


@pytest.mark.parametrize(
    ("activations", "complaint"),
    [
        (np.ones(5), r"activations must be f32\[6\]"),
        (np.array([1, 2, 3, 4, 5, np.nan]), "activations must be finite"),
        (np.ones((2, 3, 6)), "activations must be 1-D"),
        (np.array(["a"] * 6), "activations must be real numbers"),
    ],
)
def test_activations_that_do_not_fit_are_refused(activations, complaint):
    workload = Workload(name="w", weights=np.ones((2, 6)), activations=np.ones(6))
    spec = Spec(n_pes=1)
    with pytest.raises(BadInput, match=complaint):
        simulate(encode(workload, spec), activations, spec)


def test_the_trained_network_keeps_its_accuracy_in_fixed_point():
    network = workloads.load("lenet-300-100")
    spec = PRESETS["isca2016"].replace(n_pes=16)
    layers, inputs = layers_and_inputs(network)
    runs = run_through(simulate, encode(layers, spec), inputs, spec, engine="schedule")
    classes = [int(run.outputs.argmax()) for run in runs if run.workload == layers[-1].name]
    accuracy = float(np.mean(np.array(classes) == network.labels))
    assert len(classes) == 1000
    assert abs(accuracy - network.accuracy()) <= 0.003
    assert network.accuracy() >= workloads.load("lenet-300-100-dense").accuracy() - 0.005
