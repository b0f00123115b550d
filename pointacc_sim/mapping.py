"""The Mapping Unit computed: a bitonic sorter, a streaming merger and an intersection, and the programs on them.

One ranking kernel does all mapping (PointAcc's first idea): kernel maps, farthest points, nearest neighbours, balls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cyclekit.jit import kernel
from pointacc_sim.spec import Spec
from workloads.errors import BadInput
from workloads.points.coordinates import pack, shift_of
from workloads.points.kernel_map import KernelMap
from workloads.points.neighbours import NONE, checked_points

LAST = np.iinfo(np.int64).max  # what a block is filled up with


@dataclass(frozen=True, eq=False)
class Maps:
    """The maps that the unit has computed.

    order_in, order_out: i64, the clouds' rows in the order of their keys; starts: i64[offsets + 1]; ins, outs:
    i32[n_maps], places in those orders, an offset's by rising output.
    """

    order_in: np.ndarray
    order_out: np.ndarray
    starts: np.ndarray
    ins: np.ndarray
    outs: np.ndarray

    def pairs(self, offset: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of inputs and of outputs that an offset joins, i64[n] each."""
        here = slice(self.starts[offset], self.starts[offset + 1])
        return self.order_in[self.ins[here]], self.order_out[self.outs[here]]


@lru_cache(maxsize=16)  # the layers of a network share their maps
def maps(wanted: KernelMap, block: int) -> Maps:
    """Return the map between a KernelMap's clouds as the unit computes it: sort, then shift, merge and intersect.

    Of a transposed map the coarse cloud is the one that is scaled.
    """
    fine, coarse = (wanted.outputs, wanted.inputs) if wanted.is_transposed else (wanted.inputs, wanted.outputs)
    fine_keys, fine_order = sort(pack(fine), 2 * block)
    scaled, _ = sort(pack(coarse * np.int32(wanted.stride)), 2 * block)
    _, coarse_order = sort(pack(coarse), 2 * block)
    ins, outs, starts = [], [], [0]
    for offset in wanted.offsets:
        fine_places, coarse_places = intersect(fine_keys - shift_of(offset), scaled, block)
        ins.append(fine_places)
        outs.append(coarse_places)
        starts.append(starts[-1] + len(fine_places))
    sides = [np.concatenate(ins), np.concatenate(outs)]
    orders = [fine_order, coarse_order]
    if wanted.is_transposed:
        sides, orders = sides[::-1], orders[::-1]
    return Maps(*orders, np.array(starts), *sides)


