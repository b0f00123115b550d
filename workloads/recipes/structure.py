"""What each neuron, head, channel and block of a transformer is worth by a criterion, and which of them stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.networks.blocks import Blocks
from workloads.networks.decoder import Decoder
from workloads.networks.transformer import Encoder
from workloads.pruning import structured

OF_WIDTH = ("activation", "magnitude", "random")
# {criterion: (how many first blocks it protects, how many last)}
OF_DEPTH = {
    "influence": (0, 0),
    "perplexity": (0, 0),
    "taylor": (0, 0),
    "taylor+": (4, 2),  # Shortened LLaMA, Kim et al. 2024
    "sleb": (1, 1),
    "magnitude": (0, 0),
    "random": (0, 0),
}


def protected(blocks: tuple[int, ...], criterion: str) -> tuple[int, ...]:
    """Return the blocks, of those that there are, that a criterion lets nobody take."""
    n_first, n_last = OF_DEPTH[criterion]
    return tuple(sorted({*blocks[:n_first], *blocks[len(blocks) - n_last :]}))


def loss_of(dense: Blocks, samples: Any) -> Callable[[Blocks], float]:
    """Return what gives the loss of a network: a decoder's cross-entropy, 1 less an encoder's cosine to the dense one.

    The cosine is the mean over samples of that between the embeddings.
    """
    if isinstance(dense, Decoder):
        return lambda network: network.loss(samples)
    wanted = dense.embed(samples)
    return lambda network: 1 - float((network.embed(samples) * wanted).sum(axis=1).mean())


def blocks_to_drop(network: Blocks, samples: Any, n: int, criterion: str, seed: int) -> list[int]:
    """Return the n blocks that a criterion takes, in the order in which it takes them. Raises BadInput."""
    safe = protected(network.layers, criterion)
    if criterion == "sleb":
        loss = loss_of(network, samples)
        return structured.greedy_blocks(lambda gone: loss(network.without(gone)), network.layers, n, safe)
    return structured.lowest_blocks(block_scores(network, samples, criterion, seed), n, safe)


def block_scores(network: Blocks, samples: Any, criterion: str, seed: int) -> dict[int, float]:
    """Return {block: score}; the lowest matters least. Raises BadInput where the criterion needs what is not there."""
    layers = network.layers
    if criterion == "influence":
        states = list(network.states(samples))
        return {
            layer: structured.block_influence(*pair)
            for layer, pair in zip(layers, zip(states, states[1:]), strict=True)
        }
    if criterion in ("perplexity", "sleb"):
        loss = loss_of(network, samples)
        return {layer: loss(network.without([layer])) for layer in layers}
    if criterion == "random":
        return dict(zip(layers, np.random.default_rng(seed).random(len(layers)).tolist(), strict=True))
    names = {layer: [name for name in network.names if name.startswith(network.prefix(layer))] for layer in layers}
    weights = {layer: [network.matrices[name] for name in names[layer]] for layer in layers}
    if criterion == "magnitude":
        return {layer: float(sum(np.abs(w).sum(dtype=np.float64) for w in weights[layer])) for layer in layers}
    if isinstance(network, Encoder):
        raise BadInput(f"criterion {criterion!r} takes the gradient of a loss, which an encoder has none of here")
    _, gradients = network.loss_and_gradients(samples)
    return {
        layer: structured.taylor(weights[layer], (gradients[f"{name}.weight"] for name in names[layer]))
        for layer in layers
    }


def neuron_scores(network: Blocks, samples: Any, criterion: str, seed: int) -> dict[int, np.ndarray]:
    """Return {block: f64[neurons]} of the feed-forward parts: by what reaches the matrix behind them, or by weights."""
    n, rng = network.n_neurons, np.random.default_rng(seed)
    if criterion == "random":
        return {layer: rng.random(n) for layer in network.layers}
    if criterion == "activation":
        return dict(_of_activations(network, samples, network.NARROWER))
    return {
        layer: np.sqrt(
            sum(_squares(network, layer, name, 1) for name in network.WIDER)
            + _squares(network, layer, network.NARROWER, 0)
        )
        for layer in network.layers
    }


def head_scores(network: Blocks, samples: Any, criterion: str, seed: int) -> dict[int, np.ndarray]:
    """Return {block: f64[heads]}: by what reaches the matrix behind attention, or by weights."""
    n, rng = network.n_heads, np.random.default_rng(seed)
    if criterion == "random":
        return {layer: rng.random(n) for layer in network.layers}
    if criterion == "activation":
        by_value = dict(_of_activations(network, samples, network.OUTPUT))
    else:
        by_value = {
            layer: np.sqrt(_squares(network, layer, network.QUERY, 1) + _squares(network, layer, network.OUTPUT, 0))
            for layer in network.layers
        }
    return {layer: structured.of_heads(scores, n) for layer, scores in by_value.items()}


def channel_scores(network: Blocks, samples: Any, criterion: str, seed: int) -> np.ndarray:
    """Return f64[width], one ranking for all blocks: by what the normalisations give, or all weights of a channel."""
    if criterion == "random":
        return np.random.default_rng(seed).random(network.width)
    if criterion == "activation":
        # What the first reader of the states and the first of the feed-forward part take, a normalisation has given.
        first = (network.QUERY, network.WIDER[0])
        return sum(scores for name in first for _, scores in _of_activations(network, samples, name))
    squares = sum(np.square(network.arrays[name], dtype=np.float64).sum(axis=0) for name in network.EMBEDDINGS)
    for layer in network.layers:
        for name in network.parts():
            squares = squares + _squares(network, layer, name, int(name in (network.OUTPUT, network.NARROWER)))
    return np.sqrt(squares)


def _of_activations(network: Blocks, samples: Any, part: str) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each block with the norms f64[in] of what reaches one of its matrices."""
    reaching, ends = network.inputs(samples), np.cumsum(network.lengths(samples))[:-1]
    for layer in network.layers:
        yield layer, structured.activation_norms(np.split(reaching[network.prefix(layer) + part], ends))


def _squares(network: Blocks, layer: int, part: str, axis: int) -> np.ndarray:
    """Return the sums of squares of a matrix over its rows (0) or columns (1)."""
    return np.square(network.matrices[network.prefix(layer) + part], dtype=np.float64).sum(axis=axis)


SCORES: Mapping[str, Callable[..., Any]] = {"ffn": neuron_scores, "heads": head_scores, "hidden": channel_scores}
