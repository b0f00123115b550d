"""Voxel coordinates: checked, packed into 64-bit keys in which z is slowest, made from points, and at a stride."""

from __future__ import annotations

from math import isfinite

import numpy as np

from workloads.errors import BadInput, did_you_mean

FIELD_BITS = 21  # of one coordinate in a key: three of them and the sign fill 64 bits
BIAS = 1 << (FIELD_BITS - 1)
FLOOR, TRUNC, DILATING = CONVENTIONS = ("floor", "trunc", "dilating")


def checked_coordinates(value, reach: int = 0) -> np.ndarray:
    """Return coordinates as i32[n, 3], one row a voxel, each at most once.

    reach: how far a kernel goes beyond them; with it they must fit 21 bits. Raises BadInput for an empty array, numbers
    that are not whole, a voxel that stands twice.
    """
    given = np.asarray(value)
    if given.ndim != 2 or given.shape[1] != 3 or not len(given):
        raise BadInput(f"coordinates must be i32[voxels, 3] of at least one voxel, got shape {given.shape}")
    if given.dtype.kind not in "iuf":
        raise BadInput(f"coordinates must be whole numbers, got dtype {given.dtype}")
    if given.dtype.kind == "f" and (given != np.floor(given)).any():  # NaN, too, equals nothing
        row, axis = (int(i) for i in np.argwhere(~(given == np.floor(given)))[0])
        raise BadInput(f"coordinates must be whole numbers, got {given[row, axis]} at [{row}, {axis}]: voxelise points")
    if given.min() < reach - BIAS or given.max() >= BIAS - reach:
        worst = max(given.min(), given.max(), key=abs)
        raise BadInput(
            f"coordinates must be from {reach - BIAS} to {BIAS - reach - 1}, {FIELD_BITS} bits with the kernel's "
            f"reach, got {worst}"
        )
    coordinates = np.ascontiguousarray(given, np.int32)
    keys = np.sort(pack(coordinates))
    if len(twice := np.flatnonzero(keys[1:] == keys[:-1])):
        raise BadInput(f"coordinates must name each voxel once, got {unpack(keys[twice[:1]])[0].tolist()} twice")
    return coordinates


def pack(coordinates: np.ndarray) -> np.ndarray:
    """Return the keys i64[n] of coordinates i32[n, 3]: they rise as z, then y, then x do, and shifts add up in them."""
    x, y, z = (coordinates[:, axis].astype(np.int64) + BIAS for axis in range(3))
    return (z << 2 * FIELD_BITS) + (y << FIELD_BITS) + x


def shift_of(offset: np.ndarray) -> int:
    """Return what moving a voxel by an offset (x, y, z) adds to its key."""
    x, y, z = (int(step) for step in offset)
    return (z << 2 * FIELD_BITS) + (y << FIELD_BITS) + x


def unpack(keys: np.ndarray) -> np.ndarray:
    """Return the coordinates i32[n, 3] of keys i64[n]."""
    mask = (1 << FIELD_BITS) - 1
    axes = keys & mask, (keys >> FIELD_BITS) & mask, keys >> 2 * FIELD_BITS
    return np.stack([axis - BIAS for axis in axes], axis=1).astype(np.int32)


def voxelise(points, voxel_size: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels i32[n, 3] that points f[points, 3] lie in, by their keys, and each point's voxel i64[points].

    The grid begins at the least of each axis: floor((p - min) / voxel_size) in f64. Raises BadInput for no points, ones
    that are not finite, and a voxel size that is not above 0 or too small for 21 bits.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points) or points.dtype.kind not in "iuf":
        raise BadInput(f"points must be real numbers [points, 3], at least one, got {points.dtype}{list(points.shape)}")
    if not (finite := np.isfinite(points)).all():
        row, axis = (int(i) for i in np.argwhere(~finite)[0])
        raise BadInput(f"points must be finite, got {points[row, axis]} at [{row}, {axis}]")
    if not (isinstance(voxel_size, int | float) and isfinite(voxel_size) and voxel_size > 0):
        raise BadInput(f"voxel_size must be a number above 0, got {voxel_size!r}")
    points = points.astype(np.float64)
    cells = np.floor((points - points.min(axis=0)) / voxel_size)
    if cells.max() >= BIAS:
        raise BadInput(f"voxel_size {voxel_size} cuts the cloud into {cells.max():.0f} cells, more than {BIAS - 1}")
    keys, voxel = np.unique(pack(cells.astype(np.int32)), return_inverse=True)
    return unpack(keys), voxel.reshape(-1).astype(np.int64)


def at_stride(coordinates: np.ndarray, stride: int, convention: str = FLOOR) -> np.ndarray:
    """Return the output voxels i32[n, 3] of a strided convolution by `floor` or `trunc`, in the order of their keys.

    floor: unique(floor(p / s)), as MinkowskiEngine, PointAcc and TorchSparse from 2.1 on. trunc: unique(trunc(p / s)),
    as TorchSparse 2.0.0, which folds what lies about 0 together where coordinates are negative.
    """
    if convention not in (FLOOR, TRUNC):
        raise BadInput(f"unknown convention {convention!r}{did_you_mean(str(convention), CONVENTIONS)}")
    return unpack(np.unique(pack(quantised(coordinates, stride, convention))))


def quantised(coordinates: np.ndarray, stride: int, convention: str) -> np.ndarray:
    """Return the output voxel i32[n, 3] of each voxel, by `floor` or `trunc`."""
    down = np.floor_divide(coordinates, stride)
    if convention == TRUNC:
        down += (coordinates < 0) & (coordinates % stride != 0)
    return down


def dilated(coordinates: np.ndarray, offsets: np.ndarray, stride: int, n_cells: np.ndarray) -> np.ndarray:
    """Return every output voxel i32[n, 3] that some offset reaches, q with s q = p - d, inside 0 <= q < n_cells i64[3].

    As SpConv has it, and TorchSparse where the kernel is not as wide as the stride (TorchSparse, MLSys 2022, App. A).
    """
    keys = []
    for offset in offsets:
        moved = coordinates - offset
        down = moved // stride
        is_output = ((moved % stride == 0) & (down >= 0) & (down < n_cells)).all(axis=1)
        keys.append(np.unique(pack(down[is_output])))
    return unpack(np.unique(np.concatenate(keys)))
