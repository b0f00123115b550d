"""A search: the designs of a space that no other beats in the objectives asked for, from a share of its points."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, inf
from pathlib import Path
from typing import Any

from cyclekit.energy import Energy
from cyclekit.machine import Machine, Progress, quiet
from cyclekit.run import Run
from cyclekit.sweep import sampler
from cyclekit.sweep import sweep as sweeps
from cyclekit.sweep.objectives import QUANTITIES, Constraint, check_objectives, check_table, together
from cyclekit.sweep.points import Chosen, Points
from cyclekit.sweep.results import Result, front, of_design
from cyclekit.sweep.store import Row
from cyclekit.sweep.sweep import Started, Sweep
from workloads.errors import BadInput

MINIMISED = ("time_us", "energy_pj", "area_mm2")
N_TRIALS = 200
MOST_SEED = 2**32 - 1  # of NumPy's generator, which Optuna draws from
BATCH = 16  # designs proposed at a time, on any number of workers: the search must not depend on them
PROPOSAL_S = 0.02  # about what one proposal costs
READ_AT_A_TIME = 256  # designs


@dataclass(frozen=True, kw_only=True)
class Design:
    """One point of the space, and what all workloads together took on it.

    changes: what was chosen: the fields varied, and a preset's name where that is. values: those of QUANTITIES that
    are known; cycles, time and energy are sums over the workloads, each the mean of its inputs; power and energy x time
    follow from the sums, area is the design's, load balance the mean by cycles. reason: why the point is infeasible or
    has no price; then there are no values. excess: by what share it misses the constraints, summed.
    """

    changes: Mapping[str, Any]
    values: Mapping[str, float]
    feasible: bool = True
    reason: str = ""
    excess: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Found:
    """How a search ended.

    front: those designs tried that meet the constraints and that no other of them beats, by the first objective; of
    equal ones all. whole: every point of the space was tried, so that it is the space's own front. nearest: the design
    that misses the constraints least, where none meets them. n_stored_before, n_computed: of n_tasks.
    why_infeasible, why_unpriced: the first reason of each kind.
    """

    minimise: tuple[str, ...]
    where: tuple[str, ...]
    front: tuple[Design, ...]
    nearest: Design | None
    whole: bool
    n_points: int
    n_trials: int
    n_tasks: int
    n_stored_before: int
    n_computed: int
    n_infeasible: int
    n_unpriced: int
    n_violating: int
    why_infeasible: str
    why_unpriced: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Search:
    """A search that has been checked and can run."""

    sweep: Sweep
    minimise: tuple[str, ...]
    where: tuple[Constraint, ...]
    n_trials: int
    prices: str | None
    seed: int

    @property
    def whole(self) -> bool:
        """Whether every point of the space is tried."""
        return len(self.sweep.points) <= self.n_trials

    @property
    def quantities(self) -> list[str]:
        """The quantities to minimise or to bound."""
        return list(dict.fromkeys([*self.minimise, *(bound.name for bound in self.where)]))

    @property
    def priced(self) -> list[str]:
        """Those of them that take a price."""
        return [name for name in self.quantities if QUANTITIES[name]]

    def estimate(self) -> tuple[float, int]:
        """Return about how many seconds and bytes the search takes if nothing of it is stored."""
        if self.whole:
            return self.sweep.estimate()
        seconds, n_bytes = replace(self.sweep, points=self._chosen(self._spread())).estimate()
        return seconds * self.n_trials / BATCH + PROPOSAL_S * self.n_trials, n_bytes

    def run(self, into: str | Path, progress: Progress = quiet) -> Found:
        """Try the designs, and store what is not stored yet.

        Raises BadInput where none of the first designs that can be has a price that is asked for.
        """
        since, points = time.monotonic(), self.sweep.points
        with self.sweep.start(into) as started:
            if self.whole:
                first, n_computed = self._evaluate(started, self._spread())
                self._check_priced(first)
                designs, n_more = self._evaluate(started, list(points.choices()), progress)
                n_computed += n_more
            else:
                designs, n_computed = self._sample(started, points, progress)
        return self._outcome(designs, n_computed, time.monotonic() - since)

    def _sample(self, started: Started, points: Points, progress: Progress) -> tuple[list[Design], int]:
        designs: list[Design] = []
        n_computed = 0
        proposing = sampler.Sampler(points.values, len(self.minimise), self.seed)
        while len(designs) < self.n_trials:
            some = proposing.propose(min(BATCH, self.n_trials - len(designs)))
            tried, n_more = self._evaluate(started, some)
            if not designs:
                self._check_priced(tried)
            costs = [None if design.reason else [design.values[name] for name in self.minimise] for design in tried]
            proposing.tell(costs, [design.excess for design in tried])
            designs += tried
            n_computed += n_more
            progress(f"{len(designs):,} designs", len(designs), self.n_trials)
        return designs, n_computed

    def _evaluate(
        self, started: Started, choices: Sequence[Mapping[str, Any]], progress: Progress = quiet
    ) -> tuple[list[Design], int]:
        """Return the designs in the order of the choices, and how many tasks were computed for them."""
        points = self.sweep.points
        summary = replace(self.sweep, points=self._chosen(choices)).compute(started, progress)
        identities = [
            [started.runner.identities(work, index) for index in range(len(work.inputs))] for work in self.sweep.works
        ]
        designs, left = [], iter(choices)
        while some := list(itertools.islice(left, READ_AT_A_TIME)):
            changes = [points.changed(choice) for choice in some]
            tasks = [[[identity(change) for identity in of_work] for of_work in identities] for change in changes]
            task_ids = [task for of_point in tasks for of_work in of_point for task in of_work]
            rows: dict[str, list[Row]] = {}
            for row in started.store.of(task_ids):
                rows.setdefault(row.task, []).append(row)
            for choice, of_point in zip(some, tasks, strict=True):
                of_works = ([row for task in of_work for row in rows[task]] for of_work in of_point)
                designs.append(self._design(choice, [of_design(of_work, self._price) for of_work in of_works]))
        return designs, summary.n_computed

    def _design(self, changes: Mapping[str, Any], results: Sequence[Result]) -> Design:
        if infeasible := next((result.reason for result in results if result.reason is not None), None):
            return Design(changes=changes, values={}, feasible=False, reason=infeasible, excess=inf)
        values = together(results)
        if lacking := [name for name in self.quantities if name not in values]:
            unpriced = next((result.unpriced for result in results if result.unpriced), "")
            reason = unpriced or f"its table of prices gives no {lacking[0]}"
            return Design(changes=changes, values={}, reason=reason, excess=inf)
        return Design(changes=changes, values=values, excess=sum(bound.excess(values) for bound in self.where))

    def _price(self, run: Run) -> Energy | str:
        if not self.priced:
            return "nothing that was asked for takes a price"
        try:
            return self.sweep.machine.price(run, self.prices)
        except BadInput as error:
            return str(error)

    def _spread(self) -> list[dict[str, Any]]:
        """Return a few choices from all over the space."""
        points = self.sweep.points
        return list(points.choices(ceil(len(points) / BATCH)))

    def _chosen(self, choices: Sequence[Mapping[str, Any]]) -> Chosen:
        points = self.sweep.points
        return Chosen(points.base, list(map(points.changed, choices)))

    def _check_priced(self, designs: Sequence[Design]) -> None:
        feasible = [design for design in designs if design.feasible]
        if feasible and all(design.reason for design in feasible):
            raise BadInput(
                f"{', '.join(self.priced)} asked for, but the first {len(feasible)} designs that ran have no price: "
                f"{feasible[0].reason}"
            )

    def _outcome(self, designs: Sequence[Design], n_computed: int, seconds: float) -> Found:
        known = [design for design in designs if not design.reason]
        meeting = [design for design in known if not design.excess]
        costs = [tuple(design.values[name] for name in self.minimise) for design in meeting]
        infeasible = [design for design in designs if not design.feasible]
        unpriced = [design for design in designs if design.feasible and design.reason]
        n_tasks = len(designs) * sum(len(work.inputs) for work in self.sweep.works)
        return Found(
            minimise=self.minimise,
            where=tuple(map(str, self.where)),
            front=tuple(meeting[place] for place in sorted(front(costs), key=costs.__getitem__)),
            nearest=min(known, key=lambda design: design.excess) if known and not meeting else None,
            whole=self.whole,
            n_points=len(self.sweep.points),
            n_trials=len(designs),
            n_tasks=n_tasks,
            n_stored_before=n_tasks - n_computed,
            n_computed=n_computed,
            n_infeasible=len(infeasible),
            n_unpriced=len(unpriced),
            n_violating=len(known) - len(meeting),
            why_infeasible=infeasible[0].reason if infeasible else "",
            why_unpriced=unpriced[0].reason if unpriced else "",
            seconds=seconds,
        )


def prepare(
    machine: str | Machine,
    workloads: Iterable[Any],
    *,
    vary: Mapping[str, Any],
    minimise: Sequence[str] = MINIMISED,
    where: Sequence[str] = (),
    n_trials: int = N_TRIALS,
    prices: str | None = None,
    seed: int = 0,
    **options: Any,
) -> Search:
    """Return a search whose every value has been checked and whose workloads are loaded; nothing has run.

    minimise: of OBJECTIVES; where: constraints as "area_mm2<=40"; n_trials: designs to try, each a new one; prices: the
    machine's table of that name (None: its default); the rest as sweep.prepare takes it. Raises BadInput.
    """
    if not vary:
        raise BadInput("a search needs at least one --vary field=values, got none")
    if n_trials < 1:
        raise BadInput(f"--trials must be at least 1, got {n_trials}")
    if not 0 <= seed <= MOST_SEED:
        raise BadInput(f"--seed must be from 0 to {MOST_SEED}, got {seed}")
    check_objectives(minimise)
    bounds = tuple(map(Constraint.of, where))
    swept = sweeps.prepare(machine, workloads, vary=vary, **options)
    plan = Search(swept, tuple(dict.fromkeys(minimise)), bounds, n_trials, prices, seed)
    check_table(swept.machine, plan.priced, prices)
    if not plan.whole:
        sampler.require()
    return plan


def search(
    machine: str | Machine,
    workloads: Iterable[Any],
    *,
    vary: Mapping[str, Any],
    into: str | Path,
    progress: Progress = quiet,
    **options: Any,
) -> Found:
    """Search a space, as `prepare` takes it; rows go into a store, and what is stored already is not computed again."""
    return prepare(machine, workloads, vary=vary, **options).run(into, progress)
