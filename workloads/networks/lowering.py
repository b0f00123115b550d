"""From modules to matrices and back: fold the normalisations, hand each matrix its real inputs, put new weights in."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.networks.blocks import Blocks
from workloads.networks.modules import BatchNorm, Weighted
from workloads.networks.sequential import ReLU, Sequential, check_n_columns
from workloads.records import Layer, Workload


def fold(network: Sequential) -> Sequential:
    """Return the network with each BatchNorm that follows a Linear or a convolution folded into it.

    Rows are scaled by gamma / sqrt(variance + epsilon), the rest goes to the bias; zero weights stay zero. A BatchNorm
    anywhere else stays, and one before which an Add takes what reaches it.
    """
    folded, given_by, before = {}, {"": ""}, ""  # given_by: {module: the one that gives its outputs by now}
    for name, module in network.modules.items():
        last = given_by[before]
        if isinstance(module, BatchNorm) and isinstance(folded.get(last), Weighted) and before not in network.sources:
            folded[last] = _scaled(folded[last], module)
            given_by[name] = last
        else:
            folded[name] = module if module.source is None else replace(module, source=given_by[module.source])
            given_by[name] = name
        before = name
    return Sequential(folded)


def lower(
    network: Sequential, inputs: np.ndarray, n_columns: int | None = None, provenance: str = ""
) -> list[Workload]:
    """Return a Workload, with the module's name, for every Linear and convolution of the folded network.

    inputs: f32[batch, ...]. Weights are f32[out, in * kernel]; activations what reaches them, at most n_columns rows
    (see `Sequential.inputs`); relu: whether a ReLU is all that comes next. Raises BadInput.
    """
    network = fold(network)
    reaching = network.inputs(inputs, n_columns)
    followed = zip(network.modules, [*network.modules.values()][1:], strict=False)
    relus = {name for name, after in followed if isinstance(after, ReLU) and name not in network.sources}
    return [
        Workload(
            name=name,
            weights=module.matrix,
            bias=module.bias,
            relu=name in relus,
            kernel=math.prod(module.weights.shape[2:]),
            activations=reaching[name],
            provenance=provenance,
        )
        for name, module in network.weighted.items()
    ]


def lower_blocks(network: Blocks, samples: Any, n_columns: int | None = None, provenance: str = "") -> list[Workload]:
    """Return a Workload for every matrix of an encoder or a decoder, with the first n_columns tokens that reach it.

    samples: those of the network. No matrix is followed by a ReLU. Raises BadInput.
    """
    check_n_columns(n_columns)
    reaching, biases = network.inputs(network.first(samples, n_columns)), network.biases
    return [
        Workload(
            name=name,
            weights=matrix,
            bias=biases[name],
            relu=False,
            activations=reaching[name][:n_columns],
            provenance=provenance,
        )
        for name, matrix in network.matrices.items()
    ]


def restore(network: Sequential, layers: Iterable[Layer]) -> Sequential:
    """Return the folded network with the weights and biases of the layers, each in the module of its name.

    Raises BadInput for a name or shape that the network does not have.
    """
    layers = list(layers)
    network = fold(network).with_matrices({layer.name: layer.weights for layer in layers})
    return network.replace({layer.name: replace(network.modules[layer.name], bias=layer.bias) for layer in layers})


def _scaled(module: Weighted, norm: BatchNorm) -> Weighted:
    scale = norm.gamma.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
    if len(scale) != len(module.weights):
        raise BadInput(f"gamma must be f32[{len(module.weights)}] to follow that many outputs, got f32[{len(scale)}]")
    bias = norm.beta + scale * ((0 if module.bias is None else module.bias) - norm.mean)
    weights = module.weights * scale.reshape(-1, *(1,) * (module.weights.ndim - 1))
    dtype = module.weights.dtype
    return replace(module, weights=weights.astype(dtype), bias=bias.astype(dtype))
