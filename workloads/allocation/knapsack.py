"""The choice of least loss within a budget, exactly, with costs that hang on several knobs at once."""

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

    HALP's knapsack (Shen et al. 2022) of one level a knob, with a layer's cost by the levels of several, as MDP has it
    (Sun et al. 2025): x[k, j] is 1 for the level chosen, z[l, i, j] for levels i and j of the two knobs that layer l
    hangs on, with sum_i z[l, i, j] = x[own, j] and sum_j z[l, i, j] = x[before, i]. Raises BadInput for a budget out of
    reach.
    """
    table.check(budget)
    if not table.levels:
        return {}
    starts = np.cumsum([0, *(len(levels) for levels in table.levels.values())])
    places = {name: np.arange(a, b) for name, (a, b) in zip(table.levels, pairwise(starts), strict=True)}
    n = n_all = int(starts[-1])
    costs = [np.zeros(n)]
    fixed = 0.0
    rows = [(dict.fromkeys(at.tolist(), 1.0), 1.0) for at in places.values()]  # sums that equal a number
    for cost in table.costs.values():
        if not cost.knobs:
            fixed += float(cost.amounts)
        elif len(cost.knobs) == 1:
            costs[0][places[cost.knobs[0]]] += cost.amounts
        else:
            z = n_all + np.arange(cost.amounts.size).reshape(cost.amounts.shape)
            costs.append(cost.amounts.ravel())
            n_all += z.size
            for axis, knob in enumerate(cost.knobs):
                of_levels = np.moveaxis(z, axis, 0).reshape(len(places[knob]), -1)
                rows += [
                    (dict.fromkeys(of_level.tolist(), 1.0) | {int(x): -1.0}, 0.0)
                    for of_level, x in zip(of_levels, places[knob], strict=True)
                ]
    entries = [(i, j, value) for i, (of_row, _) in enumerate(rows) for j, value in of_row.items()]
    i, j, values = zip(*entries, strict=True)
    ends = np.array([end for _, end in rows])
    sums = LinearConstraint(coo_matrix((values, (i, j)), shape=(len(rows), n_all)).tocsr(), ends, ends)
    prices, losses, whole = np.concatenate(costs), np.zeros(n_all), np.zeros(n_all)
    losses[:n] = np.concatenate([table.losses[name] for name in table.levels])
    whole[:n] = 1
    most = prices.max() or 1.0
    within = LinearConstraint(prices[None] / most, -np.inf, (budget - fixed) / most)
    largest = losses.max()
    with _quiet():
        solved = milp(
            losses / largest if largest else losses, constraints=[sums, within], bounds=Bounds(0, 1), integrality=whole
        )
    if solved.x is None:
        raise BadInput(f"budget must be one that the program can meet, got {budget:.6g}: {solved.message}")
    return {name: int(np.argmax(solved.x[at])) for name, at in places.items()}


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
