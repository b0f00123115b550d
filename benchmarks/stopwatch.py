"""The stopwatch of the benchmarks: the least of several repetitions, and how measurements are shown."""

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence


def best(work: Callable[[], object], before: Callable[[], object] | None = None, *, repeats: int) -> float:
    """Return the least time of `work` in seconds; `before` is done before each repetition and not counted."""
    work()  # compilation and caches
    least = float("inf")
    for _ in range(repeats):
        if before is not None:
            before()
        start = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - start)
    return least


def report(rows: Sequence[tuple[str, float, str, float, float | None, str]]) -> None:
    """Print (name, value, unit, ratio, target, meaning of the ratio) a line; exit with 1 where a ratio is above target.

    Writes them as JSON, too, to a path given as the program's only argument.
    """
    for name, value, unit, ratio, target, meaning in rows:
        verdict = "" if target is None else f"  target {target:g}: {'reached' if ratio <= target else 'MISSED'}"
        print(f"{name:22} {value:10.3f} {unit:10} {ratio:8.3f} {meaning}{verdict}")
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")
    if len(sys.argv) > 1:
        names = ("name", "value", "unit", "ratio", "target", "meaning")
        with open(sys.argv[1], "w", encoding="utf-8") as stream:
            json.dump([dict(zip(names, row, strict=True)) for row in rows], stream, indent=1)
    if missed := [name for name, _, _, ratio, target, _ in rows if target is not None and ratio > target]:
        sys.exit(f"targets missed: {', '.join(missed)}")
