"""Modules in a row, and the steps without parameters: ReLU, GELU, MaxPool2d, AvgPool2d, Flatten, Add."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
from scipy.special import ndtr

from workloads.errors import BadInput, did_you_mean
from workloads.networks.modules import Backward, BatchNorm, Module, Weighted, offsets
from workloads.records import checked_array

# Input values that go through a network together: a convolution's columns are many times that.
N_VALUES_AT_ONCE = 2**20


class ReLU(Module):
    """max(0, x)."""

    def vjp(self, inputs: np.ndarray) -> tuple[np.ndarray, Backward]:
        outputs = np.maximum(inputs, 0)
        return outputs, lambda gradient, to_inputs=True: (gradient * (outputs > 0), {})


class GELU(Module):
    """x * Phi(x) with the exact normal distribution function (Hendrycks and Gimpel 2016), as in BERT."""

    def vjp(self, inputs: np.ndarray) -> tuple[np.ndarray, Backward]:
        below = ndtr(inputs)

        def backward(gradient, to_inputs=True):
            density = np.exp(-(inputs**2) / 2) / inputs.dtype.type(np.sqrt(2 * np.pi))
            return gradient * (below + inputs * density), {}

        return inputs * below, backward


class Flatten(Module):
    """f32[batch, channels, height, width] -> f32[batch, channels * height * width]."""

    def vjp(self, inputs: np.ndarray) -> tuple[np.ndarray, Backward]:
        return inputs.reshape(len(inputs), -1), lambda gradient, to_inputs=True: (gradient.reshape(inputs.shape), {})


@dataclass(frozen=True)
class Add(Module):
    """What comes, plus what an earlier module gave, source: the end of a residual branch (He et al. 2015).

    The gradient by the outputs is that by either of the two.
    """

    source: str = field()

    def vjp(self, inputs: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, Backward]:
        if inputs.shape != others.shape:
            raise BadInput(
                f"inputs must have the shape of what {self.source!r} gave, to which they are added: "
                f"{others.shape}, got {inputs.shape}"
            )
        return inputs + others, lambda gradient, to_inputs=True: (gradient, {})


@dataclass(frozen=True)
class _Pool2d(Module):
    """Windows of size x size, side by side; what is left over at the right and lower edges is dropped."""

    size: int = 2

    def __post_init__(self):
        if not self.size >= 1:
            raise BadInput(f"size must be at least 1, got {self.size!r}")

    def _parts(self, inputs: np.ndarray) -> list[tuple]:
        """Return, for each place in the window, the slices that select it in all windows."""
        if inputs.ndim != 4 or min(inputs.shape[2:]) < self.size:
            raise BadInput(
                f"inputs must be f32[batch, channels, height, width] of at least {self.size} x {self.size}, "
                f"got shape {inputs.shape}"
            )
        n_places = tuple(n // self.size for n in inputs.shape[2:])
        return [(..., *places) for _, places in offsets((self.size, self.size), self.size, n_places)]


class MaxPool2d(_Pool2d):
    """The largest of each window; of equals the first in C order takes the gradient."""

    def vjp(self, inputs: np.ndarray) -> tuple[np.ndarray, Backward]:
        parts = self._parts(inputs)
        outputs = reduce(np.maximum, (inputs[part] for part in parts))

        def backward(gradient, to_inputs=True):
            spread, open_ = np.zeros_like(inputs), np.ones_like(outputs, bool)
            for part in parts:
                here = open_ & (inputs[part] == outputs)
                spread[part] = gradient * here
                open_ &= ~here
            return spread, {}

        return outputs, backward


class AvgPool2d(_Pool2d):
    """The mean of each window."""

    def vjp(self, inputs: np.ndarray) -> tuple[np.ndarray, Backward]:
        parts = self._parts(inputs)
        outputs = sum(inputs[part] for part in parts) / len(parts)

        def backward(gradient, to_inputs=True):
            spread = np.zeros_like(inputs)
            for part in parts:
                spread[part] = gradient / len(parts)
            return spread, {}

        return outputs, backward


@dataclass(frozen=True, eq=False)
class Sequential:
    """Modules in a row, by name: modules: {name: Module}, each taking what the one before gives.

    An Add takes what an earlier one gave as well. Raises BadInput.
    """

    modules: Mapping[str, Module]

    def __post_init__(self):
        if not self.modules:
            raise BadInput("modules must hold at least one module, got none")
        for name, module in self.modules.items():
            if not isinstance(module, Module):
                raise BadInput(f"module {name!r} must be a Module, got {type(module).__name__}")
        earlier: list[str] = []
        for name, module in self.modules.items():
            if module.source not in (None, *earlier):
                known = did_you_mean(module.source, earlier)
                raise BadInput(
                    f"module {name!r} must add what an earlier module gave, got source {module.source!r}{known}"
                )
            earlier.append(name)

    @property
    def sources(self) -> set[str]:
        """The modules whose outputs an Add takes later on, beside the module that follows them."""
        return {module.source for module in self.modules.values() if module.source is not None}

    def replace(self, changes: Mapping[str, Module]) -> Sequential:
        """Return the network with some modules replaced. Raises BadInput for a name that it does not have."""
        for name in changes:
            if name not in self.modules:
                raise BadInput(f"unknown module {name!r}{did_you_mean(name, self.modules)}")
        return Sequential({**self.modules, **changes})

    @property
    def weighted(self) -> dict[str, Weighted]:
        """{name: module} of every Linear and convolution."""
        return {name: module for name, module in self.modules.items() if isinstance(module, Weighted)}

    @property
    def matrices(self) -> dict[str, np.ndarray]:
        """{name: f32[out, in * kernel]} of every Linear and convolution."""
        return {name: module.matrix for name, module in self.weighted.items()}

    def with_matrices(self, changes: Mapping[str, np.ndarray]) -> Sequential:
        """Return the network with some matrices replaced: {name: f32[out, in * kernel]}. Raises BadInput."""
        for name, matrix in changes.items():
            if name not in self.weighted:
                raise BadInput(f"unknown matrix {name!r}{did_you_mean(name, self.weighted)}")
            if matrix.shape != (shape := self.matrices[name].shape):
                raise BadInput(f"matrix {name!r} must be f32{list(shape)}, got {list(matrix.shape)}")
        old = self.weighted
        return self.replace(
            {name: replace(old[name], weights=new.reshape(old[name].weights.shape)) for name, new in changes.items()}
        )

    @np.errstate(over="ignore", invalid="ignore")  # what is beyond f32 is refused by whoever takes it
    def inputs(self, inputs: np.ndarray, n_columns: int | None = None) -> dict[str, np.ndarray]:
        """Return {name: f32[batch * positions, in * kernel]}: what reaches each matrix.

        For a convolution a row per window, in the order batch, height, width. n_columns: only the first so many rows
        (they are the columns of the product with the matrix). Raises BadInput.
        """
        check_n_columns(n_columns)
        reaching: dict[str, list[np.ndarray]] = {name: [] for name in self.weighted}
        for part in batches(inputs):
            for name, entering, _ in self.walk(part):
                n_left = None if n_columns is None else n_columns - sum(map(len, reaching.get(name, ())))
                if name in reaching and n_left != 0:
                    reaching[name].append(self.modules[name].columns(entering).T[:n_left])
            if n_columns is not None and all(sum(map(len, parts)) == n_columns for parts in reaching.values()):
                break
        return {name: np.concatenate(parts) for name, parts in reaching.items()}

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        """Return the last module's outputs, for any number of inputs."""
        return np.concatenate([self.outputs(part)[-1] for part in batches(inputs)])

    @np.errstate(over="ignore", invalid="ignore")
    def outputs(self, inputs: np.ndarray) -> list[np.ndarray]:
        """Return what leaves each module, all in memory at once."""
        return [leaving for _, _, leaving in self.walk(inputs)]

    def walk(
        self, inputs: np.ndarray, step: Callable[..., np.ndarray] | None = None
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield each module's name, what reaches it from the one before, and what leaves it.

        step: what leaves a module of a name, of what reaches it, its source's outputs last (None: its `forward`).
        """
        earlier, sources, signal = {}, self.sources, inputs
        for name, module in self.modules.items():
            entering = (signal,) if module.source is None else (signal, earlier[module.source])
            try:
                signal = module.forward(*entering) if step is None else step(name, *entering)
            except BadInput as error:
                raise BadInput(f"module {name!r}: {error}") from None
            if name in sources:
                earlier[name] = signal
            yield name, entering[0], signal

    def accuracy(self, inputs: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of inputs whose largest output is the labelled one, 0 to 1; labels: int[batch].

        Raises BadInput where an output is beyond f32.
        """
        return float((checked_array("outputs", self.forward(inputs), (2,)).argmax(axis=1) == labels).mean())


def check_n_columns(n_columns: int | None):
    """Raise BadInput unless it is None (all of them) or at least 1."""
    if n_columns is not None and n_columns < 1:
        raise BadInput(f"n_columns must be at least 1, got {n_columns!r}")


def batches(inputs: np.ndarray) -> Iterator[np.ndarray]:
    """Return the inputs in order, at least one and about a million values at a time. Raises BadInput for none."""
    if not np.size(inputs):
        raise BadInput(f"inputs must not be empty, got shape {np.shape(inputs)}")
    size = max(1, N_VALUES_AT_ONCE // inputs[0].size)
    return (inputs[start : start + size] for start in range(0, len(inputs), size))


def with_statistics(network: Sequential, inputs: np.ndarray) -> Sequential:
    """Return the network with every BatchNorm's mean and variance those of what reaches it when these inputs enter.

    One after another, each with those before it already set, so that the order of the inputs does not matter. For use
    after training, and again after pruning, which shifts them.
    """
    for name, module in network.modules.items():
        if not isinstance(module, BatchNorm):
            continue
        sizes, means, variances = [], [], []
        for part in batches(inputs):
            entering = next(signal for reached, signal, _ in network.walk(part) if reached == name)
            mean, variance = module.statistics(entering)
            sizes.append(len(entering))
            means.append(mean)
            variances.append(variance)
        mean = np.average(means, axis=0, weights=sizes)
        # Within the batches, and between them.
        variance = np.average(variances + np.square(means - mean), axis=0, weights=sizes)
        dtype = module.gamma.dtype
        counted = replace(module, mean=mean.astype(dtype), variance=variance.astype(dtype))
        network = network.replace({name: counted})
    return network
