"""One face for what a recipe works on: matrices by name, what reaches them, and new weights put in their place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.graphs.lowering import block_diagonal
from workloads.networks.decoder import Decoder
from workloads.networks.lowering import fold, lower, lower_blocks
from workloads.networks.modules import BatchNorm, Linear, Module, Weighted
from workloads.networks.sequential import Add, ReLU, Sequential
from workloads.networks.transformer import Encoder
from workloads.records import Layer, Model, Network, Workload

# {matrix: (weights f32[out, in], or f32[out, in / groups], and bias f32[out])}
Parameters = Mapping[str, tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True, eq=False)
class Modules:
    """Modules in a row; their inputs are f32[batch, ...]."""

    network: Sequential

    @property
    def matrices(self) -> dict[str, np.ndarray]:
        """{name: f32[out, in * kernel]}."""
        return self.network.matrices

    @property
    def biases(self) -> dict[str, np.ndarray | None]:
        """{name: f32[out] or None}."""
        return {name: module.bias for name, module in self.network.weighted.items()}

    @property
    def kernels(self) -> dict[str, int]:
        """{name: columns of an input channel}."""
        return {name: math.prod(module.weights.shape[2:]) for name, module in self.network.weighted.items()}

    @property
    def groups(self) -> dict[str, int]:
        """{name: how many matrices stand over each other, each with columns of its own of what reaches them}."""
        return dict.fromkeys(self.network.weighted, 1)

    @property
    def before(self) -> dict[str, str]:
        """{name: the matrix whose outputs reach it and nothing else, each on its own and treated like all others}."""
        network, before, last = fold(self.network), {}, ""
        for name, module in network.modules.items():
            if isinstance(module, Weighted):
                before |= {name: last} if last else {}
                last = name
            # A BatchNorm that folds nowhere scales each output in its own way, an Add mixes them with others'.
            if isinstance(module, BatchNorm | Add) or name in network.sources:
                last = ""
        return before

    @property
    def gammas(self) -> dict[str, np.ndarray]:
        """{name: f32[out], the scales of the batch normalisation that follows}."""
        pairs = zip(self.network.modules.items(), [*self.network.modules.values()][1:], strict=False)
        return {name: after.gamma for (name, _), after in pairs if isinstance(after, BatchNorm)}

    def reaching(self, inputs: np.ndarray, n_columns: int) -> dict[str, np.ndarray]:
        """Return {name: f32[up to n_columns, in * kernel]}: what reaches each matrix."""
        return self.network.inputs(inputs, n_columns)

    def workloads(self, inputs: np.ndarray, n_columns: int | None, provenance: str = "") -> list[Workload]:
        """Return a Workload for every matrix of the folded network, with what reaches it."""
        return lower(self.network, inputs, n_columns, provenance)

    def with_parameters(self, changes: Parameters) -> Modules:
        """Return the network with the weights and biases of some matrices replaced."""
        net = self.network.with_matrices({name: weights for name, (weights, _) in changes.items()})
        return Modules(
            net.replace({name: replace(net.modules[name], bias=bias) for name, (_, bias) in changes.items()})
        )

    def folded(self) -> Modules:
        """Return the network with its normalisations folded into the matrices before them."""
        return Modules(fold(self.network))


@dataclass(frozen=True, eq=False)
class Transformer:
    """An encoder or a decoder; its inputs are its samples."""

    network: Encoder | Decoder

    @property
    def matrices(self) -> dict[str, np.ndarray]:
        return self.network.matrices

    @property
    def biases(self) -> dict[str, np.ndarray | None]:
        return self.network.biases

    @property
    def kernels(self) -> dict[str, int]:
        return dict.fromkeys(self.network.names, 1)

    @property
    def groups(self) -> dict[str, int]:
        return dict.fromkeys(self.network.names, 1)

    @property
    def before(self) -> dict[str, str]:
        # Only GELU stands between the two matrices of a feed-forward part; all others read sums, mixtures or products.
        if len(self.network.WIDER) > 1:
            return {}
        (wider,), prefixes = self.network.WIDER, map(self.network.prefix, self.network.layers)
        return {f"{prefix}{self.network.NARROWER}": f"{prefix}{wider}" for prefix in prefixes}

    @property
    def gammas(self) -> dict[str, np.ndarray]:
        return {}

    def reaching(self, inputs: Any, n_columns: int) -> dict[str, np.ndarray]:
        reaching = self.network.inputs(self.network.first(inputs, n_columns))
        return {name: rows[:n_columns] for name, rows in reaching.items()}

    def workloads(self, inputs: Any, n_columns: int | None, provenance: str = "") -> list[Workload]:
        return lower_blocks(self.network, inputs, n_columns, provenance)

    def with_parameters(self, changes: Parameters) -> Transformer:
        net = self.network.with_matrices({name: weights for name, (weights, _) in changes.items()})
        biases = {f"{name}.bias": bias for name, (_, bias) in changes.items() if bias is not None}
        return Transformer(replace(net, arrays={**net.arrays, **biases}))

    def folded(self) -> Transformer:
        return self


@dataclass(frozen=True, eq=False)
class Apart:
    """A model's layers, each with activations of its own; there are no inputs. Of one in groups the blocks are seen."""

    network: Model

    @property
    def matrices(self) -> dict[str, np.ndarray]:
        return {layer.name: layer.blocks for layer in self.network.layers}

    @property
    def biases(self) -> dict[str, np.ndarray | None]:
        return {layer.name: layer.bias for layer in self.network.layers}

    @property
    def kernels(self) -> dict[str, int]:
        return {layer.name: layer.kernel for layer in self.network.layers}

    @property
    def groups(self) -> dict[str, int]:
        return {layer.name: layer.groups for layer in self.network.layers}

    @property
    def before(self) -> dict[str, str]:
        return {}

    @property
    def gammas(self) -> dict[str, np.ndarray]:
        return {}

    def reaching(self, inputs: None, n_columns: int) -> dict[str, np.ndarray]:
        return {layer.name: layer.activations[:n_columns] for layer in self.network.layers}

    def workloads(self, inputs: None, n_columns: int | None, provenance: str = "") -> list[Workload]:
        return [layer.first(n_columns) for layer in self.network.layers]

    def with_parameters(self, changes: Parameters) -> Apart:
        layers = []
        for layer in self.network.layers:
            weights, bias = layer.weights, layer.bias
            if layer.name in changes:
                blocks, bias = changes[layer.name]
                weights = block_diagonal(blocks, layer.groups)
            is_on_grid = ((weights == 0) | (weights == layer.weights)).all()
            bits = layer.weight_bits if is_on_grid else None
            layers.append(replace(layer, weights=weights, bias=bias, codes=None, codebook=None, weight_bits=bits))
        return Apart(self.network.with_layers(layers))

    def folded(self) -> Apart:
        return self


Subject = Modules | Transformer | Apart
Compressible = Sequential | Encoder | Decoder | Network | Model | Workload


def subject(network: Compressible) -> Subject:
    """Return the network as a recipe sees it; codes of shared layers are left behind. Raises BadInput."""
    if isinstance(network, Encoder | Decoder):
        return Transformer(network)
    if isinstance(network, Sequential):
        return Modules(network)
    if isinstance(network, Network):
        return Modules(_in_a_row(network.layers))
    if isinstance(network, Workload):
        network = Model(name=network.name, operators=(network,))
    if isinstance(network, Model):
        return Apart(network)
    known = "a Sequential, an Encoder, a Decoder, a Network, a Model or a Workload"
    raise BadInput(f"network must be {known}, got {type(network).__name__}")


def _in_a_row(layers: Iterable[Layer]) -> Sequential:
    modules: dict[str, Module] = {}
    for layer in layers:
        if layer.name in modules:
            raise BadInput(f"layers must have names of their own, got {layer.name!r} twice")
        modules[layer.name] = Linear(weights=layer.weights, bias=layer.bias)
        if layer.relu:
            modules[f"{layer.name} relu"] = ReLU()
    return Sequential(modules)
