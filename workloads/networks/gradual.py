"""Gradual pruning: while a network trains, its matrices lose their smallest weights along a cubic schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from workloads.errors import BadInput
from workloads.pruning.ranks import largest
from workloads.pruning.ratios import polynomial


@dataclass(frozen=True, kw_only=True)
class Gradual:
    """densities: {matrix: the share kept in the end}, which is reached by the end of an epoch, counted from 1.

    frequency: steps of the training from one pruning to the next.
    """

    densities: Mapping[str, float]
    end_epoch: int
    frequency: int

    def pruning(self, weights: Mapping[str, np.ndarray], n_steps_an_epoch: int) -> Callable[[int], None]:
        """Return what is called after every step, counted from 1, and zeroes in place what is gone by then.

        weights: {matrix: array}, of which each begins at the density that it has; between prunings what is gone stays
        gone. Raises BadInput. Source: Zhu and Gupta 2017, equation 1.
        """
        n_steps = self.end_epoch * n_steps_an_epoch
        n_prunings = n_steps // self.frequency
        if not n_prunings:
            raise BadInput(
                f"frequency must be at most {n_steps}, the steps until epoch {self.end_epoch} ends, "
                f"got {self.frequency}"
            )
        schedules, gone = {}, {}
        for name, density in self.densities.items():
            array = weights[name]
            start = np.count_nonzero(array) / array.size
            if density > start:
                raise BadInput(f"density of matrix {name!r} must be at most its own, {start:.4g}, got {density:g}")
            if not round(density * array.size):
                raise BadInput(f"matrix {name!r} would be pruned away whole: raise density")
            schedules[name] = list(polynomial(density, n_prunings, start=start))

        def prune(step: int) -> None:
            number, rest = divmod(step, self.frequency)
            for name, densities in schedules.items():
                array = weights[name]
                if rest == 0 and number <= n_prunings:
                    n_kept = round(densities[number - 1] * array.size)
                    gone[name] = ~largest(np.abs(array).reshape(1, -1), n_kept).reshape(array.shape)
                if name in gone:
                    array[gone[name]] = 0

        return prune
