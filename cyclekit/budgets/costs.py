"""What layers cost on a design, each a task of a sweep: what its store holds is not simulated again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from cyclekit.budgets.budget import measure
from cyclekit.machine import Machine, Progress, quiet
from cyclekit.sweep.points import Chosen
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import Sweep
from cyclekit.sweep.tasks import Work
from cyclekit.sweep.workers import n_cores
from workloads.errors import BadInput
from workloads.records import Shape, Workload

# Told how many tasks are left to how many processes, and about how many seconds that takes; gives what shows progress.
Watch = Callable[[int, int, float], AbstractContextManager[Progress]]

N_SAMPLED = 16  # works, from all over the table, that come first
N_TIMED = 4  # works at least that are tried before the others
SHORT_S = 1.0  # what takes less is done in this process


@contextmanager
def unwatched(n_tasks: int, n_workers: int, seconds: float) -> Iterator[Progress]:
    """Yield a progress that nobody sees."""
    yield quiet


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What works cost on a design in a metric: the mean of their inputs, on a batched machine the whole batch.

    into: the store, as that of `zeroskip sweep`; None: nothing is kept. n_workers: processes (None: one a core).
    counts: of the tasks so far, how many were stored before and how many computed.
    """

    machine: Machine
    spec: Any
    metric: str
    into: str | Path | None = None
    n_workers: int | None = None
    watch: Watch = unwatched
    counts: dict[str, int] = field(default_factory=lambda: {"stored": 0, "computed": 0})
    _known: dict[tuple[str, ...], float] = field(default_factory=dict, repr=False)

    def work(self, layer: Workload | Shape, name: str) -> Work:
        """Return a layer as a task of a sweep of that name."""
        return Work.of(self.machine, replace(layer, name=name), None)

    def of(self, works: Iterable[Work], changes: Mapping[str, Any] | None = None) -> dict[str, float]:
        """Return {work: cost} on the design with some fields changed.

        Raises BadInput for a design on which one of them cannot run, with the reason.
        """
        engine = self.machine.sweep_engine or ("schedule" if "schedule" in self.machine.engines else None)
        by_name = {work.name: work for work in works}
        points = Chosen(self.spec, [changes or {}])
        sweep = Sweep(self.machine, self.machine.engine(engine), points, list(by_name.values()), 1)
        tasks = {name: self._tasks(sweep, work) for name, work in by_name.items()}
        if new := [work for work in sweep.works if tasks[work.name] not in self._known]:
            self._find(replace(sweep, works=new), {work.name: tasks[work.name] for work in new})
        return {name: self._known[tasks[name]] for name in by_name}

    def _tasks(self, sweep: Sweep, work: Work) -> tuple[str, ...]:
        (changes,), runner = sweep.points.changes(), sweep.runner
        return tuple(runner.identities(work, index)(changes) for index in range(len(work.inputs)))

    def _find(self, sweep: Sweep, tasks: Mapping[str, tuple[str, ...]]) -> None:
        """Simulate what is not stored, and read all."""
        every = [task for of_work in tasks.values() for task in of_work]
        read, costs = measure(self.machine, self.metric), {}
        with self._place() as path:
            with Store(path) as store:
                stored = store.known(every)
            self.counts["stored"] += len(stored)
            step = ceil(len(sweep.works) / N_SAMPLED)
            spread = [work for start in range(step) for work in sweep.works[start::step]]
            left = [work for work in spread if not stored.issuperset(tasks[work.name])]
            self._simulate(replace(sweep, works=left), path)
            with Store(path, write=False) as store:
                for row in store.of(every):
                    if row.reason is not None:
                        raise BadInput(row.reason)
                    costs[row.task] = costs.get(row.task, 0.0) + read(row.run())
        for of_work in tasks.values():
            self._known[of_work] = sum(costs[task] for task in of_work) / len(of_work)

    def _simulate(self, sweep: Sweep, path: Path) -> None:
        """Run the first works here, the others in processes: these then have what was compiled, and a known time."""
        times, begun = [], time.monotonic()
        while len(times) < len(sweep.works) and (len(times) < N_TIMED or time.monotonic() - begun < SHORT_S):
            since, place = time.monotonic(), len(times)
            self._run(replace(sweep, works=sweep.works[place : place + 1]), path, quiet)
            times.append(time.monotonic() - since)
        left = replace(sweep, works=sweep.works[len(times) :])
        if not left.works:
            return
        seconds = median(times[1:]) * len(left.works)  # the first one compiles
        n_workers = min(self.n_workers or n_cores(), left.n_tasks) if seconds > SHORT_S else 1
        with self.watch(left.n_tasks, n_workers, seconds / n_workers) as progress:
            self._run(replace(left, n_workers=n_workers), path, progress)

    def _run(self, sweep: Sweep, path: Path, progress: Progress) -> None:
        self.counts["computed"] += sweep.run(path, progress).n_computed

    @contextmanager
    def _place(self) -> Iterator[Path]:
        if self.into is not None:
            yield Path(self.into)
            return
        with TemporaryDirectory(prefix="zeroskip-") as folder:
            yield Path(folder) / "costs.db"
