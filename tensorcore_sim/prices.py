"""The named tables that price a GEMM's counts; there is no default one: no joule without its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil

from cyclekit.energy import Energy, Price, Prices, charge
from cyclekit.run import Run
from tensorcore_sim.actions import CardAction
from tensorcore_sim.card.tiling import Problem, kept_share
from tensorcore_sim.simulate import problem_of, time_gemm
from tensorcore_sim.spec import Spec
from workloads.errors import BadInput, did_you_mean
from workloads.files import read_table

CORE, SHARED, L2, DRAM = "tensor cores", "shared memory", "L2", "DRAM"
NOTES = {
    "sparseloop": "45 nm and int8, no card's own figures; no L2, registers, instructions, clock or leakage in it",
    "tpuv4i": "7 nm, one secondary source; multiplications only, L2 at the price of an 8 KB SRAM, HBM2 at the middle "
    "of its range; no additions, registers, instructions, clock or leakage in it",
}
# Published, but no table of energies
REFUSED = {
    "accelwattch": "its figures are fitted scale factors, not pJ, and count every tensor instruction alike",
    "dally": "its energy of an HMMA is printed without saying of how many multiply-adds",
}
NO_L2 = "the table's machine has no L2"
PER_MAC = "pJ of a multiply-add are the table's"


def energy(run: Run, name: str) -> Energy:
    """Return what a GEMM costs by a named table; for a sparse one a note says what the dense one would.

    A multiply-add is useful where it is of the problem's own and kept. Raises BadInput for a table that has no prices
    for the design's formats, or none in pJ.
    """
    spec, problem = Spec.from_dict(run.spec), problem_of(run)
    cost = charge(prices(name, spec), run.actions, run.time_us, _n_macs(problem, spec))
    if not spec.sparse:
        return cost
    ratio = _dense_pj(problem, name, spec) / cost.total_pj
    return Energy(**{**vars(cost), "notes": (*cost.notes, f"the dense GEMM costs {ratio:.3f} times this energy")})


def dense_over_sparse(run: Run, name: str) -> float:
    """Return the dense GEMM's energy over a sparse run's, both by one table."""
    spec = Spec.from_dict(run.spec)
    own = charge(prices(name, spec), run.actions, run.time_us, 0)
    return _dense_pj(problem_of(run), name, spec) / own.total_pj


def prices(name: str, spec: Spec) -> Prices:
    """Return the table of that name as it prices a design."""
    if name in REFUSED:
        raise BadInput(f"prices {name!r} give no joules: {REFUSED[name]}")
    if name not in TABLES:
        raise BadInput(f"unknown prices {name!r}{did_you_mean(str(name), TABLES)}")
    rows = {
        (row["quantity"], row["format"]): row
        for row in read_table("tensorcore_sim", "energy_tables")
        if row["table"] == name
    }
    formats = [of for quantity, of in rows if quantity == "mac"]
    if spec.in_dtype not in formats or spec.int4_weights:
        operands = "int4 weights" if spec.int4_weights else spec.in_dtype
        raise BadInput(f"prices {name!r} have none for a multiply-add of {operands}, only for {', '.join(formats)}")
    side = "sparse_pj" if spec.sparse else "dense_pj"

    def price(module: str, quantity: str, of: str = "") -> Price:
        row = rows[quantity, of]
        size = int(row["bits"] or 8) / 8  # in bytes; 1 where it is no access
        return Price(module, float(row[side]) / size, "pJ", f"data/energy_tables.csv: {name}, {quantity}")

    return TABLES[name](price, spec)


def _sparseloop(price: Callable[..., Price], spec: Spec) -> Prices:
    dram = [price(DRAM, "dram", "int8")]
    return Prices(
        name="sparseloop",
        actions={
            CardAction.MACS: [price(CORE, "mac", "int8"), price(CORE, "latch", "int8")],
            CardAction.SHARED_READ_BYTES: [price(SHARED, "shared_read", "int8")],
            CardAction.SHARED_WRITE_BYTES: [price(SHARED, "shared_write", "int8")],
            CardAction.HBM_READ_BYTES: dram,
            CardAction.WRITE_BYTES: dram,
        },
        free={CardAction.MMAS: PER_MAC, CardAction.L2_READ_BYTES: NO_L2, CardAction.SUM_BYTES: NO_L2},
        standing={},
        area=[],
        notes=(NOTES["sparseloop"],),
    )


def _tpuv4i(price: Callable[..., Price], spec: Spec) -> Prices:
    low, high = price(DRAM, "hbm_low"), price(DRAM, "hbm_high")
    hbm = [Price(DRAM, (low.value + high.value) / 2, "pJ", f"{low.source} and {high.source}, the middle")]
    return Prices(
        name="tpuv4i",
        actions={
            CardAction.MACS: [price(CORE, "mac", spec.in_dtype)],
            CardAction.SHARED_READ_BYTES: [price(SHARED, "sram")],
            CardAction.SHARED_WRITE_BYTES: [price(SHARED, "sram")],
            CardAction.L2_READ_BYTES: [price(L2, "sram")],
            CardAction.SUM_BYTES: [price(L2, "sram")],
            CardAction.HBM_READ_BYTES: hbm,
            CardAction.WRITE_BYTES: hbm,
        },
        free={CardAction.MMAS: PER_MAC},
        standing={},
        area=[],
        notes=(NOTES["tpuv4i"],),
    )


TABLES: Mapping[str, Callable[..., Prices]] = {"sparseloop": _sparseloop, "tpuv4i": _tpuv4i}


def _dense_pj(problem: Problem, name: str, spec: Spec) -> float:
    own_tile = dict.fromkeys(("tile_m", "tile_n", "tile_k", "n_stages"), 0)
    dense = spec.replace(sparsity="dense", **own_tile)
    _, books, _ = time_gemm(problem, dense, baseline=False)
    return charge(prices(name, dense), books.actions, books.cycles / spec.clock_mhz, 0).total_pj


def _n_macs(problem: Problem, spec: Spec) -> int:
    return ceil(problem.macs * kept_share(spec))
