"""Which method keeps most accuracy at equal simulated cost: LeNet-300-100 on EIE, the digits' convnet on a card?

python -m benchmarks.accuracy.adapt: the mean of five seeds with their spread. LeNet learns from the first 10,000
training images of Fashion-MNIST (zeroskip data fashion-mnist) and is judged by the 10,000 test images.
"""

import itertools
import sys
import tempfile
from dataclasses import replace
from functools import reduce
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from scipy.stats import spearmanr

from cyclekit import machine
from cyclekit.budgets.adapt import METHODS, adapt
from cyclekit.budgets.densities import Densities
from cyclekit.budgets.graph_widths import GraphWidths
from cyclekit.budgets.step import MachineAllocator
from cyclekit.budgets.widths import Widths
from cyclekit.machine import quiet
from workloads import tasks
from workloads.allocation.knapsack import knapsack
from workloads.allocation.simple import drawn
from workloads.allocation.table import Cost
from workloads.graphs.execute import run
from workloads.graphs.feed import Feed
from workloads.networks import data, nets
from workloads.networks.exported import as_onnx
from workloads.networks.train import fit
from workloads.recipes.recipe import Recipe
from workloads.recipes.within import Adapt

PARTS = ["eie", "tensorcore", "graph", "amd", "eagleeye", "operations", "amc"]
SEEDS = range(5)
N_LEARNT = 10_000
N_SOLVED = 1000  # inputs of a graph


def lenet() -> tasks.Task:
    """Return the shipped network with real images to tune on and to be judged by."""
    (images, labels), (test_images, test_labels) = data.fashion_mnist("train"), data.fashion_mnist("test")
    return replace(
        tasks.load("lenet-300-100-dense"),
        inputs=images[:N_LEARNT],
        labels=labels[:N_LEARNT].astype(np.int64),
        test_inputs=test_images,
        test_labels=test_labels.astype(np.int64),
    )


def compare(task, chosen, changes, kind, budgets, methods, batch) -> None:
    """Print a row for each budget and method: cost over budget, accuracy's mean and standard deviation."""
    first = kind(task=task, chosen=chosen, spec=chosen.design(None, changes), metric="us", batch=batch)
    table = first.table()
    whole = table.cost(table.whole)
    print(
        f"{task.name} on {chosen.name} {changes}: dense {whole:.3f} us, accuracy {task.quality(task.network):.4f}",
        flush=True,
    )
    for share in budgets:
        for method in methods:
            values, costs = [], []
            for seed in SEEDS:
                knob = replace(first, seed=seed, _values={"table": table})
                result = adapt(knob, share * whole, method)
                values.append(result.values[2])
                costs.append(result.cost / result.budget)
            spread = f"{100 * fmean(values):.2f} +- {100 * stdev(values):.2f}%"
            print(
                f"  {share:g} {method:9s} accuracy {spread}, cost {min(costs):.3f} to {max(costs):.3f} of it",
                flush=True,
            )


def as_graph(task, chosen, budgets, methods, batch) -> None:
    """Print what the network is worth as an ONNX graph, which learns nothing but is solved anew on N_SOLVED inputs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{task.name}.onnx"
        path.write_bytes(as_onnx(task.network, task.inputs.shape[1:]).SerializeToString())
        given = {"input": task.inputs[:N_SOLVED], "labels": task.labels[:N_SOLVED]}
        graph = tasks.load(str(path), Feed.of(inputs=given))
    knob = GraphWidths(task=graph, chosen=chosen, spec=chosen.design(None, {}), metric="us", batch=batch)
    whole = knob.table().cost(knob.table().whole)
    for share, method in itertools.product(budgets, methods):
        result = adapt(knob, share * whole, method)
        outputs = run(result.network.model, {"input": task.test_inputs}, ["output"])["output"]
        accuracy = 100 * np.mean(outputs.argmax(axis=1) == task.test_labels)
        told = f"cut {100 * result.values[1]:.2f}%, solved anew and held out {accuracy:.2f}%"
        print(f"  {share:g} {method:9s} as a graph: {told}, cost {result.cost / result.budget:.3f} of it", flush=True)


def by_operations(task, chosen, budgets, batch) -> None:
    """Print what the knapsack's widths are worth by simulated time, and by operations at no more of the same time."""
    first = Widths(task=task, chosen=chosen, spec=chosen.design(None, {}), metric="us", batch=batch, epochs=1)
    table = first.table()
    operations = replace(table, costs=_operations(task, table))
    for share in budgets:
        budget = share * table.cost(table.whole)
        for what, choice in (("time", knapsack(table, budget)), ("operations", _within(operations, table, budget))):
            values = []
            for seed in SEEDS:
                knob = replace(first, seed=seed, _values={"table": table})
                values.append(task.quality(knob.finished(choice, budget)))
            spread = f"{100 * fmean(values):.2f} +- {100 * stdev(values):.2f}%"
            print(f"  {share:g} by {what:10s} {spread}, time {table.cost(choice) / budget:.3f} of it", flush=True)


def _operations(task, table) -> dict[str, Cost]:
    """Return the multiply-adds of an input at each level of its knobs, as a table has costs."""
    positions = {name: len(rows) for name, rows in task.network.inputs(task.inputs[:1]).items()}
    costs = {}
    for name, module in task.network.weighted.items():
        n_outputs, n_inputs = module.matrix.shape
        shares = [np.array(table.levels[knob]) / table.levels[knob][0] for knob in table.costs[name].knobs]
        products = reduce(np.multiply.outer, shares, np.float64(n_outputs * n_inputs * positions[name]))
        costs[name] = replace(table.costs[name], amounts=products)
    return costs


