"""Which designs a search tries next: Optuna's tree-structured Parzen estimator over a grid, no design twice."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from math import log
from typing import Any

from workloads.errors import BadInput

N_RANDOM = 16  # designs drawn evenly before the sampler has something to go by


def require() -> Any:
    """Return Optuna; raises BadInput where it is not installed, or too old."""
    try:
        import optuna
    except ImportError as error:
        raise BadInput(
            "a search of a space larger than --trials needs optuna: pip install '.[search]' in a checkout"
        ) from error
    if not hasattr(optuna.trial.Trial, "set_constraint"):
        version = optuna.__version__
        raise BadInput(f"a search needs optuna 5 or newer, found {version}: pip install '.[search]' in a checkout")
    return optuna


class Sampler:
    """Proposes points of a grid for several objectives, less of each being better.

    values: {field: its values}; numbers are taken in their order, words are not. With the same seed and the same
    costs told, the proposals are the same.
    """

    def __init__(self, values: Mapping[str, Sequence[Any]], n_objectives: int, seed: int):
        self._optuna = require()
        self._values = {
            name: tuple(of_field) if _is_words(of_field) else tuple(sorted(of_field))
            for name, of_field in values.items()
        }
        self._proposed: set[tuple[int, ...]] = set()
        self._asked: list[Any] = []
        self._random = random.Random(seed)
        distributions = self._optuna.distributions
        self._space = {
            name: distributions.CategoricalDistribution(range(len(of_field)))
            if _is_words(of_field)
            else distributions.IntDistribution(0, len(of_field) - 1)
            for name, of_field in self._values.items()
        }
        logging = self._optuna.logging
        spoken = logging.get_verbosity()
        logging.set_verbosity(logging.ERROR)
        try:
            # Rather than NSGA-II, which finds less of a front in a few hundred trials: benchmarks/bench_search.py.
            # constant_liar: designs of a batch that are proposed before the others are known keep their distance.
            tpe = self._optuna.samplers.TPESampler(seed=seed, n_startup_trials=N_RANDOM, constant_liar=True)
            self._study = self._optuna.create_study(directions=["minimize"] * n_objectives, sampler=tpe)
        finally:
            logging.set_verbosity(spoken)

    def propose(self, n: int) -> list[dict[str, Any]]:
        """Return n points that were never proposed before; there must be so many."""
        return [self._propose() for _ in range(n)]

    def tell(self, costs: Sequence[Sequence[float] | None], excesses: Sequence[float]) -> None:
        """Say what the points proposed last cost, in their order.

        costs: of each objective, from 0 on; None for a point that cannot be. excesses: by how much each violates the
        constraints; 0 where it meets them.
        """
        n_objectives = len(self._study.directions)
        for trial, cost, excess in zip(self._asked, costs, excesses, strict=True):
            trial.set_constraint("excess", excess)
            # Logarithms, since objectives span decades; the front is the same.
            values = [0.0] * n_objectives if cost is None else [log(max(x, sys.float_info.min)) for x in cost]
            self._study.tell(trial, values)
        self._asked = []

    def _propose(self) -> dict[str, Any]:
        trial = self._study.ask(self._space)
        place = tuple(trial.params[name] for name in self._space)
        if place in self._proposed:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)  # which it does not learn from
            place = self._walk_on(place)
            self._study.enqueue_trial(dict(zip(self._space, place, strict=True)))
            trial = self._study.ask(self._space)
        self._proposed.add(place)
        self._asked.append(trial)
        return {name: of_field[i] for (name, of_field), i in zip(self._values.items(), place, strict=True)}

    def _walk_on(self, place: tuple[int, ...]) -> tuple[int, ...]:
        """Return the first point on a random walk over neighbours that was not proposed before."""
        walk = list(place)
        fields = list(enumerate(self._values.values()))
        while tuple(walk) in self._proposed:
            axis, of_field = self._random.choice(fields)
            if _is_words(of_field):
                walk[axis] = self._random.randrange(len(of_field))
            else:
                walk[axis] = min(len(of_field) - 1, max(0, walk[axis] + self._random.choice((-1, 1))))
        return tuple(walk)


def _is_words(values: Sequence[Any]) -> bool:
    return any(isinstance(value, str) for value in values)
