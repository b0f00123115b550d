"""All parts of the campaign, one after the other: what each found is told at the end, and 1 is the end if any did.

    python tests/campaign [--percent P] [--seed S] [--folder F] [PART ...]

Each part is a file beside this one and runs in a process of its own, so that what one finds, or how it breaks, hides
none of the others. --percent: of the size of a night, but for `versions`, which has one size. --folder: where the
mutants' tree and the environments stay, so that the next run begins sooner.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
SIZES = {"kills": ("--kills", 100), "fuzz": ("--cases", 10_000), "differential": ("--cases", 100_000)}
SIZES |= {"versions": None, "mutate": ("--sample", 1000)}
STAYS = ("versions", "mutate")  # those that take a folder


def words(part: str, percent: float, seed: int, folder: Path | None) -> list[str]:
    """Return the arguments of a part."""
    said = []
    if size := SIZES[part]:
        option, n = size
        said += [option, str(max(1, round(n * percent / 100))), "--seed", str(seed)]
    if folder is not None and part in STAYS:
        said += ["--folder", str(folder / part)]
    return said


def run(parts: dict[str, list[str]], call: Callable[[Sequence[str]], int], out: Console) -> int:
    """Run every part, whatever another found; return 1 if any found or broke something, else 0."""
    table = Table("part", "arguments", "minutes", "end")
    n_failed = 0
    for part, said in parts.items():
        out.print(f"== {part} {' '.join(said)}", highlight=False)
        since = time.monotonic()
        status = call([sys.executable, str(HERE / f"{part}.py"), *said])
        n_failed += status != 0
        end = "nothing found" if status == 0 else f"FOUND SOMETHING, above ({status})"
        table.add_row(part, " ".join(said), f"{(time.monotonic() - since) / 60:.1f}", end)
    out.print(table)
    return int(n_failed > 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/campaign", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(SIZES)} (default: all)")
    parser.add_argument("--percent", type=float, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    for part in options.parts:
        if part not in SIZES:
            parser.error(f"no part {part!r}: there are {', '.join(SIZES)}")
    wanted = options.parts or SIZES
    parts = {part: words(part, options.percent, options.seed, options.folder) for part in wanted}
    return run(parts, lambda command: subprocess.run(command, check=False).returncode, Console())


if __name__ == "__main__":
    sys.exit(main())
