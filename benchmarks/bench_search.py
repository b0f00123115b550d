"""How much of a space's front a search finds with a tenth of its points, beside chance and NSGA-II in the same run.

Two spaces of EIE designs on one layer are swept whole, so that their fronts are known; then each seed of each way to
choose a tenth of the points is judged by the share of the front that it found (points equal in all objectives are one)
and by its share of the front's hypervolume (in logarithms of time, energy and area, below the worst of the space).
Prints one line a way and space; exits with 1 where the search falls short of its target. It takes about two minutes.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import log
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

import optuna

from cyclekit.sweep.results import Result, front, read
from cyclekit.sweep.search import BATCH, MINIMISED, search
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import sweep

LAYER = "nt-we"
SPACES = {  # name -> what varies, what is set
    "enforced": (
        {
            "n_pes": "32:256:+32",
            "spmat_bytes": "16384:262144:x2",
            "n_pointer_banks": "1,2",
            "queue_depth": "2:256:x2",
            "spmat_width_bits": "32:512:x2",
        },
        {"capacity": "enforce"},
    ),
    "refilled": (
        {
            "n_pes": "16:256:+16",
            "spmat_bytes": "8192:131072:x2",
            "queue_depth": "2:256:x2",
            "spmat_width_bits": "32:512:x2",
        },
        {"refills": True},
    ),
}
SEEDS = range(5)
SHARE = 0.1
TARGET = 0.8  # of the front, with every seed
Costs = tuple[float, ...]


def hypervolume(costs: Iterable[Costs], worst: Costs) -> float:
    """Return the volume between points in three dimensions and the corner that is worse than all of them."""
    points = sorted(set(costs), key=lambda cost: cost[2])
    volume = 0.0
    for place, (_, _, z) in enumerate(points):
        following = points[place + 1][2] if place + 1 < len(points) else worst[2]
        area, y_of_last = 0.0, worst[1]
        for x, y, _ in sorted(points[: place + 1]):
            if y < y_of_last:
                area += (worst[0] - x) * (y_of_last - y)
                y_of_last = y
        volume += area * (following - z)
    return volume


@dataclass(frozen=True, eq=False)
class Known:
    """A space that has been swept: its designs' results, its front, and how to search it again."""

    into: Path
    space: dict[str, Any]
    everything: list[Result]
    n_trials: int

    @cached_property
    def feasible(self) -> list[Costs]:
        return costs(self.everything)

    @cached_property
    def true(self) -> set[Costs]:
        return unbeaten(self.feasible)

    def judge(self, points: set[Costs]) -> tuple[float, float]:
        """Return the shares of the front and of its hypervolume."""
        worst = tuple(log(max(axis)) for axis in zip(*self.feasible, strict=True))
        volumes = [hypervolume([tuple(map(log, cost)) for cost in some], worst) for some in (points, self.true)]
        return len(points & self.true) / len(self.true), volumes[0] / volumes[1]


def costs(results: Iterable[Result]) -> list[Costs]:
    """Return the objectives of the designs that can be."""
    return [tuple(getattr(one, name) for name in MINIMISED) for one in results if one.reason is None]


def unbeaten(some: list[Costs]) -> set[Costs]:
    return {some[place] for place in front(some)}


def by_chance(known: Known, seed: int) -> set[Costs]:
    return unbeaten(costs(random.Random(seed).sample(known.everything, known.n_trials)))


def by_search(known: Known, seed: int) -> set[Costs]:
    result = search("eie", [LAYER], into=known.into, n_trials=known.n_trials, seed=seed, n_workers=1, **known.space)
    assert (result.n_trials, result.n_computed) == (known.n_trials, 0)
    return {tuple(design.values[name] for name in MINIMISED) for design in result.front}


def by_nsga2(known: Known, seed: int) -> set[Costs]:
    def nsga2(seed: int, **_: Any) -> optuna.samplers.BaseSampler:
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=2 * BATCH)

    with patch.object(optuna.samplers, "TPESampler", nsga2):
        return by_search(known, seed)


WAYS = {"chance": by_chance, "NSGA-II": by_nsga2, "search": by_search}


def main() -> None:
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (vary, changes) in SPACES.items():
            into, space = Path(folder) / f"{name}.db", {"vary": vary, "changes": changes}
            swept = sweep("eie", [LAYER], into=into, **space)
            with Store(into, write=False) as store:
                everything = sorted(read(store), key=lambda one: json.dumps(one.spec))  # workers store as they come
            known = Known(into, space, everything, round(SHARE * swept.n_points))
            since = time.perf_counter()
            fresh = search("eie", [LAYER], into=Path(folder) / f"{name}-fresh.db", n_trials=known.n_trials, **space)
            assert fresh.n_computed == known.n_trials
            print(
                f"{name}: {swept.n_points:,} points in {swept.seconds:.1f} s, {len(known.true)} on the front; "
                f"a search of {known.n_trials:,} into a new store in {time.perf_counter() - since:.1f} s",
                flush=True,
            )
            for way, find in WAYS.items():
                since = time.perf_counter()
                shares, volumes = zip(*(known.judge(find(known, seed)) for seed in SEEDS), strict=True)
                verdict = ""
                if way == "search":
                    reached = min(shares) >= TARGET
                    verdict = f"  target {TARGET:.0%}: {'reached' if reached else 'MISSED'}"
                    missed += [] if reached else [name]
                print(
                    f"  {way:8} {len(SEEDS)} seeds: {fmean(shares):4.0%} of the front, least {min(shares):4.0%}; "
                    f"hypervolume {fmean(volumes):7.2%}, least {min(volumes):7.2%}; "
                    f"{1e3 * (time.perf_counter() - since) / len(SEEDS) / known.n_trials:.0f} ms a design{verdict}",
                    flush=True,
                )
    if missed:
        sys.exit(f"targets missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
