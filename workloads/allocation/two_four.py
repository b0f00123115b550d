"""Matrices at 2:4: of every four inputs of an output the two largest weights stay; what is lost with the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from workloads.allocation.narrow import Gradients, means
from workloads.networks.modules import Weighted
from workloads.networks.sequential import Sequential
from workloads.pruning.patterns import mask

PATTERN = "2:4"


def sparse(network: Sequential, names: Iterable[str]) -> Sequential:
    """Return the network with some matrices at 2:4, by magnitude; one that is there already stays as it is."""
    modules = dict(network.modules)
    for name in names:
        own = modules[name]
        modules[name] = replace(own, weights=own.weights * _kept(own))
    return Sequential(modules)


def are_sparse(network: Sequential) -> list[str]:
    """Return the matrices with zeros of which no four inputs of an output hold more than two weights."""
    names = []
    for name, own in network.weighted.items():
        matrix = own.matrix
        fours = np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % 4))).reshape(-1, 4)
        if not matrix.all() and np.count_nonzero(fours, axis=1).max() <= 2:
            names.append(name)
    return names


def lost(network: Sequential, inputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return {matrix: by how much the loss would change at 2:4}, to first order, in the measure of `importance`.

    Of each output |sum of weight x gradient over what goes|, the mean over batches of the first inputs.
    """
    gone = {name: ~_kept(own) for name, own in network.weighted.items()}

    def of_outputs(gradients: Gradients) -> dict[str, np.ndarray]:
        products = {name: own.weights * gradients[name]["weights"] for name, own in network.weighted.items()}
        return {
            name: (product * gone[name]).reshape(len(product), -1).sum(axis=1, dtype=np.float64)
            for name, product in products.items()
        }

    return {name: float(each.sum()) for name, each in means(network, inputs, labels, of_outputs).items()}


def _kept(own: Weighted) -> np.ndarray:
    return mask(np.abs(own.matrix), PATTERN).reshape(own.weights.shape)
