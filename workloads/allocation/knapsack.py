"""The choice of least loss within a budget, exactly, with costs that hang on the layer before."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

from workloads.allocation.table import Table
from workloads.errors import BadInput


def knapsack(table: Table, budget: float) -> dict[str, int]:
    """Return the choice whose losses sum to the least of all that cost no more than the budget.

    HALP's knapsack (Shen et al. 2022) of one level a layer, with a layer's cost by the levels of two, as MDP has it
    (Sun et al. 2025): x[l, j] is 1 for the level chosen, z[l, i, j] for it behind level i of the layer before, with
    sum_i z[l, i, j] = x[l, j] and sum_j z[l, i, j] = x[before, i]. Raises BadInput for a budget out of reach.
    """
    table.check(budget)
    names = list(table.levels)
    starts = np.cumsum([0, *(len(table.levels[name]) for name in names)])
    places = {name: range(a, b) for name, (a, b) in zip(names, pairwise(starts), strict=True)}
    n = int(starts[-1])
    coupled = [name for name in names if name in table.before]
    z_starts = np.cumsum([n, *(table.costs[name].size for name in coupled)])
    z_of = dict(zip(coupled, z_starts, strict=False))
    n_all = int(z_starts[-1])
    losses, costs = np.zeros(n_all), np.zeros(n_all)
    rows: list[tuple[dict[int, float], float]] = []  # sums that equal a number
    for name in names:
        at = places[name]
        losses[at.start : at.stop] = table.losses[name]
        rows.append((dict.fromkeys(at, 1.0), 1.0))
        if name not in z_of:
            costs[at.start : at.stop] = table.costs[name][0]
            continue
        z = z_of[name] + np.arange(table.costs[name].size).reshape(table.costs[name].shape)
        costs[z.ravel()] = table.costs[name].ravel()
        rows += [(dict.fromkeys(map(int, z[:, j]), 1.0) | {x: -1.0}, 0.0) for j, x in enumerate(at)]
        rows += [
            (dict.fromkeys(map(int, z[i]), 1.0) | {x: -1.0}, 0.0) for i, x in enumerate(places[table.before[name]])
        ]
    entries = [(i, j, value) for i, (of_row, _) in enumerate(rows) for j, value in of_row.items()]
    i, j, values = zip(*entries, strict=True)
    ends = np.array([end for _, end in rows])
    sums = LinearConstraint(coo_matrix((values, (i, j)), shape=(len(rows), n_all)).tocsr(), ends, ends)
    most = costs.max() or 1.0
    within = LinearConstraint(costs[None] / most, -np.inf, (budget - table.fixed) / most)
    whole = np.zeros(n_all)
    whole[:n] = 1
    largest = losses.max()
    with _quiet():
        solved = milp(
            losses / largest if largest else losses, constraints=[sums, within], bounds=Bounds(0, 1), integrality=whole
        )
    if solved.x is None:
        raise BadInput(f"budget must be one that the program can meet, got {budget:.6g}: {solved.message}")
    return {name: int(np.argmax(solved.x[at.start : at.stop])) for name, at in places.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Send nowhere what the solver prints past Python, in the midst of what a command writes to standard output."""
    sys.stdout.flush()
    try:
        stdout = os.dup(1)
    except OSError:  # closed: nothing is printed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(nowhere)
        os.close(stdout)
