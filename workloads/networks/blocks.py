"""What an encoder and a decoder have in common: named arrays, matrices by the part that they play, and blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from workloads.errors import BadInput, did_you_mean


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of attention and a feed-forward part, on states f32[tokens, width] of all samples in one array.

    arrays: {name: f32} by the names of the published file, matrices f32[out, in]. The blocks need not be numbered
    without gaps: those that are left when others are dropped keep their names. PREFIX: of a block's names, before its
    number. QUERY to VALUE and WIDER read the states, OUTPUT and NARROWER add to them.
    """

    arrays: Mapping[str, np.ndarray]
    n_heads: int
    PREFIX: ClassVar[str]
    QUERY: ClassVar[str]
    KEY: ClassVar[str]
    VALUE: ClassVar[str]
    OUTPUT: ClassVar[str]
    WIDER: ClassVar[tuple[str, ...]]
    NARROWER: ClassVar[str]
    EMBEDDINGS: ClassVar[tuple[str, ...]]  # arrays f32[entries, width]

    @property
    def width(self) -> int:
        return self.arrays[self.EMBEDDINGS[0]].shape[1]

    @property
    def layers(self) -> tuple[int, ...]:
        """The numbers of the blocks, ascending. Raises BadInput for none."""
        pattern = re.compile(re.escape(self.PREFIX) + r"(\d+)\.")
        numbers = {int(match[1]) for name in self.arrays if (match := pattern.match(name))}
        if not numbers:
            raise BadInput(f"arrays must hold {self.PREFIX}0 and on, got {len(self.arrays)} others")
        return tuple(sorted(numbers))

    @property
    def n_layers(self) -> int:
        return len(self.layers)

    @property
    def n_groups(self) -> int:
        """How many groups of heads share a key and a value."""
        raise NotImplementedError

    @property
    def head_dim(self) -> int:
        return (
            max(len(self.arrays[f"{self.prefix(layer)}{self.QUERY}.weight"]) for layer in self.layers) // self.n_heads
        )

    @property
    def n_neurons(self) -> int:
        """How wide the feed-forward parts are, the widest of them."""
        return max(self.arrays[f"{self.prefix(layer)}{self.NARROWER}.weight"].shape[1] for layer in self.layers)

    def prefix(self, layer: int) -> str:
        """Return what the names of a block begin with."""
        return f"{self.PREFIX}{layer}."

    @classmethod
    def parts(cls) -> tuple[str, ...]:
        """Return the matrices of a block, in the order in which they are met."""
        return cls.QUERY, cls.KEY, cls.VALUE, cls.OUTPUT, *cls.WIDER, cls.NARROWER

    @property
    def names(self) -> list[str]:
        """The names of the matrices, in the order in which they are met; those of parts that are gone are none."""
        names = (self.prefix(layer) + name for layer in self.layers for name in self.parts())
        return [name for name in names if np.size(self.arrays.get(f"{name}.weight"))]

    @property
    def norms(self) -> list[str]:
        """The names of the normalisations, whose arrays are f32[width]."""
        raise NotImplementedError

    @property
    def matrices(self) -> dict[str, np.ndarray]:
        """{name: f32[out, in]} of every matrix but the embeddings."""
        return {name: self.arrays[f"{name}.weight"] for name in self.names}

    @property
    def biases(self) -> dict[str, np.ndarray | None]:
        """{name: f32[out] or None}."""
        return {name: self.arrays.get(f"{name}.bias") for name in self.names}

    def with_matrices(self, changes: Mapping[str, np.ndarray]) -> Self:
        """Return the network with some matrices replaced: {name: f32[out, in]}. Raises BadInput."""
        for name, weights in changes.items():
            if name not in self.names:
                raise BadInput(f"unknown matrix {name!r}{did_you_mean(name, self.names)}")
            if weights.shape != (shape := self.arrays[f"{name}.weight"].shape):
                raise BadInput(f"matrix {name!r} must be f32{list(shape)}, got {list(weights.shape)}")
        return replace(self, arrays={**self.arrays, **{f"{name}.weight": new for name, new in changes.items()}})

    def without(self, layers: Iterable[int]) -> Self:
        """Return the network without some blocks; the others keep their names. Raises BadInput."""
        layers = set(layers)
        if unknown := layers - set(self.layers):
            raise BadInput(f"block must be one of {', '.join(map(str, self.layers))}, got {min(unknown)}")
        if len(layers) == self.n_layers:
            raise BadInput(f"a network must have a block left, all {len(layers)} were to go")
        gone = tuple(self.prefix(layer) for layer in layers)
        return replace(self, arrays={name: array for name, array in self.arrays.items() if not name.startswith(gone)})

    def stored(self) -> dict[str, np.ndarray]:
        """Return the arrays as a file has them, the blocks numbered without gaps. Raises BadInput."""
        places = {str(layer): str(place) for place, layer in enumerate(self.layers)}
        pattern = re.compile(rf"(?<=^{re.escape(self.PREFIX)})\d+(?=\.)")
        return {pattern.sub(lambda match: places[match[0]], name): array for name, array in self.arrays.items()}

    def first(self, samples: Any, n_tokens: int | None) -> Any:
        """Return the first samples, of which so many tokens (None: all) can be taken where there are as many."""
        return samples

    def lengths(self, samples: Any) -> list[int]:
        """Return how many tokens each sample has."""
        raise NotImplementedError

    def inputs(self, samples: Any) -> dict[str, np.ndarray]:
        """Return {name: f32[tokens, in]}: what reaches each matrix, the tokens of all samples in order."""
        seen: dict[str, np.ndarray] = {}
        for _ in self.states(samples, seen):
            pass
        return seen

    def states(self, samples: Any, seen: dict[str, np.ndarray] | None = None) -> Iterator[np.ndarray]:
        """Yield f32[tokens, width]: what enters each block, then what leaves the last.

        seen: takes what reaches each matrix, by name. Raises BadInput for a sample that the network does not take.
        """
        raise NotImplementedError
