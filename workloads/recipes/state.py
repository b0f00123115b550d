"""What a recipe carries from step to step, what every step has, and how the values of its keys are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, ClassVar, Protocol

import numpy as np

from workloads.errors import BadInput, did_you_mean, fits
from workloads.networks.early_stopping import Kept
from workloads.recipes.chain import Chain
from workloads.recipes.evidence import Calibration
from workloads.recipes.subjects import Subject


class Allocator(Protocol):
    """What brings a network within a budget of a machine for a step `adapt`: machines stand above, and hand it in."""

    def check(self, step: Any) -> None:
        """Raise BadInput for a machine, a design, a budget or a method that there is none of."""

    def __call__(self, step: Any, state: State) -> State:
        """Return the state with the network within the budget, and what is to be said of it. Raises BadInput."""


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """A network on its way through a recipe.

    current: as it is by now; dense: as it was, its outputs in the order of current's; inputs, labels: the calibration;
    chain: gives what a model's layers are trained as, or raises BadInput; bits: {matrix: bits} of those shared by now;
    quantised: the matrices that are; tuned: which epoch the last tuning kept; allocator: for `adapt`, None where no
    machine is at hand; adapted: what is to be said of the last `adapt`.
    """

    current: Subject
    dense: Subject
    inputs: Any
    labels: np.ndarray | None
    seed: int
    chain: Callable[[], Chain] | None = None
    bits: Mapping[str, int] = field(default_factory=dict)
    quantised: frozenset[str] = frozenset()
    tuned: Kept | None = None
    allocator: Allocator | None = None
    adapted: tuple[str, ...] = ()

    def evidence(self) -> Calibration:
        """Return what can be seen of the network as it is."""
        return Calibration(self.current, self.inputs, self.labels, self.seed)

    def with_weights(self, changes: Mapping[str, np.ndarray], **more: Any) -> State:
        """Return the state with the weights of some matrices replaced."""
        biases = self.current.biases
        pairs = {name: (weights, biases[name]) for name, weights in changes.items()}
        return replace(self, current=self.current.with_parameters(pairs), **more)

    def unshared(self, names: Iterable[str]) -> dict[str, int]:
        """Return the bits of the shared matrices but for these, whose values are new."""
        return {name: bits for name, bits in self.bits.items() if name not in names}

    def check_free(self, names: Iterable[str]) -> None:
        """Raise BadInput where a matrix is on its grid, which a change of its values would undo."""
        for name in names:
            if name in self.quantised:
                raise BadInput(f"matrix {name!r} is quantised, which this would undo: put this step first")


@dataclass(frozen=True, kw_only=True)
class Step:
    """targets, ignore: globs over the names of matrices; a step works on those that fit a target and no ignore."""

    targets: tuple[str, ...] = ("*",)
    ignore: tuple[str, ...] = ()
    do: ClassVar[str]

    def __post_init__(self):
        for key in ("targets", "ignore"):
            globs = getattr(self, key)
            globs = (globs,) if isinstance(globs, str) else globs
            if not isinstance(globs, list | tuple) or not all(isinstance(glob, str) for glob in globs):
                raise BadInput(f"{key} must be globs over matrix names, such as ['fc*'], got {getattr(self, key)!r}")
            object.__setattr__(self, key, tuple(globs))
        if not self.targets:
            raise BadInput("targets must hold at least one glob, such as '*', got none")

    def names(self, known: Iterable[str]) -> list[str]:
        """Return the matrices that the step works on. Raises BadInput for a glob that fits none, and for no matrix."""
        known, fitting = list(known), {}
        for key in ("targets", "ignore"):
            fitting[key] = set()
            for glob in getattr(self, key):
                matching = {name for name in known if fits(name, glob)}
                if not matching:
                    raise BadInput(f"{key}: no matrix fits {glob!r}{did_you_mean(glob, known)}")
                fitting[key] |= matching
        chosen = [name for name in known if name in fitting["targets"] - fitting["ignore"]]
        if not chosen:
            raise BadInput(f"ignore must leave a matrix to work on, got {list(self.ignore)}")
        return chosen

    def check(self, state: State) -> None:
        """Raise BadInput for what is seen to be wrong before any step has run."""

    def apply(self, state: State) -> State:
        """Return the state after the step. Raises BadInput."""
        raise NotImplementedError

    def notes(self, before: State, behind: State) -> list[str]:
        """Return what is to be said of the step on what enters it, and what leaves it."""
        return []


def one_of(key: str, value: Any, known: Iterable[str]) -> None:
    """Raise BadInput unless the value is one of a few words."""
    if not isinstance(value, str) or value not in known:
        raise BadInput(f"unknown {key} {value!r}{did_you_mean(str(value), known)}")


def number(key: str, value: Any, *, above: float | None = None) -> None:
    """Raise BadInput unless the value is a finite number of at least 0, or above a limit."""
    sound = isinstance(value, Real) and not isinstance(value, bool) and value - value == 0
    if not sound or (value < 0 if above is None else value <= above):
        raise BadInput(
            f"{key} must be a number {'of at least 0' if above is None else f'above {above:g}'}, got {value!r}"
        )


def whole(key: str, value: Any, least: int, most: int) -> None:
    """Raise BadInput unless the value is a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadInput(f"{key} must be a whole number from {least} to {most}, got {value!r}")


@contextmanager
def naming(matrix: str) -> Iterator[None]:
    """Put the matrix' name before what is said about it."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"matrix {matrix!r}: {error}") from error
