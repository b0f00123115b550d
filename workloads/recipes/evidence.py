"""What a recipe's criteria see of a network: its matrices, what reaches them and their gradients, made when needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.networks import train
from workloads.pruning import scores
from workloads.pruning.criteria import Evidence
from workloads.recipes.subjects import Modules, Subject
from workloads.records import Workload

N_COLUMNS = 8192  # of what reaches a matrix, that a criterion looks at: the first


@dataclass(frozen=True, eq=False)
class Calibration(Evidence):
    """A network and the inputs and labels that say how its weights matter. seed: of scores by chance."""

    subject: Subject
    inputs: Any
    labels: np.ndarray | None
    seed: int

    @cached_property
    def matrices(self) -> dict[str, np.ndarray]:
        return self.subject.matrices

    @property
    def kernels(self) -> dict[str, int]:
        return self.subject.kernels

    @property
    def groups(self) -> dict[str, int]:
        return self.subject.groups

    @property
    def before(self) -> dict[str, str]:
        return self.subject.before

    @property
    def gammas(self) -> dict[str, np.ndarray]:
        return self.subject.gammas

    @cached_property
    def reaching(self) -> dict[str, np.ndarray]:
        return self.subject.reaching(self.inputs, N_COLUMNS)

    @cached_property
    def layers(self) -> dict[str, Workload]:
        return {layer.name: layer for layer in self.subject.workloads(self.inputs, N_COLUMNS)}

    @cached_property
    def fisher(self) -> dict[str, np.ndarray]:
        if not isinstance(self.subject, Modules) or self.labels is None:
            raise BadInput("criterion 'obd' takes the gradients of modules in a row and labels, which are not here")
        labels = train.checked_labels(self.labels, len(self.inputs))
        # Folded: the normalisation of a batch of one would be by that one sample.
        net = self.subject.folded().network
        recipe = train.Recipe(n_epochs=1, learning_rate=0.0)
        names = list(self.matrices)

        def gradients():
            for i in range(len(labels)):
                one = train.loss_and_gradients(net, self.inputs[i : i + 1], labels[i : i + 1], recipe)[1]
                yield np.concatenate([one[name]["weights"].ravel() for name in names])[None]

        ends = np.cumsum([self.matrices[name].size for name in names])[:-1]
        parts = np.split(scores.fisher(gradients())[0], ends)
        return {name: part.reshape(self.matrices[name].shape) for name, part in zip(names, parts, strict=True)}
