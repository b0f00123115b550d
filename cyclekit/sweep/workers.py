"""The processes of a sweep: each keeps to one group of tasks while there are any, then helps with another's."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from cyclekit.sweep.store import Row
from cyclekit.sweep.tasks import Batch, Runner
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
            self._hand_out(plan)
            if not (busy := {worker.connection: worker for worker in self._workers if worker.batch is not None}):
                return
            plan.look_ahead()
            arrived: list[Row] = []
            for connection in wait(list(busy)):
                arrived += self._hear(busy[connection], plan)
            self._hand_out(plan)  # before the rows are stored: nobody need wait for that
            if arrived:
                yield arrived

    def _hand_out(self, plan: _Plan) -> None:
        for worker in self._workers:
            if worker.batch is None and (given := plan.next(worker)):
                worker.give(*given)

    def _hear(self, worker: _Worker, plan: _Plan) -> list[Row]:
        """Take all that a worker has sent; return the rows among it."""
        arrived: list[Row] = []
        try:
            while worker.batch is not None and worker.connection.poll():
                kind, content = worker.connection.recv()
                if kind == "error":
                    raise content
                if kind == "image":
                    plan.keep(worker.batch.group, content)
                elif kind == "done":
                    worker.batch = None
                else:
                    for row in content:
                        worker.left.pop(row.task, None)
                    arrived += content
        except (EOFError, ConnectionResetError):
            self._bury(worker, plan)
        return arrived

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
    """A group that has been begun: who is at it, its next batch if that is known, and those behind."""

    owner: _Worker | None
    next: Batch | None
    rest: Iterator[Batch]


class _Plan:
    """Who does what next."""

    def __init__(self, groups: Iterator[Iterator[Batch]]):
        self._fresh = groups
        self._open: dict[int, _Open] = {}
        self._orphans: list[Batch] = []
        self._images: dict[int, bytes] = {}  # of groups that more than one worker may come to be at

    def next(self, worker: _Worker) -> tuple[Batch, bytes | None, bool] | None:
        """Return a worker's next batch, its images if they are to be had, and whether they are wanted back."""
        if self._orphans:
            return self._orphans.pop(), None, False
        own = next((number for number, group in self._open.items() if group.owner is worker), None)
        return (own is not None and self._take(own, None)) or self._begin(worker) or self._help(worker)

    def keep(self, number: int, image: bytes) -> None:
        """Take the images of a group, if anybody can still need them."""
        if number in self._open:
            self._images[number] = image

    def look_ahead(self) -> None:
        """Find out what comes next in every open group while the workers are busy."""
        for number in list(self._open):
            self._known(number)

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
        for number, group in list(self._open.items()):
            if group.owner is None:
                group.owner = worker
            elif number not in self._images:
                continue
            if taken := self._take(number, self._images.get(number)):
                return taken
        return None

    def _take(self, number: int, image: bytes | None) -> tuple[Batch, bytes | None, bool] | None:
        """Return a group's next batch; None where it has come to its end."""
        batch = self._known(number)
        if batch is None:
            return None
        self._open[number].next = None
        return batch, image, False

    def _known(self, number: int) -> Batch | None:
        """Return a group's next batch, and keep it; where there is none close the group."""
        group = self._open[number]
        if group.next is None and (following := next(group.rest, None)) is not None:
            group.next = following
        if group.next is None:
            del self._open[number]
            self._images.pop(number, None)
        return group.next


def _serve(runner: Runner, connection: Connection, others: list[Connection]) -> None:
    """Run batches until the other end of the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides what it means
    for end in others:
        end.close()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            batch, image, wants_image = connection.recv()
            layers = runner.works[batch.work].layers
            try:
                if runner.group != batch.group:
                    runner.hold(batch, None if image is None else _load(image, layers))
                if wants_image and runner.group == batch.group:
                    connection.send(("image", _dump(runner.images, layers)))  # first: others may be waiting for it
                for rows in runner.run(batch):
                    connection.send(("rows", rows))
                connection.send(("done", None))
            except (BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:
                error.add_note(traceback.format_exc())
                connection.send(("error", error))


def _dump(images: Any, layers: Sequence) -> bytes:
    """Pickle images without the layers of their work, which every process has."""
    stream = io.BytesIO()
    _Pickler(stream, layers).dump(images)
    return stream.getvalue()


def _load(content: bytes, layers: Sequence) -> Any:
    return _Unpickler(io.BytesIO(content), layers).load()


class _Pickler(pickle.Pickler):
    """Writes a known object as its number."""

    def __init__(self, stream: io.BytesIO, known: Sequence):
        super().__init__(stream, protocol=5)
        self._known = list(known)  # held: a layer that is made when it is asked for must not give its id to another
        self._numbers = {id(layer): number for number, layer in enumerate(self._known)}

    def persistent_id(self, item: Any) -> int | None:
        return self._numbers.get(id(item))


class _Unpickler(pickle.Unpickler):
    """Reads a known object from its number."""

    def __init__(self, stream: io.BytesIO, known: Sequence):
        super().__init__(stream)
        self._known = known

    def persistent_load(self, number: int) -> Any:
        return self._known[number]
