"""Accuracy by granularity on a trained network: finer patterns lose less, before tuning and after.

The first layer of the shipped LeNet-300-100 (784 x 300, 88% of its weights) keeps 1 of 16 weights, by magnitude; then
the whole network is tuned for 2 epochs on 20,000 of Fashion-MNIST's training images, with each of 5 seeds. Prints the
accuracy on the 10,000 test images: before, then mean and standard deviation over the seeds; asserts the order that the
literature reports (Mao et al. 2017, "Exploring the Regularity of Sparse Structure in Convolutional Neural Networks"),
and that magnitude beats chance. 1:16 stands outside that order: it keeps as much of the empty borders of the images as
of their middle. Needs `zeroskip data fashion-mnist`; about 2 CPU minutes.
"""

from dataclasses import replace
from statistics import mean, stdev

import numpy as np

from workloads import Network
from workloads.networks import lenet
from workloads.networks.data import fashion_mnist
from workloads.networks.train import Recipe, train
from workloads.pruning.prune import prune
from workloads.pruning.scores import random

SEEDS = (1, 2, 3, 4, 5)
DENSITY = 1 / 16
N_IMAGES = 20_000
TUNING = Recipe(n_epochs=2, learning_rate=1e-3, l2=5e-5)
# Each is coarser than the one before it; rows that differ in kind only, such as 1x4 and 4x1, stand in one place.
LADDER = (("element",), ("vector 1x4", "vector 4x1"), ("block 4x4",), ("filter",))
NOISE = 0.003  # one sigma of an accuracy near 88% on 10,000 images


def pruned(network: Network, pattern: str, scores: np.ndarray | None = None) -> Network:
    first = prune(network.layers[0], None if ":" in pattern else DENSITY, pattern, scores=scores)
    return replace(network, layers=(first, *network.layers[1:]))


def accuracies(network: Network, test: Network) -> tuple[float, list[float]]:
    """Return the accuracy on the inputs of `test` as it is, and after tuning with each seed."""
    tuned = [train(network, replace(TUNING, seed=seed)) for seed in SEEDS]
    before, *after = (replace(test, layers=one.layers).accuracy() for one in (network, *tuned))
    return before, after


def show(name: str, before: float, after: list[float]) -> None:
    print(f"{name:22} {before:.2%}  tuned {mean(after):.2%} +- {stdev(after):.2%}", flush=True)


def main() -> None:
    images, labels = fashion_mnist("train")
    dense = replace(lenet.dense(), inputs=images[:N_IMAGES], labels=labels[:N_IMAGES])
    images, labels = fashion_mnist("test")
    test = replace(dense, inputs=images, labels=labels)
    print(f"{'dense':22} {test.accuracy():.2%}")
    by_pattern = {}
    for pattern in ("1:16", *(name for rung in LADDER for name in rung)):
        before, after = by_pattern[pattern] = accuracies(pruned(dense, pattern), test)
        show(pattern, before, after)
    control = random(dense.layers[0].weights, seed=0)
    before, after = accuracies(pruned(dense, "element", control), test)
    show("element, by chance", before, after)
    assert mean(by_pattern["element"][1]) > mean(after) + NOISE
    for finer, coarser in zip(LADDER, LADDER[1:]):
        for one in finer:
            for other in coarser:
                assert mean(by_pattern[one][1]) > mean(by_pattern[other][1]) - NOISE, (one, other)
    assert mean(by_pattern["element"][1]) > mean(by_pattern["filter"][1]) + NOISE


if __name__ == "__main__":
    main()
