"""Is a file of several layers swept and searched as it is run, a workload a layer?"""

import json

import numpy as np
import pytest

import eie_sim
from cyclekit.sweep.search import search
from cyclekit.sweep.sweep import sweep
from tests.sweep_cases import rows, small
from workloads import Model


@pytest.fixture
def layers() -> Model:
    return Model(name="file", operators=tuple(small(seed, f"ip{seed}") for seed in (1, 2, 3)))


def mean_cycles(layer, spec) -> float:
    runs = eie_sim.simulate(eie_sim.encode(layer, spec), layer.activations, spec, engine="schedule")
    return np.mean([run.cycles for run in runs])


def test_each_layer_has_the_rows_of_its_own_run(layers, tmp_path):
    summary = sweep("eie", [layers], vary={"n_pes": (1, 4)}, into=tmp_path / "s.db")
    assert summary.n_tasks == 3 * 2 * 2  # layers, designs, inputs
    stored = {
        (row.workload, row.input, json.loads(row.spec)["n_pes"]): row.cycles for row in rows(tmp_path / "s.db").values()
    }
    assert len(stored) == 12
    for layer in layers.layers:
        for n_pes in (1, 4):
            spec = eie_sim.Spec(n_pes=n_pes)
            runs = eie_sim.simulate(eie_sim.encode(layer, spec), layer.activations, spec, engine="schedule")
            for place, run in enumerate(runs):
                assert stored[layer.name, place, n_pes] == run.cycles


def test_a_search_sums_over_them(layers, tmp_path):
    outcome = search("eie", [layers], vary={"n_pes": (1, 4)}, minimise=("cycles",), into=tmp_path / "s.db")
    sums = {n_pes: sum(mean_cycles(layer, eie_sim.Spec(n_pes=n_pes)) for layer in layers.layers) for n_pes in (1, 4)}
    assert {design.changes["n_pes"]: design.values["cycles"] for design in outcome.front} == {4: sums[4]}
    assert sums[4] < sums[1]
