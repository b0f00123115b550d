"""The tensor core's speed: a bit-exact GEMM beside NumPy's in f32, a GEMM's timing by both engines; the work asserted.

Values: 256 x 256 x 256, f16, A100. Timing: 4096 x 4096 x 4096, f16, A100, dense. Prints one line a measurement with its
target, and writes them as JSON to a path given as the only argument.
"""

from __future__ import annotations

import time

import numpy as np
from stopwatch import best, report

from tensorcore_sim import PRESETS, Problem, gemm, time_gemm
from tensorcore_sim.card import mainloop

SIZE, EDGE = 256, 4096
SPEC = PRESETS["a100-sxm-80gb"]
HOW = {"card": "a100", "in_dtype": "f16", "out_dtype": "f32", "instruction": "mma.m16n8k16"}
REPEATS = 10


def values() -> tuple[float, float]:
    """Return the seconds of the bit-exact GEMM and of NumPy's; small whole numbers prove that all was added."""
    rng = np.random.default_rng(1)
    a, b = (rng.integers(-4, 5, (SIZE, SIZE)).astype(np.float16) for _ in range(2))
    c = np.zeros((SIZE, SIZE), np.float32)
    f32_a, f32_b = a.astype(np.float32), b.astype(np.float32)
    assert np.array_equal(gemm(a, b, c, **HOW), f32_a @ f32_b)
    return best(lambda: gemm(a, b, c, **HOW), repeats=3), best(lambda: f32_a @ f32_b, repeats=REPEATS)


def main() -> None:
    exact, numpy = values()
    problem = Problem(m=EDGE, n=EDGE, k=EDGE)
    timeline, ledger, _ = time_gemm(problem, SPEC)
    n_steps = timeline.started.size
    assert ledger.actions["macs"] == EDGE**3
    assert (timeline.started >= 0).all()
    warm = best(lambda: time_gemm(problem, SPEC), repeats=REPEATS)
    cold = best(lambda: time_gemm(problem, SPEC), before=mainloop.step.cache_clear, repeats=REPEATS)
    start = time.perf_counter()
    played, played_ledger, _ = time_gemm(problem, SPEC, engine="events")
    events = time.perf_counter() - start
    assert played.differences(timeline) == []
    assert played_ledger.actions == ledger.actions
    rows = [
        ("bit-exact GEMM", 1e3 * exact, "ms", exact, 1.0, "s"),
        ("bit-exact GEMM", SIZE**3 / exact / 1e6, "M MAC/s", exact / numpy, None, "x NumPy's f32 product"),
        ("schedule, step cold", 1e3 * cold, "ms", 1e3 * cold, 50.0, "ms: k-step's instructions, card, books"),
        ("schedule, step warm", 1e3 * warm, "ms", 1e3 * warm, 50.0, "ms: card and books"),
        ("schedule, step warm", n_steps / warm / 1e6, "M steps/s", warm / n_steps * 1e9, None, "ns a k-step of a tile"),
        ("SimPy engine", events, "s", events, 20.0, "s"),
        ("SimPy engine", n_steps / events / 1e3, "k steps/s", events / warm, None, "x the schedule"),
    ]
    report(rows)


if __name__ == "__main__":
    main()
