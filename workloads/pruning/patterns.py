"""Granularity: which weights stay or go together, and masks that keep the best of them by rank."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from workloads.errors import BadInput
from workloads.pruning.ranks import checked_density, largest
from workloads.records import checked_array, plain_array

SLICES = 16  # up to here slices are added up, beyond them numpy sums along the axis (benchmarks/bench_prune.py)


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """What goes together: boxes of `height` outputs by `width` inputs. Made by `pattern`; equal names, equal values.

    height, width: None spans all. by_kernel: the box is as wide as the kernel of one input channel.
    n, m: of every m weights that follow each other in a row n stay; m is 0 where the density is free.
    """

    height: int | None = 1
    width: int | None = 1
    by_kernel: bool = False
    n: int = 0
    m: int = 0

    @property
    def name(self) -> str:
        """The canonical name, which `pattern` reads back."""
        if self.m:
            return f"{self.n}:{self.m}"
        if self.by_kernel:
            return "kernel" if self.height else "channel"
        if self.width is None:
            return "filter"
        kind = "vector" if 1 in (self.height, self.width) else "block"
        return "element" if self.height == self.width == 1 else f"{kind} {self.height}x{self.width}"

    def box(self, shape: tuple[int, int], kernel: int = 1, blocks: int = 1) -> tuple[int, int]:
        """Return the (height, width) of a group in weights of this shape. Raises BadInput unless boxes fill it.

        The last group of a row by N:M may be short, as a machine fills it with zeros.
        kernel: columns of one input channel (kh * kw of a convolution, whose weights are f32[out, in * kh * kw]).
        blocks: how many matrices stand over each other, as of a convolution in groups; no box is of two of them.
        """
        n_out, n_in = shape[0] // blocks, shape[1]
        if isinstance(kernel, bool) or not isinstance(kernel, Integral) or kernel < 1 or n_in % kernel:
            raise BadInput(f"kernel must be an integer that divides the {n_in} inputs, got {kernel!r}")
        height, width = self.height or n_out, kernel if self.by_kernel else self.width or n_in
        if n_out % height or n_in % width:
            raise BadInput(
                f"shape must be a multiple of {height} x {width} for pattern {self.name!r}, got {(n_out, n_in)}"
            )
        return height, width


_NAMED = {
    "element": Pattern(),
    "kernel": Pattern(by_kernel=True),
    "channel": Pattern(height=None, by_kernel=True),
    **dict.fromkeys(("filter", "row", "neuron"), Pattern(width=None)),
}


def pattern(name: str | Pattern) -> Pattern:
    """Return the Pattern of that name; a Pattern is its own.

    "element"; "vector 1x4" (1 output by 4 inputs), "vector 4x1", "block 4x4", of any size; "kernel" (one output, one
    input channel); "filter", also called "row" or "neuron" (all weights of one output); "channel" (all weights of one
    input channel); "2:4" (at most 2 of every 4 aligned neighbours in a row), of any size. Raises BadInput.
    """
    if isinstance(name, Pattern):
        return name
    if isinstance(name, str) and name in _NAMED:
        return _NAMED[name]
    if box := re.fullmatch(r"(?:vector|block) ([1-9]\d*)x([1-9]\d*)", str(name)):
        return Pattern(height=int(box[1]), width=int(box[2]))
    if (ratio := re.fullmatch(r"([1-9]\d*):([1-9]\d*)", str(name))) and int(ratio[1]) <= int(ratio[2]):
        return Pattern(n=int(ratio[1]), m=int(ratio[2]))
    raise BadInput(f"pattern must be element, vector 1x4, block 4x4, kernel, filter, channel or 2:4, got {name!r}")


def describe() -> dict[str, str]:
    """Return {name, or an example of a kind: what stays or goes together}."""
    return {
        "element": "each weight for itself",
        "vector 1x4": "4 inputs of one output; 4x1: 4 outputs of one input; of any size",
        "block 4x4": "4 outputs by 4 inputs, of any size",
        "kernel": "the weights of one output and one input channel of a convolution",
        "filter": "all weights of one output; also called row or neuron",
        "channel": "all weights of one input channel",
        "2:4": "at most 2 of every 4 aligned neighbours in a row, of any size",
    }


_pattern = pattern  # for the functions below, which have an argument of that name


def mask(
    scores: np.ndarray,
    pattern: str | Pattern,
    density: float | None = None,
    *,
    kernel: int = 1,
    blocks: int = 1,
    within: str = "layer",
) -> np.ndarray:
    """Return bool[out, in]: True for the groups of the highest score, a group's score being the sum over its weights.

    scores: f32 or f64[out, in], higher = keep. density: the share kept, above 0 and at most 1: exactly
    round(density * groups) groups stay, the earlier in C order of equals. An N:M pattern has its own density, N / M,
    which may be left out. kernel: columns of one input channel; blocks: matrices over each other (see `Pattern.box`).
    within: "layer" ranks all groups together, "row" the groups of each row of boxes apart (for elements: of each
    output, as in Wanda, Sun et al. 2023); N:M ignores it.
    Raises BadInput.
    """
    kind, scores = _pattern(pattern), _checked(scores)
    if within not in ("layer", "row"):
        raise BadInput(f"within must be 'layer' or 'row', got {within!r}")
    height, width = kind.box(scores.shape, kernel, blocks)
    if kind.m:
        density = kind.n / kind.m if density is None else checked_density(density)
        if not math.isclose(density, kind.n / kind.m):
            raise BadInput(f"density of pattern {kind.name!r} must be {kind.n / kind.m:g} or left out, got {density!r}")
        filled = np.pad(scores, ((0, 0), (0, -scores.shape[1] % kind.m)), constant_values=-np.inf)
        chosen = largest(filled.reshape(-1, kind.m), kind.n).reshape(filled.shape)
        return np.ascontiguousarray(chosen[:, : scores.shape[1]])
    density, groups = checked_density(density), _pooled(scores, height, width)
    if within == "row" and groups.shape[1] == 1 < groups.shape[0]:
        raise BadInput(f"within must be 'layer' for pattern {kind.name!r}, which has one group in a row, got 'row'")
    sets = groups if within == "row" else groups.reshape(1, -1)
    chosen = largest(sets, round(density * sets.shape[1])).reshape(groups.shape)
    return _spread(chosen, height, width)


def global_masks(
    scores: Sequence[np.ndarray],
    pattern: str | Pattern,
    density: float,
    *,
    floor: float,
    kernels: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
) -> list[np.ndarray]:
    """Return the masks, bool[out, in] per layer, of the groups with the highest scores in all layers together.

    Exactly round(density * groups of all layers) stay, the earlier of equals, and in every layer at least its share
    `floor`, 0 to density, rounded up: without one whole layers can vanish (Network Slimming, Liu et al. 2017).
    scores: as for `mask`, one per layer and comparable between layers; a sum over more weights is a larger one.
    kernels, blocks: one per layer, all 1 when left out. Not for N:M, which fixes a layer's density. Raises BadInput.
    """
    kind, density = _pattern(pattern), checked_density(density)
    if kind.m:
        raise BadInput(f"pattern must leave the density of a layer free, got {kind.name!r}")
    kernels, blocks = ([1] * len(scores) if of is None else of for of in (kernels, blocks))
    if not len(scores) or not len(scores) == len(kernels) == len(blocks):
        n_each = f"{len(scores)}, {len(kernels)} and {len(blocks)}"
        raise BadInput(f"scores, kernels and blocks must be one per layer, got {n_each}")
    if isinstance(floor, bool) or not isinstance(floor, Real) or not 0 <= floor <= density:
        raise BadInput(f"floor must be a number from 0 to the density {density:g}, got {floor!r}")
    layers = [_checked(layer) for layer in scores]
    boxes = [kind.box(layer.shape, *sizes) for layer, *sizes in zip(layers, kernels, blocks, strict=True)]
    groups = [_pooled(layer, *box) for layer, box in zip(layers, boxes, strict=True)]
    values = np.concatenate([layer.ravel() for layer in groups])
    edges = np.cumsum([layer.size for layer in groups])[:-1]
    n_kept, n_assured = round(density * values.size), 0
    for values_of_layer in np.split(values, edges):  # views: what is assured comes before all the rest
        n = math.ceil(round(floor * values_of_layer.size, 9))
        values_of_layer[largest(values_of_layer[None], n)[0]] = np.inf
        n_assured += n
    if n_assured > n_kept:
        raise BadInput(f"floor must leave room: {floor!r} of each layer, rounded up, is {n_assured} of {n_kept} groups")
    chosen = np.split(largest(values[None], n_kept)[0], edges)
    return [_spread(c.reshape(g.shape), *box) for c, g, box in zip(chosen, groups, boxes, strict=True)]


def _checked(scores: np.ndarray) -> np.ndarray:
    """Return the scores as f32[out, in], or f64 where they came so: rounding would make equals of them."""
    given = plain_array("scores", scores)
    checked = checked_array("scores", given, (2,))
    return np.ascontiguousarray(given) if getattr(scores, "dtype", None) == np.float64 else checked


def _pooled(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the sums over boxes, f64[out / height, in / width]; boxes of one weight are the scores themselves."""
    if height > 1:
        scores = scores.reshape(-1, height, scores.shape[1]).sum(axis=1, dtype=np.float64)
    if 1 < width <= SLICES:
        sums = scores[:, ::width].astype(np.float64)
        for i in range(1, width):
            sums += scores[:, i::width]
        return sums
    if width > 1:
        return scores.reshape(len(scores), -1, width).sum(axis=2, dtype=np.float64)
    return scores


def _spread(chosen: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the choice of each box for all its weights, bool[out, in]."""
    if height == width == 1:
        return chosen
    return np.repeat(np.repeat(chosen, width, axis=1), height, axis=0)
