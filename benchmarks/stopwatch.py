"""The stopwatch of the benchmarks: the least of several repetitions."""

import time
from collections.abc import Callable


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
