"""The launches of a layer's products by TorchSparse's strategies, and the tuning of the adaptive one on this model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import NamedTuple

import numpy as np

from tensorcore_sim.cloud_fields import ADAPTIVE, DENSE, FIXED, SEPARATE
from tensorcore_sim.spec import Spec
from workloads.points.groups import EPSILONS, THRESHOLDS, groups
from workloads.points.kernel_map import KernelMap

FIRST_OF_FIXED = 4  # pairs of a submanifold kernel whose maps are alike: W0 to W3 (TorchSparse, 4.2.2)


class Launches(NamedTuple):
    """Groups of offsets that run as one batched product each, and the parameters of adaptive ones, else None."""

    groups: tuple[tuple[int, ...], ...]
    epsilon: float | None = None
    threshold: float | None = None


def launches(joined: KernelMap, spec: Spec, time_us: Callable[[tuple[int, ...]], float]) -> Launches:
    """Return the launches of a layer; time_us: what the product of a batch of sizes takes."""
    if spec.grouping == ADAPTIVE and spec.tuned_groups:
        return min(_tried(joined), key=lambda tried: cost_us(tried, joined, time_us))
    if spec.grouping == ADAPTIVE:
        return _adaptive(joined, spec.epsilon, spec.mm_threshold)
    if spec.grouping == FIXED:
        return Launches(_fixed(joined))
    epsilon, threshold = {SEPARATE: (0.0, 0), DENSE: (1.0, inf)}.get(spec.grouping, (0.0, inf))
    return Launches(_adaptive(joined, epsilon, threshold).groups)


def cost_us(tried: Launches, joined: KernelMap, time_us: Callable[[tuple[int, ...]], float]) -> float:
    """Return what all products of some launches take."""
    return sum(time_us(padded(group, joined)) for group in tried.groups if any(joined.sizes[list(group)]))


def padded(group: tuple[int, ...], joined: KernelMap) -> tuple[int, ...]:
    """Return the rows of each product of a launch: those of the group's largest."""
    return (int(joined.sizes[list(group)].max()),) * len(group)


def work_factor(chosen: Launches, joined: KernelMap) -> float:
    """Return rows that run over rows that are there, of the offsets in launches."""
    rows = sum(int(joined.sizes[list(group)].sum()) for group in chosen.groups)
    return sum(sum(padded(group, joined)) for group in chosen.groups) / rows if rows else 1.0


def _tried(joined: KernelMap) -> Iterator[Launches]:
    seen = set()
    for epsilon in EPSILONS:
        for threshold in THRESHOLDS:
            tried = _adaptive(joined, epsilon, threshold)
            if tried.groups not in seen:
                seen.add(tried.groups)
                yield tried


def _adaptive(joined: KernelMap, epsilon: float, threshold: float) -> Launches:
    of = groups(joined.sizes, epsilon, threshold, centre_apart=joined.centre is not None)
    return Launches(tuple(tuple(group) for group in of), epsilon, threshold)


def _fixed(joined: KernelMap) -> tuple[tuple[int, ...], ...]:
    """Return two groups of a submanifold kernel, the first pairs and the rest; of another one group of all."""
    n = len(joined.sizes)
    if joined.centre is None:
        return (tuple(range(n)),)
    pairs = [place for i in range(n // 2) for place in (i, n - 1 - i)]
    first, rest = pairs[: 2 * FIRST_OF_FIXED], pairs[2 * FIRST_OF_FIXED :]
    return tuple(tuple(group) for group in (first, rest) if group)


def rows_of(sizes: np.ndarray) -> tuple[int, ...]:
    """Return the sizes of a grouped product that are not 0."""
    return tuple(int(size) for size in sizes if size)
