"""A sweep's tasks: what identifies one without running it, and how a batch is run on the images that it shares."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

from cyclekit.machine import Machine
from cyclekit.positions import digest, played
from cyclekit.run import Run, identity
from cyclekit.sweep.store import Row
from cyclekit.sweep.unit_map import pack, unit_maps
from workloads.blas import one_thread
from workloads.errors import BadInput
from workloads.points.kernel_map import KernelMap
from workloads.records import Network, Shape, Workload

SEND_S = 0.25  # rows leave a worker at least this often; what a kill can cost is about this much work


@dataclass(frozen=True, eq=False)
class Work:
    """A workload of the sweep: its layers, and what enters the first of them, one after the other.

    name: says of how many inputs a batch is, where that was asked for: results are told apart by it. content: the hash
    of the whole of it and of the machine's model, however many of its inputs are asked for; digest and input_digests:
    of the layers and of each input.
    """

    name: str
    content: str
    layers: Sequence[Workload | Shape]
    inputs: Sequence[Any]
    digest: str
    input_digests: Sequence[str]

    @classmethod
    def of(
        cls, machine: Machine, work: Workload | Network | Shape, n_inputs: int | None, batch: int | None = None
    ) -> Work:
        """Return a workload as a machine takes it. Raises BadInput."""
        layers, inputs = machine.layers_and_inputs(work, n_inputs, batch)
        contents = [identity(*_content(layer)) for layer in layers]
        input_digests = [digest(signal) for signal in inputs]
        whole = inputs[0] if len(inputs) == 1 else input_digests
        if not machine.batched and not isinstance(work, Shape):
            whole = work.inputs if isinstance(work, Network) else work.activations
        content = identity(machine.model_version, contents, whole)
        name = f"{work.name} (batch {batch:,})" if machine.batched and batch is not None else work.name
        return cls(name, content, layers, inputs, identity(contents), input_digests)


@dataclass(frozen=True, eq=False)
class Batch:
    """Tasks of one group, that is on the same images, and of one input.

    group: its number. tasks: {identity: changes of the base}.
    """

    work: int
    group: int
    input: int
    tasks: Mapping[str, Mapping[str, Any]]


@dataclass(eq=False)
class Runner:
    """What runs batches: it keeps the images of the group that it was last at."""

    machine: Machine
    engine: str
    base: Any
    works: Sequence[Work]
    maps: bool = False  # store what each unit did
    group: int | None = None
    images: Sequence[Any] | BadInput = field(default_factory=list)

    def identities(self, work: Work, index: int) -> Callable[[Mapping[str, Any]], str]:
        """Return what gives the identity of a task by its changes: the hash of all that determines its rows."""
        about = [self.machine.name, self.machine.model_version, self.engine, work.name, work.digest, index]
        start = hashlib.sha256(json.dumps([*about, work.input_digests[index]]).encode())
        fields, write = self.base.as_dict(), json.JSONEncoder(sort_keys=True).encode  # once, not for every task

        def task(changes: Mapping[str, Any]) -> str:
            digest = start.copy()
            digest.update(write(fields | changes).encode())
            return digest.hexdigest()

        return task

    def encode(self, batch: Batch) -> Sequence[Any] | BadInput | None:
        """Return the images of a batch's group, or why there can be none; None where the batch has no legal design."""
        for changes in batch.tasks.values():
            with suppress(BadInput):
                return self._encode(self.works[batch.work], self.base.replace(**changes))
        return None

    def hold(self, batch: Batch, images: Sequence[Any] | BadInput | None = None) -> None:
        """Have the images of a batch's group at hand: these, or else encoded here."""
        if self.group == batch.group:
            return
        self.group, self.images = None, []  # two groups' images need not lie in memory at once
        if images is None:
            images = self.encode(batch)
        if images is not None:
            self.group, self.images = batch.group, images

    def run(self, batch: Batch) -> Iterator[list[Row]]:
        """Yield the rows of a batch's tasks, a task's together; an infeasible one gives a row with its reason."""
        self.hold(batch)
        rows, since = [], time.monotonic()
        for task, changes in batch.tasks.items():
            with one_thread():  # every core has a process already
                rows += self._rows(batch, task, changes)
            if time.monotonic() - since > SEND_S:
                yield rows
                rows, since = [], time.monotonic()
        if rows:
            yield rows

    def _rows(self, batch: Batch, task: str, changes: Mapping[str, Any]) -> list[Row]:
        work, index = self.works[batch.work], batch.input
        try:
            spec = self.base.replace(**changes)
            if isinstance(self.images, BadInput):
                raise self.images
            signal, rows = work.inputs[index], []
            for part, image in enumerate(self.images):
                options = {"engine": self.engine, "check": False, "index": index, "progress": lambda share: None}
                signal = played(self.machine.simulate, image, signal, spec, **options)
                row = Row.of(task, part, work.name, work.content, signal)
                rows.append(row._replace(unit_map=self._map(signal, image, spec)) if self.maps else row)
            return rows
        except BadInput as error:
            spec = json.dumps(self.base.as_dict() | changes, separators=(",", ":"))
            about = (task, 0, work.name, work.content, self.machine.name, work.name, index, self.engine, spec)
            return [Row(*about, reason=str(error))]

    def _map(self, run: Run, image: Any, spec: Any) -> bytes:
        n_ticks = run.cycles * self.machine.ticks_per_cycle
        tracks = self.machine.spans(run, image, spec, begin=0, end=n_ticks, n_units=None)
        return pack(unit_maps(tracks, n_ticks))

    def _encode(self, work: Work, spec: Any) -> Sequence[Any] | BadInput:
        try:
            return self.machine.encode(work.layers, spec)
        except BadInput as error:
            return error


def _content(layer: Workload | Shape) -> Iterator[Any]:
    """Yield all of a layer that can enter a row; what reaches a layer is hashed on its own."""
    for entry in fields(layer):
        if entry.name not in ("activations", "features", "provenance"):
            value = getattr(layer, entry.name)
            yield value.digest if isinstance(value, KernelMap) else value
