"""A sweep: all points of some designs on some workloads, each computed once and stored, whenever it was interrupted."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from math import ceil
from pathlib import Path
from typing import Any

from cyclekit import machine as machines
from cyclekit.machine import Machine, Progress, quiet
from cyclekit.sweep.points import Chosen, Points, points, preset_names
from cyclekit.sweep.presets import PRESET
from cyclekit.sweep.store import Row, Store, check
from cyclekit.sweep.tasks import Batch, Runner, Work
from cyclekit.sweep.workers import in_processes, in_this_process, n_cores
from workloads import address
from workloads.errors import BadInput
from workloads.graphs.feed import Feed
from workloads.records import Model, Network, Shape, Workload

MOST_TASKS = 256  # of a batch: what the parent holds at a time does not grow with the sweep
STORE_S = 0.1  # between two transactions: each waits for the disk, and a batch can be one short task
N_SAMPLED = 16  # groups of a workload that the estimate looks at


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a sweep ended. A task is one input of one workload on one design."""

    n_points: int
    n_tasks: int
    n_stored_before: int
    n_computed: int
    n_infeasible: int  # of those computed
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Started:
    """What sweeps over different points of one base share, one after the other: workers and a store.

    run: gives the rows of groups of batches as they come. numbers: of groups; a number never stands for two.
    """

    runner: Runner
    run: Callable[[Iterator[Iterator[Batch]]], Iterator[list[Row]]]
    store: Store
    numbers: Iterator[int] = field(default_factory=itertools.count)