def _within(operations, table, budget) -> dict[str, int]:
    """Return the knapsack's choice by operations, of the largest budget of them whose time is within the budget."""
    low, high = operations.cost(operations.least), operations.cost(operations.whole)
    best = operations.least
    for _ in range(24):
        middle = (low + high) / 2
        choice = knapsack(operations, middle)
        if table.cost(choice) <= budget:
            low, best = middle, choice
        else:
            high = middle
    return best


def choices(task, chosen, changes, budgets, seeds) -> None:
    """Print what the choices of AMC's agent and of chance, as often tried, are worth before any tuning."""
    first = Densities(task=task, chosen=chosen, spec=chosen.design(None, changes), metric="us", batch=4, epochs=0)
    table = first.table()
    for share in budgets:
        for method in ("amc", "random", "uniform", "knapsack"):
            values = []
            for seed in seeds:
                knob = replace(first, seed=seed, _values={"table": table})
                choice, _, _ = METHODS[method](knob, table, share * table.cost(table.whole), quiet)
                values.append(task.quality(knob.network_of(knob.start(choice))))
            told = ", ".join(f"{100 * value:.2f}" for value in values)
            print(f"  {share:g} {method:9s} not tuned {100 * fmean(values):.2f}% ({told})", flush=True)


def in_rounds(task, chosen, shares, batch) -> None:
    """Print what `sensitivity` gives in rounds, each analysed, cut and tuned anew, as a recipe of steps `adapt`."""
    design = {"machine": chosen.name, "batch": batch, "method": "sensitivity"}
    for last in range(1, len(shares) + 1):
        values = []
        for seed in SEEDS:
            steps = [Adapt(budget=share, **design) for share in shares[:last]]
            fitted = task.fit(Recipe(steps=steps, seed=seed), MachineAllocator(task))
            values.append(task.quality(fitted.apply()))
        spread = f"{100 * fmean(values):.2f} +- {100 * stdev(values):.2f}%"
        print(f"  {' then '.join(f'{share:g}' for share in shares[:last])} in rounds {spread}", flush=True)


def scores(task, chosen, share, batch, n_subnets) -> None:
    """Print how the score of drawn subnets, with statistics re-estimated and without, ranks them as tuning does.

    Scores: on inputs calibrated on; accuracy after three epochs of tuning: on test inputs.
    """
    first = Widths(task=task, chosen=chosen, spec=chosen.design(None, {}), metric="us", batch=batch)
    table, choices = first.table(), []
    budget = share * table.cost(table.whole)
    drawn(table, budget, lambda choice: choices.append(dict(choice)) or 0.0, n_subnets, 0)
    recalibrating = replace(first, recalibrates=True)
    rows = np.array(
        [
            [first.evaluate(choice), recalibrating.evaluate(choice), task.quality(first.finished(choice, budget))]
            for choice in choices
        ]
    )
    for column, what in enumerate(("as it was cut", "re-estimated")):
        values = rows[:, column]
        best = rows[np.argmax(values), 2]
        print(
            f"  {share:g}: score {what:13s} {values.mean():.3f} in the mean, rank correlation "
            f"{spearmanr(values, rows[:, 2])[0]:.2f}; its best is {best:.4f} once tuned, of all {n_subnets} "
            f"{rows[:, 2].mean():.4f} ({rows[:, 2].min():.4f} to {rows[:, 2].max():.4f})",
            flush=True,
        )


def wide_convnet() -> tasks.Task:
    """Return three convolutions of widths between a card's tiles that have learnt the digits."""
    digits = tasks.load("digits-convnet")
    untrained = nets.convnet((1, 8, 8), (80, 144, 272), 10, 0)
    network = fit(untrained, digits.inputs, digits.labels, replace(nets.DIGITS_CONVNET, n_epochs=4, seed=0))
    return replace(digits, name="digits-convnet-wide", network=network)


def six_layers() -> tasks.Task:
    """Return an MLP of six layers that has learnt the digits."""
    digits = tasks.load("digits-mlp")
    untrained = nets.mlp((64, 160, 128, 96, 64, 48, 10), 0)
    network = fit(untrained, digits.inputs, digits.labels, replace(nets.DIGITS_MLP, seed=0, dropout=0.1))
    return replace(digits, name="digits-mlp-6", network=network)


if __name__ == "__main__":
    which, methods = sys.argv[1:] or PARTS, ("uniform", "knapsack", "netadapt")
    if "eie" in which:
        for n_pes, budgets in ((64, (0.5, 0.4)), (16, (0.25,))):  # 64 PEs: a broadcast a cycle alone takes 31%
            compare(lenet(), machine.load("eie"), {"n_pes": n_pes}, Densities, budgets, methods, 8)
    if "tensorcore" in which:
        compare(tasks.load("digits-convnet"), machine.load("tensorcore"), {}, Widths, (0.9, 0.7, 0.6), methods, 4096)
    if "graph" in which:
        as_graph(tasks.load("digits-convnet"), machine.load("tensorcore"), (0.9, 0.7, 0.6), methods, 4096)
    if "amd" in which:
        ways = ("sensitivity", "eagleeye")
        compare(tasks.load("digits-convnet"), machine.load("tensorcore"), {}, Widths, (0.9, 0.7, 0.6), ways, 4096)
        in_rounds(tasks.load("digits-convnet"), machine.load("tensorcore"), (0.9, 0.7, 0.6), 4096)
    if "eagleeye" in which:
        for share in (0.8, 0.75, 0.7):
            scores(tasks.load("digits-convnet"), machine.load("tensorcore"), share, 4096, 40)
    if "operations" in which:
        by_operations(wide_convnet(), machine.load("tensorcore"), (0.7, 0.55), 512)
    if "amc" in which:
        choices(six_layers(), machine.load("eie"), {"n_pes": 8}, (0.5, 0.4), range(3))
