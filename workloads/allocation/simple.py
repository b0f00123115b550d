"""One share for all layers, and layers drawn by chance: what any better method is held against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workloads.allocation.table import Choice, Table


def uniform(table: Table, budget: float) -> dict[str, int]:
    """Return the choice that gives every layer the largest share of its whole at which the cost meets the budget.

    A layer takes its highest level that is no larger a share. Raises BadInput for a budget out of reach.
    """
    table.check(budget)
    shares = sorted({level / levels[0] for levels in table.levels.values() for level in levels}, reverse=True)
    choices = [{name: _level(levels, share) for name, levels in table.levels.items()} for share in shares or [1.0]]
    for choice in choices:
        if table.cost(choice) <= budget:
            return choice
    raise table.refusal(budget, min(map(table.cost, choices)), "the cheapest share for all layers")


def drawn(
    table: Table, budget: float, evaluate: Callable[[Choice], float], n_draws: int, seed: int
) -> tuple[dict[str, int], list[dict]]:
    """Return the best of n_draws choices within the budget, and a row for each: {"draw", "cost", "value"}.

    Levels are drawn evenly, down to those of the cheapest choice, then layers by chance are lowered until the budget is
    met. evaluate: from a choice to its value, higher is better. Raises BadInput for a budget out of reach.
    """
    table.check(budget)
    rng, rows, best = np.random.default_rng(seed), [], (float("-inf"), table.least)
    for draw in range(n_draws):
        choice = {name: int(rng.integers(lowest + 1)) for name, lowest in table.least.items()}
        while table.cost(choice) > budget:
            lower = [name for name, level in choice.items() if level < table.least[name]]
            choice[lower[rng.integers(len(lower))]] += 1
        value = evaluate(choice)
        rows.append({"draw": draw, "cost": table.cost(choice), "value": value})
        if value > best[0]:
            best = value, choice
    return dict(best[1]), rows


def _level(levels: tuple[float, ...], share: float) -> int:
    fitting = [place for place, level in enumerate(levels) if level <= share * levels[0] * (1 + 1e-12)]
    return fitting[0] if fitting else len(levels) - 1
