"""Do both engines give the exact cycles and row reads of rules R1-R7, which are the authors' simulator's?"""

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from eie_sim import Spec, encode, simulate
from workloads import Workload

TABLE = Path(__file__).parents[1] / "data" / "eie_conformance.csv"
ROWS = [
    {key: float(value) if "density" in key else int(value) for key, value in row.items()}
    for row in csv.DictReader(line for line in TABLE.read_text().splitlines() if not line.startswith("#"))
]


@cache
def drawn(seed, n_in, n_out, w_density, a_density) -> Workload:
    rng = np.random.default_rng(seed)
    weights = rng.random((n_out, n_in)) < w_density
    activations = rng.random(n_in) < a_density
    return Workload(name=f"seed {seed}", weights=weights, activations=activations, bias=np.zeros(n_out))


@pytest.mark.parametrize(
    "row", ROWS, ids=[f"{i}-{r['n_in']}x{r['n_out']}-{r['n_pe']}pe-d{r['queue_depth']}" for i, r in enumerate(ROWS)]
)
def test_every_figure_of_the_row_is_met(engine, row):
    workload = drawn(*(row[key] for key in ("seed", "n_in", "n_out", "w_density", "a_density")))
    spec = Spec(n_pes=row["n_pe"], queue_depth=row["queue_depth"], spmat_width_bits=8 * row["entries_per_row"])
    image = encode(workload, spec)
    run = simulate(image, workload.activations, spec, engine=engine)
    assert image.n_entries == row["stored_entries"]
    assert image.n_entries - image.n_paddings == row["stored_nonzeros"]
    assert run.actions["broadcasts"] == row["n_active"] + 1  # the bias column
    assert run.actions["entries"] == row["active_entries"]
    assert run.cycles == row["cycles"]
    assert run.actions["spmat_row_reads"] == row["spmat_reads"]
    active = np.flatnonzero(workload.activations[0])
    entries = image.pointers[active + 1] - image.pointers[active]
    assert np.maximum(entries, 1).sum(axis=0).max() == row["max_pe_busy"]
