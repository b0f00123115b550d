"""Clouds the slow and obvious way: dictionaries of voxels and dense grids."""

from itertools import product

import numpy as np


def kernel_map(coordinates, offsets, stride, outputs):
    """Return {offset: set of (row of the input, row of the output)} with input = stride * output + offset."""
    rows = {tuple(voxel): row for row, voxel in enumerate(np.asarray(coordinates).tolist())}
    entries = {}
    for place, offset in enumerate(np.asarray(offsets).tolist()):
        entries[place] = set()
        for out, voxel in enumerate(np.asarray(outputs).tolist()):
            wanted = tuple(stride * q + d for q, d in zip(voxel, offset))
            if wanted in rows:
                entries[place].add((rows[wanted], out))
    return entries


def entries_of(a_map):
    """Return a KernelMap's entries in the same form."""
    return {
        place: set(zip(*(side.tolist() for side in a_map.pairs(place)), strict=True))
        for place in range(len(a_map.sizes))
    }


def dense_convolution(features, coordinates, weights, offsets, stride, outputs):
    """Return what a convolution of the whole dense grid gives at the outputs, f64[n_out, channels].

    The grid holds zeros where there is no voxel; it is padded so that every window lies inside.
    """
    coordinates, outputs = np.asarray(coordinates), np.asarray(outputs)
    reach = int(np.abs(offsets).max())
    low = np.minimum(coordinates.min(axis=0), stride * outputs.min(axis=0)) - reach
    high = np.maximum(coordinates.max(axis=0), stride * outputs.max(axis=0)) + reach + 1
    grid = np.zeros((*(high - low), features.shape[1]))
    grid[tuple((coordinates - low).T)] = features
    results = np.zeros((len(outputs), weights.shape[2]))
    for row, place in product(range(len(outputs)), range(len(offsets))):
        results[row] += grid[tuple(stride * outputs[row] + offsets[place] - low)] @ weights[place].astype(np.float64)
    return results
