"""A network of modules in a row made narrower: the channels that matter least go, in all that writes and reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from workloads.errors import BadInput
from workloads.networks import train
from workloads.networks.modules import BatchNorm, Weighted
from workloads.networks.sequential import Add, Flatten, Sequential

Gradients = Mapping[str, Mapping[str, np.ndarray]]  # {module: {parameter: as the parameter}}

N_BATCH = 64  # of a gradient
N_IMPORTANCE = 1024  # inputs at most


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Which outputs of a network's matrices go together, in groups that bear the name of their first matrix.

    writers: {group: the matrices whose outputs an Add joins}, of all that may become narrower; norms: {BatchNorm: the
    group of its channels}, readers: {matrix: the group that it reads}, of these groups.
    """

    writers: dict[str, tuple[str, ...]]
    norms: dict[str, str]
    readers: dict[str, str]

    @property
    def written(self) -> dict[str, str]:
        """{matrix: the group that it writes}."""
        return {name: group for group, names in self.writers.items() for name in names}


def channels(network: Sequential) -> Channels:
    """Return what of a network goes together; outputs of the network, and what is added to its inputs, stay."""
    group: dict[str, str] = {"": ""}  # {matrix: the first whose outputs go with its own}; "": the network's inputs
    stays, norms, readers, left = {""}, {}, {}, {}
    signal = ("", False)  # the matrix that gave it, and whether a channel's places lie in a row
    for name, module in network.modules.items():
        if isinstance(module, Weighted):
            readers[name], group[name] = signal[0], name
            signal = (name, False)
        elif isinstance(module, Flatten):
            signal = (signal[0], True)
        elif isinstance(module, BatchNorm):
            norms[name] = signal[0]
        elif isinstance(module, Add):
            pair = signal, left[module.source]
            (first, is_flat), (second, is_flat_too) = sorted(pair, key=lambda of: list(group).index(group[of[0]]))
            old, new = group[second], group[first]
            sizes = {len(network.weighted[name].weights) if name else 0 for name in (old, new)}
            if stays & {old, new} or is_flat != is_flat_too or len(sizes) > 1:
                stays |= {old, new}
            group = {name: new if of == old else of for name, of in group.items()}
        left[name] = signal
    stays |= {group[signal[0]]}
    writers: dict[str, tuple[str, ...]] = {}
    for name, of in group.items():
        if of not in stays:
            writers[of] = (*writers.get(of, ()), name)
    return Channels(
        writers=writers,
        norms={name: group[of] for name, of in norms.items() if group[of] in writers},
        readers={name: group[of] for name, of in readers.items() if group[of] in writers},
    )


def importance(network: Sequential, inputs: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return {group: f64[channels]}, by how much the loss would change without each, to first order.

    Of each matrix that writes it |gamma x gradient + beta x gradient| of a BatchNorm behind (HALP, Shen et al. 2022),
    else the same of the output's weights and bias (Molchanov et al. 2017), the mean over batches of the first inputs;
    summed over these matrices.
    """
    norms, written = dict(_norms(network)), channels(network).written

    def of_outputs(gradients: Gradients) -> dict[str, np.ndarray]:
        sums = {}
        for name in written:
            module = norms.get(name, name)
            products = [
                (value * gradients[module][key]).reshape(len(value), -1).sum(axis=1, dtype=np.float64)
                for key, value in network.modules[module].parameters.items()
            ]
            sums[name] = sum(products)
        return sums

    of_groups: dict[str, np.ndarray] = {}
    for name, each in means(network, inputs, labels, of_outputs).items():
        of_groups[written[name]] = of_groups.get(written[name], 0.0) + each
    return of_groups


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
    """Return the network with only these channels, {group: i64[places]}, in ascending order, and what reads them.

    A BatchNorm between loses their parameters, a reader their columns: of a convolution before a Flatten all of a
    channel's places. Raises BadInput for a matrix that may not become narrower, and for no output.
    """
    known, modules = channels(network), dict(network.modules)
    for group, places in outputs.items():
        if group not in known.writers:
            allowed = ", ".join(" with ".join(names) for names in known.writers.values())
            raise BadInput(f"matrix {group!r} must keep its outputs: only {allowed or 'none'} may be narrower")
        places = np.sort(np.asarray(places))
        if not len(places):
            raise BadInput(f"matrix {group!r} must keep at least one output, got none")
        n_channels = len(modules[group].weights)
        for name, module in list(modules.items()):
            if known.norms.get(name) == group:
                fields = ("gamma", "beta", "mean", "variance")
                modules[name] = replace(module, **{field: getattr(module, field)[places] for field in fields})
            if known.readers.get(name) == group:
                each = module.weights.shape[1] // n_channels  # places of a channel that a Flatten laid in a row
                columns = (places[:, None] * each + np.arange(each)).ravel()
                modules[name] = replace(module, weights=np.ascontiguousarray(module.weights[:, columns]))
            if name in known.writers[group]:
                own = modules[name]
                bias = None if own.bias is None else own.bias[places]
                modules[name] = replace(own, weights=own.weights[places], bias=bias)
    return Sequential(modules)


def _norms(network: Sequential) -> Iterator[tuple[str, str]]:
    """Yield (matrix, the BatchNorm behind) where all that it gives goes through one before the next matrix or Add."""
    last = None
    for name, module in network.modules.items():
        if isinstance(module, BatchNorm) and last is not None:
            yield last, name
        if isinstance(module, Weighted):
            last = name
        if isinstance(module, Add) or name in network.sources:
            last = None
