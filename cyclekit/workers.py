"""The processes of a sweep: each keeps to one group of tasks while there are any, then helps with another's."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from cyclekit.store import Row
from cyclekit.tasks import Batch, Runner
from workloads.errors import BadInput

# A forked process has the workloads without a copy; elsewhere than on Linux fork is not safe or not there.
START = "fork" if sys.platform == "linux" else "spawn"


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_this_process(runner: Runner, groups: Iterator[Iterator[Batch]]) -> Iterator[list[Row]]:
    """Yield the rows of all batches."""
    for group in groups:
        for batch in group:
            yield from runner.run(batch)


@contextmanager
def in_processes(
    runner: Runner, n_workers: int
) -> Iterator[Callable[[Iterator[Iterator[Batch]]], Iterator[list[Row]]]]:
    """Start processes; yields a function like the above, ends them whatever happens."""
    pool = _Pool(runner, n_workers)
    try:
        yield pool.run
    finally:
        pool.close()


class _Pool:
    """Worker processes, started at once."""

    def __init__(self, runner: Runner, n_workers: int):
        context = multiprocessing.get_context(START)
        pipes = [context.Pipe() for _ in range(n_workers)]
        self._workers: list[_Worker] = []
        for ours, theirs in pipes:
            # A forked process holds every pipe's ends: closed, or nobody would notice that another one has gone.
            others = [end for pair in pipes for end in pair if end is not theirs] if START == "fork" else []
            process = context.Process(target=_serve, args=(runner, theirs, others), daemon=True)
            process.start()
            self._workers.append(_Worker(process, ours))
        for _, theirs in pipes:
            theirs.close()

    def close(self) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()

    def run(self, groups: Iterator[Iterator[Batch]]) -> Iterator[list[Row]]:
        """Yield the rows of all batches as they come.

        Raises what a worker raised. The batch of a worker that was killed goes to another one; BadInput when none is
        left.
        """
        plan = _Plan(groups)
        while True:
            for worker in self._workers:
                if worker.batch is None and (given := plan.next(worker)):
                    worker.give(*given)
            if not (busy := {worker.connection: worker for worker in self._workers if worker.batch is not None}):
                return
            for connection in wait(list(busy)):
                worker = busy[connection]
                try:
                    kind, content = connection.recv()
                except (EOFError, ConnectionResetError):
                    self._bury(worker, plan)
                    continue
                if kind == "error":
                    raise content
                if kind == "image":
                    plan.images[worker.batch.group] = content
                elif kind == "done":
                    worker.batch = None
                else:
                    for row in content:
                        worker.left.pop(row.task, None)
                    yield content

    def _bury(self, worker: _Worker, plan: _Plan) -> None:
        self._workers.remove(worker)
        worker.process.join()
        if not self._workers:
            raise BadInput(
                f"every worker process was ended from outside (the last with exit code {worker.process.exitcode}), "
                "perhaps for want of memory: what is stored is whole, ask for fewer --workers"
            )
        plan.give_back(worker)


class _Worker:
    """A process, the pipe to it, the batch that it is at, and those tasks of it whose rows have not come."""

    def __init__(self, process: Any, connection: Connection):
        self.process, self.connection = process, connection
        self.batch: Batch | None = None
        self.left: dict[str, Any] = {}

    def give(self, batch: Batch, image: bytes | None, wants_image: bool) -> None:
        self.batch, self.left = batch, dict(batch.tasks)
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died: its end of the pipe will say so
            self.connection.send((batch, image, wants_image))


@dataclass(eq=False)
class _Open:
    """A group that has been begun: who is at it, its next batch, and those behind that."""

    owner: _Worker | None
    next: Batch
    rest: Iterator[Batch]


class _Plan:
    """Who does what next."""

    def __init__(self, groups: Iterator[Iterator[Batch]]):
        self._fresh = groups
        self._open: dict[int, _Open] = {}
        self._orphans: list[Batch] = []
        self.images: dict[int, bytes] = {}  # of groups that more than one worker may come to be at

    def next(self, worker: _Worker) -> tuple[Batch, bytes | None, bool] | None:
        """Return a worker's next batch, its images if they are to be had, and whether they are wanted back."""
        if self._orphans:
            return self._orphans.pop(), None, False
        own = next((group for group in self._open.values() if group.owner is worker), None)
        return self._take(own, None) if own else self._begin(worker) or self._help(worker)

    def give_back(self, worker: _Worker) -> None:
        """Take what a dead worker has not done."""
        if worker.left:
            self._orphans.append(replace(worker.batch, tasks=worker.left))
        for group in self._open.values():
            if group.owner is worker:
                group.owner = None

    def _begin(self, worker: _Worker) -> tuple[Batch, None, bool] | None:
        for rest in self._fresh:
            if (batch := next(rest, None)) is None:
                continue  # all stored
            if (second := next(rest, None)) is None:
                return batch, None, False
            self._open[batch.group] = _Open(worker, second, rest)
            return batch, None, True
        return None

    def _help(self, worker: _Worker) -> tuple[Batch, bytes | None, bool] | None:
        for number, group in self._open.items():
            if group.owner is None:
                group.owner = worker
            elif number not in self.images:
                continue
            return self._take(group, self.images.get(number))
        return None

    def _take(self, group: _Open, image: bytes | None) -> tuple[Batch, bytes | None, bool]:
        batch = group.next
        if (following := next(group.rest, None)) is None:
            del self._open[batch.group]
            self.images.pop(batch.group, None)
        else:
            group.next = following
        return batch, image, False


def _serve(runner: Runner, connection: Connection, others: list[Connection]) -> None:
    """Run batches until the other end of the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides what it means
    for end in others:
        end.close()
    known = _Known(runner)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            batch, image, wants_image = connection.recv()
            try:
                if image is not None and runner.group != batch.group:
                    runner.group, runner.images = batch.group, known.load(image)
                for rows in runner.run(batch):
                    connection.send(("rows", rows))
                if wants_image and runner.group == batch.group:
                    connection.send(("image", known.dump(runner.images)))
                connection.send(("done", None))
            except (BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:
                error.add_note(traceback.format_exc())
                connection.send(("error", error))


class _Known:
    """Pickles images without the layers that every process has."""

    def __init__(self, runner: Runner):
        self._layers = [layer for work in runner.works for layer in work.layers]
        self._numbers = {id(layer): number for number, layer in enumerate(self._layers)}

    def dump(self, images: Any) -> bytes:
        stream = io.BytesIO()
        pickler = pickle.Pickler(stream, protocol=5)
        pickler.persistent_id = lambda found: self._numbers.get(id(found))
        pickler.dump(images)
        return stream.getvalue()

    def load(self, content: bytes) -> Any:
        unpickler = pickle.Unpickler(io.BytesIO(content))
        unpickler.persistent_load = self._layers.__getitem__
        return unpickler.load()
