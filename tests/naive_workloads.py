"""Plain, slow twins of the pruning front-end: loops and sorting, nothing clever."""

import itertools
import math


def kept_places(weights, density):
    """Return the set of flat indices kept: largest magnitude first, the earlier of two equals first."""
    order = sorted(range(len(weights)), key=lambda i: (-abs(weights[i]), i))
    return set(order[: round(density * len(weights))])


def squared_error(values, centroids):
    """Return the sum over the values of the squared distance to the nearest centroid."""
    return sum(min((v - c) ** 2 for c in centroids) for v in values)


def least_squared_error(values, n_clusters):
    """Return the least squared error over all cuts of the sorted values into at most n_clusters runs."""
    values = sorted(values)
    best = math.inf
    for n_cuts in range(min(n_clusters, len(values))):
        for cuts in itertools.combinations(range(1, len(values)), n_cuts):
            edges = [0, *cuts, len(values)]
            runs = [values[a:b] for a, b in itertools.pairwise(edges)]
            best = min(best, sum((v - sum(run) / len(run)) ** 2 for run in runs for v in run))
    return best


def loss(tables, relus, inputs, labels, l2, activation_l1):
    """Return the mean over the batch of cross-entropy + activation_l1 * sum |hidden|, plus l2 / 2 * sum weights**2."""
    total = 0.0
    for image, label in zip(inputs, labels, strict=True):
        signal = list(image)
        for i, (table, relu) in enumerate(zip(tables, relus, strict=True)):
            signal = [sum(w * x for w, x in zip(row[:-1], signal, strict=True)) + row[-1] for row in table]
            signal = [max(s, 0.0) for s in signal] if relu else signal
            if i < len(tables) - 1:
                total += activation_l1 * sum(abs(s) for s in signal) / len(labels)
        total += (math.log(sum(math.exp(s) for s in signal)) - signal[label]) / len(labels)
    return total + l2 / 2 * sum(w * w for table in tables for row in table for w in row[:-1])
