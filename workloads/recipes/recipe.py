"""Recipes: an ordered list of compression steps, read from TOML, and what they make of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from workloads.blas import one_thread
from workloads.errors import BadInput, did_you_mean
from workloads.files import parse_toml
from workloads.quantisation.share import share
from workloads.recipes.chain import Chain
from workloads.recipes.state import Allocator, State, Step
from workloads.recipes.steps import STEPS
from workloads.recipes.subjects import Compressible, subject
from workloads.records import Model, Network, Workload, with_activations


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Steps in their order, and the seed of all that is drawn. Raises BadInput."""

    steps: tuple[Step, ...]
    seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "steps", tuple(self.steps))
        if not self.steps:
            raise BadInput("a recipe must hold at least one [[step]], got none")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise BadInput(f"seed must be a whole number from 0 on, got {self.seed!r}")

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """Return the recipe in a TOML file. Raises BadInput."""
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise BadInput(f"recipe {str(path)!r} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise BadInput(f"recipe {str(path)!r} is no TOML: it is not UTF-8") from None
        try:
            return cls.parse(text)
        except BadInput as error:
            raise BadInput(f"recipe {str(path)!r}: {error}") from None

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Return the recipe that TOML text describes. Raises BadInput naming the step, the key and the value."""
        table = parse_toml(text)
        for key in table:
            if key not in ("seed", "step"):
                raise BadInput(f"unknown key {key!r}{did_you_mean(key, ('seed', 'step'))}")
        steps = table.get("step", [])
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            raise BadInput(f"step must be tables, each headed [[step]], got {steps!r}")
        return cls(steps=tuple(_step(i, step) for i, step in enumerate(steps, 1)), seed=table.get("seed", 0))

    @one_thread()
    def fit(
        self,
        network: Compressible,
        calibration: Any = None,
        labels: np.ndarray | None = None,
        chain: Callable[[], Chain] | None = None,
        allocator: Allocator | None = None,
    ) -> Fitted:
        """Return the network compressed step by step, with what each step left.

        calibration: f32[batch, ...], or an Encoder's or a Decoder's samples; labels: int[batch], for what learns. A
        Network brings its own, which hold where none is given; a Model and a Workload have their activations, and take
        none. chain: gives what the layers of a Model's graph are trained as, or raises BadInput where it is no such
        chain. allocator: what brings a network within a budget of a machine, for the step `adapt`. Each step looks at
        the network that enters it; equal arguments give equal bits on one kind of processor. Raises BadInput naming the
        step.
        """
        if calibration is None and isinstance(network, Network):
            calibration, labels = network.inputs, network.labels
        if (calibration is None) != isinstance(network, Model | Workload):
            raise BadInput("calibration must be given for a network that computes, and only for such a one")
        start = subject(network)
        state = State(
            current=start,
            dense=start,
            inputs=calibration,
            labels=labels,
            seed=self.seed,
            chain=chain,
            allocator=allocator,
        )
        for i, step in enumerate(self.steps, 1):
            with _naming(i, step):
                step.check(state)
        rows: list[dict] = []
        notes: list[str] = []
        for i, step in enumerate(self.steps, 1):
            with _naming(i, step):
                entering, state = state, step.apply(state)
            notes += [f"step {i} ({step.do}): {note}" for note in step.notes(entering, state)]
            densities = {name: matrix.astype(bool).mean() for name, matrix in state.current.matrices.items()}
            rows += [{"step": i, "do": step.do, "layer": name, "density": float(d)} for name, d in densities.items()]
        return Fitted(given=network, state=state, steps=tuple(rows), notes=tuple(notes))


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """What a recipe made of a network. steps: a row for each step and matrix, {"step", "do", "layer", "density"}.

    notes: what is to be said of the steps.
    """

    given: Compressible
    state: State
    steps: tuple[dict, ...]
    notes: tuple[str, ...] = ()

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """{name: bool[out, in]}: which weights were kept."""
        return {name: matrix != 0 for name, matrix in self.state.current.matrices.items()}

    @one_thread()
    def apply(self) -> Compressible:
        """Return the compressed network, of the kind that was given; a Network's layers are then Workloads."""
        if isinstance(self.given, Network):
            return with_activations(
                replace(self.given, layers=tuple(self.workloads(self.given.inputs, 1, self.given.provenance)))
            )
        if isinstance(self.given, Model | Workload):
            layers = self.workloads(None)
            return layers[0] if isinstance(self.given, Workload) else self.given.with_layers(layers)
        return self.state.current.network

    @one_thread()
    def workloads(self, inputs: Any, n_columns: int | None = None, provenance: str = "") -> list[Workload]:
        """Return a Workload for every matrix, codes included where it is shared, with what reaches it: see `lower`."""
        layers = self.state.current.workloads(inputs, n_columns, provenance)
        # Few-valued weights are shared without loss, so that the codes need not be carried from step to step.
        bits = self.state.bits
        return [share(layer, bits[layer.name]) if layer.name in bits else layer for layer in layers]

    @property
    def is_cut(self) -> bool:
        """Whether a step made the network smaller than it was given."""
        given, left = (
            {name: matrix.shape for name, matrix in network.matrices.items()}
            for network in (subject(self.given), self.state.dense)
        )
        return given != left

    @one_thread()
    def given_workloads(self, inputs: Any, n_columns: int | None = None, provenance: str = "") -> list[Workload]:
        """Return the same of the network as it was given, with all that a cut took."""
        return subject(self.given).workloads(inputs, n_columns, provenance)

    @one_thread()
    def dense_workloads(self, inputs: Any, n_columns: int | None = None, provenance: str = "") -> list[Workload]:
        """Return the same of the network as it was given, or as cuts alone left it, for errors to be measured against.

        Its outputs are in the order that a permutation gave them.
        """
        return self.state.dense.workloads(inputs, n_columns, provenance)


@contextmanager
def _naming(number: int, step: Step) -> Iterator[None]:
    """Put the step before what is said about it."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"step {number} ({step.do}): {error}") from error


def _step(number: int, table: dict[str, Any]) -> Step:
    """Return the step that a table describes. Raises BadInput."""
    table = dict(table)
    do = table.pop("do", None)
    if do is None:
        raise BadInput(f"step {number}: do must say what to do, one of {', '.join(STEPS)}")
    if not isinstance(do, str) or do not in STEPS:
        raise BadInput(f"step {number}: unknown do {do!r}{did_you_mean(str(do), STEPS)}")
    known = [field.name for field in fields(STEPS[do])]
    for key in table:
        if key not in known:
            raise BadInput(f"step {number} ({do}): unknown key {key!r}{did_you_mean(key, known)}")
    try:
        return STEPS[do](**table)
    except BadInput as error:
        raise BadInput(f"step {number} ({do}): {error}") from None
