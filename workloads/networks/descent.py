"""How a network is trained: the penalties on its loss, the optimiser, and the schedule of the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from workloads.errors import BadInput, did_you_mean

# Adam, Kingma and Ba 2015: the defaults of algorithm 1, computed in the order that the end of their section 2 gives.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
MOMENTUM = 0.9
# One cycle, Smith and Topin 2018, with the numbers of PyTorch's OneCycleLR: up for 0.3 of the steps from 1/25 of the
# peak, then down to 1/10,000 of where it began, both as a cosine; the momentum stays as it is.
SHARE_UP, START, END = 0.3, 1 / 25, 1e-4 / 25


@dataclass(frozen=True, kw_only=True)
class Training:
    """How to train: "adam", or "sgd" with momentum 0.9, on shuffled batches, at a rate that goes by a schedule.

    Loss: the batch's mean of cross-entropy + activation_l1 * sum |hidden activations|, plus l2 / 2 * sum weights**2,
    l1 * sum |weights| and gamma_l1 * sum |gamma| (Network Slimming, Liu et al. 2017). Hidden activations are what
    leaves every ReLU and GELU but a last one; dropout is the share of them set to 0. schedule: "cosine" falls to 0,
    "polynomial" as (1 - share of the steps done)**power, "one-cycle" rises to learning_rate and falls, "exponential"
    is multiplied by `decay` after every epoch.
    """

    learning_rate: float
    batch: int = 256
    l1: float = 0.0
    l2: float = 0.0
    activation_l1: float = 0.0
    gamma_l1: float = 0.0
    dropout: float = 0.0
    optimiser: str = "adam"
    schedule: str = "cosine"
    power: float = 1.0
    decay: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Recipe(Training):
    """How to train, for how many epochs; seed: of the batches and of dropout. Raises BadInput."""

    n_epochs: int
    seed: int = 0

    def __post_init__(self):
        for field in (field.name for field in fields(self) if field.name not in ("optimiser", "schedule")):
            least = 1 if field in ("n_epochs", "batch") else 0
            if not getattr(self, field) >= least:
                raise BadInput(f"{field} must be at least {least}, got {getattr(self, field)!r}")
        if not self.dropout < 1:
            raise BadInput(f"dropout must be below 1, got {self.dropout!r}")
        for field, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES)):
            if getattr(self, field) not in known:
                raise BadInput(f"unknown {field} {getattr(self, field)!r}{did_you_mean(getattr(self, field), known)}")
        for field, schedule in (("power", "polynomial"), ("decay", "exponential")):
            value = getattr(self, field)
            if value != 1 and self.schedule != schedule:
                raise BadInput(f"{field} belongs to schedule {schedule!r}, got {value!r} with {self.schedule!r}")
        if not 0 < self.decay <= 1:
            raise BadInput(f"decay must be above 0 and at most 1, got {self.decay!r}")

    def rate(self, step: int, n_steps_an_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0 through all epochs."""
        return self.learning_rate * SCHEDULES[self.schedule](self, step, n_steps_an_epoch)


def _cosine(recipe: Recipe, step: int, n_steps_an_epoch: int) -> float:
    return (1 + math.cos(math.pi * step / (recipe.n_epochs * n_steps_an_epoch))) / 2


def _polynomial(recipe: Recipe, step: int, n_steps_an_epoch: int) -> float:
    return (1 - step / (recipe.n_epochs * n_steps_an_epoch)) ** recipe.power


def _one_cycle(recipe: Recipe, step: int, n_steps_an_epoch: int) -> float:
    done = step / (recipe.n_epochs * n_steps_an_epoch)
    start, end, share = (START, 1, done / SHARE_UP) if done < SHARE_UP else (1, END, (done - SHARE_UP) / (1 - SHARE_UP))
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _exponential(recipe: Recipe, step: int, n_steps_an_epoch: int) -> float:
    return recipe.decay ** (step // n_steps_an_epoch)


# {name: the share of learning_rate that a recipe takes at a step, with so many steps in an epoch}
SCHEDULES = {"cosine": _cosine, "polynomial": _polynomial, "one-cycle": _one_cycle, "exponential": _exponential}


def _adam(moments: tuple[np.ndarray, np.ndarray], gradient: np.ndarray, rate: float, step: int) -> np.ndarray:
    """Return what to subtract; moments: mean and mean square of the gradients, brought up to date in place."""
    m, v = moments
    rate *= math.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
    m += (1 - BETA_1) * (gradient - m)
    v += (1 - BETA_2) * (gradient * gradient - v)
    return rate * m / (np.sqrt(v) + EPSILON)


def _sgd(moments: tuple[np.ndarray, np.ndarray], gradient: np.ndarray, rate: float, step: int) -> np.ndarray:
    """Return what to subtract; moments: the velocity, brought up to date in place, and one that is not used."""
    velocity, _ = moments
    velocity *= MOMENTUM
    velocity += gradient
    return rate * velocity


OPTIMISERS = {"adam": _adam, "sgd": _sgd}
