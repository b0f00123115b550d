"""What the step `adapt` of a recipe is handed: a network on its way brought within a budget of an installed machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cyclekit import machine
from cyclekit.budgets.adapt import Adapted, adapt, check_method, knob_of
from cyclekit.budgets.budget import Budget
from cyclekit.budgets.knob import Knob
from cyclekit.machine import Machine
from cyclekit.views import amount
from workloads.errors import BadInput
from workloads.recipes.recipe import Fitted
from workloads.recipes.state import State
from workloads.recipes.subjects import subject
from workloads.recipes.within import Adapt
from workloads.tasks import Task


@dataclass(frozen=True)
class MachineAllocator:
    """An Allocator for a task as it is given, whose cost there a share of a budget is of."""

    task: Task

    def check(self, step: Adapt) -> None:
        chosen, _, _ = _asked(step)
        if self.task.graph is not None and not chosen.needs_values:
            raise BadInput(f"machine {step.machine!r} takes a graph's widths, which only `zeroskip adapt` changes")

    def __call__(self, step: Adapt, state: State) -> State:
        chosen, spec, budget = _asked(step)
        options = {"metric": budget.metric, "batch": step.batch, "seed": state.seed}
        given = knob_of(self.task, chosen, spec, epochs=step.epochs, **options)
        amount = budget.absolute(given.cost_of_network(given.uncut())) if budget.is_share else budget.amount
        task = replace(self.task, network=state.current.network)
        knob = knob_of(task, chosen, spec, epochs=step.epochs, **options)
        result = adapt(knob, amount, step.method)
        state = replace(state, adapted=_said(knob, result))
        if isinstance(result.network, Fitted):
            return replace(state, current=result.network.state.current)
        narrower = subject(result.network)
        return replace(state, current=narrower, dense=narrower)


def _asked(step: Adapt) -> tuple[Machine, Any, Budget]:
    """Return the machine, the design and the budget of a step. Raises BadInput."""
    chosen = machine.load(step.machine)
    check_method(step.method)
    return chosen, chosen.design(None, dict(step.set)), Budget.of(step.budget)


def _said(knob: Knob, result: Adapted) -> tuple[str, ...]:
    """Return what a step says: cost and quality, and whether nothing was tuned."""
    cost, most, dense = (amount(each, knob.metric) for each in (result.cost, result.budget, result.dense_cost))
    costs = f"{cost} of at most {most}, from {dense}"
    said = [f"{result.method} on {knob.chosen.name}: {costs}"]
    if result.values[0] is not None:
        dense, cut, tuned = result.values
        said[0] += f"; {knob.task.measure} {dense:.4f} as it came, {cut:.4f} cut, {tuned:.4f} behind it"
    return (
        *said,
        *result.notes,
        *([] if knob.can_tune else ["nothing was tuned: the network does not learn here, or epochs is 0"]),
    )
