"""Kernel maps: which input voxel meets which output voxel under which offset of a sparse convolution's kernel."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from workloads.errors import BadInput, did_you_mean
from workloads.points.coordinates import (
    CONVENTIONS,
    DILATING,
    FLOOR,
    at_stride,
    checked_coordinates,
    dilated,
    pack,
    shift_of,
)

MOST_KERNEL = 15  # cells on a side: more is a slip of the pen


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelMap:
    """All (input, output, offset) with input = stride * output + offset, or the other way round where transposed.

    inputs: i32[n_in, 3] and outputs: i32[n_out, 3] voxels; offsets: i32[offsets, 3] as (x, y, z). sizes: i64[offsets],
    the entries of each. ins, outs: i32[n_maps], the rows of an entry's voxels, offset by offset, in the order of keys.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    ins: np.ndarray = field(repr=False)
    outs: np.ndarray = field(repr=False)
    stride: int = 1
    convention: str = FLOOR  # of the outputs
    is_transposed: bool = False

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each offset's entries begin, i64[offsets + 1]."""
        return np.append(0, np.cumsum(self.sizes))

    @cached_property
    def digest(self) -> str:
        """The hash of the entries and of what they join."""
        parts = (self.inputs, self.outputs, self.offsets, self.sizes, self.ins, self.outs)
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()

    @property
    def n_maps(self) -> int:
        return len(self.ins)

    @property
    def is_submanifold(self) -> bool:
        """Whether the outputs are the inputs."""
        return self.stride == 1 and self.inputs is self.outputs

    @property
    def centre(self) -> int | None:
        """The offset that joins each voxel with itself, which needs no gather; None where there is none."""
        return len(self.sizes) // 2 if self.is_submanifold else None

    def pairs(self, offset: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows of inputs and of outputs, i64[n] each, that the offset joins. Raises BadInput."""
        if not 0 <= offset < len(self.sizes):
            raise BadInput(f"offset must be from 0 to {len(self.sizes) - 1}, got {offset}")
        here = slice(self.starts[offset], self.starts[offset + 1])
        return self.ins[here].astype(np.int64), self.outs[here].astype(np.int64)

    def transposed(self) -> KernelMap:
        """Return the map of the convolution that goes back: outputs become inputs, offset by offset."""
        return KernelMap(
            inputs=self.outputs,
            outputs=self.inputs,
            offsets=self.offsets,
            sizes=self.sizes,
            ins=self.outs,
            outs=self.ins,
            stride=self.stride,
            convention=self.convention,
            is_transposed=not self.is_transposed,
        )


def kernel_offsets(kernel_size: int) -> np.ndarray:
    """Return i32[kernel_size ** 3, 3], offsets (x, y, z): x fastest where the size is odd, z fastest where it is even.

    As TorchSparse 2.0.0 numbers a layer's weights; -1, 0, 1 of 3 cells on a side, 0 and 1 of 2.
    """
    line = np.arange(kernel_size) - (kernel_size - 1) // 2
    axes = np.meshgrid(line, line, line, indexing="ij")
    if kernel_size % 2:
        axes = axes[::-1]
    return np.stack([axis.ravel() for axis in axes], axis=1).astype(np.int32)


def kernel_map(
    coordinates: np.ndarray,
    kernel_size: int = 3,
    stride: int = 1,
    *,
    convention: str = FLOOR,
    shape: tuple[int, int, int] | None = None,
) -> KernelMap:
    """Return the map of a sparse convolution over voxels i32[n, 3].

    At stride 1 the outputs are the inputs (submanifold), unless the convention is "dilating". Else they follow the
    convention: "floor", "trunc" (workloads.points.coordinates.at_stride) or "dilating" inside a grid of `shape` cells
    from 0 on (None: up to the last voxel), padded by (kernel_size - 1) // 2. Raises BadInput.
    """
    for name, value, most in (("kernel_size", kernel_size, MOST_KERNEL), ("stride", stride, MOST_KERNEL)):
        if not isinstance(value, int | np.integer) or not 1 <= value <= most:
            raise BadInput(f"{name} must be a whole number from 1 to {most}, got {value!r}")
    if convention not in CONVENTIONS:
        raise BadInput(f"unknown convention {convention!r}{did_you_mean(str(convention), CONVENTIONS)}")
    if stride == 1 and kernel_size % 2 == 0 and convention != DILATING:
        raise BadInput(f"kernel_size must be odd where the outputs are the inputs (stride 1), got {kernel_size}")
    inputs = checked_coordinates(coordinates, kernel_size + stride)
    offsets = kernel_offsets(kernel_size)
    if convention == DILATING:
        outputs = _dilated(inputs, offsets, kernel_size, stride, shape)
    else:
        outputs = inputs if stride == 1 else at_stride(inputs, stride, convention)
    sizes, ins, outs = _entries(inputs, outputs, offsets, stride)
    return KernelMap(
        inputs=inputs,
        outputs=outputs,
        offsets=offsets,
        sizes=sizes,
        ins=ins,
        outs=outs,
        stride=stride,
        convention=convention,
    )


def _dilated(inputs: np.ndarray, offsets: np.ndarray, kernel_size: int, stride: int, shape) -> np.ndarray:
    extent = inputs.max(axis=0) + 1 if shape is None else np.asarray(shape)
    if extent.shape != (3,) or (inputs.min(axis=0) < 0).any() or (inputs >= extent).any():
        raise BadInput(f"coordinates must lie in a grid from 0 on, of shape {extent.tolist()}, for dilating outputs")
    outputs = dilated(inputs, offsets, stride, (extent + 2 * ((kernel_size - 1) // 2) - kernel_size) // stride + 1)
    if not len(outputs):
        raise BadInput(f"kernel_size {kernel_size} leaves no output in a grid of shape {extent.tolist()}")
    return outputs


def _entries(inputs: np.ndarray, outputs: np.ndarray, offsets: np.ndarray, stride: int) -> tuple[np.ndarray, ...]:
    """Return sizes i64[offsets] and the entries' rows of inputs and outputs, i32[n_maps] each.

    Sorted keys, and one binary search for each line of offsets along x: the voxel next to one in x follows it in the
    order of keys or is not there. A submanifold map of offset -d is that of d with its sides exchanged.
    """
    in_keys, out_keys = pack(inputs), pack(outputs * np.int32(stride))
    in_order, out_order = np.argsort(in_keys), np.argsort(out_keys)
    known = np.append(in_keys[in_order], np.iinfo(np.int64).max)  # whoever looks beyond the last meets no voxel
    queries = out_keys[out_order]
    lines: dict[tuple[int, int], list[int]] = {}
    for place, (_, y, z) in enumerate(offsets.tolist()):
        lines.setdefault((y, z), []).append(place)
    joined: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    mirrors = stride == 1 and inputs is outputs
    for line in lines.values():
        line = sorted(line, key=lambda place: offsets[place, 0])
        if mirrors:  # of a pair the earlier is searched for, and the centre
            line = [place for place in line if place <= len(offsets) // 2]
        if not line:
            continue
        wanted = queries + shift_of(offsets[line[0]])
        at = np.searchsorted(known, wanted)
        for place in line:
            hit = known[at] == wanted
            rows = np.flatnonzero(hit)
            joined[place] = in_order[at[rows]].astype(np.int32), out_order[rows].astype(np.int32)
            at += hit
            wanted += 1
    for place in range(len(offsets)):
        if place not in joined:
            ins, outs = joined[len(offsets) - 1 - place]
            joined[place] = outs, ins
    in_turn = [joined[place] for place in range(len(offsets))]
    sizes = np.array([len(ins) for ins, _ in in_turn], np.int64)
    return sizes, *(np.concatenate([pair[side] for pair in in_turn]) for side in (0, 1))
