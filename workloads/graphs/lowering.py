"""A convolution as a matrix product: what each position of its output multiplies, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.readers.limits import check_bytes


@dataclass(frozen=True, kw_only=True)
class Window:
    """How a convolution moves: kernel, strides, dilations and pads (begin, end), a number an axis; groups."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    groups: int

    @classmethod
    def of(cls, attributes: Mapping[str, Any], kernel: Sequence[int], sizes: Sequence[int]) -> Window:
        """Return what an ONNX node's attributes say for an input of those sizes. Source: ONNX operators, Conv."""
        n = len(kernel)
        strides = tuple(attributes.get("strides") or [1] * n)
        dilations = tuple(attributes.get("dilations") or [1] * n)
        auto, flat = attributes.get("auto_pad", "NOTSET"), attributes.get("pads") or [0] * 2 * n
        pads = tuple(zip(flat[:n], flat[n:], strict=True))
        if auto.startswith("SAME"):
            pads = tuple(
                _same(size, k, stride, dilation, auto == "SAME_UPPER")
                for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True)
            )
        elif auto == "VALID":
            pads = ((0, 0),) * n
        return cls(
            kernel=tuple(kernel), strides=strides, dilations=dilations, pads=pads, groups=attributes.get("group", 1)
        )


def _same(size: int, kernel: int, stride: int, dilation: int, is_upper: bool) -> tuple[int, int]:
    total = max(0, (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size)
    less, more = total // 2, total - total // 2
    return (less, more) if is_upper else (more, less)


def rows(values: np.ndarray, window: Window) -> np.ndarray:
    """Return f32[batch * positions, channels * kernel] for f32[batch, channels, ...]; beyond the edges stand zeros."""
    n_padded = math.prod(n + sum(pads) for n, pads in zip(values.shape[2:], window.pads, strict=True))
    check_bytes("an input with its pads", math.prod(values.shape[:2]) * n_padded * values.itemsize)
    padded = np.pad(values, ((0, 0), (0, 0), *window.pads))
    spans = [dilation * (k - 1) + 1 for k, dilation in zip(window.kernel, window.dilations, strict=True)]
    counts = [
        (size - span) // stride + 1 for size, span, stride in zip(padded.shape[2:], spans, window.strides, strict=True)
    ]
    if min(counts) < 1:
        raise BadInput(f"a kernel of {list(window.kernel)} must fit the padded input {list(padded.shape[2:])}")
    shape = len(values), *counts, values.shape[1], math.prod(window.kernel)
    check_bytes("what reaches a convolution at all places", 4 * math.prod(shape))
    lowered = np.empty(shape, np.float32)
    for place, offsets in enumerate(product(*map(range, window.kernel))):
        cuts = tuple(
            slice(offset * dilation, offset * dilation + (count - 1) * stride + 1, stride)
            for offset, dilation, count, stride in zip(offsets, window.dilations, counts, window.strides, strict=True)
        )
        lowered[..., place] = np.moveaxis(padded[(slice(None), slice(None), *cuts)], 1, -1)
    return lowered.reshape(-1, values.shape[1] * math.prod(window.kernel))


def block_diagonal(blocks: np.ndarray, groups: int) -> np.ndarray:
    """Return f32[out, in] with the groups' blocks f32[out, in / groups] on its diagonal."""
    if groups == 1:
        return blocks
    n_out, n_in = blocks.shape[0] // groups, blocks.shape[1]
    check_bytes(f"a matrix of {groups:,} groups", blocks.nbytes * groups)
    matrix = np.zeros((groups, n_out, groups, n_in), blocks.dtype)
    matrix[range(groups), :, range(groups)] = blocks.reshape(groups, n_out, n_in)
    return matrix.reshape(len(blocks), groups * n_in)
