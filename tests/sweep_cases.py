"""A small layer to sweep, the fields to vary, and the rows of a store, each there once."""

from pathlib import Path

import numpy as np

from cyclekit.sweep.store import Row, Store
from workloads import Workload

VARY = {"n_pes": (1, 2, 4), "queue_depth": (2, 3, 8), "spmat_width_bits": (8, 64), "clock_mhz": (800.0, 900.0)}


def small(seed: int = 0, name: str = "small", batch: int = 2) -> Workload:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-2, 3, (20, 30)) * (rng.random((20, 30)) < 0.4)
    activations = rng.random((batch, 30)) * (rng.random((batch, 30)) < 0.5)
    return Workload(name=name, weights=weights, bias=rng.integers(-1, 2, 20), activations=activations)


def rows(path: Path) -> dict[tuple[str, int], Row]:
    """Return {(task, part): row}."""
    with Store(path, write=False) as opened:
        found = list(opened.rows())
    by_task = {(row.task, row.part): row for row in found}
    assert len(by_task) == len(found)
    return by_task
