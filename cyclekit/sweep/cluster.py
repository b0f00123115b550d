"""A sweep's batches on a dask cluster: its scheduler hands them out, and does again what a lost worker had.

Only this process writes to the store. Every worker needs zeroskip installed, in this version.
"""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from cyclekit.sweep.store import Row
from cyclekit.sweep.tasks import Batch, Runner
from workloads.errors import BadInput

try:
    import distributed
except ImportError:
    raise BadInput("--dask needs dask.distributed: pip install '.[dask]' in a checkout") from None

CONNECT_S = 5.0  # for the scheduler's first answer
LOOK_S = 2.0  # between looks at whether the scheduler and workers are there still
WORKERLESS_S = 60.0  # how long a cluster may be without a worker
MOST_TRIES = 3  # of a batch
GONE = (OSError, TimeoutError, distributed.comm.core.CommClosedError)  # what is raised where nobody is there any more


class Cluster:
    """A connection to a scheduler; a context manager. Raises BadInput where none answers, or it has no workers."""

    def __init__(self, address: str):
        self.address = address
        for name in filter(re.compile(r"distributed\b").match, logging.root.manager.loggerDict):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what has gone wrong is said below, in one line
        try:
            self._client = distributed.Client(address, timeout=CONNECT_S)
        except (ValueError, *GONE) as error:
            said = str(error).partition("\n")[0] or type(error).__name__
            raise BadInput(f"no dask scheduler answers at {address!r}: {said}") from error
        if not (threads := self._client.nthreads()):
            self._client.close()
            raise BadInput(f"the dask scheduler at {address!r} has no workers: start some with 'dask worker {address}'")
        self.n_threads = sum(threads.values())

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: Any) -> None:
        self._client.close(timeout=LOOK_S)

    @contextmanager
    def pool(self, runner: Runner) -> Iterator[Callable[[Iterator[Iterator[Batch]]], Iterator[list[Row]]]]:
        """Yield a function that yields the rows of all batches as they come."""
        self._spread(runner)
        yield self._run

    def _spread(self, runner: Runner) -> None:
        """Send what runs batches to all workers that there are: one that is lost takes nothing along."""
        self._at_home = runner
        for n_left in reversed(range(MOST_TRIES)):
            self._wait_for_a_worker()
            try:
                self._runner = self._client.scatter(runner, broadcast=True)
                return
            except GONE as error:  # where a worker has gone, the scheduler may not have noticed yet
                if not (n_left and self._n_workers() is not None):
                    raise self._gone() from error
                time.sleep(LOOK_S)

    def _run(self, groups: Iterator[Iterator[Batch]]) -> Iterator[list[Row]]:
        batches = itertools.chain.from_iterable(groups)
        running: dict[Any, tuple[Batch, int]] = {}
        images: dict[int, Any] = {}  # futures, of the latest groups
        while True:
            for batch in itertools.islice(batches, max(0, 2 * self.n_threads - len(running))):
                if batch.group not in images:
                    in_use = {begun.group for begun, _ in running.values()}
                    images = {group: image for group, image in images.items() if group in in_use}
                    images[batch.group] = self._client.submit(_encode, self._runner, batch, pure=False)
                running[self._submit(batch, images)] = batch, 1
            if not running:
                return
            for future in self._some_done(list(running)):
                batch, n_tries = running.pop(future)
                if (rows := self._rows(future)) is not None:
                    yield rows
                    continue
                if n_tries == MOST_TRIES:
                    raise BadInput(f"{MOST_TRIES} dask workers were lost over the same tasks; what is stored is whole")
                self._spread(self._at_home)  # the worker may have been the only one at the start
                images[batch.group] = self._client.submit(_encode, self._runner, batch, pure=False)
                running[self._submit(batch, images)] = batch, n_tries + 1

    def _submit(self, batch: Batch, images: dict[int, Any]) -> Any:
        return self._client.submit(_run_batch, self._runner, images[batch.group], batch, pure=False)

    def _rows(self, future: Any) -> list[Row] | None:
        """Return the rows of a future that is no longer pending, None where they are lost with a worker."""
        if future.status == "finished":
            try:
                return future.result()
            except GONE as error:
                if self._n_workers() is None:
                    raise self._gone() from error
                return None
        error = future.exception() if future.status == "error" else None
        if error is not None and not isinstance(error, distributed.KilledWorker):
            raise error
        return None

    def _gone(self) -> BadInput:
        return BadInput(f"the dask scheduler at {self.address!r} has gone away; what is stored is whole")

    def _some_done(self, futures: list[Any]) -> list[Any]:
        """Wait until some futures are no longer pending; raises BadInput where scheduler or workers have gone."""
        while True:
            try:
                done = distributed.wait(futures, timeout=LOOK_S, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                done = set()
            except distributed.CancelledError:  # the scheduler has gone, or begun anew
                done = {future for future in futures if future.status != "pending"}
            self._wait_for_a_worker()
            if done:
                return list(done)

    def _wait_for_a_worker(self) -> None:
        """Return as soon as there is a worker; raises BadInput where the scheduler has gone, or none comes."""
        ends = time.monotonic() + WORKERLESS_S
        while not (n_workers := self._n_workers()):
            if n_workers is None:
                raise self._gone()
            if time.monotonic() > ends:
                raise BadInput(f"the dask scheduler at {self.address!r} has lost all workers; what is stored is whole")
            time.sleep(0.1)

    def _n_workers(self) -> int | None:
        """Return how many workers there are; None where the scheduler does not answer."""
        try:
            return len(self._client.nthreads()) if self._client.status == "running" else None
        except GONE:
            return None


def _encode(runner: Runner, batch: Batch) -> Any:
    """Return the images of a batch's group, or the complaint why there can be none."""
    return runner.encode(batch)


def _run_batch(runner: Runner, images: Any, batch: Batch) -> list[Row]:
    own = replace(runner)  # the other is all threads'
    own.hold(batch, images)
    return [row for rows in own.run(batch) for row in rows]
