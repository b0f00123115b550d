"""Accuracy and seconds on Fashion-MNIST: LeNet-300-100 dense, 90% pruned, with 4-bit weights, by a fast recipe.

Run it with one BLAS thread: `OPENBLAS_NUM_THREADS=1 python benchmarks/accuracy/fashion.py`.
"""

from dataclasses import replace

from figures import over_seeds, pruned_by_steps, row, shared

from workloads.networks.data import fashion_mnist
from workloads.networks.nets import mlp
from workloads.networks.train import Recipe, fit

SEEDS = range(3)
DENSE = Recipe(n_epochs=6, learning_rate=2e-3, l2=1e-4)
STEPS = (0.5, 0.3, 0.2, 0.14)
# Chosen on the last 5,000 training images, with another seed.
STEP = Recipe(n_epochs=1, learning_rate=3e-3, l2=1e-5)
LAST = replace(STEP, n_epochs=4)
CENTROIDS = Recipe(n_epochs=1, learning_rate=3e-4)


def run(seed: int) -> dict[str, float]:
    """Return the accuracies, in percent on the 10,000 test images, of what one seed gives."""
    inputs, labels = fashion_mnist("train")
    step, last, centroids = (replace(recipe, seed=seed) for recipe in (STEP, LAST, CENTROIDS))
    dense = fit(mlp((784, 300, 100, 10), seed), inputs, labels, replace(DENSE, seed=seed))
    sparse = pruned_by_steps(dense, inputs, labels, dict.fromkeys(dense.matrices, 0.1), STEPS, step, last)
    networks = {"dense": dense, "by steps to 10%": sparse, "4-bit": shared(sparse, inputs, labels, centroids)}
    return {name: 100 * net.accuracy(*fashion_mnist("test")) for name, net in networks.items()}


def main():
    fashion_mnist("train")  # fetched before the clock starts
    figures = over_seeds(run, SEEDS)
    print(f"LeNet-300-100 on Fashion-MNIST: accuracy in percent on 10,000 test images, {len(SEEDS)} seeds")
    row("dense", figures["dense"], at_least=88)
    row("by steps to 10%", figures["by steps to 10%"])
    row("by steps to 10%, 4-bit", figures["4-bit"], at_least=sum(figures["dense"]) / len(SEEDS) - 0.5)
    row("CPU s", figures["CPU s"], at_most=30)


if __name__ == "__main__":
    main()
