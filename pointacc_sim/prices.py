"""PointAcc's table of prices, bottom-up: Horowitz's energies of logic and SRAM at 45 nm, DRAM by its kind."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

from cyclekit.energy import Energy, Price, Prices, charge
from cyclekit.run import Run
from pointacc_sim.actions import DRAM, Action
from pointacc_sim.spec import COORDINATE_BYTES, SUM_BYTES, Spec
from workloads.errors import BadInput, did_you_mean
from workloads.files import read_table

MAPPING, CACHE, WEIGHTS, MATRIX, ACCUMULATORS, MEMORY = (
    "mapping_unit",
    "cache",
    "weight_buffer",
    "matrix_unit",
    "accumulators",
    "dram",
)
HOROWITZ = "Horowitz, ISSCC 2014, 45 nm"
O_CONNOR = "O'Connor et al., MICRO 2017 (through a secondary source)"
NOTE = (
    "45 nm energies for a 40 nm design whose power the sources do not give; registers of the array, clock and leakage "
    "have no price"
)
NOTES = {"bottom-up": NOTE}
WORD_BYTES = 8  # of an SRAM access in the table
SIZES = {"sram_8KB": 8192, "sram_32KB": 32768, "sram_1MB": 1 << 20}


def energy(run: Run, name: str) -> Energy:
    """Return what a run costs by the table of that name. Raises BadInput for another."""
    if name not in NOTES:
        raise BadInput(f"unknown prices {name!r}{did_you_mean(str(name), NOTES)}")
    return charge(bottom_up(Spec.from_dict(run.spec)), run.actions, run.time_us, run.actions[Action.MACS])


@lru_cache(maxsize=64)
def bottom_up(spec: Spec) -> Prices:
    """Return the prices of a design."""
    table = _table()

    def logic(module: str, value: float, what: str) -> Price:
        return Price(module, value, "pJ", f"{HOROWITZ}: {what}")

    def sram(module: str, n_bytes: float, of_bytes: int) -> Price:
        source = f"{HOROWITZ}: SRAM of {of_bytes // 1024} KB between its three sizes"
        return Price(module, n_bytes * sram_pj_of_byte(of_bytes), "pJ", source)

    kind = "dram_hbm2" if spec.dram == "hbm2" else "dram_ddr"
    moved = Price(MEMORY, table[kind] / WORD_BYTES, "pJ", O_CONNOR if spec.dram == "hbm2" else HOROWITZ)
    axis = table["int32_add"] + table["int32_mult"]
    actions = {
        Action.COMPARES: [logic(MAPPING, 2 * table["int32_add"], "two int32 additions, of a 64-bit comparison")],
        Action.DISTANCES: [logic(MAPPING, 3 * axis + 2 * table["int32_add"], "3 subtractions, squares, 2 additions")],
        Action.COORDINATE_READS: [sram(MAPPING, COORDINATE_BYTES, spec.coordinate_bytes)],
        Action.TAG_LOOKUPS: [logic(CACHE, spec.cache_ways * table["int32_add"], "an int32 comparison a way")],
        Action.FEATURE_READ_BYTES: [sram(CACHE, 1, spec.cache_bytes)],
        Action.FEATURE_WRITE_BYTES: [sram(CACHE, 1, spec.cache_bytes)],
        Action.WEIGHT_READ_BYTES: [sram(WEIGHTS, 1, spec.weight_bytes)],
        Action.MACS: [logic(MATRIX, table["f16_mult"] + table["f32_add"], "FP16 product, FP32 addition")],
        Action.ACCUMULATIONS: [
            sram(ACCUMULATORS, 2 * SUM_BYTES, spec.accumulator_bytes),
            logic(ACCUMULATORS, table["f32_add"], "FP32 addition"),
        ],
        Action.OUTPUTS: [
            sram(ACCUMULATORS, SUM_BYTES, spec.accumulator_bytes),
            logic(ACCUMULATORS, table["f32_add"], "FP32 addition, of the bias"),
        ],
        **{action: [moved] for action in DRAM},
    }
    return Prices(
        name="bottom-up",
        actions=actions,
        free={Action.CACHE_MISSES: "each is among the bytes written to the cache"},
        standing={},
        area=[],
        notes=(NOTE,),
    )


def sram_pj_of_byte(n_bytes: int) -> float:
    """Return what a byte read from or written to an SRAM costs, pJ: between the table's sizes a power of the size."""
    table = _table()
    sizes = np.log([SIZES[name] for name in SIZES])
    energies = np.log([table[name] / WORD_BYTES for name in SIZES])
    return float(np.exp(np.interp(np.log(n_bytes), sizes, energies)))


@cache
def _table() -> dict[str, float]:
    return {row["operation"]: float(row["energy_pj"]) for row in read_table("pointacc_sim", "energy_horowitz")}
