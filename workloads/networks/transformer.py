"""Inference of BERT's encoder, and sentence embeddings from it: the real matrices and inputs of a transformer.

Sentences are not padded: the tokens of all of them stand in one array f32[tokens, width], which every matrix multiplies
at once, and only attention goes sentence by sentence. So what reaches a matrix holds no padding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from workloads.errors import BadInput, did_you_mean

EPSILON = 1e-12  # layer_norm_eps of BERT's and MiniLM's config.json
# The matrices of a layer, in the order in which they are met; MiniLM's 6 layers have 36.
MATRICES = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


@dataclass(frozen=True, eq=False)
class Encoder:
    """BERT's encoder (Devlin et al. 2019) with mean pooling (Reimers and Gurevych 2019).

    arrays: {name: f32} by the names of the published file, "encoder.layer.0.attention.self.query.weight" f32[out, in]
    and so on; n_heads: heads of attention, 12 in MiniLM. Raises BadInput for a name that is missing.
    """

    arrays: Mapping[str, np.ndarray]
    n_heads: int = 12

    def __post_init__(self):
        embeddings = [f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")]
        norms = ["embeddings.LayerNorm"]
        for layer in range(self.n_layers):
            norms += [f"{_prefix(layer)}{part}.LayerNorm" for part in ("attention.output", "output")]
        pairs = [f"{name}.{kind}" for name in (*norms, *self.names) for kind in ("weight", "bias")]
        for name in (*embeddings, *pairs):
            if name not in self.arrays:
                raise BadInput(f"arrays must hold {name!r}; they hold {len(self.arrays)} others")
        if self.n_heads < 1 or self.width % self.n_heads:
            raise BadInput(f"n_heads must divide the width {self.width}, got {self.n_heads!r}")

    @property
    def width(self) -> int:
        return self.arrays["embeddings.word_embeddings.weight"].shape[1]

    @property
    def n_layers(self) -> int:
        numbers = {match[1] for name in self.arrays if (match := re.match(r"encoder\.layer\.(\d+)\.", name))}
        if not numbers:
            raise BadInput(f"arrays must hold encoder.layer.0 and on, got {len(self.arrays)} others")
        return len(numbers)

    @property
    def names(self) -> list[str]:
        """The names of the matrices, in the order in which they are met."""
        return [_prefix(layer) + name for layer in range(self.n_layers) for name in MATRICES]

    @property
    def matrices(self) -> dict[str, np.ndarray]:
        """{name: f32[out, in]} of every matrix but the embeddings."""
        return {name: self.arrays[f"{name}.weight"] for name in self.names}

    def with_matrices(self, changes: Mapping[str, np.ndarray]) -> Encoder:
        """Return the encoder with some matrices replaced: {name: f32[out, in]}. Raises BadInput."""
        for name, weights in changes.items():
            if name not in self.names:
                raise BadInput(f"unknown matrix {name!r}{did_you_mean(name, self.names)}")
            if weights.shape != (shape := self.arrays[f"{name}.weight"].shape):
                raise BadInput(f"matrix {name!r} must be f32{list(shape)}, got {list(weights.shape)}")
        return replace(self, arrays={**self.arrays, **{f"{name}.weight": new for name, new in changes.items()}})

    def embed(self, sentences: Sequence[np.ndarray]) -> np.ndarray:
        """Return f32[sentences, width] of length 1: the mean of each sentence's last states. sentences: int[tokens]."""
        *_, last = self.states(sentences)
        means = np.array([states.mean(axis=0) for states in np.split(last, _cuts(sentences))])
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def inputs(self, sentences: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return {name: f32[tokens, in]}: what reaches each matrix, the tokens of all sentences in order."""
        seen: dict[str, np.ndarray] = {}
        for _ in self.states(sentences, seen):
            pass
        return seen

    def states(
        self, sentences: Sequence[np.ndarray], seen: dict[str, np.ndarray] | None = None
    ) -> Iterator[np.ndarray]:
        """Yield f32[tokens, width]: what enters each layer, then what leaves the last.

        seen: takes what reaches each matrix, by name. Raises BadInput for a token or a length that has no embedding.
        """
        seen = {} if seen is None else seen
        states = self._embedded(sentences)
        for layer in range(self.n_layers):
            yield states
            states = self._layer(_prefix(layer), states, _cuts(sentences), seen)
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

        query, key, value, output, wider, narrower = MATRICES
        parts = zip(*(np.split(product(name, states), cuts) for name in (query, key, value)), strict=True)
        mixed = np.concatenate([self._attend(*part) for part in parts])
        states = self._normalised(f"{prefix}attention.output.LayerNorm", states + product(output, mixed))
        hidden = product(wider, states)
        hidden *= ndtr(hidden)  # GELU
        return self._normalised(f"{prefix}output.LayerNorm", states + product(narrower, hidden))

    def _attend(self, query: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Return f32[tokens, width]: every token's mean of the values, weighted by likeness, head by head."""
        query, key, value = (x.reshape(len(x), self.n_heads, -1).swapaxes(0, 1) for x in (query, key, value))
        likeness = query @ key.swapaxes(1, 2) / query.dtype.type(np.sqrt(query.shape[2]))
        weights = np.exp(likeness - likeness.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        return (weights @ value).swapaxes(0, 1).reshape(value.shape[1], -1)

    def _normalised(self, name: str, states: np.ndarray) -> np.ndarray:
        centred = states - states.mean(axis=1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + EPSILON)
        return centred / deviation * self.arrays[f"{name}.weight"] + self.arrays[f"{name}.bias"]


def _prefix(layer: int) -> str:
    return f"encoder.layer.{layer}."


def _cuts(sentences: Sequence[np.ndarray]) -> np.ndarray:
    """Return where each sentence but the first begins among all tokens."""
    return np.cumsum([len(sentence) for sentence in sentences])[:-1]
