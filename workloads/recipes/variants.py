"""Variants of a decoder's blocks: fewer heads of keys and values, fewer neurons, or no such part; what each loses.

Puzzle's library of blocks and its scores by replacing one block (Bercovich et al. 2024); no block is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from workloads.blas import one_thread
from workloads.errors import BadInput
from workloads.networks import cut
from workloads.networks.decoder import Decoder
from workloads.pruning.reconstruct import least_squares
from workloads.pruning.structured import highest
from workloads.recipes.structure import neuron_scores
from workloads.records import Layer

Sizes = Mapping[tuple[int, str], int]  # {(block, "n_kv_heads" or "ffn"): size; 0: that part is gone}
SHARES = (0.75, 0.5, 0.25)  # of the neurons


def config_of(network: Decoder) -> dict[str, Any]:
    """Return the sizes of a whole decoder as a Hugging Face config.json has them, which `zeroskip llm` runs."""
    return {
        "model_type": "llama",
        "num_hidden_layers": network.n_layers,
        "hidden_size": network.width,
        "intermediate_size": network.n_neurons,
        "num_attention_heads": network.n_heads,
        "num_key_value_heads": network.n_kv_heads,
        "head_dim": network.head_dim,
        "vocab_size": len(network.arrays[network.EMBEDDINGS[0]]),
    }


def variants(network: Decoder) -> list[tuple[str, int]]:
    """Return the (field, size) that one block can have instead: divisors of its heads of keys, shares of neurons."""
    n_kv_heads, ffn = network.n_kv_heads, network.n_neurons
    heads = [n for n in range(n_kv_heads - 1, 0, -1) if n_kv_heads % n == 0]
    neurons = sorted({round(share * ffn) for share in SHARES} - {0, ffn}, reverse=True)
    return [*(("n_kv_heads", n) for n in (*heads, 0)), *(("ffn", n) for n in (*neurons, 0))]


@one_thread()
def scores(network: Decoder, samples: np.ndarray) -> list[tuple[int, str, int, float]]:
    """Return (block, field, size, what the loss rises by with that variant of that one block, all else whole) of each.

    The loss is the mean cross-entropy in nats, the perplexity's logarithm, on samples int[n, tokens + 1].
    """
    whole, seen = network.loss(samples), _Seen(network, samples)
    return [
        (place, field, size, seen.varied({(layer, field): size}).loss(samples) - whole)
        for place, layer in enumerate(network.layers)
        for field, size in variants(network)
    ]


@one_thread()
def varied(network: Decoder, sizes: Sizes, samples: np.ndarray) -> Decoder:
    """Return the decoder whose blocks have some parts of other sizes: {(block, "n_kv_heads" or "ffn"): size}, 0: none.

    Neurons stay that score highest by `activation`; heads of keys and values become the mean of those side by side
    (Ainslie et al. 2023). The matrix that reads what is left is solved for again by least squares, block after block,
    to give what it gave in the whole network on samples int[n, tokens + 1]. Raises BadInput for a size that is none.
    """
    return _Seen(network, samples).varied(sizes)


class _Seen:
    """A decoder with what reaches its matrices on samples, and its neurons' scores, found once for all variants."""

    def __init__(self, network: Decoder, samples: np.ndarray):
        self.network, self.samples = network, samples
        self.reached = network.inputs(samples)
        self.neurons = neuron_scores(network, samples, "activation", 0)

    def varied(self, sizes: Sizes) -> Decoder:
        narrow, whole = self.network, {"n_kv_heads": self.network.n_kv_heads, "ffn": self.network.n_neurons}
        for (layer, field), size in sizes.items():
            if layer not in narrow.layers or field not in whole:
                known = ", ".join(map(str, narrow.layers))
                raise BadInput(f"a part must be n_kv_heads or ffn of block {known}, got {field!r} of {layer}")
            if not 0 <= size <= whole[field] or (field == "n_kv_heads" and size and whole[field] % size):
                raise BadInput(f"{field} of block {layer} must be 0 to {whole[field]}, heads a divisor, got {size}")
        for layer in narrow.layers:
            for field, reader in (("n_kv_heads", narrow.OUTPUT), ("ffn", narrow.NARROWER)):
                size = sizes.get((layer, field), whole[field])
                if size == whole[field]:
                    continue
                shrunk = _with_heads if field == "n_kv_heads" else self._with_neurons
                narrow, name = shrunk(narrow, layer, size), narrow.prefix(layer) + reader
                narrow = self._solved(narrow, name) if size else _without_bias(narrow, name)
        return narrow

    def _with_neurons(self, narrow: Decoder, layer: int, n: int) -> Decoder:
        return cut.neurons(narrow, {layer: highest(self.neurons[layer], n) if n else np.zeros(0, np.int64)})

    def _solved(self, narrow: Decoder, name: str) -> Decoder:
        layer = Layer(name=name, weights=self.network.matrices[name], bias=self.network.biases[name], relu=False)
        reaching, start = narrow.inputs(self.samples)[name], narrow.matrices[name]
        stay = np.ones(start.shape[1], bool)
        weights, bias = least_squares(reaching, layer.forward(self.reached[name]), stay, start=start)
        return replace(narrow, arrays={**narrow.arrays, f"{name}.weight": weights, f"{name}.bias": bias})


def _with_heads(network: Decoder, layer: int, n: int) -> Decoder:
    """Return the decoder with n heads of keys and values in a block, or with no attention there."""
    arrays, prefix = dict(network.arrays), network.prefix(layer)
    changed: dict[str, Any] = {}
    for name in (network.KEY, network.VALUE):
        for kind in ("weight", "bias"):
            if (array := arrays.get(f"{prefix}{name}.{kind}")) is not None:
                apart = array.reshape(n or 1, -1, network.head_dim, *array.shape[1:])
                mean = apart.mean(axis=1, dtype=np.float64).astype(array.dtype).reshape(-1, *array.shape[1:])
                changed[f"{prefix}{name}.{kind}"] = mean if n else array[:0]
    if not n:
        for kind in ("weight", "bias"):
            if (array := arrays.get(f"{prefix}{network.QUERY}.{kind}")) is not None:
                changed[f"{prefix}{network.QUERY}.{kind}"] = array[:0]
        changed[f"{prefix}{network.OUTPUT}.weight"] = arrays[f"{prefix}{network.OUTPUT}.weight"][:, :0]
    return replace(network, arrays=arrays | changed)


def _without_bias(network: Decoder, name: str) -> Decoder:
    return replace(network, arrays={key: array for key, array in network.arrays.items() if key != f"{name}.bias"})
