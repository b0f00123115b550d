"""The small decoder that learns English within a minute: its text, its tokens, its sizes and its training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from workloads.blas import one_thread
from workloads.errors import BadInput
from workloads.networks import bytepair, train
from workloads.networks.decoder import Decoder, untrained
from workloads.networks.gradual import Gradual
from workloads.networks.kept import once
from workloads.networks.modules import Linear
from workloads.records import Workload

N_TOKENS = 32  # of a sample, about a sentence
N_MERGES = 384
N_WORDS = bytepair.N_BYTES + N_MERGES
SIZES = {"width": 64, "n_layers": 8, "n_heads": 8, "n_kv_heads": 2, "head_dim": 8, "n_neurons": 128}
TRAINING = train.Recipe(n_epochs=3, learning_rate=6e-3, batch=16)
NOT_HERE = ("activation_l1", "gamma_l1", "dropout")  # of Training: what a decoder has no place for


def corpus(
    sentences: Iterable[str], n_held_out: int, seed: int, n_merges: int = N_MERGES
) -> tuple[np.ndarray, np.ndarray]:
    """Return samples of sentences in an order that the seed draws, and of the n_held_out first; see `samples`.

    The merges are learnt from those that are not held out. Raises BadInput.
    """
    lines = list(sentences)
    if not 0 < n_held_out < len(lines):
        raise BadInput(f"n_held_out must be 1 to {len(lines) - 1}, got {n_held_out!r}")
    lines = [lines[i] for i in np.random.default_rng(seed).permutation(len(lines))]
    own, others = lines[n_held_out:], lines[:n_held_out]
    merges = bytepair.learn("\n".join(own), n_merges)
    return samples(own, merges), samples(others, merges)


def samples(sentences: Sequence[str], merges: bytepair.Merges, n_tokens: int = N_TOKENS) -> np.ndarray:
    """Return i64[n, n_tokens + 1]: the sentences as lines, in parts of which each begins with the last one's last."""
    tokens = bytepair.encode("\n".join(sentences), merges)
    n = (len(tokens) - 1) // n_tokens
    return np.stack([tokens[start : start + n_tokens + 1] for start in range(0, n * n_tokens, n_tokens)])


def decoder(tokens: np.ndarray, seed: int, recipe: train.Recipe = TRAINING) -> Decoder:
    """Return the decoder of SIZES trained on samples of N_WORDS different tokens."""
    start = untrained(N_WORDS, **SIZES, seed=seed)
    return once(fit, start, tokens, recipe=replace(recipe, seed=seed))


@one_thread()
@np.errstate(over="ignore", invalid="ignore")  # a loss that diverges is refused in one line
def fit(
    network: Decoder,
    tokens: np.ndarray,
    recipe: train.Recipe,
    shared: Iterable[Workload] = (),
    until: Callable[[Decoder], bool] | None = None,
    gradual: Gradual | None = None,
) -> Decoder:
    """Return the decoder trained on samples int[n, tokens + 1]; a weight that is zero stays zero.

    shared: Workloads with codes, whose matrices take their values and keep their codes; until, gradual: see
    `train.fit`. Raises BadInput.
    """
    for field in NOT_HERE:
        if getattr(recipe, field):
            raise BadInput(f"{field} is not for a decoder: leave it out, got {getattr(recipe, field)!r}")
    arrays = {name: np.array(array) for name, array in network.arrays.items()}  # changed in place from here on
    coded = {layer.name: layer for layer in shared}
    for name, layer in coded.items():
        arrays[f"{name}.weight"] = np.array(layer.weights)
        if layer.bias is not None:
            arrays[f"{name}.bias"] = np.array(layer.bias)
    network = replace(network, arrays=arrays)
    linear = {name: Linear(weights=weights, bias=network.biases[name]) for name, weights in network.matrices.items()}
    others = set(arrays) - {f"{name}.{kind}" for name in linear for kind in ("weight", "bias")}
    parameters = {name: module.parameters for name, module in linear.items()}
    parameters |= {name: {"values": arrays[name]} for name in sorted(others)}
    free = [pair for name, module in linear.items() for pair in train.free_values(name, module, coded.get(name))]
    free += [train.non_zeros_of(name, "values", arrays[name]) for name in sorted(others)]

    def gradients_of(chosen: np.ndarray, rng: np.random.Generator) -> tuple[float, train.Gradients]:
        loss, by_array = network.loss_and_gradients(tokens[chosen])
        gradients: train.Gradients = {name: {"values": by_array[name]} for name in others}
        for name, module in linear.items():
            gradients[name] = {"weights": by_array[f"{name}.weight"]}
            if module.bias is not None:
                gradients[name]["bias"] = by_array[f"{name}.bias"]
            loss += train.penalise(parameters[name], gradients[name], recipe)
        return loss, gradients

    ends = None if until is None else partial(until, network)
    train.descend(free, parameters, gradients_of, len(tokens), recipe, ends, gradual)
    return network
