"""The order of a layer's inputs in which an n-of-m pattern keeps the most magnitude."""

import copy
from collections.abc import Iterable

import numpy as np

from workloads.errors import BadInput
from workloads.pruning.ranks import checked_n_m
from workloads.records import checked_array

KICK_SWAPS = 4  # random swaps that a kick makes: more undo what the descent found, fewer lead back to it
LEAST_GAIN = 1e-5  # of a group's kept magnitude: below lies the rounding of f32 sums


def kept_magnitude(weights: np.ndarray, n_m: tuple[int, int] = (2, 4)) -> float:
    """Return the sum of the n largest magnitudes of every m consecutive inputs of each row. Raises BadInput.

    weights: f32[out, in].
    """
    weights = checked_array("weights", weights, (2,))
    n, m = checked_n_m(n_m, weights.shape[1])
    groups = np.abs(weights).reshape(len(weights), -1, m)
    return float(np.partition(groups, m - n, axis=2)[:, :, m - n :].sum(dtype=np.float64))


def efficacy(weights: np.ndarray, permutation: np.ndarray, n_m: tuple[int, int] = (2, 4)) -> float:
    """Return what the permutation gains over the order given, as a share of what a choice free within each row gains.

    weights: f32[out, in]; permutation: int[in]. 1 is all there is to gain; 0 also where there is nothing to gain.
    Raises BadInput. Source: Pool and Yu 2021.
    """
    default, permuted = kept_magnitude(weights, n_m), kept_magnitude(np.asarray(weights)[:, permutation], n_m)
    n, m = n_m
    n_in = np.shape(weights)[1]
    free = kept_magnitude(weights, (n_in // m * n, n_in))
    # No order can keep more than a free choice: beyond 1 is what float64 loses of a small gain beside large sums.
    return min(1.0, (permuted - default) / (free - default)) if free > default else 0.0


def permute_inputs(
    weights: np.ndarray, n_m: tuple[int, int] = (2, 4), *, n_kicks: int = 100, seed: int = 0
) -> np.ndarray:
    """Return a permutation i64[in]: weights[:, permutation] keeps more under n-of-m than the order given, never less.

    weights: f32[out, in]. Swaps two inputs of different groups wherever that gains most, until no swap gains; then,
    n_kicks times, makes a few random swaps, descends again, and goes on from the better. Raises BadInput.
    Source: Pool and Yu 2021 (greedy swaps), with kicks in place of their bounded regressions.
    """
    weights = checked_array("weights", weights, (2,))
    n, m = checked_n_m(n_m, weights.shape[1])
    if isinstance(n_kicks, bool) or not isinstance(n_kicks, int) or n_kicks < 0:
        raise BadInput(f"n_kicks must be an integer of at least 0, got {n_kicks!r}")
    n_in, rng = weights.shape[1], np.random.default_rng(seed)
    if n == m or n_in == m:
        return np.arange(n_in)
    search = _Search(np.abs(weights).T, n, m)
    search.descend()
    best, most = search, kept_magnitude(weights[:, search.order], n_m)
    for _ in range(n_kicks):
        search = copy.deepcopy(best)
        search.swap(*rng.permutation(n_in)[: n_in // 2 * 2].reshape(2, -1)[:, :KICK_SWAPS])
        search.descend()
        magnitude = kept_magnitude(weights[:, search.order], n_m)
        if magnitude >= most:
            best, most = search, magnitude
    return best.order


def fold(permutation: np.ndarray, kernel: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return (columns i64[in * kernel], rows i64[in]) that leave the function of two layers in a row as it was.

    permutation: int[in], of the channels between them. The later layer becomes weights[:, columns], the earlier
    weights[rows] and bias[rows] (what stands between works on each channel alone, as ReLU does). kernel: columns of
    the later layer per channel. Raises BadInput.
    """
    rows = np.asarray(permutation)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not np.array_equal(np.sort(rows), np.arange(len(rows))):
        raise BadInput(f"permutation must hold each of 0 to in - 1 once, got {rows.dtype}{list(rows.shape)}")
    if isinstance(kernel, bool) or not isinstance(kernel, int) or kernel < 1:
        raise BadInput(f"kernel must be an integer of at least 1, got {kernel!r}")
    return (rows[:, None] * kernel + np.arange(kernel)).ravel(), rows


class _Search:
    """An order of the inputs, and what every group of m places would keep with any one of its columns exchanged.

    columns: f32[in, out], the magnitudes in that order; kept_if[p, q]: what the group of place p would keep if the
    column of place q stood there.
    """

    def __init__(self, columns: np.ndarray, n: int, m: int):
        self.n, self.m = n, m
        self.columns, self.order = columns.copy(), np.arange(len(columns))
        self.kept_if = np.empty((len(columns), len(columns)), columns.dtype)
        self._evaluate(range(len(columns) // m))

    def swap(self, one: np.ndarray, other: np.ndarray) -> None:
        """Exchange the columns of places one[i] and other[i], all of them different."""
        places, sources = np.concatenate([one, other]), np.concatenate([other, one])
        self.order[places] = self.order[sources]
        self.columns[places] = self.columns[sources]
        self.kept_if[:, places] = self.kept_if[:, sources]
        self._evaluate(np.unique(places // self.m))

    def descend(self) -> None:
        """Swap while any swap gains, at each pass the best swaps that share no group: their gains add up."""
        n_in, m = len(self.order), self.m
        own = np.arange(n_in // m)
        while True:
            magnitudes = self.kept_if.diagonal()
            gains = np.add(self.kept_if, self.kept_if.T, order="C")  # so that the reshape below is a view
            gains -= magnitudes
            gains -= magnitudes[:, None]
            gains.reshape(len(own), m, len(own), m)[own, :, own] = 0
            partners = gains.argmax(axis=1)
            gain = gains[np.arange(n_in), partners]
            least, used, chosen = LEAST_GAIN * magnitudes.max(), set(), []
            for place in np.argsort(-gain, kind="stable")[: np.count_nonzero(gain > least)].tolist():
                groups = {place // m, int(partners[place]) // m}
                if used.isdisjoint(groups):
                    used |= groups
                    chosen.append(place)
            if not chosen:
                return
            self.swap(np.array(chosen), partners[chosen])

    def _evaluate(self, groups: Iterable[int]) -> None:
        for first in (int(group) * self.m for group in groups):
            for i in range(self.m):
                rest = np.delete(self.columns[first : first + self.m], i, axis=0)
                rest = -np.sort(-rest, axis=0)
                # The n - 1 largest of the others stay whatever comes; the newcomer has to beat the next one.
                sure = rest[: self.n - 1].sum(dtype=np.float64)
                self.kept_if[first + i] = sure + np.maximum(rest[self.n - 1], self.columns).sum(axis=1)
