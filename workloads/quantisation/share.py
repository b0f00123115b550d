"""Weight sharing: a few centroids stand for all non-zero weights and biases of a layer, and code 0 for zero."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from workloads.errors import BadInput, did_you_mean
from workloads.quantisation.kmeans import best_starts
from workloads.records import Workload, plain_array


def cluster(values: np.ndarray, n_centroids: int, method: str = "exact") -> np.ndarray:
    """Return f32[up to n_centroids]: ascending centroids for the non-zero values, none of them 0.

    values: f32[n]. No more than n_centroids distinct values are their own centroids.
    "exact": the k-means of least squared error (`kmeans.best_starts`; 16.7 million values take seconds).
    "linear": Lloyd's algorithm from centroids evenly spaced over [min, max] until nothing moves, empty clusters dropped
    (Deep Compression, Han et al. 2016, part 3).
    A centroid that falls on exactly 0 becomes the value of its cluster nearest to 0: zero belongs to code 0 alone.
    Raises BadInput.
    """
    find = _method(method)
    if n_centroids < 1:
        raise BadInput(f"n_centroids must be at least 1, got {n_centroids}")
    values = plain_array("values", values)
    ordered = np.sort(values[values != 0]).astype(np.float64)
    rises = ordered[1:] > ordered[:-1]
    if np.count_nonzero(rises) < n_centroids:
        return np.append(ordered[:1], ordered[1:][rises]).astype(np.float32)
    starts = find(ordered, n_centroids)
    means = _means(ordered, starts).astype(np.float32)
    for i in np.flatnonzero(means == 0):
        members = ordered[starts[i] :][: np.diff(starts, append=len(ordered))[i]]
        means[i] = members[np.abs(members).argmin()]
    return np.unique(means)


def assign(values: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return u8[...]: 0 for zero, otherwise 1 + the index of the nearest centroid, the lower one of two as near.

    values: f32[...]; centroids: f32[up to 255], ascending and without 0, at least one if any value is not 0.
    """
    values = np.asarray(values)
    codes = np.zeros(values.shape, np.uint8)
    non_zero = values != 0
    codes[non_zero] = 1 + np.searchsorted(_midpoints(centroids), values[non_zero])
    return codes


def share(workload: Workload, bits: int = 4, method: str = "exact") -> Workload:
    """Return the workload with codes u8[out, in], a codebook f32[2**bits] and the values that the codebook gives.

    One codebook serves weights and bias, because EIE's bias is one more column. Code 0 is zero; 2**bits - 1 centroids,
    ascending, then 0 in unused places at the end, stand for the non-zero values, each of which takes its nearest: zeros
    stay zero and nothing else becomes zero. Weights of no more values than that are kept exactly, and the bias is
    clustered into the places that they leave; else weights and bias are clustered together. bits: 1 to 8; method: see
    `cluster`. Raises BadInput.
    """
    if bits not in range(1, 9):
        raise BadInput(f"bits must be 1 to 8, got {bits!r}")
    _method(method)
    bias = np.zeros(0, np.float32) if workload.bias is None else workload.bias
    return coded(workload, centroids(workload.weights[workload.mask], bias, 2**bits - 1, method), bits)


def coded(workload: Workload, values: np.ndarray, bits: int) -> Workload:
    """Return what `share` returns where the centroids are these values, f32[up to 2**bits - 1], ascending."""
    codebook = np.zeros(2**bits, np.float32)
    codebook[1 : 1 + len(values)] = values
    codes = assign(workload.weights, values)
    return replace(
        workload,
        weights=codebook[codes],
        bias=None if workload.bias is None else codebook[assign(workload.bias, values)],
        codes=codes,
        codebook=codebook,
    )


def bias_codes(workload: Workload) -> np.ndarray:
    """Return u8[out]: the codes of a shared workload's bias values, all 0 without a bias."""
    bias = np.zeros(workload.n_out, np.float32) if workload.bias is None else workload.bias
    return np.argmax(bias[:, np.newaxis] == workload.codebook, axis=1).astype(np.uint8)


def centroids(weights: np.ndarray, bias: np.ndarray, n_centroids: int, method: str = "exact") -> np.ndarray:
    """Return f32[up to n_centroids], ascending, for weights f32[n], none of them 0, and biases f32[m].

    The values of few-valued weights, with the bias' in the free places; else of both together (see `cluster`).
    """
    values = np.unique(weights)
    if len(values) > n_centroids:
        return cluster(np.concatenate([weights, bias]), n_centroids, method)
    n_free, rest = n_centroids - len(values), bias[(bias != 0) & ~np.isin(bias, values)]
    return np.union1d(values, cluster(rest, n_free, method)) if n_free and rest.size else values


def _midpoints(centroids: np.ndarray) -> np.ndarray:
    """Return f64[k - 1]: where the nearest centroid changes."""
    centroids = centroids.astype(np.float64)
    return (centroids[:-1] + centroids[1:]) / 2


def _starts(ordered: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return where in the ordered values each cluster of nearest values starts, empty clusters left out."""
    # side="right": a value on the midpoint goes to the lower centroid, as in `assign`.
    starts = np.unique(np.append(0, np.searchsorted(ordered, _midpoints(centroids), side="right")))
    return starts[starts < len(ordered)]


def _means(ordered: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return f64: the mean of each run of ordered values, kept inside its run against rounding."""
    means = np.add.reduceat(ordered, starts) / np.diff(starts, append=len(ordered))
    return np.clip(means, ordered[starts], ordered[np.append(starts[1:], len(ordered)) - 1])


def _method(name: str) -> Callable[[np.ndarray, int], np.ndarray]:
    methods = {"exact": best_starts, "linear": _linear}
    if name not in methods:
        raise BadInput(f"unknown method {name!r}{did_you_mean(name, methods)}")
    return methods[name]


def _linear(ordered: np.ndarray, n_centroids: int) -> np.ndarray:
    """Return the starts of the clusters at which Lloyd's algorithm comes to rest."""
    starts = _starts(ordered, np.linspace(ordered[0], ordered[-1], n_centroids))
    seen = set()  # a partition seen before ends the search, so that rounding can never keep it going
    while starts.tobytes() not in seen:
        seen.add(starts.tobytes())
        starts = _starts(ordered, _means(ordered, starts))
    return starts
