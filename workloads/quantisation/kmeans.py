"""The best split of sorted values into few runs, 1-D k-means: what no best split cuts is fused until little is left."""

from collections.abc import Iterator

import numpy as np

N_BINS = 1 << 15  # of a round, or more for many runs; no more points than that are split directly
BINS_OF_A_RUN = 1 << 10
ROUNDING = 1e-14  # a run of a split: by what share of the points' squared deviation float64 may get its error wrong


def best_starts(ordered: np.ndarray, k: int) -> np.ndarray:
    """Return where each of k runs of the ordered values f64[n] starts, i64[k], for the least squared error from means.

    More than k of the values must differ. Exact: no split at all is better by more than float64 resolves, which is
    k * ROUNDING of the values' squared deviation from their common mean.

    A run that no best split cuts is as good as one point of its weight at its mean: the error inside it is the same in
    every split that matters. So points are fused, round by round, until a dynamic programme can go through all of them.
    """
    starts = np.append(0, 1 + np.flatnonzero(ordered[1:] > ordered[:-1]))
    weights = np.diff(starts, append=len(ordered)).astype(np.float64)
    points = ordered[starts] - ordered.mean()
    n_bins = max(N_BINS, BINS_OF_A_RUN * k)
    while k > 1 and len(points) > n_bins:
        heads = _possible_starts(points, weights, k, n_bins)
        if 2 * len(heads) > len(points):
            n_bins *= 2
        points, weights, starts = *_fused(points, weights, heads), starts[heads]
    return starts[_Errors(points, weights).best_starts(k)]


def _possible_starts(points: np.ndarray, weights: np.ndarray, k: int, n_bins: int) -> np.ndarray:
    """Return which points can be the first of a run in a best split into k, i64, the very first among them.

    Take a best split, and lay the points in bins. A cut inside a bin of weight W and squared error E lies between
    centroids c < d; if their midpoint is below the bin's mean, move the cut to the bin's begin, else to its end. With
    the centroids as they are this adds at most (d - c) sqrt(W E) to the split's error. So where all splits between
    bins with a cut in a place, less what their cuts may have added (their gain), exceed a split that is known, neither
    this place is cut by a best split nor one inside the bins on its two sides that was moved to it.
    """
    cuts = _cuts(points, n_bins)
    lengths = np.diff(cuts, append=len(points))
    means, bin_weights = _fused(points, weights, cuts)
    inside = np.add.reduceat(weights * (points - np.repeat(means, lengths)) ** 2, cuts)
    errors, mirrored = _Errors(means, bin_weights), _Errors(-means[::-1], bin_weights[::-1])
    *_, best = errors.prefixes(k)
    known = best[-1] + k * ROUNDING * errors.square[-1]
    gaps = errors.gaps(points[cuts], points[cuts + lengths - 1], known + inside.sum())
    added = np.pad(gaps * np.sqrt(bin_weights * inside), 1)
    gain = np.maximum(added[:-1], added[1:])
    before, least = list(errors.prefixes(k - 1, gain)), np.inf
    for after in mirrored.prefixes(k - 1, gain[::-1]):
        least = np.minimum(least, before.pop() + after[::-1] - gain)
    is_cut = least <= known
    possible = np.repeat(is_cut[:-1] | is_cut[1:], lengths)
    possible[cuts] = is_cut[:-1]
    possible[0] = True
    return np.flatnonzero(possible)


