"""Does nothing that is done to a result, or to what was loaded, reach what is computed after it?"""

import copy
import json

import numpy as np
import pytest

import eie_sim
import pointacc_sim
import tensorcore_sim
import workloads
import zeroskip
from tests.pointacc_cases import layer as cloud_layer
from tests.pointacc_cases import voxels
from tests.spoil import spoil
from workloads.recipes.recipe import Recipe

RECIPE = '[[step]]\ndo = "prune"\ndensity = 0.25\n[[step]]\ndo = "share"\n'


def matrix(**more) -> workloads.Workload:
    """Return a layer in 2:4, which each machine for matrices takes."""
    rng = np.random.default_rng(0)
    weights = rng.choice(np.float32([0.5, -0.25, 1]), (16, 32)) * np.tile(np.float32([1, 0, 0, 1]), 8)
    activations = rng.choice(np.float32([0, 0.5, 1]), (3, 32))
    return workloads.Workload(name="w", weights=weights, bias=np.ones(16), activations=activations, **more)


MACHINES = {
    "eie": (eie_sim, matrix, eie_sim.Spec(n_pes=4)),
    "card, dense": (tensorcore_sim, matrix, tensorcore_sim.PRESETS["a100-sxm-40gb"]),
    "card, 2:4": (tensorcore_sim, matrix, tensorcore_sim.PRESETS["h100-sxm"].replace(sparsity="2:4")),
    "card, cloud": (tensorcore_sim, cloud_layer, tensorcore_sim.PRESETS["rtx-2080-ti"]),
    "pointacc": (pointacc_sim, cloud_layer, pointacc_sim.PRESETS["server"]),
    "pointacc, gather": (pointacc_sim, cloud_layer, pointacc_sim.PRESETS["edge"].replace(dataflow="gather-scatter")),
}


def told(run) -> tuple:
    """Return all that a run says, as a copy."""
    return json.dumps(run.as_dict()), run.outputs.tobytes(), run.ledger and dict(run.ledger.actions)


def priced(machine, run) -> dict:
    """Return what the run costs by each table of prices, or why that one cannot say."""
    costs = {}
    for name in machine.prices:
        try:
            costs[name] = machine.price(run, name)
        except workloads.BadInput as refusal:
            costs[name] = str(refusal)
    return costs


def plain(costs) -> dict:
    return {name: cost if isinstance(cost, str) else copy.deepcopy(cost.as_dict()) for name, cost in costs.items()}


@pytest.mark.parametrize("name", MACHINES)
def test_a_run_shares_nothing_with_the_next(name):
    package, made, spec = MACHINES[name]
    machine = package.MACHINE
    work = made()
    (layer,), inputs = machine.layers_and_inputs(work)
    (image,) = machine.encode([layer], spec)
    for engine in machine.engines:
        run = machine.simulate(image, inputs[0], spec, engine=engine)
        before, costs = told(run), priced(machine, run)
        energy = plain(costs)
        assert not all(isinstance(cost, str) for cost in costs.values())
        assert spoil(run) > 4
        spoil(costs)
        again = machine.simulate(image, inputs[0], spec, engine=engine)
        assert told(again) == before
        assert plain(priced(machine, again)) == energy
    assert machine.encode([made()], spec)[0].digest == image.digest  # nor with the weights that it was encoded from


@pytest.fixture
def calls(tmp_path):
    """Return {verb: a call of it on small work}."""
    np.savez(tmp_path / "w.npz", weights=matrix().weights, activations=matrix().activations)
    np.savez(tmp_path / "cloud.npz", coordinates=voxels(60, 0))
    layer, cloud = tmp_path / "w.npz", f"{tmp_path / 'cloud.npz'}:submanifold-3x3x3"
    small = {"machines": ["eie", "tensorcore"], "batch": 1, "inputs": 8}
    lighter = {"method": "uniform", "batch": 1, "n_pes": 4, "epochs": 0}
    return {
        "run": lambda: zeroskip.run("eie", layer, n_pes=4),
        "run on a card": lambda: zeroskip.run("tensorcore", layer),
        "run on a cloud": lambda: zeroskip.run("pointacc", cloud),
        "run of a network": lambda: zeroskip.run("eie", "lenet-300-100", inputs=1, engine="schedule"),
        "sweep": lambda: zeroskip.sweep("eie", layer, {"n_pes": [2, 4]}, n_workers=1),
        "compare": lambda: zeroskip.compare(layer, "eie,tensorcore"),
        "prune": lambda: zeroskip.prune("lenet-300-100-dense", Recipe.parse(RECIPE), **small),
        "adapt": lambda: zeroskip.adapt(str(layer), "eie", "1.0", **lighter),
        "llm": lambda: zeroskip.llm("llama-2-7b", input=16, output=2, cut={"layers": 2}),
    }


VERBS = ("run", "run on a card", "run on a cloud", "run of a network", "sweep", "compare", "prune", "adapt", "llm")


@pytest.mark.parametrize("verb", VERBS)
def test_a_result_of_the_face_shares_nothing_with_the_next(verb, calls):
    assert tuple(calls) == VERBS
    result = calls[verb]()
    before = copy.deepcopy((result.title, [dict(row) for row in result.rows], result.notes))
    assert spoil(result) > 1
    again = calls[verb]()
    assert (again.title, [dict(row) for row in again.rows], again.notes) == before


def test_the_caller_s_arrays_stay_the_caller_s():
    weights, activations = matrix().weights.copy(), matrix().activations.copy()
    result = zeroskip.run("eie", workloads.Workload(name="w", weights=weights, activations=activations), n_pes=4)
    assert spoil(result) > 1
    assert np.array_equal(weights, matrix().weights)
    assert np.array_equal(activations, matrix().activations)
    fitted = Recipe.parse(RECIPE).fit(workloads.Workload(name="w", weights=weights, activations=activations))
    spoil(fitted.apply())
    assert np.array_equal(weights, matrix().weights)


@pytest.mark.parametrize("name", ["lenet-300-100", "lenet-300-100-dense", "nt-we", "lidar-0.2:submanifold-3x3x3"])
def test_what_is_loaded_twice_is_two_things(name):
    one = zeroskip.load(name)
    untouched = copy.deepcopy(one)
    spoil(one)
    again = zeroskip.load(name)
    layers = [(work if not hasattr(work, "layers") else work.layers) for work in (again, untouched)]
    for of_again, of_before in zip(*(each if isinstance(each, tuple) else (each,) for each in layers), strict=True):
        assert np.array_equal(of_again.weights, of_before.weights)
        if hasattr(of_before, "activations"):
            assert np.array_equal(of_again.activations, of_before.activations)
