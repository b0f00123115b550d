"""Is what a layer costs simulated once, kept with all that determines it, and the same however it was found?"""

import dataclasses
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie_sim
import tensorcore_sim
from cyclekit import machine
from cyclekit.budgets import costs
from cyclekit.budgets.densities import Densities, Kept
from cyclekit.budgets.widths import Widths
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import sweep
from workloads import BadInput, Workload, tasks

TASK = tasks.load("digits-mlp")
LAYERS, LEVELS, BATCH = 3, 40, 2
DESIGNS = {"eie": eie_sim.PRESETS["isca2016"].replace(n_pes=4), "tensorcore": tensorcore_sim.Spec()}


# A card's table: ip1 of 64 inputs, ip2 and ip3 of all widths of the layer before, sixteen each; equal sizes once.
OF_IP1, OF_IP2 = range(256, 0, -16), range(128, 0, -8)
N_PAIRS = len({(m, 64) for m in OF_IP1} | {(m, k) for m in OF_IP2 for k in OF_IP1} | {(10, k) for k in OF_IP2})


class Counter:
    """A machine that counts how often it is asked to simulate, and is interrupted at a number of calls."""

    def __init__(self, chosen, stop_at=None):
        self.n, self.stop_at, self._simulate = 0, stop_at, chosen.simulate
        self.machine = dataclasses.replace(chosen, simulate=self)

    def __call__(self, *arguments, **options):
        if self.n == self.stop_at:
            raise KeyboardInterrupt
        self.n += 1
        return self._simulate(*arguments, **options)


def knob(chosen=eie_sim.MACHINE, *, spec=None, task=TASK, **options):
    kind = Widths if chosen.batched else Densities
    options = {"metric": "cycles", "batch": 4096 if chosen.batched else BATCH, "n_workers": 1, "epochs": 0} | options
    return kind(task=task, chosen=chosen, spec=DESIGNS[chosen.name] if spec is None else spec, **options)


def amounts(of):
    return {name: cost.amounts for name, cost in of.table().costs.items()}


@cache
def without_a_store(name):
    return amounts(knob(machine.load(name)))


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("chosen", [eie_sim.MACHINE, tensorcore_sim.MACHINE], ids=lambda chosen: chosen.name)
def test_a_second_use_simulates_nothing(chosen, tmp_path):
    counter = Counter(chosen)
    first = knob(counter.machine, into=tmp_path / "costs.db")
    found = amounts(first)
    n = N_PAIRS if chosen.batched else LAYERS * LEVELS * BATCH
    assert (counter.n, first.costs.counts) == (n, {"computed": n, "stored": 0})
    again = knob(counter.machine, into=tmp_path / "costs.db")
    assert equal(amounts(again), found)
    assert (counter.n, again.costs.counts) == (n, {"computed": 0, "stored": n})
    assert equal(without_a_store(chosen.name), found)


def test_processes_find_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(costs, "SHORT_S", 0.0)  # nothing is short: all runs in processes
    told = []

    def watch(*about):
        told.append(about)
        return costs.unwatched(*about)

    assert equal(amounts(knob(n_workers=2, into=tmp_path / "costs.db", watch=watch)), without_a_store("eie"))
    ((n_tasks, n_workers, seconds),) = told
    assert (n_tasks, n_workers) == ((LAYERS * LEVELS - costs.N_TIMED) * BATCH, 2)  # those timed before run here
    assert seconds > 0


def test_what_was_simulated_before_an_interruption_is_kept(tmp_path):
    counter = Counter(eie_sim.MACHINE, stop_at=101)
    with pytest.raises(KeyboardInterrupt):
        knob(counter.machine, into=tmp_path / "costs.db").table()
    with Store(tmp_path / "costs.db", write=False) as store:
        n_stored = len(store)
    assert 0 < n_stored <= 101
    rest = Counter(eie_sim.MACHINE)
    assert equal(amounts(knob(rest.machine, into=tmp_path / "costs.db")), without_a_store("eie"))
    assert rest.n == LAYERS * LEVELS * BATCH - n_stored


