"""Holds the model against what measure.py found on a card: every time, and every bit of every vector.

Usage: python -m benchmarks.hardware.hold FOLDER. Needs no card. Exits 2 with one line where the folder is none of
measure.py's.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.hardware import vectors
from tensorcore_sim import PRESETS, fused_dot_add, latency, throughput
from tensorcore_sim.card.tiling import Problem
from tensorcore_sim.simulate import time_gemm
from tensorcore_sim.spec import Spec
from workloads.errors import BadInput

# A part of the card's name, and the preset that is its SM
PRESET_OF = {
    "A100": "a100-sxm-80gb",
    "H800": "h800-pcie",
    "GH200": "gh200",
    "H100": "h100-sxm",
    "H200": "h200-sxm",
    "L40S": "l40s",
    "RTX 3090": "rtx-3090",
    "RTX 4090": "rtx-4090",
    "RTX 5090": "rtx-5090",
    "Tesla T4": "t4",
    "B200": "b200",
}
# Compute capability, and the card whose arithmetic the model has
ARITHMETIC_OF = {
    "75": "t4",
    "80": "a100",
    "86": "rtx-3090",
    "89": "l40s",
    "90": "h100",
    "100": "b200",
    "120": "rtx-5090",
}
SHOWN = 3  # differing vectors of a file


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure in both; model is None where it has none, and why says so."""

    what: str
    unit: str
    measured: float
    model: float | None
    why: str = ""

    def __str__(self) -> str:
        if self.model is None:
            return f"{self.what:58} {self.measured:9.2f} {'':9} {'':7}  {self.unit}; no model: {self.why}"
        error = 100 * (self.model / self.measured - 1)
        return f"{self.what:58} {self.measured:9.2f} {self.model:9.2f} {error:+6.1f}%  {self.unit}"


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How many results of one family of one instruction have the model's bits, and the first that have not."""

    what: str
    equal: int
    total: int
    differing: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.what:58} {self.equal:6} of {self.total:6} equal", *self.differing]
        return "\n  ".join(lines)


def main(words: list[str]) -> int:
    if len(words) != 1:
        print("hold: usage: python -m benchmarks.hardware.hold FOLDER", file=sys.stderr)
        return 2
    folder = Path(words[0])
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"hold: FOLDER must hold the card.json of measure.py: {error}", file=sys.stderr)
        return 2
    print(f"{card['card']}, driver {card['driver']}, CUDA {card['cuda']}")
    print(f"{'':58} {'measured':>9} {'model':>9} {'error':>7}")
    for figure in (*timing(folder, card), *values(folder, card)):
        print(figure)
    return 0


def timing(folder: Path, card: dict[str, str]) -> Iterator[Figure]:
    """Yield every row of mma.csv, wgmma.csv and gemms.csv, as far as they are there."""
    names = [preset for part, preset in PRESET_OF.items() if part in card["card"]]
    spec = PRESETS[names[0]] if names else None
    for row in _rows(folder / "mma.csv"):
        name, in_dtype, n_warps, ilp = row["instruction"], row["in_dtype"], int(row["n_warps"]), int(row["ilp"])
        what = f"{name} {in_dtype} to {row['out_dtype']}, {n_warps} warps, ILP {ilp}"
        if n_warps == ilp == 1:
            yield _held(f"{what}: latency", "cycles", row["period_cycles"], latency, name, spec, in_dtype=in_dtype)
        options = {"in_dtype": in_dtype, "n_warps": n_warps, "ilp": ilp}
        yield _held(what, "FMA/clk/SM", row["fma_per_cycle"], _fma_per_cycle, name, spec, **options)
    for row in _rows(folder / "wgmma.csv"):
        what = f"{row['instruction']} {row['in_dtype']} to {row['out_dtype']}, A from {row['a_from']}"
        options = {"in_dtype": row["in_dtype"], "a_from": row["a_from"], "n_warps": 1}
        yield _held(what, "cycles", row["cycles"], _period_cycles, row["instruction"], spec, **options)
    dense_us = {}
    for row in _rows(folder / "gemms.csv"):
        problem = Problem(m=int(row["m"]), n=int(row["n"]), k=int(row["k"]))
        what = f"GEMM {problem.m} x {problem.n} x {problem.k} {row['in_dtype']}, {row['backend']}"
        options = {"in_dtype": row["in_dtype"], "sparsity": "dense" if row["backend"] == "dense" else "2:4"}
        yield _held(what, "us", row["median_us"], _gemm_us, problem, spec, **options)
        if row["backend"] == "dense":
            dense_us[problem, row["in_dtype"]] = float(row["median_us"])
        else:
            gain = dense_us[problem, row["in_dtype"]] / float(row["median_us"])
            yield _held(f"{what}: speed-up", "x dense", gain, _speed_up, problem, spec, in_dtype=row["in_dtype"])


def values(folder: Path, card: dict[str, str]) -> Iterator[Agreement | str]:
    """Yield each family of each file of vectors; a line instead where the model has no such arithmetic."""
    for path in sorted((folder / "vectors").glob("*.npz")):
        measured, tiles, result = vectors.load(path)
        what = measured.key
        a, b, c = vectors.flat(tiles, measured)
        try:
            model = fused_dot_add(
                a,
                b,
                c,
                card=ARITHMETIC_OF.get(card["capability"], card["card"]),
                in_dtype=measured.in_dtype,
                out_dtype=measured.out_dtype,
                instruction=measured.instruction,
            ).reshape(result.shape)
        except BadInput as error:
            yield f"{what:58} no model: {error}"
            continue
        for family in vectors.FAMILIES:
            yield agreement(f"{what} {family}", result, model, np.flatnonzero(tiles.family == family))


def agreement(what: str, result: np.ndarray, model: np.ndarray, of_family: np.ndarray) -> Agreement:
    """Return how far two arrays of bit patterns [tiles, m, n] agree in some tiles."""
    equal = result[of_family] == model[of_family]
    digits = 2 + 2 * result.itemsize
    differing = []
    for place, row, column in np.argwhere(~equal)[:SHOWN]:
        at = (of_family[place], row, column)
        where = f"tile {at[0]}, row {row}, column {column}"
        differing.append(f"{where}: card {result[at]:#0{digits}x}, model {model[at]:#0{digits}x}")
    return Agreement(what=what, equal=int(equal.sum()), total=equal.size, differing=tuple(differing))


def _held(what: str, unit: str, measured: str | float, ask, of, spec: Spec | None, **options) -> Figure:
    """Return a measured figure beside ask(of, spec, **asked)."""
    if spec is None:
        return Figure(what=what, unit=unit, measured=float(measured), model=None, why="no preset is this card")
    try:
        return Figure(what=what, unit=unit, measured=float(measured), model=ask(of, spec, **options))
    except BadInput as error:
        return Figure(what=what, unit=unit, measured=float(measured), model=None, why=str(error))


def _fma_per_cycle(name: str, spec: Spec, **options) -> float:
    return throughput(name, spec, **options).fma_per_cycle


def _period_cycles(name: str, spec: Spec, **options) -> float:
    return throughput(name, spec, **options).period_cycles


def _gemm_us(problem: Problem, spec: Spec, **fields) -> float:
    spec = spec.replace(**fields)
    _, books, _ = time_gemm(problem, spec, baseline=False)
    return books.cycles / spec.clock_mhz


def _speed_up(problem: Problem, spec: Spec, in_dtype: str) -> float:
    dense, sparse = (_gemm_us(problem, spec, in_dtype=in_dtype, sparsity=sparsity) for sparsity in ("dense", "2:4"))
    return dense / sparse


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
