"""Criteria by name, for recipes: each looks at a network and its calibration and gives scores f32[out, in]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from workloads import scores
from workloads.errors import BadInput
from workloads.reconstruct import lasso_channels, thinet_channels
from workloads.records import Workload
from workloads.subjects import Modules, Subject
from workloads.train import Recipe as Training
from workloads.train import loss_and_gradients

N_COLUMNS = 8192  # of what reaches a matrix, that a criterion looks at: the first


@dataclass(frozen=True, eq=False)
class Evidence:
    """What criteria may look at; each part is made when it is first asked for. seed: of scores by chance."""

    subject: Subject
    inputs: Any
    labels: np.ndarray | None
    seed: int

    @cached_property
    def matrices(self) -> dict[str, np.ndarray]:
        return self.subject.matrices

    @cached_property
    def reaching(self) -> dict[str, np.ndarray]:
        """{name: f32[up to N_COLUMNS, in]}."""
        return self.subject.reaching(self.inputs, N_COLUMNS)

    @cached_property
    def layers(self) -> dict[str, Workload]:
        """The folded network's layers with what reaches them."""
        return {layer.name: layer for layer in self.subject.workloads(self.inputs, N_COLUMNS)}

    @cached_property
    def fisher(self) -> dict[str, np.ndarray]:
        """{name: f32[out, in]}: the diagonal of the Fisher information of the folded network's matrices."""
        if not isinstance(self.subject, Modules) or self.labels is None:
            raise BadInput("criterion 'obd' takes the gradients of modules in a row and labels, which are not here")
        # Folded: the normalisation of a batch of one would be by that one sample.
        net = self.subject.folded().network
        asks = Training(n_epochs=1, learning_rate=0.0)
        names = list(self.matrices)

        def gradients():
            for i in range(len(self.labels)):
                found = loss_and_gradients(net, self.inputs[i : i + 1], self.labels[i : i + 1], asks)[1]
                yield np.concatenate([found[name]["weights"].ravel() for name in names])[None]

        ends = np.cumsum([self.matrices[name].size for name in names])[:-1]
        parts = np.split(scores.fisher(gradients())[0], ends)
        return {name: part.reshape(self.matrices[name].shape) for name, part in zip(names, parts, strict=True)}

    def leaving(self, name: str, criterion: str) -> np.ndarray:
        """Return f32[samples, out]: what leaves a matrix behind its ReLU. Raises BadInput where it has none."""
        layer = self.layers[name]
        if not layer.relu:
            raise BadInput(
                f"criterion {criterion!r} takes a ReLU behind the matrix, {name!r} has none: add it to ignore"
            )
        return layer.forward(layer.activations)


def _magnitude(seen: Evidence, name: str, asked: Any) -> np.ndarray:
    return scores.magnitude(seen.matrices[name], asked.p)


def _wanda(seen: Evidence, name: str, asked: Any) -> np.ndarray:
    return scores.wanda(seen.matrices[name], seen.reaching[name])


def _obd(seen: Evidence, name: str, asked: Any) -> np.ndarray:
    # A row's scale changes h w**2 not at all: the folded matrix ranks as the matrix does.
    return scores.obd(seen.layers[name].weights, seen.fisher[name])


def _apoz(seen: Evidence, name: str, asked: Any) -> np.ndarray:
    return scores.apoz(seen.matrices[name], seen.leaving(name, "apoz"))


def _contribution(seen: Evidence, name: str, asked: Any) -> np.ndarray:
    after = {before: name for name, before in seen.subject.before.items()}
    if name not in after:
        raise BadInput(f"criterion 'contribution' takes a matrix behind {name!r}, there is none: add it to ignore")
    outgoing = seen.matrices[after[name]]
    return scores.contribution(seen.matrices[name], seen.leaving(name, "contribution"), outgoing)


def _scaling(seen: Evidence, name: str, asked: Any) -> np.ndarray:
    if name not in (gammas := seen.subject.gammas):
        raise BadInput(f"criterion 'scaling' takes a BatchNorm behind the matrix, {name!r} has none: add it to ignore")
    return scores.scaling_factors(seen.matrices[name], gammas[name])


def _random(seen: Evidence, name: str, asked: Any) -> np.ndarray:
    place = list(seen.matrices).index(name)
    return scores.random(seen.matrices[name], (seen.seed << 16) + place)  # equal shapes must not get equal masks


def _channels(choose: Callable[..., np.ndarray]) -> Callable[[Evidence, str, Any], np.ndarray]:
    """Return the criterion that gives 1 to the channels that are chosen and 0 to the others."""

    def criterion(seen: Evidence, name: str, asked: Any) -> np.ndarray:
        weights, kernel = seen.matrices[name], seen.subject.kernels[name]
        n_kept = round(asked.densities(seen.matrices)[name] * (weights.shape[1] // kernel))
        kept = choose(weights, seen.reaching[name], n_kept, kernel=kernel)
        return np.tile(np.repeat(kept, kernel).astype(np.float32), (len(weights), 1))

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
