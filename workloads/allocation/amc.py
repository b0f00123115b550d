"""AMC: an agent gives each layer in turn its level, is stopped at the budget, and learns from what that is worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from workloads.allocation.ddpg import FIRST_NOISE, NOISE_DECAY, Agent
from workloads.allocation.table import Choice, Table

N_EPISODES, N_WARM_UP = 400, 100  # He et al. 2018, section 4: explore 100, exploit 300
N_LEARN = 1  # steps of the agent behind each layer of an episode


def amc(
    table: Table,
    budget: float,
    sizes: Mapping[str, tuple[float, ...]],
    evaluate: Callable[[Choice], float],
    *,
    n_episodes: int = N_EPISODES,
    seed: int = 0,
    accuracy_alone: bool = True,
) -> tuple[dict[str, int], list[dict]]:
    """Return the best choice that the agent tried within the budget, and a row an episode: {"episode", "cost", "value",
    "reward"}.

    sizes: of each knob (outputs, inputs, positions, stride, kernel). evaluate: from a choice to its accuracy.
    accuracy_alone: the reward is the accuracy, under the budget; else -error x log(cost), which needs no budget to
    trade. The state has ten numbers (place, the five sizes, the layer's own cost, what is saved so far, what the rest
    costs whole, the last action), each as a share of its largest. Raises BadInput for a budget out of reach.
    Source: He et al. 2018, section 3, algorithm 1 for the wall.
    """
    table.check(budget)
    agent, rows, best = Agent(10, seed), [], (float("-inf"), table.least)
    static = _static(table, sizes)
    noise = FIRST_NOISE
    for episode in range(n_episodes):
        exploring = episode < N_WARM_UP
        if not exploring:
            noise *= NOISE_DECAY
        choice, steps, last_action = dict(table.whole), [], 1.0
        for place, name in enumerate(table.levels):
            state = _state(table, static, choice, place, last_action)
            action = float(agent.rng.uniform()) if exploring else agent.act(state, noise)
            choice[name] = _walled(table, choice, name, action, budget)
            last_action = table.levels[name][choice[name]] / table.levels[name][0]
            steps.append((state, last_action))
        value, cost = evaluate(choice), table.cost(choice)
        reward = value if accuracy_alone else -(1 - value) * math.log(cost)
        after = [state for state, _ in steps[1:]] + [steps[-1][0]]
        ends = [False] * (len(steps) - 1) + [True]
        agent.remember(
            [(*step, *rest) for step, rest in zip(steps, zip(after, ends, strict=True), strict=True)], reward
        )
        if not exploring:
            for _ in range(N_LEARN * len(steps)):
                agent.learn()
        rows.append({"episode": episode, "cost": cost, "value": value, "reward": reward})
        if value > best[0] and cost <= budget:
            best = value, choice
    return dict(best[1]), rows


def _walled(table: Table, choice: Choice, name: str, action: float, budget: float) -> int:
    """Return the level nearest the action, below it where there is one, at which the rest can still meet the budget."""
    levels, order = table.levels[name], list(table.levels)
    wanted = next((i for i, level in enumerate(levels) if level / levels[0] <= action), len(levels) - 1)
    lowest = table.lowest({earlier: choice[earlier] for earlier in order[: order.index(name)]}, name)
    within = np.flatnonzero(lowest <= budget)
    if not len(within):  # by a rounding of sums, which are of another order here
        return int(lowest.argmin())
    return int(next((level for level in within if level >= wanted), within[-1]))


def _static(table: Table, sizes: Mapping[str, tuple[float, ...]]) -> np.ndarray:
    """Return f64[knobs, 7] of what never changes of the state: place, sizes, own cost; each as a share of its most."""
    whole = _whole(table)
    rows = [[place, *sizes[name], whole[name]] for place, name in enumerate(table.levels)]
    array = np.array(rows, dtype=float)
    most = np.abs(array).max(axis=0)
    return array / np.where(most, most, 1)


def _whole(table: Table) -> dict[str, float]:
    """Return what each knob's layers cost whole: those whose last knob it is."""
    costs, order = dict.fromkeys(table.levels, 0.0), list(table.levels)
    for cost in table.costs.values():
        if cost.knobs:
            costs[max(cost.knobs, key=order.index)] += cost.at(table.whole)
    return costs


def _state(table: Table, static: np.ndarray, choice: Choice, place: int, last_action: float) -> np.ndarray:
    names, total = list(table.levels), table.cost(table.whole) or 1.0
    whole = _whole(table)
    later = sum(whole[name] for name in names[place:])
    saved = 1 - table.cost(choice) / total
    return np.array([*static[place], saved, later / total, last_action])