def _cuts(points: np.ndarray, n_bins: int) -> np.ndarray:
    """Return where each of up to n_bins bins starts, i64: half of them of as many points, half of them as wide."""
    by_number = np.linspace(0, len(points), n_bins // 2, endpoint=False).astype(np.int64)
    by_width = np.searchsorted(points, np.linspace(points[0], points[-1], n_bins // 2))
    return np.union1d(by_number, by_width)


def _fused(points: np.ndarray, weights: np.ndarray, heads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the weight of each run of points, f64 twice; heads: where the runs start."""
    totals = np.add.reduceat(weights, heads)
    return np.add.reduceat(weights * points, heads) / totals, totals


class _Errors:
    """The squared error of every run of n weighted points, from sums over all points before each of n + 1 places."""

    def __init__(self, points: np.ndarray, weights: np.ndarray):
        terms = np.stack([weights, weights * points, weights * points**2]).astype(np.longdouble)
        self.weight, self.sum, self.square = np.pad(terms.cumsum(axis=1).astype(np.float64), ((0, 0), (1, 0)))

    def best_starts(self, k: int) -> np.ndarray:
        """Return where each of k runs of least error starts, i64."""
        least, choices = next(self.prefixes(1)), []
        for _ in range(k - 1):
            least, begins = self._one_run_more(least)
            choices.append(begins)
        starts = [len(least) - 1]
        for begins in reversed(choices):
            starts.append(begins[starts[-1]])
        return np.unique([0, *starts[1:]])

    def prefixes(self, k: int, gain: np.ndarray | float = 0.0) -> Iterator[np.ndarray]:
        """Yield the least error of all before each place in 1 run, 2 to k runs, f64[n + 1], less the gain of the cuts.

        The gain is that of a cut in each place, f64[n + 1]; runs may be empty.
        """
        least = self.square - self.sum**2 / np.maximum(self.weight, 0.5)
        yield least
        for _ in range(k - 1):
            least, _ = self._one_run_more(least - gain)
            yield least

    def _one_run_more(self, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return for each place the least of before[b] + the error of the run that begins at b, f64[n + 1], and its b.

        b never falls from one place to the next, because runs' errors obey the quadrangle inequality: a place halfway
        between two that are known searches between their b, and all such places of a stride are searched at a time.
        """
        n = len(before) - 1
        least, begins = before.copy(), np.zeros(n + 1, np.int64)
        offset = before - self.square
        for stride in (1 << level for level in reversed(range(n.bit_length()))):
            places = np.arange(stride, n + 1, 2 * stride)
            low, high = begins[places - stride], places.copy()
            bounded = places[places + stride <= n]
            high[: len(bounded)] = np.minimum(bounded, begins[bounded + stride])
            lengths = high - low + 1
            heads = np.cumsum(lengths) - lengths
            b = np.arange(lengths.sum()) + np.repeat(low - heads, lengths)
            total = np.repeat(self.sum[places], lengths) - self.sum[b]
            weight = np.repeat(self.weight[places], lengths) - self.weight[b]
            errors = offset[b] - total * total / np.maximum(weight, 0.5)  # an empty run's 0 / 0 is 0
            smallest = np.minimum.reduceat(errors, heads)
            first = np.flatnonzero(errors == np.repeat(smallest, lengths))
            begins[places] = b[first[np.searchsorted(first, heads)]]
            least[places] = smallest + self.square[places]
        return least, begins

    def gaps(self, lowest: np.ndarray, highest: np.ndarray, known: float) -> np.ndarray:
        """Return at least the distance of the centroids around a cut inside each bin, f64[n], in a best split.

        lowest, highest: f64[n], the ends of the bins that the points stand for; known: the error of some split. All
        from a centroid to the midpoint belongs to its run, so that its squared deviation is part of the split's error.
        """
        bins, span = np.arange(len(lowest)), highest[-1] - lowest[0]
        gaps = np.full(len(lowest), span)
        for radius in span / 2.0 ** np.arange(1, 50):
            below, above = highest - radius, lowest + radius
            begins = np.minimum(np.searchsorted(lowest, below), bins)
            ends = np.maximum(np.searchsorted(highest, above, side="right"), bins + 1)
            impossible = self._about(below, begins, bins) + self._about(above, bins + 1, ends) > known
            if not impossible.any():
                break
            gaps[impossible] = 2 * radius
        return gaps

    def _about(self, centre: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return the squared deviation from a centre of the points from begins to ends, f64[n] like each of these."""
        weight, total, square = (sums[ends] - sums[begins] for sums in (self.weight, self.sum, self.square))
        return square - 2 * centre * total + centre**2 * weight
