"""How TorchSparse puts a layer's offsets together: which run as one batched product, and what padding that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from workloads.errors import BadInput

EPSILONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # what version 2.0.0 tries of a layer, and
THRESHOLDS = (0, *range(5000, 25001, 2500))  # with each of them


@dataclass(frozen=True)
class Grouping:
    """Launches of one layer: groups of offsets that run as one product each, padded to the largest of the group."""

    groups: tuple[tuple[int, ...], ...]
    padded_rows: int
    rows: int

    @property
    def launches(self) -> int:
        return len(self.groups)

    @property
    def work_factor(self) -> float:
        """Rows that run over rows that are there."""
        return self.padded_rows / self.rows if self.rows else 1.0


def groups(
    sizes: Sequence[int], epsilon: float, threshold: float, *, centre_apart: bool | None = None
) -> list[list[int]]:
    """Return the offsets of each launch by the rule of TorchSparse 2.0.0's code, i64[offsets] sizes in.

    Offsets are scanned as 0, last, 1, last but one, ... and the middle of an odd number last; one that would make
    1 - least / largest exceed epsilon opens a new group; a group whose largest size is below the threshold runs as one
    batched product, else each of its offsets alone. centre_apart: the middle offset is a dense product of its own and
    in no group (None: where the number is odd), as in a submanifold layer. Raises BadInput.

    The paper's Algorithm 4 prints 0 as the first least size, with which every group would end at once; its code begins
    with the first offset's.
    """
    sizes = np.asarray(sizes)
    if sizes.ndim != 1 or not len(sizes) or sizes.dtype.kind not in "iu" or sizes.min() < 0:
        raise BadInput(f"sizes must be whole numbers from 0 on, at least one, got {sizes.tolist()}")
    for name, value, most in (("epsilon", epsilon, 1), ("threshold", threshold, inf)):
        if not isinstance(value, int | float) or not 0 <= value <= most:
            raise BadInput(f"{name} must be a number from 0 to {most}, got {value!r}")
    is_apart = len(sizes) % 2 == 1 if centre_apart is None else centre_apart
    if is_apart and len(sizes) % 2 == 0:
        raise BadInput(f"centre_apart needs an odd number of offsets, got {len(sizes)}")
    half = len(sizes) // 2
    order = [place for i in range(half) for place in (i, len(sizes) - 1 - i)]
    if len(sizes) % 2 and not is_apart:
        order.append(half)
    scanned: list[list[int]] = []
    least = largest = 0
    for place in order:
        size = int(sizes[place])
        least, largest = (min(least, size), max(largest, size)) if scanned else (size, size)
        # The code divides in f32, and 0 / 0 ends no group.
        if not scanned or (largest and 1.0 - float(np.float32(least) / np.float32(largest)) > np.float32(epsilon)):
            scanned.append([])
            least = largest = size
        scanned[-1].append(place)
    launches: list[list[int]] = []
    for group in scanned:
        is_batched = sizes[group].max() < threshold
        launches += [group] if is_batched else [[place] for place in group]
    return launches


def grouping(sizes: Sequence[int], epsilon: float, threshold: float, *, centre_apart: bool | None = None) -> Grouping:
    """Return the launches with the rows that they run, padding among them; an apart centre counts in neither."""
    launches = groups(sizes, epsilon, threshold, centre_apart=centre_apart)
    sizes = np.asarray(sizes)
    padded = sum(len(group) * int(sizes[group].max()) for group in launches)
    rows = sum(int(sizes[group].sum()) for group in launches)
    return Grouping(tuple(tuple(group) for group in launches), padded, rows)
