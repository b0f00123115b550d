"""Early stopping: of a training's epochs the one with the least loss on inputs held out, the start among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workloads.blas import one_thread
from workloads.networks import language, train
from workloads.networks.decoder import Decoder
from workloads.networks.descent import Recipe
from workloads.networks.gradual import Gradual
from workloads.networks.sequential import Sequential, batches, with_statistics
from workloads.records import Workload


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The epoch whose weights were kept, 0 for those of the start, of how many that ran, by how many inputs."""

    epoch: int
    n_epochs: int
    n_held_out: int


@one_thread()
def fit(
    network: Sequential | Decoder,
    inputs: np.ndarray,
    labels: np.ndarray | None,
    recipe: Recipe,
    shared: Iterable[Workload] = (),
    *,
    held_out: float,
    patience: int | None = None,
    gradual: Gradual | None = None,
) -> tuple[Sequential | Decoder, Kept]:
    """Return the network after its best epoch of a training (see `train.fit`) on the inputs that are not held out.

    inputs: a decoder's are its samples, int[n, tokens + 1], without labels. The best is that of the least loss on those
    held out, penalties included, dropout not: what the training minimises. held_out: their share, drawn by the recipe's
    seed and rounded down; where that is none, the last epoch is kept. patience: after so many epochs without a lower
    loss the training ends (None: never). gradual: what is pruned meanwhile; only epochs from its end on are looked at.
    Raises BadInput.
    """
    is_decoder = isinstance(network, Decoder)
    labels = None if is_decoder else train.checked_labels(labels, len(inputs))
    order, n_held_out = np.random.default_rng(recipe.seed).permutation(len(inputs)), int(held_out * len(inputs))
    held, seen = order[:n_held_out], order[n_held_out:]

    def trained(places: np.ndarray | slice, until: Callable[[Any], bool] | None = None) -> Sequential | Decoder:
        if is_decoder:
            return language.fit(network, inputs[places], recipe, shared, until, gradual)
        return train.fit(network, inputs[places], labels[places], recipe, shared, until, gradual)

    def loss(of: Sequential | Decoder) -> float:
        if is_decoder:
            value = of.loss(inputs[held]) + _penalty(({"weights": weights} for weights in of.matrices.values()), recipe)
        else:
            value = _loss(of, inputs[held], labels[held], recipe)
        return value if math.isfinite(value) else math.inf

    if not n_held_out:
        return trained(slice(None)), Kept(epoch=recipe.n_epochs, n_epochs=recipe.n_epochs, n_held_out=0)
    first, epoch = 0 if gradual is None else gradual.end_epoch, 0
    best, least, best_epoch = network, loss(network), 0

    def until(now: Sequential | Decoder) -> bool:
        nonlocal epoch, best, least, best_epoch
        epoch += 1
        if epoch < first:
            return False
        copy = _copy(now) if is_decoder else with_statistics(train.copied(now), inputs[seen])
        loss_now = loss(copy)
        if epoch == first or loss_now < least:
            best, least, best_epoch = copy, loss_now, epoch
        return patience is not None and epoch - best_epoch >= patience

    trained(seen, until)
    return best, Kept(epoch=best_epoch, n_epochs=epoch, n_held_out=n_held_out)


def _copy(network: Decoder) -> Decoder:
    return replace(network, arrays={name: array.copy() for name, array in network.arrays.items()})


@np.errstate(over="ignore", invalid="ignore")
def _loss(network: Sequential, inputs: np.ndarray, labels: np.ndarray, recipe: Recipe) -> float:
    """Return what a training minimises (see Training) for inputs f32[batch, ...]."""
    inside, outputs, hidden = train.hidden_of(network), [], 0.0
    for part in batches(inputs):
        signals = network.outputs(part)
        outputs.append(signals[-1])
        by_name = zip(network.modules, signals, strict=True)
        hidden += sum(float(np.abs(signal).sum()) for name, signal in by_name if name in inside)
    loss, _ = train.cross_entropy(np.concatenate(outputs), labels)
    loss += recipe.activation_l1 * hidden / len(labels)
    return loss + _penalty((module.parameters for module in network.modules.values()), recipe)


def _penalty(parameters: Iterable[dict[str, np.ndarray]], recipe: Recipe) -> float:
    """Return the penalties on the weights and gammas of modules."""
    unused = ((of, {name: np.zeros_like(array) for name, array in of.items()}) for of in parameters)
    return sum(train.penalise(of, gradients, recipe) for of, gradients in unused)
