"""The cut itself: a smaller dense network out of an encoder or a decoder, of some neurons, heads or hidden channels.

Whole blocks go by `Blocks.without`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np

from workloads.networks.blocks import Blocks
from workloads.networks.decoder import Decoder
from workloads.networks.transformer import Encoder

Network = TypeVar("Network", bound=Blocks)


def neurons(network: Network, chosen: Mapping[int, np.ndarray]) -> Network:
    """Return the network with some neurons of its feed-forward parts: {block: int[neurons that stay]}, as many each."""
    arrays = dict(network.arrays)
    for layer, places in chosen.items():
        prefix = network.prefix(layer)
        for name in network.WIDER:
            _take(arrays, prefix + name, rows=places)
        _take(arrays, prefix + network.NARROWER, columns=places)
    return replace(network, arrays=arrays)


def heads(network: Network, chosen: Mapping[int, np.ndarray]) -> Network:
    """Return the network with some heads: {block: int[heads that stay]}, ascending, as many each and of each group.

    Keys and values that several heads share stay; those of one head alone go with it.
    """
    arrays, are_alone = dict(network.arrays), network.n_groups == network.n_heads
    for layer, places in chosen.items():
        prefix, values = network.prefix(layer), head_values(places, network.head_dim)
        for name in (network.QUERY, network.KEY, network.VALUE) if are_alone else (network.QUERY,):
            _take(arrays, prefix + name, rows=values)
        _take(arrays, prefix + network.OUTPUT, columns=values)
    counts = {"n_heads": {len(places) for places in chosen.values()}.pop()}
    if are_alone and isinstance(network, Decoder):
        counts["n_kv_heads"] = counts["n_heads"]
    return replace(network, arrays=arrays, **counts)


def channels(network: Network, places: np.ndarray) -> Network:
    """Return the network with some channels of the states, int[channels that stay], ascending.

    An encoder's embedding stays as wide as it was, with zeros in the place of the others. What the network does not
    compute with is left behind.
    """
    arrays = {
        f"{name}.{kind}": network.arrays[f"{name}.{kind}"]
        for name in (*network.names, *network.norms)
        for kind in ("weight", "bias")
        if f"{name}.{kind}" in network.arrays
    }
    writers = {network.prefix(layer) + name for layer in network.layers for name in (network.OUTPUT, network.NARROWER)}
    for name in network.names:
        _take(arrays, name, **({"rows": places} if name in writers else {"columns": places}))
    for name in network.EMBEDDINGS:
        arrays[name] = network.arrays[name][:, places]
    for name in {f"{norm}.{kind}" for norm in network.norms for kind in ("weight", "bias")} & set(arrays):
        arrays[name] = arrays[name][places]
    if isinstance(network, Encoder):
        before = np.arange(network.width) if network.places is None else network.places
        return replace(network, arrays=arrays, places=before[places], n_places=network.n_places or network.width)
    return replace(network, arrays=arrays)


def without_one(network: Network, part: str, layer: int, place: int) -> Network:
    """Return the network without one neuron ("ffn") or head ("heads") of a block, or without a channel ("hidden").

    Of neurons and heads the shapes stay, and nobody reads what the one gives; a channel goes from all blocks.
    """
    if part == "hidden":
        return channels(network, np.delete(np.arange(network.width), place))
    name, width = (network.NARROWER, 1) if part == "ffn" else (network.OUTPUT, network.head_dim)
    matrix = f"{network.prefix(layer)}{name}"
    weights = network.matrices[matrix].copy()
    weights[:, head_values(np.array([place]), width)] = 0
    return network.with_matrices({matrix: weights})


def head_values(places: np.ndarray, head_dim: int) -> np.ndarray:
    """Return int[heads * head_dim]: where the values of some heads lie among those of all."""
    return (places[:, None] * head_dim + np.arange(head_dim)).ravel()


def _take(
    arrays: dict[str, np.ndarray], name: str, rows: np.ndarray | None = None, columns: np.ndarray | None = None
) -> None:
    """Put some rows or columns of a matrix, and of its bias, in its place."""
    weights = arrays[f"{name}.weight"]
    if columns is not None:
        arrays[f"{name}.weight"] = np.ascontiguousarray(weights[:, columns])
        return
    arrays[f"{name}.weight"] = np.ascontiguousarray(weights[rows])
    if f"{name}.bias" in arrays:
        arrays[f"{name}.bias"] = arrays[f"{name}.bias"][rows]
