"""Is 2:4 a level beside widths: its cost the sparse product's, its loss the weights' that go, its zeros kept?"""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie_sim
import tensorcore_sim
from cyclekit.budgets import widths
from cyclekit.budgets.adapt import adapt, knob_of
from workloads import BadInput
from workloads.allocation import two_four
from workloads.allocation.knapsack import knapsack
from workloads.networks import train
from workloads.networks.modules import Linear
from workloads.networks.sequential import ReLU, Sequential
from workloads.tasks import Task

SPEC = tensorcore_sim.Spec()


def task(*sizes, n=64):
    rng = np.random.default_rng(0)
    modules = {}
    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes), 1):
        weights = rng.standard_normal((n_out, n_in), np.float32) / np.float32(np.sqrt(n_in))
        modules |= {f"ip{i}": Linear(weights=weights, bias=np.zeros(n_out, np.float32)), f"relu{i}": ReLU()}
    inputs = rng.standard_normal((n, sizes[0]), np.float32)
    labels = rng.integers(sizes[-1], size=n)
    about = {"inputs": inputs, "labels": labels, "test_inputs": inputs, "test_labels": labels}
    return Task(name="mlp", network=Sequential(modules), provenance="drawn", **about)


WIDE = task(1024, 2048, 1024, 10)


def knob(turned="both", of=WIDE, spec=SPEC, **options):
    options = {"metric": "cycles", "batch": 4096, "n_workers": 1, "epochs": 1} | options
    return knob_of(of, tensorcore_sim.MACHINE, spec, turned=turned, **options)


def cycles(m, k, sparsity):
    problem = tensorcore_sim.Problem(m=m, n=4096, k=k)
    return tensorcore_sim.time_gemm(problem, SPEC.replace(sparsity=sparsity))[1].cycles


@given(st.integers(1, 9), st.integers(0, 99))
def test_the_two_largest_of_four_stay_the_earlier_of_equals(n_in, seed):
    matrix = np.random.default_rng(seed).integers(-2, 3, (3, n_in)).astype(np.float32)
    network = two_four.sparse(Sequential({"ip": Linear(weights=matrix)}), ["ip"])
    for row, kept in zip(matrix, network.modules["ip"].weights, strict=True):
        for start in range(0, n_in, 4):
            four = range(start, min(start + 4, n_in))
            largest = sorted(four, key=lambda place: (-abs(row[place]), place))[:2]
            assert [kept[place] for place in four] == [row[place] if place in largest else 0 for place in four]
    again = two_four.sparse(network, ["ip"]).modules["ip"].weights
    assert np.array_equal(again, network.modules["ip"].weights)
    assert two_four.are_sparse(network) == (["ip"] if (network.modules["ip"].weights == 0).any() else [])


def test_the_loss_is_the_slope_when_what_goes_shrinks():
    small = task(8, 12, 5)
    found = two_four.lost(small.network, small.inputs, small.labels)
    recipe, step = train.Recipe(n_epochs=1, learning_rate=0.0), 0.02
    for name, own in small.network.weighted.items():
        kept = two_four.sparse(small.network, [name]).modules[name].weights
        slopes = []
        for output in range(len(own.weights)):
            losses = []
            for sign in (1, -1):
                weights = own.weights.copy()
                weights[output] -= sign * step * (own.weights - kept)[output]
                network = Sequential({**small.network.modules, name: Linear(weights=weights, bias=own.bias)})
                losses.append(train.loss_and_gradients(network, small.inputs, small.labels, recipe)[0])
            slopes.append(abs(losses[0] - losses[1]) / (2 * step))
        assert found[name] == pytest.approx(sum(slopes), rel=0.05)


def test_costs_are_those_of_both_products(monkeypatch):
    monkeypatch.setattr(widths, "N_WIDTHS", 2)
    cost = knob().table().costs["ip2"]
    assert cost.knobs == ("ip1", "ip2", "ip2 2:4")
    for (i, k), (j, m), (p, sparsity) in itertools.product(
        enumerate((2048, 1024)), enumerate((1024, 512)), enumerate(("dense", "2:4"))
    ):
        assert cost.amounts[i, j, p] == cycles(m, k, sparsity)


def test_the_knapsack_is_brute_force(monkeypatch):
    monkeypatch.setattr(widths, "N_WIDTHS", 3)
    table = knob().table()
    choices = [
        dict(zip(table.levels, places, strict=True))
        for places in itertools.product(*(range(len(levels)) for levels in table.levels.values()))
    ]
    assert len(choices) == 3 * 3 * 2**3
    for share in (0.6, 0.75, 0.9):
        budget = share * table.cost(table.whole)
        least = min(table.loss(choice) for choice in choices if table.cost(choice) <= budget)
        chosen = knapsack(table, budget)
        assert table.cost(chosen) <= budget
        assert table.loss(chosen) == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("method", ["knapsack", "netadapt"])
@pytest.mark.parametrize("turned", ["2:4", "both"])
def test_the_network_has_its_zeros_after_the_tuning(method, turned, monkeypatch):
    monkeypatch.setattr(widths, "N_WIDTHS", 4)
    own = knob(turned)
    budget = 0.75 * own.table().cost(own.table().whole)
    result = adapt(own, budget, method)
    assert result.cost <= budget
    assert set(result.patterns) == set(two_four.are_sparse(result.network))
    assert result.patterns or turned == "both"  # then widths alone may lose less
    expected, n_in = 0.0, 1024
    for name, module in result.network.weighted.items():
        assert result.levels[name][1] == len(module.weights)
        if turned == "2:4":
            assert module.weights.shape == WIDE.network.weighted[name].weights.shape
        fours = module.weights.reshape(-1, 4) if name in result.patterns else np.zeros((1, 4))
        assert np.count_nonzero(fours, axis=1).max() <= 2
        expected += cycles(len(module.weights), n_in, result.patterns.get(name, "dense"))
        n_in = len(module.weights)
    assert result.cost == expected


def test_what_cannot_be_at_two_four():
    for spec in (tensorcore_sim.PRESETS["t4"], SPEC.replace(sparsity="2:4")):
        with pytest.raises(BadInput, match=r"sparsity|2:4"):
            knob(spec=spec)
    with pytest.raises(BadInput, match="unknown knob 'widths', did you mean 'width'"):
        knob("widths")
    with pytest.raises(BadInput, match=r"knob must be left out on eie, whose layers have densities: .*, got 'both'"):
        knob_of(WIDE, eie_sim.MACHINE, eie_sim.Spec(), turned="both", metric="us", batch=1)
    for method in ("amc", "uniform"):
        with pytest.raises(BadInput, match=f"beside 2:4, which no share of a width is, got '{method}'"):
            adapt(knob(), 1e6, method)