@dataclass(frozen=True, eq=False)
class Sweep:
    """A sweep that has been checked and can run."""

    machine: Machine
    engine: str
    points: Points | Chosen
    works: Sequence[Work]
    n_workers: int
    maps: bool = False
    notes: Sequence[str] = ()  # on the workloads, such as what of a graph is no layer
    provenance: Sequence[str] = ()  # where the workloads come from
    asked: Mapping[str, Sequence[str]] = field(default_factory=dict)  # {workload: words of a command that ask for it}

    @property
    def n_tasks(self) -> int:
        return len(self.points) * sum(len(work.inputs) for work in self.works)

    @property
    def runner(self) -> Runner:
        """What runs its batches, and knows its tasks by their identities."""
        return Runner(self.machine, self.engine, self.points.base, self.works, self.maps)

    def idle_note(self, others: Iterable[str] = ()) -> str:
        """Return which of the fields that vary, and of these others, change nothing on any design, and why."""
        words = [entry.name for entry in fields(self.points.base) if not isinstance(entry.default, int | float)]
        words += [entry.name for entry in fields(self.points.base) if isinstance(entry.default, bool)]
        designs = []
        for changes, _ in self.points.groups(words):  # whether a field matters hangs on words and switches
            with suppress(BadInput):  # an infeasible design
                designs.append(self.points.base.replace(**changes))
        return self.machine.idle_note([*self.points.fields, *others], designs)

    def said(self, others: Iterable[str] = ()) -> list[str]:
        """Return the notes on the workloads, what all points rest on, the idle note, and what to know of a field."""
        rests_on = self.machine.rests_on(self.points.base, self.points.fields)
        cautions = [
            f"{name}: {self.machine.cautions[name]}" for name in self.points.fields if name in self.machine.cautions
        ]
        return [*self.notes, *rests_on, *filter(None, [self.idle_note(others)]), *cautions]

    def estimate(self) -> tuple[float, int]:
        """Return about how many seconds and bytes the sweep takes if nothing of it is stored."""
        seconds, most = 0.0, 0
        n_groups = self._n_groups()
        for work in self.works:
            sampled = list(self.points.groups(self._encoding_fields(), ceil(n_groups / N_SAMPLED)))
            for encoding, group in sampled:
                try:
                    spec = self.points.base.replace(**encoding)
                    first, n_bytes = self.machine.estimate(work.layers, spec, engine=self.engine, check=False)
                except BadInput:
                    continue  # infeasible: over at once
                point = first if self.machine.estimate_point is None else self._point_s(work, spec)
                seconds += (first + (len(group) - 1) * point) * n_groups / len(sampled)
                most = max(most, n_bytes)
        return float(seconds) / self.n_workers, most * self.n_workers

    def run(self, into: str | Path, progress: Progress = quiet, pool: Callable | None = None) -> Summary:
        """Compute what is not stored yet; an infeasible point becomes a row with its reason.

        pool: what runs batches elsewhere than in processes of this machine. Raises BadInput; what is stored is whole.
        """
        since = time.monotonic()
        with self.start(into, pool) as started:
            summary = self.compute(started, progress)
        return replace(summary, seconds=time.monotonic() - since)

    @contextmanager
    def start(self, into: str | Path, pool: Callable | None = None) -> Iterator[Started]:
        """Start the workers and open the store, for this sweep's points and any others of the same base."""
        check(into)  # before any process is started
        with self._pool(runner := self.runner, pool) as run, Store(into) as store:
            store.tell(self.asked)
            yield Started(runner, run, store)

    def compute(self, started: Started, progress: Progress = quiet) -> Summary:
        """Do what `run` does with what has been started."""
        since = stored_at = time.monotonic()
        counts = {"stored": 0, "computed": 0, "infeasible": 0}
        held: list[Row] = []
        try:
            for rows in started.run(self._groups(started, counts)):
                held += rows
                if time.monotonic() - stored_at > STORE_S:
                    storing, held = held, []
                    started.store.add(storing)
                    stored_at = time.monotonic()
                counts["computed"] += sum(row.part == 0 for row in rows)
                counts["infeasible"] += sum(row.reason is not None for row in rows)
                rate = counts["computed"] / max(1e-9, time.monotonic() - since)
                progress(f"{rate:,.0f} a second", counts["stored"] + counts["computed"], self.n_tasks)
        finally:
            if held:
                started.store.add(held)
        return Summary(
            n_points=len(self.points),
            n_tasks=self.n_tasks,
            n_stored_before=counts["stored"],
            n_computed=counts["computed"],
            n_infeasible=counts["infeasible"],
            seconds=time.monotonic() - since,
        )

    def _pool(self, runner: Runner, pool: Callable | None):
        if pool is not None:
            return pool(runner)
        if self.n_workers == 1:
            return nullcontext(lambda groups: in_this_process(runner, groups))
        return in_processes(runner, self.n_workers)

    def _groups(self, started: Started, counts: dict[str, int]) -> Iterator[Iterator[Batch]]:
        """Yield the tasks that are not stored, group by group, each in batches."""
        size, n_groups = MOST_TASKS, self._n_groups()
        if n_groups * len(self.works) < 4 * self.n_workers:  # then groups must be shared, and evenly
            n_shared = len(self.points) // n_groups
            size = max(1, min(MOST_TASKS, ceil(n_shared / (4 * self.n_workers))))
        for place, work in enumerate(self.works):
            for _, group in self.points.groups(self._encoding_fields()):
                yield self._batches(started, counts, place, work, next(started.numbers), group, size)

    def _batches(self, started, counts, place: int, work: Work, number: int, group: Points | Chosen, size: int):
        for index in range(len(work.inputs)):
            changes, identity = group.changes(), started.runner.identities(work, index)
            while some := list(itertools.islice(changes, size)):
                tasks = {identity(change): change for change in some}
                for task in started.store.known(list(tasks), mapped=self.maps):
                    del tasks[task]
                counts["stored"] += len(some) - len(tasks)
                if tasks:
                    yield Batch(place, number, index, tasks)

    def _encoding_fields(self) -> Sequence[str]:
        fields = self.machine.encoding_fields
        return list(self.points.base.as_dict()) if fields is None else fields

    def _n_groups(self) -> int:
        return self.points.n_groups(self._encoding_fields())

    def _point_s(self, work: Work, spec: Any) -> float:
        return self.machine.estimate_point(work.layers, spec, engine=self.engine) * len(work.inputs)


