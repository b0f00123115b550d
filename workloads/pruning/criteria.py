"""Criteria by name: each looks at what is known of a network and gives the scores f32[out, in] of one matrix.

A new criterion is one function here and its name in CRITERIA; arithmetic that needs no network lives in scores.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.pruning import scores
from workloads.pruning.reconstruct import lasso_channels, thinet_channels
from workloads.records import Workload


class Evidence(ABC):
    """What criteria may look at, of one network and the inputs that it is calibrated on.

    matrices: {name: f32[out, in]}. kernels: {name: columns of one input channel}. groups: {name: how many matrices
    stand over each other in it, each with inputs of its own}. before: {name: the matrix before it}. gammas: {name:
    f32[out], the scales of the BatchNorm behind it}. seed: of scores by chance.
    """

    matrices: Mapping[str, np.ndarray]
    kernels: Mapping[str, int]
    groups: Mapping[str, int]
    before: Mapping[str, str]
    gammas: Mapping[str, np.ndarray]
    seed: int

    @property
    @abstractmethod
    def reaching(self) -> Mapping[str, np.ndarray]:
        """{name: f32[samples, in]}: what reaches each matrix; the inputs of its groups stand side by side."""

    @property
    @abstractmethod
    def layers(self) -> Mapping[str, Workload]:
        """The folded network's layers with what reaches them."""

    @property
    @abstractmethod
    def fisher(self) -> Mapping[str, np.ndarray]:
        """{name: f32[out, in]}: the diagonal of the Fisher information of the folded network's matrices."""

    def parts(self, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the weights f32[out, in] of each group of a matrix, and what reaches it, f32[samples, in]."""
        return parts(self.matrices[name], self.reaching[name], self.groups[name])

    def leaving(self, name: str, criterion: str) -> np.ndarray:
        """Return f32[samples, out]: what leaves a matrix behind its ReLU. Raises BadInput where it has none."""
        layer = self.layers[name]
        if not layer.relu:
            raise BadInput(
                f"criterion {criterion!r} takes a ReLU behind the matrix, {name!r} has none: add it to ignore"
            )
        return layer.forward(layer.activations)


def parts(matrix: np.ndarray, inputs: np.ndarray, groups: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the weights of each group and its inputs, of f32[out, in] and f32[samples, in * groups]."""
    return list(zip(np.split(matrix, groups), np.split(inputs, groups, axis=1), strict=True))


def _magnitude(seen: Evidence, name: str, step: Any) -> np.ndarray:
    return scores.magnitude(seen.matrices[name], step.p)


def _wanda(seen: Evidence, name: str, step: Any) -> np.ndarray:
    return np.concatenate([scores.wanda(*part) for part in seen.parts(name)])


def _obd(seen: Evidence, name: str, step: Any) -> np.ndarray:
    # A row's scale changes h w**2 not at all: the folded matrix ranks as the matrix does.
    return scores.obd(seen.layers[name].weights, seen.fisher[name])


def _apoz(seen: Evidence, name: str, step: Any) -> np.ndarray:
    return scores.apoz(seen.matrices[name], seen.leaving(name, "apoz"))


def _contribution(seen: Evidence, name: str, step: Any) -> np.ndarray:
    after = {before: name for name, before in seen.before.items()}
    if name not in after:
        raise BadInput(f"criterion 'contribution' takes a matrix behind {name!r}, there is none: add it to ignore")
    outgoing = seen.matrices[after[name]]
    return scores.contribution(seen.matrices[name], seen.leaving(name, "contribution"), outgoing)


def _scaling(seen: Evidence, name: str, step: Any) -> np.ndarray:
    if name not in (gammas := seen.gammas):
        raise BadInput(f"criterion 'scaling' takes a BatchNorm behind the matrix, {name!r} has none: add it to ignore")
    return scores.scaling_factors(seen.matrices[name], gammas[name])


def _random(seen: Evidence, name: str, step: Any) -> np.ndarray:
    place = list(seen.matrices).index(name)
    return scores.random(seen.matrices[name], (seen.seed << 16) + place)  # equal shapes must not get equal masks


def _channels(choose: Callable[..., np.ndarray]) -> Callable[[Evidence, str, Any], np.ndarray]:
    """Return the criterion that gives 1 to the channels that are chosen and 0 to the others."""

    def criterion(seen: Evidence, name: str, step: Any) -> np.ndarray:
        kernel, n_groups, chosen = seen.kernels[name], seen.groups[name], []
        n_channels = seen.matrices[name].shape[1] // kernel
        n_kept = round(step.densities(seen.matrices)[name] * n_channels * n_groups)
        for place, (weights, inputs) in enumerate(seen.parts(name)):  # the first groups keep one more where it must be
            channels = choose(weights, inputs, n_kept // n_groups + (place < n_kept % n_groups), kernel=kernel)
            chosen.append(np.tile(np.repeat(channels, kernel).astype(np.float32), (len(weights), 1)))
        return np.concatenate(chosen)

    return criterion


CRITERIA: Mapping[str, Callable[[Evidence, str, Any], np.ndarray]] = {
    "magnitude": _magnitude,
    "wanda": _wanda,
    "obd": _obd,
    "apoz": _apoz,
    "contribution": _contribution,
    "scaling": _scaling,
    "random": _random,
    "lasso": _channels(lasso_channels),
    "thinet": _channels(thinet_channels),
}
ABOUT = {
    "magnitude": "abs(w)^p",
    "wanda": "abs(w) times the norm of its input, within rows (Sun 2023)",
    "obd": "Fisher information times w^2 / 2: labels and modules (LeCun 1990)",
    "apoz": "share of samples in which the output is active: a ReLU behind (Hu 2016)",
    "contribution": "mean activation of the output times the norm of the weights behind: a ReLU and a matrix behind",
    "scaling": "abs(gamma) of the BatchNorm behind (Liu 2017)",
    "random": "by chance, of the recipe's seed",
    "lasso": "channels chosen by LASSO for the least error of the outputs (He 2017)",
    "thinet": "channels chosen greedily for the least error of the outputs (Luo 2017)",
}


def describe() -> dict[str, str]:
    """Return {name: what it scores by, and what it takes} of all criteria."""
    return {name: ABOUT[name] for name in CRITERIA}
