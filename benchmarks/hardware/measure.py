"""Measures the card in this machine: compiles the programs here, runs them, and writes what they found to a folder.

Usage: python -m benchmarks.hardware.measure --out FOLDER [--seed N], from the root of the repository. Writes card.json,
mma.csv, wgmma.csv and gemms.csv (where the card, or PyTorch, has them) and vectors/*.npz; hold.py reads them. Exits 2
with one line where nvcc or a card is missing, 1 with a line for every step that failed or ran out of time.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.hardware import instructions, vectors
from benchmarks.hardware.instructions import Measured

HERE = Path(__file__).parent
QUERY_SECONDS, COMPILE_SECONDS, RUN_SECONDS, GEMMS_SECONDS = 30, 600, 120, 1800
# {name in card.json: nvidia-smi's name}
QUERIES = {
    "card": "name",
    "capability": "compute_cap",
    "driver": "driver_version",
    "clock_sm_mhz": "clocks.sm",
    "clock_sm_max_mhz": "clocks.max.sm",
    "clock_memory_mhz": "clocks.mem",
    "power_limit_w": "power.limit",
}
TORCH = "import torch; print(torch.__version__ if torch.cuda.is_available() else '')"


class Missing(Exception):
    """What the measurement needs and this machine has not."""


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="measure", description="measure the card in this machine")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="of the vectors")
    options = parser.parse_args(words)
    try:
        nvcc, card = find_nvcc(), find_card()
        card["cuda"] = version_of(nvcc)
    except Missing as missing:
        print(f"measure: {missing}", file=sys.stderr)
        return 2
    card["torch"] = attempt([sys.executable, "-c", TORCH], QUERY_SECONDS, []) or ""
    card["seed"] = str(options.seed)
    (options.out / "vectors").mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as build:
        cycles(Path(build), options.out, nvcc, card, failures)
        values(Path(build), options.out, nvcc, card, options.seed, failures)
    if card["torch"]:
        _keep(options.out / "gemms.csv", [sys.executable, "-m", "benchmarks.hardware.gemms"], GEMMS_SECONDS, failures)
    card["clock_sm_mhz_at_end"] = find_card()["clock_sm_mhz"]
    (options.out / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    for failure in dict.fromkeys(failures):
        print(f"measure: {failure}", file=sys.stderr)
    return 1 if failures else 0


def find_nvcc() -> str:
    """Return the path of nvcc; raises Missing."""
    if path := shutil.which("nvcc"):
        return path
    raise Missing("nvcc is not on the PATH: install the CUDA toolkit, 12.5 or newer")


def find_card() -> dict[str, str]:
    """Return what nvidia-smi says of the first card, by the names in card.json; raises Missing."""
    if not shutil.which("nvidia-smi"):
        raise Missing("no card: nvidia-smi is not on the PATH")
    command = ["nvidia-smi", f"--query-gpu={','.join(QUERIES.values())}", "--format=csv,noheader,nounits", "--id=0"]
    failures: list[str] = []
    answer = attempt(command, QUERY_SECONDS, failures)
    if not answer:
        raise Missing("no card: " + " ".join(failures or ["nvidia-smi lists none"]))
    card = dict(zip(QUERIES, (field.strip() for field in answer.splitlines()[0].split(",")), strict=True))
    card["capability"] = card["capability"].replace(".", "")
    if int(card["capability"]) < 80:
        raise Missing(f"{card['card']} has compute capability {card['capability']}: mma.sp needs 80 or more")
    return card


def version_of(nvcc: str) -> str:
    """Return the CUDA version of nvcc; raises Missing where it does not say."""
    said = re.search(r"release [\d.]+, V([\d.]+)", attempt([nvcc, "--version"], QUERY_SECONDS, []) or "")
    if said is None:
        raise Missing(f"{nvcc} does not say its version")
    return said[1]


def cycles(build: Path, out: Path, nvcc: str, card: dict[str, str], failures: list[str]) -> None:
    """Write mma.csv and, on Hopper, wgmma.csv."""
    for name, rows in (("mma", instructions.MMA), ("wgmma", instructions.WGMMA)):
        if program := compiled(name, rows, build, nvcc, card, failures):
            _keep(out / f"{name}.csv", [str(program)], RUN_SECONDS, failures)


def values(build: Path, out: Path, nvcc: str, card: dict[str, str], seed: int, failures: list[str]) -> None:
    """Write one file of vectors for each instruction that the card has."""
    program = compiled("vectors", instructions.VECTORS, build, nvcc, card, failures)
    if program is None:
        return
    given, output = build / "given", build / "found"
    for row in _on(card, instructions.VECTORS):
        tiles = vectors.make(row, seed)
        vectors.records(tiles, row).astype("<u4").tofile(given)
        output.unlink(missing_ok=True)
        if attempt([str(program), row.key, str(given), str(output)], RUN_SECONDS, failures) is not None:
            result = vectors.results(np.fromfile(output, "<u4"), row)
            vectors.save(out / "vectors" / f"{row.key}.npz", row, tiles, result, card)


def compiled(
    name: str, rows: Iterable[Measured], build: Path, nvcc: str, card: dict[str, str], failures: list[str]
) -> Path | None:
    """Return the program of name.cu for the instructions of the card, or None: it has none of them, or nvcc failed."""
    rows = _on(card, rows)
    if not rows:
        return None
    folder = build / name
    folder.mkdir()
    (folder / "instructions.inc").write_text(instructions.source(rows), encoding="utf-8")
    done = attempt(compilation(nvcc, name, folder, int(card["capability"])), COMPILE_SECONDS, failures)
    return None if done is None else folder / name


def compilation(nvcc: str, name: str, folder: Path, capability: int) -> list[str]:
    """Return the command that compiles name.cu into a folder that holds its instructions.inc."""
    target = f"{capability}a" if capability == 90 else str(capability)  # wgmma is in 90a only
    flags = ["-std=c++17", "-O3", "-I", str(folder), "-gencode", f"arch=compute_{target},code=sm_{target}"]
    return [nvcc, *flags, str(HERE / f"{name}.cu"), "-o", str(folder / name)]


def attempt(command: list[str], seconds: int, failures: list[str]) -> str | None:
    """Return what a command printed, or None after adding a line to the failures; it never takes longer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=HERE.parents[1])
    except subprocess.TimeoutExpired:
        failures.append(f"{Path(command[0]).name} took more than {seconds} s and was stopped")
        return None
    except OSError as error:
        failures.append(f"{Path(command[0]).name} cannot be run: {error.strerror}")
        return None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        failures.append(f"{Path(command[0]).name} failed: {said[-1] if said else f'exit {done.returncode}'}")
        return None
    return done.stdout.strip()


def _keep(path: Path, command: list[str], seconds: int, failures: list[str]) -> None:
    printed = attempt(command, seconds, failures)
    if printed is not None:
        path.write_text(printed + "\n", encoding="utf-8")


def _on(card: dict[str, str], rows: Iterable[Measured]) -> list[Measured]:
    return [row for row in rows if row.runs_on(int(card["capability"]))]


if __name__ == "__main__":
    sys.exit(main())
