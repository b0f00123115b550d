"""A network of modules in a row made narrower: the outputs that matter least go, with what reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from workloads.errors import BadInput
from workloads.networks import train
from workloads.networks.modules import BatchNorm, Weighted
from workloads.networks.sequential import Sequential

Gradients = Mapping[str, Mapping[str, np.ndarray]]  # {module: {parameter: as the parameter}}

N_BATCH = 64  # of a gradient
N_IMPORTANCE = 1024  # inputs at most


def narrowable(network: Sequential) -> list[str]:
    """Return the matrices whose outputs may go: all but the last, whose outputs are the network's."""
    return list(network.weighted)[:-1]


def importance(network: Sequential, inputs: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return {matrix: f64[outputs]}, by how much the loss would change without each, to first order.

    |gamma x gradient + beta x gradient| of a BatchNorm behind the matrix (HALP, Shen et al. 2022), else the same of the
    output's weights and bias (Molchanov et al. 2017), the mean over batches of the first inputs.
    """
    norms = dict(_norms(network))

    def of_outputs(gradients: Gradients) -> dict[str, np.ndarray]:
        sums = {}
        for name in narrowable(network):
            module = norms.get(name, name)
            products = [
                (value * gradients[module][key]).reshape(len(value), -1).sum(axis=1, dtype=np.float64)
                for key, value in network.modules[module].parameters.items()
            ]
            sums[name] = sum(products)
        return sums

    return means(network, inputs, labels, of_outputs)


def means(
    network: Sequential,
    inputs: np.ndarray,
    labels: np.ndarray,
    of_outputs: Callable[[Gradients], Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Return {matrix: f64[outputs]}, the mean over batches of the first inputs of |what is made of their gradients|."""
    recipe = train.Recipe(n_epochs=1, learning_rate=0.0)
    totals: dict[str, np.ndarray] = {}
    starts = range(0, min(len(inputs), N_IMPORTANCE), N_BATCH)
    for start in starts:
        part = slice(start, start + N_BATCH)
        gradients = train.loss_and_gradients(network, inputs[part], labels[part], recipe)[1]
        for name, changes in of_outputs(gradients).items():
            totals[name] = totals.get(name, 0.0) + np.abs(changes)
    return {name: total / len(starts) for name, total in totals.items()}


def narrowed(network: Sequential, outputs: Mapping[str, np.ndarray]) -> Sequential:
    """Return the network with only these outputs, {matrix: i64[places]}, in ascending order, and what reads them.

    A BatchNorm behind loses their parameters, the next matrix their columns: of a convolution before a Flatten all of a
    channel's places. Raises BadInput for a matrix that may not become narrower, and for no output.
    """
    allowed, modules = narrowable(network), dict(network.modules)
    for name, places in outputs.items():
        if name not in allowed:
            raise BadInput(
                f"matrix {name!r} must keep its outputs: only {', '.join(allowed) or 'none'} may be narrower"
            )
        places = np.sort(np.asarray(places))
        if not len(places):
            raise BadInput(f"matrix {name!r} must keep at least one output, got none")
        own = modules[name]
        n_outputs = len(own.weights)
        bias = None if own.bias is None else own.bias[places]
        modules[name] = replace(own, weights=own.weights[places], bias=bias)
        for after in list(modules)[list(modules).index(name) + 1 :]:
            module = modules[after]
            if isinstance(module, BatchNorm):
                fields = ("gamma", "beta", "mean", "variance")
                modules[after] = replace(module, **{field: getattr(module, field)[places] for field in fields})
            elif isinstance(module, Weighted):
                each = module.weights.shape[1] // n_outputs  # places of a channel that a Flatten laid in a row
                columns = (places[:, None] * each + np.arange(each)).ravel()
                modules[after] = replace(module, weights=np.ascontiguousarray(module.weights[:, columns]))
                break
    return Sequential(modules)


def _norms(network: Sequential) -> Iterator[tuple[str, str]]:
    """Yield (matrix, the BatchNorm behind it) where there is one before the next matrix."""
    last = None
    for name, module in network.modules.items():
        if isinstance(module, Weighted):
            last = name
        elif isinstance(module, BatchNorm) and last is not None:
            yield last, name
