"""A causal decoder in the manner of Llama, forward and backward: a language model, small enough to train here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from workloads.errors import BadInput
from workloads.networks import functions
from workloads.networks.blocks import Blocks

N_TOKENS_AT_ONCE = 2**13  # that go through the network together where only the loss is wanted
HEAD = "lm_head"


@dataclass(frozen=True, eq=False)
class Decoder(Blocks):
    """RMSNorm before each part, rotary positions, grouped-query attention, SwiGLU (Touvron et al. 2023).

    arrays: {name: f32} by the names of Llama's files, "model.layers.0.self_attn.q_proj.weight" f32[out, in] and so on;
    any matrix may have a bias. Samples are int[n, tokens + 1]: the label of each token is the next, and the last is
    only a label. A block may have fewer heads of keys and values than the n_kv_heads of a whole one, fewer neurons, or
    matrices f32[0, in] and f32[out, 0] where a part of it is gone. Raises BadInput for a name that is missing and for
    heads that do not fit.
    """

    n_kv_heads: int = 1
    PREFIX: ClassVar = "model.layers."
    QUERY: ClassVar = "self_attn.q_proj"
    KEY: ClassVar = "self_attn.k_proj"
    VALUE: ClassVar = "self_attn.v_proj"
    OUTPUT: ClassVar = "self_attn.o_proj"
    WIDER: ClassVar = ("mlp.gate_proj", "mlp.up_proj")
    NARROWER: ClassVar = "mlp.down_proj"
    EMBEDDINGS: ClassVar = ("model.embed_tokens.weight",)
    NORMS: ClassVar = ("input_layernorm", "post_attention_layernorm")
    LAST_NORM: ClassVar = "model.norm"

    def __post_init__(self):
        for name in (*self.EMBEDDINGS, *(f"{name}.weight" for name in (*self.norms, *self.names))):
            if name not in self.arrays:
                raise BadInput(f"arrays must hold {name!r}; they hold {len(self.arrays)} others")
        if self.n_kv_heads < 1 or self.n_heads < 1 or self.n_heads % self.n_kv_heads:
            raise BadInput(f"n_kv_heads must divide the {self.n_heads} heads, got {self.n_kv_heads!r}")
        for layer in self.layers:
            n_query, n_key = (len(self.arrays[f"{self.prefix(layer)}{name}.weight"]) for name in (self.QUERY, self.KEY))
            if n_query == n_key == 0:
                continue
            if n_query % (2 * self.n_heads):
                raise BadInput(
                    f"heads must divide the {n_query} outputs of {self.QUERY} into pairs of values, got {self.n_heads}"
                )
            n_kv_heads, rest = divmod(n_key, n_query // self.n_heads)
            if rest or not n_kv_heads or self.n_kv_heads % n_kv_heads:
                raise BadInput(
                    f"{self.KEY} of block {layer} must have {self.n_kv_heads} heads of {n_query // self.n_heads} "
                    f"values, or a divisor of that, got {n_key} outputs"
                )

    @property
    def norms(self) -> list[str]:
        return [*(f"{self.prefix(layer)}{norm}" for layer in self.layers for norm in self.NORMS), self.LAST_NORM]

    @property
    def n_groups(self) -> int:
        return self.n_kv_heads

    @property
    def names(self) -> list[str]:
        return [*super().names, HEAD]

    def first(self, samples: np.ndarray, n_tokens: int | None) -> np.ndarray:
        n_samples = None if n_tokens is None else -(-n_tokens // max(1, np.shape(samples)[-1] - 1))
        return samples[:n_samples]

    def lengths(self, samples: np.ndarray) -> list[int]:
        return [samples.shape[1] - 1] * len(samples)

    def states(self, samples: np.ndarray, seen: dict[str, np.ndarray] | None = None) -> Iterator[np.ndarray]:
        """Yield f32[tokens, width]: what enters each block, then what leaves the last. See `Blocks.states`."""
        seen = {} if seen is None else seen
        tokens, _ = self._tokens_and_labels(samples)
        states = self._embedded(tokens)
        for layer in self.layers:
            yield states
            states, _ = self._block(layer, states, tokens.shape[1], seen)
        seen[HEAD], _ = functions.rms_norm(states, self.arrays[f"{self.LAST_NORM}.weight"])
        yield states

    def losses(self, samples: np.ndarray) -> np.ndarray:
        """Return f[n, tokens]: the cross-entropy of each token's label in nats."""
        _, labels = self._tokens_and_labels(samples)
        size = max(1, N_TOKENS_AT_ONCE // labels.shape[1])
        parts = []
        for start in range(0, len(samples), size):
            reaching = self.inputs(samples[start : start + size])[HEAD]
            logits, _ = self._product(HEAD, reaching, {})
            parts.append(functions.cross_entropy(logits, labels[start : start + size].ravel())[0])
        return np.concatenate(parts).reshape(labels.shape)

    def loss(self, samples: np.ndarray) -> float:
        """Return the mean cross-entropy of the labels in nats."""
        return float(self.losses(samples).mean(dtype=np.float64))

    def perplexity(self, samples: np.ndarray) -> float:
        """Return e to the loss: among how many equally likely tokens the next seems to be chosen."""
        return float(np.exp(self.loss(samples)))

    def loss_and_gradients(self, samples: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        """Return the loss and its gradient by every array, by its name."""
        tokens, labels = self._tokens_and_labels(samples)
        states, ways = self._embedded(tokens), []
        for layer in self.layers:
            states, way = self._block(layer, states, tokens.shape[1], {})
            ways.append(way)
        normal, by_norm = functions.rms_norm(states, self.arrays[f"{self.LAST_NORM}.weight"])
        logits, by_head = self._product(HEAD, normal, {})
        losses, by_losses = functions.cross_entropy(logits, labels.ravel())
        gradients: dict[str, np.ndarray] = {}
        gradient = by_head(by_losses(), gradients)
        gradient, gradients[f"{self.LAST_NORM}.weight"] = by_norm(gradient)
        for way in reversed(ways):
            gradient = way(gradient, gradients)
        table = np.zeros_like(self.arrays[self.EMBEDDINGS[0]])
        np.add.at(table, tokens.ravel(), gradient)
        gradients[self.EMBEDDINGS[0]] = table
        return float(losses.mean(dtype=np.float64)), gradients

    def _tokens_and_labels(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both as int[n, tokens]. Raises BadInput."""
        samples = np.asarray(samples)
        if samples.ndim != 2 or samples.dtype.kind not in "iu" or len(samples) < 1 or samples.shape[1] < 2:
            raise BadInput(f"samples must be int[n, tokens + 1], got {samples.dtype}{list(samples.shape)}")
        n_words = min(len(self.arrays[self.EMBEDDINGS[0]]), len(self.arrays[f"{HEAD}.weight"]))
        if samples.min() < 0 or samples.max() >= n_words:
            raise BadInput(f"tokens must be 0 to {n_words - 1}, got {samples.min()} to {samples.max()}")
        return samples[:, :-1], samples[:, 1:]

    def _embedded(self, tokens: np.ndarray) -> np.ndarray:
        return self.arrays[self.EMBEDDINGS[0]][tokens.ravel()]

    def _product(self, name: str, inputs: np.ndarray, seen: dict[str, np.ndarray]):
        """Return what leaves a matrix, and what carries a gradient back and puts those of its arrays into a dict."""
        seen[name] = inputs
        outputs, back = functions.product(inputs, self.arrays[f"{name}.weight"], self.arrays.get(f"{name}.bias"))

        def carry(gradient, gradients):
            by_inputs, gradients[f"{name}.weight"], by_bias = back(gradient)
            if by_bias is not None:
                gradients[f"{name}.bias"] = by_bias
            return by_inputs

        return outputs, carry

    def _block(self, layer: int, states: np.ndarray, n_tokens: int, seen: dict[str, np.ndarray]):
        """Return the states behind a block, and what carries a gradient back through it; see `_product`."""
        prefix = self.prefix(layer)
        gains = [f"{prefix}{norm}.weight" for norm in self.NORMS]

        normal, by_first = functions.rms_norm(states, self.arrays[gains[0]])
        heads = [self._product(prefix + name, normal, seen) for name in (self.QUERY, self.KEY, self.VALUE)]
        mixed, by_heads = functions.attention(*(rows for rows, _ in heads), n_tokens, self.n_heads)
        added, by_mixed = self._product(prefix + self.OUTPUT, mixed, seen)
        states = states + added

        normal, by_second = functions.rms_norm(states, self.arrays[gains[1]])
        wider = [self._product(prefix + name, normal, seen) for name in self.WIDER]
        hidden, by_wider = functions.gated(*(rows for rows, _ in wider))
        added, by_hidden = self._product(prefix + self.NARROWER, hidden, seen)

        def carry(gradient, gradients):
            parts = by_wider(by_hidden(gradient, gradients))
            by_normal = sum(back(part, gradients) for (_, back), part in zip(wider, parts, strict=True))
            by_states, gradients[gains[1]] = by_second(by_normal)
            gradient = gradient + by_states
            parts = by_heads(by_mixed(gradient, gradients))
            by_normal = sum(back(part, gradients) for (_, back), part in zip(heads, parts, strict=True))
            by_states, gradients[gains[0]] = by_first(by_normal)
            return gradient + by_states

        return states + added, carry


def untrained(
    n_words: int, width: int, n_layers: int, n_heads: int, n_kv_heads: int, head_dim: int, n_neurons: int, seed: int
) -> Decoder:
    """Return a decoder drawn from a normal distribution: variance 1 / in, of what adds to the states 1 / in / 2 layers.

    Source of the smaller ones: GPT-2, Radford et al. 2019, section 2.3.
    """
    rng = np.random.default_rng(seed)

    def drawn(n_out: int, n_in: int, gain: float = 1.0) -> np.ndarray:
        return rng.standard_normal((n_out, n_in), np.float32) * np.float32(gain / np.sqrt(n_in))

    last = 1 / np.sqrt(2 * n_layers)
    sizes = {
        Decoder.QUERY: (n_heads * head_dim, width),
        Decoder.KEY: (n_kv_heads * head_dim, width),
        Decoder.VALUE: (n_kv_heads * head_dim, width),
        Decoder.OUTPUT: (width, n_heads * head_dim, last),
        **dict.fromkeys(Decoder.WIDER, (n_neurons, width)),
        Decoder.NARROWER: (width, n_neurons, last),
    }
    arrays = {Decoder.EMBEDDINGS[0]: rng.standard_normal((n_words, width), np.float32)}
    for layer in range(n_layers):
        prefix = f"{Decoder.PREFIX}{layer}."
        arrays |= {f"{prefix}{name}.weight": drawn(*size) for name, size in sizes.items()}
        arrays |= {f"{prefix}{norm}.weight": np.ones(width, np.float32) for norm in Decoder.NORMS}
    arrays |= {f"{Decoder.LAST_NORM}.weight": np.ones(width, np.float32), f"{HEAD}.weight": drawn(n_words, width)}
    return Decoder(arrays, n_heads, n_kv_heads)