def sort(keys: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return keys i64[n] in order and the places i64[n] that they come from, by blocks of a bitonic sorter and merges.

    Keys that are equal come in the order of their places.
    """
    keys, places = _sort(np.ascontiguousarray(keys, np.int64), width)
    return keys, places


def merged(one: np.ndarray, other: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return two sorted streams as one: keys i64[n + m], places, which stream u8 each is of, and the blocks taken."""
    return _merge(one, np.arange(len(one)), other, np.arange(len(other)), block)


@dataclass(frozen=True, eq=False, kw_only=True)
class Merged:
    """One step of the merger, of 2 * block elements.

    from_other: which stream the block came from; taken: its keys, i64[at most block], none in the step that lets the
    rest out. columns: (keys i64[2 * block], which stream u8 each is of) before the network and behind each of its
    columns, none where it only fills or empties; LAST stands for no key. left, of: what leaves, i64[at most block].
    """

    from_other: bool
    taken: np.ndarray
    columns: list[tuple[np.ndarray, np.ndarray]]
    left: np.ndarray
    of: np.ndarray


def merge_steps(one: np.ndarray, other: np.ndarray, block: int) -> Iterator[Merged]:
    """Yield the steps in which `merged` merges two sorted streams, a block each, and the one that lets the rest out."""
    nothing = np.empty(0, np.int64)
    key, place, which = np.full(2 * block, LAST), np.zeros(2 * block, np.int64), np.zeros(2 * block, np.uint8)
    a = b = 0
    while a < len(one) or b < len(other):
        from_other = a >= len(one) or (b < len(other) and other[b] < one[a])
        is_first, start = a + b == 0, b if from_other else a
        taken = (other if from_other else one)[start : start + block]
        enters = slice(0, block) if is_first else slice(block, 2 * block)
        order = 1 if is_first else -1  # as in _merge: the first block only fills
        key[enters] = np.append(taken, np.full(block - len(taken), LAST))[::order]
        place[enters] = np.append(np.arange(start, start + len(taken)), np.zeros(block - len(taken), np.int64))[::order]
        which[enters] = from_other
        a, b = (a, b + block) if from_other else (a + block, b)
        if is_first:
            yield Merged(from_other=from_other, taken=taken, columns=[], left=nothing, of=nothing)
            continue
        columns, half = [(key.copy(), which.copy())], block
        while half >= 1:
            _exchange(key, place, which, 2 * block, half)
            columns.append((key.copy(), which.copy()))
            half //= 2
        left, of = key[:block].copy(), which[:block].copy()
        key[:block], place[:block], which[:block] = key[block:], place[block:], which[block:]
        yield Merged(from_other=from_other, taken=taken, columns=columns, left=left[left < LAST], of=of[left < LAST])
    left, of = key[:block], which[:block]
    yield Merged(from_other=False, taken=nothing, columns=[], left=left[left < LAST], of=of[left < LAST])


def intersect(one: np.ndarray, other: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places i32[n] in two sorted clouds, of unique keys each, whose keys are equal, in their order."""
    keys, places, of, _ = merged(one, other, block)
    equal = np.flatnonzero(keys[1:] == keys[:-1])  # a key stands at most twice: neighbours are all there is to compare
    first_is_one = of[equal] == 0
    here = np.where(first_is_one, places[equal], places[equal + 1])
    return here.astype(np.int32), np.where(first_is_one, places[equal + 1], places[equal]).astype(np.int32)


def farthest_points(points, n: int, spec: Spec, first: int = 0) -> tuple[np.ndarray, list[int]]:
    """Return i64[n] points, each the farthest from those before it, and the blocks of distances of each iteration.

    An iteration takes every point's distance from the last one chosen, keeps the least so far, and ranks for the most.
    """
    points = checked_points("points", points)
    if not 1 <= n <= len(points):
        raise BadInput(f"n must be from 1 to the {len(points)} points, got {n}")
    lanes = spec.distance_lanes
    return _farthest(points, n, first), [-(-len(points) // lanes)] * (n - 1)


def nearest(points, centres, k: int, spec: Spec) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return the k nearest points of each centre i64[centres, k], squared distances, and each centre's blocks.

    Distances are ranked block by block, and the merger keeps the k least: k is at most half its elements.
    """
    points, centres = checked_points("points", points), checked_points("centres", centres)
    block = spec.block
    if not 1 <= k <= min(block, len(points)):
        raise BadInput(f"k must be from 1 to {min(block, len(points))}, the merger's block or the points, got {k}")
    places, distances = _nearest(points, centres, k, block)
    per_cycle = min(block, spec.distance_lanes)
    return places, distances, [-(-len(points) // per_cycle)] * len(centres)


def in_ball(points, centres, radius: float, k: int, spec: Spec) -> tuple[np.ndarray, list[int]]:
    """Return the k nearest points within a radius i64[centres, k], filled up with NONE, and each centre's blocks.

    Top-k and a test of the radius; that PointAcc tests it so is unverified.
    """
    if not isinstance(radius, int | float) or not radius > 0:
        raise BadInput(f"radius must be a number above 0, got {radius!r}")
    places, distances, blocks = nearest(points, centres, k, spec)
    return np.where(distances <= radius**2, places, NONE), blocks


@kernel
def _exchange(key, place, of, n, half):
    """Compare and exchange all elements that are `half` apart: one column of the merger."""
    for start in range(0, n, 2 * half):
        for i in range(start, start + half):
            j = i + half
            if key[i] > key[j] or (key[i] == key[j] and place[i] > place[j]):
                key[i], key[j] = key[j], key[i]
                place[i], place[j] = place[j], place[i]
                of[i], of[j] = of[j], of[i]


@kernel
def _merge_network(key, place, of, n):
    """Sort a bitonic sequence of n elements by (key, place): log2 n columns of n / 2 compare-exchanges."""
    half = n // 2
    while half >= 1:
        _exchange(key, place, of, n, half)
        half //= 2


@kernel
def _sort_network(key, place, n):
    """Sort n elements, a power of two, by (key, place): log2 n (log2 n + 1) / 2 columns of compare-exchanges."""
    size = 2
    while size <= n:
        half = size // 2
        while half >= 1:
            for i in range(n):
                j = i ^ half
                if j > i:
                    is_above = key[i] > key[j] or (key[i] == key[j] and place[i] > place[j])
                    if is_above == ((i & size) == 0):
                        key[i], key[j] = key[j], key[i]
                        place[i], place[j] = place[j], place[i]
            half //= 2
        size *= 2


@kernel
def _merge(one, one_place, other, other_place, block):
    """Merge two sorted streams through a merger of two blocks; a block is taken, and a block leaves, in a cycle.

    The upper block of the last merge stays; the next block comes from the stream whose head is less.
    """
    n, m = len(one), len(other)
    keys, places, of = np.empty(n + m, np.int64), np.empty(n + m, np.int64), np.empty(n + m, np.uint8)
    key, place, which = np.full(2 * block, LAST), np.zeros(2 * block, np.int64), np.zeros(2 * block, np.uint8)
    a = b = n_out = n_blocks = 0
    while a < n or b < m:
        from_other = a >= n or (b < m and other[b] < one[a])
        for i in range(block):
            at = 2 * block - 1 - i  # reversed: the kept block rises, this one falls, together they are bitonic
            key[at], place[at], which[at] = LAST, 0, from_other
            if from_other and b + i < m:
                key[at], place[at] = other[b + i], other_place[b + i]
            elif not from_other and a + i < n:
                key[at], place[at] = one[a + i], one_place[a + i]
        if from_other:
            b += block
        else:
            a += block
        n_blocks += 1
        if n_blocks == 1:  # the first only fills the merger
            for i in range(block):
                at = 2 * block - 1 - i
                key[i], place[i], which[i] = key[at], place[at], which[at]
            continue
        _merge_network(key, place, which, 2 * block)
        for i in range(block):
            if n_out < n + m:
                keys[n_out], places[n_out], of[n_out] = key[i], place[i], which[i]
                n_out += 1
            key[i], place[i], which[i] = key[block + i], place[block + i], which[block + i]
    for i in range(block):
        if n_out < n + m:
            keys[n_out], places[n_out], of[n_out] = key[i], place[i], which[i]
            n_out += 1
    return keys, places, of, n_blocks


@kernel
def _sort(keys, width):
    """Sort by blocks, then by merges of runs, each twice as long as those before."""
    n = len(keys)
    keys, places = keys.copy(), np.arange(n)
    key, place = np.empty(width, np.int64), np.empty(width, np.int64)
    for start in range(0, n, width):
        for i in range(width):
            is_there = start + i < n
            key[i] = keys[start + i] if is_there else LAST
            place[i] = start + i if is_there else n
        _sort_network(key, place, width)
        for i in range(min(width, n - start)):
            keys[start + i], places[start + i] = key[i], place[i]
    run = width
    while run < n:
        for start in range(0, n - run, 2 * run):
            end = min(n, start + 2 * run)
            merged_keys, merged_places, _, _ = _merge(
                keys[start : start + run],
                places[start : start + run],
                keys[start + run : end],
                places[start + run : end],
                width // 2,
            )
            keys[start:end] = merged_keys
            places[start:end] = merged_places
        run *= 2
    return keys, places


@kernel
def _farthest(points, n, first):
    chosen = np.empty(n, np.int64)
    least = np.empty(len(points), points.dtype)
    for step in range(n):
        chosen[step] = first
        last, best = first, 0
        for i in range(len(points)):
            x = points[i, 0] - points[last, 0]
            y = points[i, 1] - points[last, 1]
            z = points[i, 2] - points[last, 2]
            distance = x * x + y * y + z * z
            least[i] = distance if step == 0 else min(least[i], distance)
            if least[i] > least[best]:
                best = i
        first = best
    return chosen


@kernel
def _nearest(points, centres, k, block):
    """Rank each centre's distances: a block is sorted, merged with the least so far, and the lower block stays.

    Distances keep their order as bits: those of f64 from 0 on, read as i64, rise with them.
    """
    n = len(points)
    places, distances = np.empty((len(centres), k), np.int64), np.empty((len(centres), k), points.dtype)
    key, place, of = np.empty(2 * block, np.int64), np.empty(2 * block, np.int64), np.zeros(2 * block, np.uint8)
    distance = np.empty(1, points.dtype)
    for c in range(len(centres)):
        key[:] = LAST
        place[:] = n
        for start in range(0, n, block):
            new_key, new_place = key[block:], place[block:]
            for i in range(block):
                new_key[i], new_place[i] = LAST, n
                if start + i < n:
                    x = points[start + i, 0] - centres[c, 0]
                    y = points[start + i, 1] - centres[c, 1]
                    z = points[start + i, 2] - centres[c, 2]
                    distance[0] = x * x + y * y + z * z
                    new_key[i], new_place[i] = distance.view(np.int64)[0], start + i
            _sort_network(new_key, new_place, block)
            for i in range(block // 2):
                j = block - 1 - i
                new_key[i], new_key[j] = new_key[j], new_key[i]
                new_place[i], new_place[j] = new_place[j], new_place[i]
            _merge_network(key, place, of, 2 * block)
        for i in range(k):
            places[c, i] = place[i]
            distance.view(np.int64)[0] = key[i]
            distances[c, i] = distance[0]
    return places, distances
