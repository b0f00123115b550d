"""Is the squared error of exact weight sharing ever above that of a k-means of scikit-learn, or of the linear start?

Needs scikit-learn. The values are what pruning leaves of a Gaussian layer of LeNet-300-100: its tails. Prints by how
much each is above the exact optimum, mean and most over the seeds, and ends with an error where one is below it.
"""

import sys

import numpy as np
from sklearn.cluster import KMeans

from workloads.pruning.patterns import mask
from workloads.pruning.scores import magnitude
from workloads.quantisation.share import cluster

N_SEEDS = 3
DENSITY, SHAPE = 0.08, (300, 784)


def squared_error(values: np.ndarray, centroids: np.ndarray) -> float:
    """Return the sum of squared distances of values f64[n] to their nearest centroids, f64[k] in any order."""
    centroids = np.sort(centroids.astype(np.float64))
    nearest = np.searchsorted((centroids[:-1] + centroids[1:]) / 2, values)
    return float(((values - centroids[nearest]) ** 2).sum())


def main() -> None:
    above: dict[tuple[int, str], list[float]] = {}
    for seed in range(N_SEEDS):
        weights = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
        kept_weights = weights[mask(magnitude(weights), "element", DENSITY)]
        values = kept_weights.astype(np.float64)
        for k in (15, 31, 63):
            exact = squared_error(values, cluster(kept_weights, k))
            by_method = {"linear": cluster(kept_weights, k, "linear")}
            for init in ("k-means++", "random"):
                run = KMeans(k, init=init, n_init=10, random_state=seed).fit(values[:, None])
                by_method[f"scikit-learn {init}, best of 10"] = run.cluster_centers_.ravel()
            start = np.linspace(values.min(), values.max(), k)[:, None]
            by_method["scikit-learn linear"] = (
                KMeans(k, init=start, n_init=1).fit(values[:, None]).cluster_centers_.ravel()
            )
            for name, centroids in by_method.items():
                above.setdefault((k, name), []).append(squared_error(values, centroids) / exact - 1)
    for (k, name), values in above.items():
        print(f"k={k:<3} {name:34} {100 * np.mean(values):8.2f}% above the optimum, at most {100 * max(values):8.2f}%")
    # The exact centroids are rounded to f32, which costs them some 1e-12 of their error.
    if below := [name for name, values in above.items() if min(values) < -1e-9]:
        sys.exit(f"exact is not the optimum: {below}")


if __name__ == "__main__":
    main()
