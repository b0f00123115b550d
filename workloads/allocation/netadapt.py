"""NetAdapt: narrow a network layer by layer until it meets a budget of whatever is measured, such as cycles."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workloads.errors import BadInput


@dataclass(frozen=True, kw_only=True, eq=False)
class Round:
    """What a round settled on: the layer made narrower, all widths, the network, its cost and its value."""

    layer: str
    widths: Mapping[str, int]
    network: Any
    cost: float
    value: float


def netadapt(
    network: Any,
    widths: Mapping[str, int],
    *,
    cost: Callable[[Mapping[str, int]], float],
    narrow: Callable[[Any, str, int], Any],
    evaluate: Callable[[Any], float],
    budget: float,
    first_step: float = 0.025,
    decay: float = 0.96,
    multiple: int = 1,
) -> list[Round]:
    """Return the rounds; the last is the first whose cost is within the budget, and there is none if nothing was to do.

    widths: outputs of each layer that may become narrower. cost: of widths, from a table or a simulator; budget: in its
    unit. narrow: gives the network with one layer at a width, shortly tuned; evaluate: its value, higher = better.
    Round t must save first_step * decay**(t - 1) of the first cost. Each layer proposes its largest width that does, a
    multiple of `multiple`; the proposal that loses least value per cost saved is taken, the earlier of equals.
    Raises BadInput, also when no layer can save what the round must.
    Source: Yang et al. 2018, algorithm 1; defaults, and the choice by loss per saving, from the authors' code.
    """
    for name, share in (("first_step", first_step), ("decay", decay)):
        if not 0 < share <= 1:
            raise BadInput(f"{name} must be above 0 and at most 1, got {share!r}")
    if not math.isfinite(budget):
        raise BadInput(f"budget must be a finite number, got {budget!r}")
    if multiple < 1:
        raise BadInput(f"multiple must be at least 1, got {multiple!r}")
    rounds, now = [], Round(layer="", widths=dict(widths), network=network, cost=cost(widths), value=evaluate(network))
    saving = first_step * now.cost
    while now.cost > budget:
        proposals = []
        for name, width in now.widths.items():
            for narrower in range((width - 1) // multiple * multiple, 0, -multiple):
                narrowed_widths = {**now.widths, name: narrower}
                price = cost(narrowed_widths)
                if price < now.cost and price <= now.cost - saving:
                    narrowed = narrow(now.network, name, narrower)
                    proposals.append(
                        Round(
                            layer=name, widths=narrowed_widths, network=narrowed, cost=price, value=evaluate(narrowed)
                        )
                    )
                    break
        if not proposals:
            raise BadInput(
                f"budget must be at least {now.cost:.6g}, from where no layer alone saves the {saving:.6g} of a round, "
                f"got {budget:.6g}"
            )
        lost_per_saved = [(now.value - proposal.value) / (now.cost - proposal.cost) for proposal in proposals]
        now = proposals[lost_per_saved.index(min(lost_per_saved))]
        rounds.append(now)
        saving *= decay
    return rounds