def prepare(
    machine: str | Machine,
    workloads: Iterable[str | Path | Workload | Network | Model | Shape],
    *,
    vary: Mapping[str, Any],
    changes: Mapping[str, Any] | None = None,
    engine: str | None = None,
    n_inputs: int | None = None,
    batch: int | None = None,
    feed: Feed | None = None,
    n_workers: int | None = None,
    maps: bool = False,
) -> Sweep:
    """Return a sweep whose every value has been checked and whose workloads are loaded; nothing has run.

    workloads: names of the catalogue, files, or what was loaded (a file of several layers is a workload a layer);
    vary: as points.points takes it, presets' names among it; changes of the preset, or of each that varies, that all
    points share; n_inputs: only so many of a batch; batch: how many enter together, on a machine that takes several
    (None: all); feed: what else is said of what reaches those that are named; n_workers: processes, at most one a task
    (None: one a core); maps: store what each unit did over time, too.
    """
    from workloads.catalogue import load  # late: the names of the arguments are the user's

    chosen = machines.load(machine) if isinstance(machine, str) else machine
    changes = changes or {}
    if both := sorted(changes.keys() & vary.keys()):
        raise BadInput(f"{both[0]} is both set and varied: do one of them")
    if PRESET in vary and isinstance(machine, str) and ":" in machine:
        raise BadInput(f"preset is both set, as {machine!r}, and varied: do one of them")
    designs = {name: chosen.design(name, changes) for name in preset_names(vary)}
    base = next(iter(designs.values())) if designs else chosen.design(None, changes)
    space = points(base, vary, designs)
    engine = chosen.engine(engine or chosen.sweep_engine)
    for name, value in {"n_inputs": n_inputs, "batch": batch, "n_workers": n_workers}.items():
        if value is not None and value < 1:
            raise BadInput(f"{name} must be at least 1, got {value}")
    named = list(dict.fromkeys(workloads))
    loaded = [load(work, feed) if isinstance(work, str | Path) else work for work in named]
    parts = [work.layers if isinstance(work, Model) else [work] for work in loaded]
    apart = [part for of_work in parts for part in of_work]
    notes = [f"{work.name}: {note}" for work in loaded if isinstance(work, Model) for note in work.notes]
    origins = list(dict.fromkeys(work.provenance for work in loaded if work.provenance))
    works = [Work.of(chosen, part, n_inputs, batch) for part in apart]
    names = [work.name for work in works]
    words = [word for name, of_work in zip(named, parts, strict=True) for word in _addresses(name, of_work)]
    more = _options(feed, batch if chosen.batched else None)
    words_of = {name: [word, *more] for name, word in zip(names, words, strict=True) if word}
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadInput(f"two workloads are called {twice!r}, and rows tell them apart by name: rename one of the files")
    if not works:
        raise BadInput("a sweep needs at least one workload, got none")
    if maps and chosen.spans is None:
        raise BadInput(f"maps cannot be stored: {chosen.name} does not say what its units did")
    n_tasks = len(space) * sum(len(work.inputs) for work in works)
    return Sweep(chosen, engine, space, works, min(n_workers or n_cores(), n_tasks), maps, notes, origins, words_of)


def _addresses(name: Any, parts: Sequence[Any]) -> list[str]:
    """Return what names each part of a workload on a command line; "" of what was no name."""
    if not isinstance(name, str | Path):
        return [""] * len(parts)
    if len(parts) == 1:
        return [str(name)]
    return [f"{address.split(str(name))[0]}:{part.name}" for part in parts]


def _options(feed: Feed | None, batch: int | None) -> list[str]:
    """Return the options that say again what reaches the workloads, but how many inputs."""
    said = {"--batch": batch}
    if feed is not None:
        said |= {"--positions": feed.positions, "--architecture": feed.architecture}
        if feed.densities:
            said["--activation-density"] = ",".join(f"{glob}={share:g}" for glob, share in feed.densities.items())
    return [word for option, value in said.items() if value is not None for word in (option, str(value))]


def sweep(
    machine: str | Machine,
    workloads: Iterable[str | Path | Workload | Network | Model | Shape],
    *,
    vary: Mapping[str, Any],
    into: str | Path,
    progress: Progress = quiet,
    **options: Any,
) -> Summary:
    """Run a sweep into a store, as `prepare` takes it; what is stored already is not computed again."""
    return prepare(machine, workloads, vary=vary, **options).run(into, progress)
