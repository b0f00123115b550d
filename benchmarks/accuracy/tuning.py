"""What `tune`, with nothing said, does to every shipped network: as it is, and after pruning by magnitude.

Prints for each network and density the accuracy before, and after tuning the mean over 3 seeds with the least and the
most; beside it what the rate that most papers name would do, a cosine from 1e-3 in as many epochs with nothing held
out. Judged on the task's test inputs, LeNet by all 10,000 test images. Asserts that tuning alone costs no more than one
binomial standard error of the test set, and that no pruned network loses by it. Needs `zeroskip data fashion-mnist` and
`zeroskip data digits`; about 4 CPU minutes. "gradual" as an argument prints instead what pruning while it trains wins
over pruning first, in as many epochs (3 seeds; about 4 CPU minutes).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean

from workloads import tasks
from workloads.networks.data import fashion_mnist
from workloads.recipes.recipe import Recipe
from workloads.recipes.repair import Tune
from workloads.recipes.steps import Prune

SEEDS = (0, 1, 2)
DENSITIES = (1.0, 0.5, 0.25, 0.1)
WHOLE = Tune(schedule="cosine", held_out=0)


def networks() -> Iterator[tasks.Task]:
    images, labels = fashion_mnist("test")
    yield replace(tasks.load("lenet-300-100-dense"), test_inputs=images, test_labels=labels)
    for name in ("digits-mlp", "digits-convnet"):
        yield tasks.load(name)


def tuned(task: tasks.Task, density: float, tune: Tune) -> list[float]:
    """Return the accuracies after pruning and tuning, one a seed."""
    steps = (Prune(density=density), tune)
    return of_steps(task, steps)


def of_steps(task: tasks.Task, steps: tuple) -> list[float]:
    """Return the accuracies after some steps, one a seed."""
    return [task.quality(task.fit(Recipe(steps=steps, seed=seed)).apply()) for seed in SEEDS]


def gradual() -> None:
    """Print the accuracies of pruning at once and then tuning, and of pruning along the cubic in as many epochs."""
    for task in networks():
        for density in (0.1, 0.05):
            once = of_steps(task, (Prune(density=density), Tune(epochs=20)))
            along = of_steps(task, (Tune(epochs=20, density=density),))
            told = [f"{mean(of):.2%} ({min(of):.2%} to {max(of):.2%})" for of in (once, along)]
            print(f"{task.name:20} {density:4g} at once {told[0]}  gradually {told[1]}", flush=True)


def main() -> None:
    for task in networks():
        n = len(task.test_labels)
        for density in DENSITIES:
            before = task.quality(task.fit(Recipe(steps=[Prune(density=density)])).apply())
            noise = math.sqrt(before * (1 - before) / n)
            after, whole = tuned(task, density, Tune()), tuned(task, density, WHOLE)
            print(
                f"{task.name:20} {density:4g} {before:.2%} +- {noise:.2%}  tuned {mean(after):.2%} "
                f"({min(after):.2%} to {max(after):.2%})  cosine, nothing held out {mean(whole):.2%}",
                flush=True,
            )
            assert min(after) >= before - noise, (task.name, density)


if __name__ == "__main__":
    gradual() if sys.argv[1:] == ["gradual"] else main()
