"""Early stopping: of a training's epochs the one with the least loss on inputs held out, the start among them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from workloads.blas import one_thread
from workloads.networks import train
from workloads.networks.descent import Recipe
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
    network: Sequential,
    inputs: np.ndarray,
    labels: np.ndarray,
    recipe: Recipe,
    shared: Iterable[Workload] = (),
    *,
    held_out: float,
    patience: int | None = None,
) -> tuple[Sequential, Kept]:
    """Return the network as `train.fit` leaves it after its best epoch, trained on the inputs that are not held out.

    The best is that of the least loss on those held out, penalties included, dropout not: what the training minimises.
    held_out: their share, drawn by the recipe's seed and rounded down; where that is none, the last epoch is kept.
    patience: after so many epochs without a lower loss the training ends (None: never). Raises BadInput.
    """
    labels, n_held_out = train.checked_labels(labels, len(inputs)), int(held_out * len(inputs))
    if not n_held_out:
        last = Kept(epoch=recipe.n_epochs, n_epochs=recipe.n_epochs, n_held_out=0)
        return train.fit(network, inputs, labels, recipe, shared), last
    order = np.random.default_rng(recipe.seed).permutation(len(inputs))
    held, seen = order[:n_held_out], order[n_held_out:]

    best, losses = network, [_loss(network, inputs[held], labels[held], recipe)]

    def until(now: Sequential) -> bool:
        nonlocal best
        candidate = with_statistics(train.copied(now), inputs[seen])
        losses.append(_loss(candidate, inputs[held], labels[held], recipe))
        if losses[-1] < min(losses[:-1]):
            best = candidate
        return patience is not None and len(losses) - 1 - losses.index(min(losses)) >= patience

    train.fit(network, inputs[seen], labels[seen], recipe, shared, until)
    return best, Kept(epoch=losses.index(min(losses)), n_epochs=len(losses) - 1, n_held_out=n_held_out)


def _loss(network: Sequential, inputs: np.ndarray, labels: np.ndarray, recipe: Recipe) -> float:
    """Return what a training minimises (see Training) for inputs f32[batch, ...], infinite beyond f32."""
    inside, outputs, hidden = train.hidden_of(network), [], 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for part in batches(inputs):
            signals = network.outputs(part)
            outputs.append(signals[-1])
            by_name = zip(network.modules, signals, strict=True)
            hidden += sum(float(np.abs(signal).sum()) for name, signal in by_name if name in inside)
        loss, _ = train.cross_entropy(np.concatenate(outputs), labels)
        loss += recipe.activation_l1 * hidden / len(labels)
        for module in network.modules.values():
            gradients = {name: np.zeros_like(array) for name, array in module.parameters.items()}
            loss += train.penalise(module.parameters, gradients, recipe)
    return loss if math.isfinite(loss) else math.inf
