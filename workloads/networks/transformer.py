"""Inference of BERT's encoder, and sentence embeddings from it: the real matrices and inputs of a transformer.

Sentences are not padded: the tokens of all of them stand in one array f32[tokens, width], which every matrix multiplies
at once, and only attention goes sentence by sentence. So what reaches a matrix holds no padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtr

from workloads.errors import BadInput
from workloads.networks.blocks import Blocks

EPSILON = 1e-12  # layer_norm_eps of BERT's and MiniLM's config.json


@dataclass(frozen=True, eq=False)
class Encoder(Blocks):
    """BERT's encoder (Devlin et al. 2019) with mean pooling (Reimers and Gurevych 2019).

    arrays: {name: f32} by the names of the published file, "encoder.layer.0.attention.self.query.weight" f32[out, in]
    and so on; n_heads: heads of attention, 12 in MiniLM. places: int[width] or None: where the channels of the states
    lie in an embedding n_places wide, whose others are 0; None: it is as wide as they are. Raises BadInput for a name
    that is missing.
    """

    n_heads: int = 12
    places: np.ndarray | None = None
    n_places: int | None = None
    PREFIX: ClassVar = "encoder.layer."
    QUERY: ClassVar = "attention.self.query"
    KEY: ClassVar = "attention.self.key"
    VALUE: ClassVar = "attention.self.value"
    OUTPUT: ClassVar = "attention.output.dense"
    WIDER: ClassVar = ("intermediate.dense",)
    NARROWER: ClassVar = "output.dense"
    EMBEDDINGS: ClassVar = tuple(f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type"))

    def __post_init__(self):
        pairs = [f"{name}.{kind}" for name in (*self.norms, *self.names) for kind in ("weight", "bias")]
        for name in (*self.EMBEDDINGS, *pairs):
            if name not in self.arrays:
                raise BadInput(f"arrays must hold {name!r}; they hold {len(self.arrays)} others")
        n_out = len(self.matrices[self.names[0]])
        if self.n_heads < 1 or n_out % self.n_heads:
            raise BadInput(f"n_heads must divide the {n_out} outputs of a query, got {self.n_heads!r}")

    @property
    def norms(self) -> list[str]:
        parts = ("attention.output", "output")
        of_blocks = [f"{self.prefix(layer)}{part}.LayerNorm" for layer in self.layers for part in parts]
        return ["embeddings.LayerNorm", *of_blocks]

    @property
    def n_groups(self) -> int:
        return self.n_heads  # each head has a key and a value of its own

    def stored(self) -> dict[str, np.ndarray]:
        if self.places is not None:
            raise BadInput("a file of weights has no place for which channels of the embedding are left: write .npz")
        return super().stored()

    def lengths(self, samples: Sequence[np.ndarray]) -> list[int]:
        return [len(sentence) for sentence in samples]

    def embed(self, sentences: Sequence[np.ndarray]) -> np.ndarray:
        """Return f32[sentences, width] of length 1: the mean of each sentence's last states. sentences: int[tokens]."""
        *_, last = self.states(sentences)
        means = np.array([states.mean(axis=0) for states in np.split(last, _cuts(sentences))])
        if self.places is not None:
            means, narrow = np.zeros((len(means), self.n_places), means.dtype), means
            means[:, self.places] = narrow
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def states(self, samples: Sequence[np.ndarray], seen: dict[str, np.ndarray] | None = None) -> Iterator[np.ndarray]:
        """Yield f32[tokens, width]: what enters each block, then what leaves the last. samples: int[tokens] each.

        seen: takes what reaches each matrix, by name. Raises BadInput for a token or a length that has no embedding.
        """
        seen = {} if seen is None else seen
        states = self._embedded(samples)
        for layer in self.layers:
            yield states
            states = self._layer(self.prefix(layer), states, _cuts(samples), seen)
        yield states

    def _embedded(self, sentences: Sequence[np.ndarray]) -> np.ndarray:
        words, places = (self.arrays[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position"))
        if not len(sentences) or min(map(len, sentences)) < 1 or max(map(len, sentences)) > len(places):
            raise BadInput(f"sentences must be at least one, of 1 to {len(places)} tokens each")
        tokens = np.concatenate(sentences)
        if tokens.min() < 0 or tokens.max() >= len(words):
            raise BadInput(f"tokens must be 0 to {len(words) - 1}, got {tokens.min()} to {tokens.max()}")
        order = np.concatenate([np.arange(len(sentence)) for sentence in sentences])
        states = words[tokens] + places[order] + self.arrays["embeddings.token_type_embeddings.weight"][0]
        return self._normalised("embeddings.LayerNorm", states)

    def _layer(self, prefix: str, states: np.ndarray, cuts: np.ndarray, seen: dict[str, np.ndarray]) -> np.ndarray:
        def product(name: str, inputs: np.ndarray) -> np.ndarray:
            seen[prefix + name] = inputs
            return inputs @ self.arrays[f"{prefix}{name}.weight"].T + self.arrays[f"{prefix}{name}.bias"]

        heads = (self.QUERY, self.KEY, self.VALUE)
        parts = zip(*(np.split(product(name, states), cuts) for name in heads), strict=True)
        mixed = np.concatenate([self._attend(*part) for part in parts])
        states = self._normalised(f"{prefix}attention.output.LayerNorm", states + product(self.OUTPUT, mixed))
        hidden = product(*self.WIDER, states)
        hidden *= ndtr(hidden)  # GELU
        return self._normalised(f"{prefix}output.LayerNorm", states + product(self.NARROWER, hidden))

    def _attend(self, query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Return f32[tokens, heads * head_dim]: each token's mean of the values, weighted by likeness, head by head."""
        query, key, value = (x.reshape(len(x), self.n_heads, -1).swapaxes(0, 1) for x in (query, key, value))
        likeness = query @ key.swapaxes(1, 2) / query.dtype.type(np.sqrt(query.shape[2]))
        weights = np.exp(likeness - likeness.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        return (weights @ value).swapaxes(0, 1).reshape(value.shape[1], -1)

    def _normalised(self, name: str, states: np.ndarray) -> np.ndarray:
        centred = states - states.mean(axis=1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + EPSILON)
        return centred / deviation * self.arrays[f"{name}.weight"] + self.arrays[f"{name}.bias"]


def _cuts(sentences: Sequence[np.ndarray]) -> np.ndarray:
    """Return where each sentence but the first begins among all tokens."""
    return np.cumsum([len(sentence) for sentence in sentences])[:-1]
