"""Accuracy and seconds on Fashion-MNIST: LeNet-300-100 dense, pruned to Deep Compression's densities, with 4 bits.

Run it with one BLAS thread: `OPENBLAS_NUM_THREADS=1 python benchmarks/accuracy/fashion_long.py`.
"""

from dataclasses import replace

import numpy as np
from figures import over_seeds, pruned_by_steps, row, shared

from workloads.networks.data import fashion_mnist
from workloads.networks.lenet import DENSITIES, WIDTHS
from workloads.networks.nets import mlp
from workloads.networks.train import Recipe, fit

SEEDS = range(2)
# Chosen on the last 5,000 training images, with another seed and the other 55,000 to learn from.
DENSE = Recipe(n_epochs=20, learning_rate=1e-3, batch=128, l2=5e-5, dropout=0.1)
STEPS = (0.5, 0.3, 0.2, 0.14, 0.1)
STEP = Recipe(n_epochs=2, learning_rate=2e-3, batch=128, l2=5e-5)
LAST = replace(STEP, n_epochs=16)
CENTROIDS = Recipe(n_epochs=2, learning_rate=3e-4, batch=128)


def with_mirrored(inputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return f32[2 n, 784] and their labels: the images, then each with left and right exchanged."""
    mirrored = inputs.reshape(-1, 28, 28)[:, :, ::-1].reshape(inputs.shape)
    return np.concatenate([inputs, mirrored]), np.tile(labels, 2)


def run(seed: int) -> dict[str, float]:
    """Return the accuracies, in percent on the 10,000 test images, of what one seed gives."""
    inputs, labels = with_mirrored(*fashion_mnist("train"))
    step, last, centroids = (replace(recipe, seed=seed) for recipe in (STEP, LAST, CENTROIDS))
    dense = fit(mlp(WIDTHS, seed), inputs, labels, replace(DENSE, seed=seed))
    goals = dict(zip(dense.matrices, DENSITIES, strict=True))
    sparse = pruned_by_steps(dense, inputs, labels, goals, STEPS, step, last)
    networks = {"dense": dense, "pruned": sparse, "4-bit": shared(sparse, inputs, labels, centroids)}
    return {name: 100 * net.accuracy(*fashion_mnist("test")) for name, net in networks.items()}


def main():
    fashion_mnist("train")  # fetched before the clock starts
    figures = over_seeds(run, SEEDS)
    densities = ", ".join(f"{density:.0%}" for density in DENSITIES)
    print(f"LeNet-300-100 on Fashion-MNIST: accuracy in percent on 10,000 test images, {len(SEEDS)} seeds")
    row("dense", figures["dense"], at_least=89.5)
    row(f"by steps to {densities}", figures["pruned"])
    row(f"by steps to {densities}, 4-bit", figures["4-bit"])
    row("CPU s", figures["CPU s"], at_most=240)
    # Not met: 0.44 lost with these seeds (0.66 and 0.22); the dense target is.
    lost = [before - after for before, after in zip(figures["dense"], figures["4-bit"], strict=True)]
    row("points lost from dense to 4-bit", lost, at_most=0.3)


if __name__ == "__main__":
    main()
