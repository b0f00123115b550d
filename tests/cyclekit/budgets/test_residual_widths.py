"""Does the table of a residual network's widths tell what the narrower network costs, and does a method stay within?"""

import itertools
from contextlib import nullcontext

import numpy as np
import pytest

from cyclekit import machine
from cyclekit.budgets import widths
from cyclekit.budgets.adapt import adapt
from cyclekit.budgets.widths import Widths
from workloads import tasks
from workloads.networks.modules import Conv2d
from workloads.networks.nets import resnet
from workloads.networks.sequential import Add, Sequential

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("costs") / "costs.db"


@pytest.fixture
def knob(monkeypatch, store):
    """Return what makes a knob of three widths, whose costs are simulated once for all tests."""
    monkeypatch.setattr(widths, "N_WIDTHS", 3)
    return lambda network, **options: made(network, into=store, n_workers=1, **options)


def made(network, **options):
    inputs = RNG.standard_normal((60, 2, 4, 4), np.float32)
    labels = (inputs.mean(axis=(1, 2, 3)) > 0).astype(np.int64)
    task = tasks.Task(
        name="tiny",
        network=network,
        provenance="made up",
        inputs=inputs,
        labels=labels,
        test_inputs=inputs,
        test_labels=labels,
    )
    chosen = machine.load("tensorcore")
    return Widths(task=task, chosen=chosen, spec=chosen.design(None, {}), metric="us", batch=512, **options)


def looped():
    """Return a residual network with a block of one convolution, which reads the group that it writes."""
    modules = dict(resnet((2, 4, 4), (24, 48), 2, seed=0).modules)
    more = {"conv": Conv2d(weights=RNG.standard_normal((48, 48, 3, 3), np.float32), padding=1), "add": Add("relu6")}
    places = list(modules)
    behind = places.index("relu6") + 1
    return Sequential(
        {name: modules[name] for name in places[:behind]} | more | {name: modules[name] for name in places[behind:]}
    )


def test_a_layer_hangs_on_the_group_that_it_reads_and_the_one_it_writes(knob):
    own = knob(looped())
    table = own.table()
    assert table.levels == {"conv1": (24, 16, 8), "conv2": (24, 16, 8), "conv4": (48, 32, 16), "conv5": (48, 32, 16)}
    assert {name: cost.knobs for name, cost in table.costs.items()} == {
        "conv1": ("conv1",),
        "conv2": ("conv1", "conv2"),
        "conv3": ("conv2", "conv1"),
        "conv4": ("conv1", "conv4"),
        "conv5": ("conv4", "conv5"),
        "conv6": ("conv5", "conv4"),
        "conv": ("conv4",),
        "ip": ("conv4",),
    }
    assert own.notes == ["turned together: conv1, conv3", "turned together: conv4, conv6, conv"]


@pytest.mark.parametrize("turned", ["width", "both"])
def test_the_table_is_what_the_narrower_networks_cost(turned, knob):
    own = knob(looped(), turned=turned, epochs=0)
    table = own.table()
    choices = list(itertools.product(*(range(len(levels)) for levels in table.levels.values())))
    for places in choices[:: len(choices) // 40 + 1]:
        choice = dict(zip(table.levels, places, strict=True))
        cut = own.start(choice)
        costs = own.layer_costs(cut)
        assert {name: cost.at(choice) for name, cost in table.costs.items()} == costs
        assert own.patterns_of(cut).keys() == {name for name in costs if choice.get(f"{name} 2:4")}


@pytest.mark.parametrize("method", ["knapsack", "uniform", "netadapt"])
def test_a_residual_network_is_brought_within_its_budget_and_tuned(method, knob):
    own = knob(looped(), epochs=1)
    table = own.table()
    dense, told = table.cost(table.whole), []
    budget = (table.cost(table.least) + dense) / 2
    result = adapt(own, budget, method, lambda name: nullcontext(lambda *step: told.append((name, *step))))
    assert result.cost <= budget
    assert result.cost == sum(own.layer_costs(result.network).values())
    assert result.levels["conv1"][1] == result.levels["conv3"][1]
    assert result.levels["conv4"][1] == result.levels["conv6"][1]
    if method == "netadapt":  # what it tells of each try, the whole network first; those of its rounds among them
        assert told[0] == ("netadapt", f"tried {dense:,.6g} us", 0, dense - budget)
        texts = [text for _, text, _, _ in told]
        assert {f"tried {row['cost']:,.6g} us" for row in result.log} <= set(texts)
        assert all(0 <= done <= total for _, _, done, total in told)
    else:
        assert told == []
