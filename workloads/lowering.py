"""From modules to matrices and back: fold the normalisations, hand each matrix its real inputs, put new weights in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from workloads.errors import BadInput
from workloads.modules import BatchNorm, Weighted
from workloads.records import Layer, Workload
from workloads.sequential import ReLU, Sequential, batches


def fold(network: Sequential) -> Sequential:
    """Return the network with each BatchNorm that follows a Linear or a convolution folded into it.

    Rows are scaled by gamma / sqrt(variance + epsilon), the rest goes to the bias; zero weights stay zero. A BatchNorm
    anywhere else stays.
    """
    folded, last = {}, ""
    for name, module in network.modules.items():
        if isinstance(module, BatchNorm) and isinstance(folded.get(last), Weighted):
            folded[last] = _scaled(folded[last], module)
        else:
            folded[name] = module
            last = name
    return Sequential(folded)


def lower(
    network: Sequential, inputs: np.ndarray, n_columns: int | None = None, provenance: str = ""
) -> list[Workload]:
    """Return a Workload, with the module's name, for every Linear and convolution of the folded network.

    inputs: f32[batch, ...]. Weights are f32[out, in * kernel], activations what reaches them, f32[batch * positions,
    in * kernel], for a convolution a row per window in the order batch, height, width; relu: whether a ReLU is next.
    n_columns: only the first so many rows of activations. Raises BadInput.
    """
    if n_columns is not None and n_columns < 1:
        raise BadInput(f"n_columns must be at least 1, got {n_columns!r}")
    names, modules = zip(*fold(network).modules.items(), strict=True)
    reaching: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for part in batches(inputs):
        signal, missing = part, False
        for name, module in zip(names, modules, strict=True):
            if isinstance(module, Weighted):
                n_left = None if n_columns is None else n_columns - sum(map(len, reaching[name]))
                if n_left is None or n_left > 0:
                    reaching[name].append(module.columns(signal).T[:n_left])
                    missing |= n_left is None or len(reaching[name][-1]) < n_left
            signal = module.forward(signal)
        if not missing:
            break
    return [
        Workload(
            name=name,
            weights=module.matrix,
            bias=module.bias,
            relu=isinstance(after, ReLU),
            activations=np.concatenate(reaching[name]),
            provenance=provenance,
        )
        for name, module, after in zip(names, modules, (*modules[1:], None), strict=True)
        if isinstance(module, Weighted)
    ]


def restore(network: Sequential, layers: Iterable[Layer]) -> Sequential:
    """Return the folded network with the weights and biases of the layers, each in the module of its name.

    Raises BadInput for a name or shape that the network does not have.
    """
    network, changes = fold(network), {}
    for layer in layers:
        network.check_name(layer.name)
        module = network.modules[layer.name]
        if not isinstance(module, Weighted):
            raise BadInput(f"layer {layer.name!r} must name a Linear or a convolution, got a {type(module).__name__}")
        if module.matrix.shape != layer.weights.shape:
            shape = list(module.matrix.shape)
            raise BadInput(f"weights of layer {layer.name!r} must be f32{shape}, got {list(layer.weights.shape)}")
        changes[layer.name] = replace(module, weights=layer.weights.reshape(module.weights.shape), bias=layer.bias)
    return network.replace(changes)


def _scaled(module: Weighted, norm: BatchNorm) -> Weighted:
    scale = norm.gamma.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
    if len(scale) != len(module.weights):
        raise BadInput(f"gamma must be f32[{len(module.weights)}] to follow that many outputs, got f32[{len(scale)}]")
    bias = norm.beta + scale * ((0 if module.bias is None else module.bias) - norm.mean)
    weights = module.weights * scale.reshape(-1, *(1,) * (module.weights.ndim - 1))
    dtype = module.weights.dtype
    return replace(module, weights=weights.astype(dtype), bias=bias.astype(dtype))