def test_another_design_network_or_model_finds_nothing_of_its_own(tmp_path):
    name, module = list(TASK.network.weighted.items())[-1]  # what reaches the others stays
    heavier = dataclasses.replace(module, weights=module.weights * np.float32(1.001))
    network = dataclasses.replace(TASK.network, modules={**TASK.network.modules, name: heavier})
    into, n = tmp_path / "costs.db", LAYERS * LEVELS * BATCH
    knob(into=into).table()
    for different, n_found in (
        (knob(spec=DESIGNS["eie"].replace(n_pes=8), into=into), 0),
        (knob(dataclasses.replace(eie_sim.MACHINE, model_version=10**6), into=into), 0),
        (knob(task=dataclasses.replace(TASK, network=network), into=into), n - LEVELS * BATCH),
        (knob(metric="us", into=into), n),  # rows hold both
    ):
        different.table()
        assert different.costs.counts["stored"] == n_found
    with Store(into, write=False) as store:
        assert len({(row.work, row.spec, row.content) for row in store.rows()}) == (3 * LAYERS + 1) * LEVELS


def test_a_sweep_and_a_table_know_the_same_rows(tmp_path):
    into = tmp_path / "costs.db"
    widest = TASK.network.weighted["ip1"].weights.shape
    sweep("tensorcore", [f"{widest[0]}x4096x{widest[1]}"], vary={"sparsity": ["dense"]}, into=into)
    of_table = knob(tensorcore_sim.MACHINE, into=into)
    of_table.table()
    assert of_table.costs.counts["stored"] == 1


def test_a_cost_is_that_of_the_layer_without_its_smallest_weights():
    found = without_a_store("eie")
    fitted = knob().start(dict.fromkeys(found, 0))
    for layer in knob().workloads(fitted):
        order = np.argsort(np.abs(layer.weights), axis=None, kind="stable")
        share = np.geomspace(1, 0.005, LEVELS)[17]
        weights = np.ones(layer.weights.size, np.float32)
        weights[order[: layer.weights.size - round(share * layer.weights.size)]] = 0
        pruned = dataclasses.replace(layer, weights=weights.reshape(layer.weights.shape), codes=None, codebook=None)
        pruned = dataclasses.replace(pruned, bias=(layer.bias != 0).astype(np.float32))
        (image,) = eie_sim.MACHINE.encode([pruned], DESIGNS["eie"])
        runs = [eie_sim.MACHINE.simulate(image, row, DESIGNS["eie"], engine="events") for row in layer.activations]
        assert found[layer.name][17] == sum(run.cycles for run in runs) / BATCH


def test_a_cost_of_widths_is_that_of_the_product():
    found = without_a_store("tensorcore")
    for m, k in ((128, 256), (72, 256), (72, 48)):
        _, books, _ = tensorcore_sim.time_gemm(tensorcore_sim.Problem(m=m, n=4096, k=k), DESIGNS["tensorcore"])
        assert found["ip2"][OF_IP1.index(k), OF_IP2.index(m)] == books.cycles


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.data())
def test_kept_are_the_largest_and_of_equal_ones_the_last_but_no_zeros(values, data):
    weights = np.array([values], np.float32)
    n = data.draw(st.integers(1, len(values)))
    layer = Workload(name="w", weights=weights, activations=np.ones(len(values), np.float32))
    (kept,) = Kept(layer, n)
    by_size = sorted(range(len(values)), key=lambda place: (abs(values[place]), place))
    assert set(np.flatnonzero(kept.weights[0])) == {place for place in by_size[-n:] if values[place]}
    with pytest.raises(IndexError):
        Kept(layer, n)[1]


def test_a_design_that_cannot_run_a_layer_says_why(tmp_path):
    spec = DESIGNS["eie"].replace(n_pes=1, capacity="enforce", pointer_bytes=64)
    with pytest.raises(BadInput, match="pointer"):
        knob(spec=spec, into=tmp_path / "costs.db").table()
