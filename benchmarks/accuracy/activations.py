"""Activation density as a dial: the L1 penalty on hidden activations, and what it costs on Fashion-MNIST.

Run it with one BLAS thread: `OPENBLAS_NUM_THREADS=1 python benchmarks/accuracy/activations.py`.
"""

from dataclasses import replace

import numpy as np
from figures import over_seeds, row

from workloads.networks.data import fashion_mnist
from workloads.networks.nets import mlp
from workloads.networks.train import Recipe, fit

SEEDS = range(3)
RECIPE = Recipe(n_epochs=6, learning_rate=2e-3, l2=1e-4)
PENALTIES = (0.0, 1e-4, 3e-4, 1e-3)
HELD = 3e-4  # the penalty of which the target is asked


def run(seed: int, penalty: float) -> dict[str, float]:
    """Return accuracy and the densities of both hidden layers, in percent on the 10,000 test images."""
    inputs, labels = fashion_mnist("train")
    recipe = replace(RECIPE, seed=seed, activation_l1=penalty)
    net = fit(mlp((784, 300, 100, 10), seed), inputs, labels, recipe)
    images, wanted = fashion_mnist("test")
    reaching = net.inputs(images)
    densities = {f"hidden {i}": 100 * np.mean(reaching[f"ip{i + 1}"] != 0) for i in (1, 2)}
    return {"accuracy": 100 * net.accuracy(images, wanted), **densities}


def main():
    fashion_mnist("train")  # fetched before the clock starts
    print(f"LeNet-300-100 on Fashion-MNIST: percent on 10,000 test images, {len(SEEDS)} seeds")
    free = None
    for penalty in PENALTIES:
        figures = over_seeds(lambda seed, penalty=penalty: run(seed, penalty), SEEDS)
        free = free or sum(figures["accuracy"]) / len(SEEDS)
        held = penalty == HELD
        row(f"penalty {penalty:g}: accuracy", figures["accuracy"], at_least=free - 0.5 if held else None)
        row(f"penalty {penalty:g}: hidden 1", figures["hidden 1"], at_most=25 if held else None)
        row(f"penalty {penalty:g}: hidden 2", figures["hidden 2"])
        row(f"penalty {penalty:g}: CPU s", figures["CPU s"])


if __name__ == "__main__":
    main()
