"""What the accuracy figures share: pruning by steps, and a row with mean, spread and the target that must be met."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from workloads.networks.lowering import lower
from workloads.networks.sequential import Sequential
from workloads.networks.train import Recipe, fit
from workloads.pruning.prune import prune
from workloads.quantisation.share import share
from workloads.records import Layer


def row(what: str, values: Sequence[float], *, at_least: float | None = None, at_most: float | None = None):
    """Print mean, spread (standard deviation over the seeds) and range of the values; assert the mean's target."""
    mean = statistics.mean(values)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    targets = [f"{sign} {target:g}" for sign, target in ((">=", at_least), ("<=", at_most)) if target is not None]
    print(f"{what:44} {mean:8.3f} +- {spread:6.3f}   {min(values):8.3f} to {max(values):8.3f}   {' '.join(targets)}")
    assert at_least is None or mean >= at_least, f"{what}: {mean} must be at least {at_least}"
    assert at_most is None or mean <= at_most, f"{what}: {mean} must be at most {at_most}"


def over_seeds(run: Callable[[int], Mapping[str, float]], seeds: Iterable[int]) -> dict[str, list[float]]:
    """Return {figure: its value for each seed}, and with them "CPU s", what each run took."""
    values: dict[str, list[float]] = {}
    for seed in seeds:
        start = time.process_time()
        figures = dict(run(seed))
        for name, value in (figures | {"CPU s": time.process_time() - start}).items():
            values.setdefault(name, []).append(value)
    return values


def pruned(net: Sequential, densities: Mapping[str, float], **pattern) -> Sequential:
    """Return the network with each matrix pruned by magnitude to the density under its name."""
    layers = {name: Layer(name=name, weights=matrix) for name, matrix in net.matrices.items()}
    return net.with_matrices({name: prune(layers[name], d, **pattern).weights for name, d in densities.items()})


def pruned_by_steps(
    net: Sequential,
    inputs: np.ndarray,
    labels: np.ndarray,
    goals: Mapping[str, float],
    least: Sequence[float],
    step: Recipe,
    last: Recipe,
) -> Sequential:
    """Return the network pruned and tuned again and again: at each step every matrix keeps at least that share."""
    for share_kept in (*(floor for floor in least if floor > min(goals.values())), 0.0):
        net = pruned(net, {name: max(goal, share_kept) for name, goal in goals.items()})
        net = fit(net, inputs, labels, step if share_kept else last)
    return net


def shared(net: Sequential, inputs: np.ndarray, labels: np.ndarray, recipe: Recipe, bits: int = 4) -> Sequential:
    """Return the network with 2**bits - 1 centroids and zero for each matrix and its bias, the centroids tuned."""
    return fit(net, inputs, labels, recipe, [share(layer, bits) for layer in lower(net, inputs, n_columns=1)])
