"""What no timeline of PointAcc can beat, in closed form."""

from __future__ import annotations

from typing import NamedTuple

from pointacc_sim.plan import Plan
from pointacc_sim.spec import Spec


class Bounds(NamedTuple):
    """Cycles that a run needs at least, each for a reason of its own.

    array: all rows through it, and the last sums out. mapping: all blocks. memory: all transfers. lookups: all entries.
    """

    array: int
    mapping: int
    memory: int
    lookups: int


def bounds(plan: Plan, spec: Spec) -> Bounds:
    """Return the lower bounds of a plan."""
    rows = int(plan.steps.rows.sum())
    transfers = (plan.read_cycles, plan.write_cycles, plan.fetch_cycles, plan.out_cycles)
    return Bounds(
        array=rows + spec.n_rows + spec.n_columns if rows else 0,
        mapping=int(plan.passes.blocks.sum()),
        memory=int(sum(cycles.sum() for cycles in transfers)),
        lookups=rows,
    )
