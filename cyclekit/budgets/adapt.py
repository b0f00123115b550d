"""The flow of every method: a table of costs, a choice within the budget, the network tuned, and what it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from cyclekit.budgets.analysis import analysed
from cyclekit.budgets.densities import Densities
from cyclekit.budgets.graph_widths import GraphWidths
from cyclekit.budgets.knob import Knob
from cyclekit.budgets.widths import Widths
from cyclekit.machine import Machine, Progress, quiet
from workloads.allocation.amc import N_EPISODES, amc
from workloads.allocation.knapsack import knapsack
from workloads.allocation.netadapt import netadapt
from workloads.allocation.sensitivity import by_sensitivity
from workloads.allocation.simple import drawn, uniform
from workloads.allocation.table import Choice, Table
from workloads.errors import BadInput, did_you_mean
from workloads.tasks import Task

N_DRAWS = N_EPISODES  # as many as AMC tries


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """A network within a budget. network: as its knob makes them; costs: {layer: (before, after)}, levels alike.

    patterns: {layer: the N:M that its weights obey}, of those that do. values: accuracy on inputs held out, before,
    after the cut and after the tuning; None where there are no labels. log: what each round, draw or episode did.
    notes: what is to be said of how it was chosen.
    """

    method: str
    budget: float
    dense_cost: float
    cost: float
    levels: dict[str, tuple[float, float]]
    patterns: dict[str, str]
    costs: dict[str, tuple[float, float]]
    values: tuple[float | None, float | None, float | None]
    log: list[dict]
    network: Any
    notes: tuple[str, ...] = ()


def knob_of(task: Task, chosen: Machine, spec: Any, *, turned: str | None = None, **options: Any) -> Knob:
    """Return what can be turned on a machine: densities where it needs values, else what Widths can (None: widths),
    of modules in a row or of a graph.

    options: those of Knob. Raises BadInput for a network or a machine that has no such knob.
    """
    options |= {"task": task, "chosen": chosen, "spec": spec}
    if chosen.needs_values and turned is not None:
        raise BadInput(
            f"knob must be left out on {chosen.name}, whose layers have densities: it is for machines that multiply "
            f"whole matrices, got {turned!r}"
        )
    if chosen.needs_values:
        return Densities(**options)
    if task.graph is None:
        return Widths(**options, turned=turned or "width")
    if turned not in (None, "width"):
        raise BadInput(f"knob must be width for the graph {task.name}: 2:4 takes modules in a row, got {turned!r}")
    return GraphWidths(**options)


def check_method(name: str) -> None:
    """Raise BadInput for a method that there is none of."""
    if name not in METHODS:
        raise BadInput(f"unknown method {name!r}{did_you_mean(name, METHODS)}")


def unwatched(method: str) -> AbstractContextManager[Progress]:
    """Give a progress that nobody sees."""
    return nullcontext(quiet)


def adapt(
    knob: Knob, budget: float, method: str, watch: Callable[[str], AbstractContextManager[Progress]] = unwatched
) -> Adapted:
    """Return the task's network brought within an absolute budget by a method. Raises BadInput where none can be.

    watch: of a method, gives what is told how far its choosing is.
    """
    if method in EVEN and not knob.is_even:
        others = ", ".join(name for name in METHODS if name not in EVEN)
        raise BadInput(f"method must be one of {others} beside 2:4, which no share of a width is, got {method!r}")
    table = knob.table()
    table.check(budget)
    whole = knob.uncut()
    knob = replace(knob, recalibrates=method in RECALIBRATING)
    with watch(method) as step:
        choice, log, start = METHODS[method](knob, table, budget, step)
    cut = knob.finished(choice, budget, start)
    dense_costs, costs = knob.layer_costs(whole), knob.layer_costs(cut)
    dense_levels, levels = knob.levels_of(whole), knob.levels_of(cut)
    return Adapted(
        method=method,
        budget=budget,
        dense_cost=table.cost(table.whole),
        cost=sum(costs.values()),
        levels={name: (dense_levels[name], levels[name]) for name in levels},
        patterns=knob.patterns_of(cut),
        costs={name: (dense_costs[name], costs[name]) for name in costs},
        values=(
            knob.quality(knob.network_of(whole)),
            knob.quality(knob.network_of(knob.start(choice))),
            knob.quality(knob.network_of(cut)),
        ),
        log=log,
        network=cut,
        notes=_notes(knob),
    )


def _notes(knob: Knob) -> tuple[str, ...]:
    """Return what is to be said of how the network was chosen."""
    if not knob.recalibrates:
        return ()
    counted = knob.fit(knob.task.network, **knob.others)
    return (*(note.partition(": ")[2] for note in counted.notes), f"subnets tried on {knob.n_judged:,} others")


def _uniform(knob: Knob, table: Table, budget: float, step: Progress) -> tuple[dict, list, None]:
    return uniform(table, budget), [], None


def _random(knob: Knob, table: Table, budget: float, step: Progress) -> tuple[dict, list, None]:
    return *drawn(table, budget, _counted(knob, "draw", N_DRAWS, step), N_DRAWS, knob.seed), None


def _knapsack(knob: Knob, table: Table, budget: float, step: Progress) -> tuple[dict, list, None]:
    choice = knapsack(table, budget)
    return choice, [{"cost": table.cost(choice), "loss": table.loss(choice)}], None


def _amc(knob: Knob, table: Table, budget: float, step: Progress) -> tuple[dict, list, None]:
    sizes = {
        layer.name: (layer.n_out, layer.n_in // layer.kernel, layer.positions, 1.0, layer.kernel)
        for layer in knob.workloads(knob.start(table.whole))
    }
    evaluate = _counted(knob, "episode", N_EPISODES, step)
    return *amc(table, budget, sizes, evaluate, seed=knob.seed), None


def _counted(knob: Knob, what: str, n: int, step: Progress) -> Callable[[Choice], float]:
    """Return what evaluates a choice, and tells how many of n that was."""
    numbers = itertools.count(1)

    def evaluate(choice: Choice) -> float:
        value, number = knob.evaluate(choice), next(numbers)
        step(f"{what} {number}", number, n)
        return value

    return evaluate


def _netadapt(knob: Knob, table: Table, budget: float, step: Progress) -> tuple[dict, list, Any]:
    """Lower one layer a round; a width of netadapt's is how many levels are left to a layer, from 1 on."""
    n_levels, dense = {name: len(levels) for name, levels in table.levels.items()}, table.cost(table.whole)

    def choice(widths: Any) -> dict[str, int]:
        return {name: n_levels[name] - widths[name] for name in n_levels}

    def evaluate(now: tuple[Any, dict]) -> float:
        cost = table.cost(now[1])
        step(f"tried {cost:,.6g} {knob.metric}", min(dense - cost, dense - budget), dense - budget)
        return knob.value_of(knob.network_of(knob.start(now[1]) if now[0] is None else now[0]))

    rounds = netadapt(
        (None, table.whole),
        n_levels,
        cost=lambda widths: table.cost(choice(widths)),
        narrow=lambda now, layer, width: _lowered(knob, now, layer, n_levels[layer] - width),
        evaluate=evaluate,
        budget=budget,
    )
    log = [{"round": i, "layer": r.layer, "cost": r.cost, "value": r.value} for i, r in enumerate(rounds, 1)]
    if not rounds:
        return table.whole, log, None
    # from the network before the last round, so that what the last one cut too much can stay
    return rounds[-1].network[1], log, rounds[-2].network[0] if len(rounds) > 1 else None


def _lowered(knob: Knob, now: tuple[Any, dict], layer: str, level: int) -> tuple[Any, dict]:
    network, choice = now
    choice = {**choice, layer: level}
    return knob.lowered(network, layer, choice), choice


def _sensitivity(knob: Knob, table: Table, budget: float, step: Progress) -> tuple[dict, list, None]:
    return *by_sensitivity(table, budget, analysed(knob, step)), None


METHODS: dict[str, Callable[[Knob, Table, float, Progress], tuple[dict, list, Any]]] = {
    "netadapt": _netadapt,
    "amc": _amc,
    "knapsack": _knapsack,
    "uniform": _uniform,
    "random": _random,
    "sensitivity": _sensitivity,
    "eagleeye": _random,
}
RECALIBRATING = ("eagleeye",)  # those that re-estimate the statistics of batch normalisations behind each cut
EVEN = ("amc", "uniform")  # those that give layers a share of what they have
