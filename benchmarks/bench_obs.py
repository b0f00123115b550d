"""The time of second-order compression, on matrices shaped as MiniLM's 36; every figure asserts the work that was done.

MiniLM-L6 has 4 x 6 matrices of 384 x 384, 6 of 1536 x 384 and 6 of 384 x 1536. Prints one line a measurement, in CPU
seconds, with its target. Set OPENBLAS_NUM_THREADS=1: a second thread changes what is measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from workloads.pruning.obs import gptq, hessian, sparsegpt
from workloads.pruning.patterns import mask
from workloads.pruning.permute import efficacy, permute_inputs
from workloads.pruning.reconstruct import lasso_channels, least_squares, thinet_channels
from workloads.pruning.scores import magnitude
from workloads.quantisation.quantise import awq, round_to_nearest

SHAPES = {(384, 384): 24, (1536, 384): 6, (384, 1536): 6}
N_SAMPLES = 4096


def layer(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return weights f32[shape] and inputs f32[samples, in] of which half are mixed from an eighth as many causes."""
    rng = np.random.default_rng(0)
    n_in = shape[1]
    causes = rng.standard_normal((N_SAMPLES, n_in // 8)) @ rng.standard_normal((n_in // 8, n_in)) / np.sqrt(n_in // 8)
    inputs = causes + rng.standard_normal((N_SAMPLES, n_in))
    return rng.standard_normal(shape).astype(np.float32), inputs.astype(np.float32)


def timed(work: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def main() -> None:
    spent: dict[str, float] = {}
    for shape, n in SHAPES.items():
        weights, inputs = layer(shape)
        seconds, h = timed(lambda inputs=inputs: hessian(inputs))
        spent["Hessians"] = spent.get("Hessians", 0) + n * seconds

        def error(changed, weights=weights, h=h):
            difference = changed.astype(np.float64) - weights
            return float(np.vdot(difference @ h, difference))

        pruned = error(weights * mask(magnitude(weights), "element", 0.5))
        rounded = error(round_to_nearest(weights, 4).weights)
        works = {
            "SparseGPT, 50%": (lambda w=weights, h=h: sparsegpt(w, h, density=0.5), pruned),
            "SparseGPT, 2:4": (lambda w=weights, h=h: sparsegpt(w, h, n_m=(2, 4)), 2 * pruned),
            "GPTQ, 4 bits": (lambda w=weights, h=h: gptq(w, h, bits=4).weights, rounded),
            "GPTQ, 4 bits, groups of 64": (lambda w=weights, h=h: gptq(w, h, bits=4, per=64).weights, rounded),
            "AWQ, 4 bits, groups of 64": (lambda w=weights, x=inputs: awq(w, x, 4, 64).weights, rounded),
        }
        for name, (work, limit) in works.items():
            seconds, changed = timed(work)
            spent[name] = spent.get(name, 0) + n * seconds
            assert error(changed) < limit, name
            if "SparseGPT" in name:
                assert np.count_nonzero(changed) == weights.size // 2, name
    targets = {"SparseGPT, 50%": 30.0, "SparseGPT, 2:4": 30.0}

    weights, inputs = layer((384, 1536))
    dense = inputs @ weights.T
    for name, choose in {"LASSO": lasso_channels, "ThiNet": thinet_channels}.items():
        spent[f"{name}, 768 of 1536 channels"], channels = timed(lambda choose=choose: choose(weights, inputs, 768))
        assert channels.sum() == 768
    seconds, (fitted, _) = timed(lambda: least_squares(inputs, dense, channels, start=weights))
    assert np.count_nonzero(fitted.any(axis=0)) == 768
    spent["least squares on 768 of 1536"] = seconds

    gaussian = np.random.default_rng(0).standard_normal((128, 64)).astype(np.float32)
    spent["permutation of 128 x 64"], order = timed(lambda: permute_inputs(gaussian))
    assert efficacy(gaussian, order) >= 0.3
    targets["permutation of 128 x 64"] = 5.0

    for name, seconds in spent.items():
        verdict = ""
        if name in targets:
            verdict = f"  target {targets[name]:g}: {'reached' if seconds <= targets[name] else 'MISSED'}"
        print(f"{name:32} {seconds:8.2f} CPU s{verdict}")
    if missed := [name for name, target in targets.items() if spent[name] > target]:
        sys.exit(f"targets missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
