"""The sum over cards: its time by bytes and number of cards, between the measured ones on a line of logarithms."""

from __future__ import annotations

from functools import cache

import numpy as np

from cyclekit.serving.cost import LINK, Cost
from tensorcore_sim.spec import Spec
from workloads.errors import BadInput
from workloads.files import read_table
from workloads.transformers.operators import AllReduce

NVSWITCH = ("a100", "h100", "h200", "gh200")  # cards whose kind was measured, linked by it


def all_reduce(work: AllReduce, spec: Spec) -> Cost:
    """Return what the sum takes; the card idles. Raises BadInput for cards, and numbers of them, never measured."""
    sizes, times = _measured(spec.architecture, work.n_cards) if spec.card in NVSWITCH else ((), ())
    if not len(sizes):
        known = sorted({int(row["n_cards"]) for row in _rows() if row["architecture"] == spec.architecture})
        of = f"{', '.join(map(str, known))} of {', '.join(NVSWITCH)}"
        raise BadInput(f"--cards must be 1, or one of {of}, got {work.n_cards} of {spec.card}: no other was measured")
    at, sizes, times = np.log(work.n_bytes), np.log(sizes), np.log(times)
    time_us = float(np.exp(np.interp(at, sizes, times)))
    if at > sizes[-1]:  # by the bandwidth of the largest
        time_us *= float(np.exp(at - sizes[-1]))
    return Cost(time_us=time_us, flops=0.0, n_bytes=float(work.n_bytes), bound=LINK, energy_uj=spec.static_w * time_us)


@cache
def _rows() -> list[dict[str, str]]:
    return read_table("tensorcore_sim", "all_reduce")


@cache
def _measured(architecture: str, n_cards: int) -> tuple[np.ndarray, np.ndarray]:
    rows = [row for row in _rows() if row["architecture"] == architecture and int(row["n_cards"]) == n_cards]
    return np.array([float(row["n_bytes"]) for row in rows]), np.array([float(row["time_us"]) for row in rows])
