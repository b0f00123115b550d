"""What no timeline of EIE can beat, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from eie_sim.image import Image
from eie_sim.spec import Spec
from eie_sim.timeline import DRAIN_CYCLES


class Bounds(NamedTuple):
    """Cycles that a run needs at least, each for a reason of its own.

    work: all entries, spread evenly over the PEs. busiest_pe: one PE's columns up to its last entry, behind a send and
    a pop. broadcaster: one send a cycle up to the last column with an entry, and that column.
    """

    work: int
    busiest_pe: int
    broadcaster: int


def bounds(image: Image, non_zero: np.ndarray, spec: Spec) -> Bounds:
    """Return the lower bounds for activations whose non-zeros are bool[in]."""
    column = np.flatnonzero(np.append(non_zero, image.n_columns > len(non_zero)))
    n = (image.pointers[column + 1] - image.pointers[column]).astype(np.int64)
    if not n.any():
        return Bounds(DRAIN_CYCLES, DRAIN_CYCLES, DRAIN_CYCLES)
    up_to_last_entry = np.cumsum(n[::-1], axis=0)[::-1] > 0
    busy = (np.maximum(n, 1) * up_to_last_entry).sum(axis=0)
    sends_before = np.arange(1, len(column) + 1)[:, None]
    return Bounds(
        work=DRAIN_CYCLES + 2 + int(-(-n.sum() // spec.n_pes)),
        busiest_pe=DRAIN_CYCLES + 2 + int(busy.max()),
        broadcaster=DRAIN_CYCLES + 1 + int((sends_before + n)[n > 0].max()),
    )
