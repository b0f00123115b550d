"""Levels by how sensitive each layer is alone: all go down as far as one loss of accuracy lets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workloads.allocation.table import Table


def by_sensitivity(
    table: Table, budget: float, values: Mapping[str, Sequence[float]]
) -> tuple[dict[str, int], list[dict]]:
    """Return a choice within the budget, and a row for each step to it: {"layer", "level", "loss", "cost"}.

    values: {layer: what the network is worth with that layer alone at each level}. The next step down always is the one
    whose layer, alone there or anywhere above, loses least; of equals the one that leaves least cost, then the earlier.
    None goes below its level in the cheapest choice. At last steps that the budget did not need are taken back, the
    last one first. Raises BadInput for a budget out of reach.
    Source: Vitis AI Optimizer's iterative pruning, which looks for the one threshold of the loss that meets a share of
    the multiply-adds (pytorch_nndct, pruning/structured.py).
    """
    table.check(budget)
    losses = {name: np.maximum.accumulate(of[0] - np.asarray(of)) for name, of in values.items()}
    choice, rows = table.whole, []
    while (cost := table.cost(choice)) > budget:
        steps = []
        for place, (name, level) in enumerate(choice.items()):
            if level < table.least[name]:
                lower = {**choice, name: level + 1}
                steps.append((float(losses[name][level + 1]), table.cost(lower), place, name))
        loss, cost, _, name = min(steps)
        choice[name] += 1
        rows.append({"layer": name, "level": table.levels[name][choice[name]], "loss": loss, "cost": cost})
    for row in reversed(rows):
        higher = {**choice, row["layer"]: choice[row["layer"]] - 1}
        if table.cost(higher) <= budget:
            choice = higher
    return choice, rows
