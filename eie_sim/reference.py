"""What the values must be: a plain loop over the dense weights, and float64 with a bound. No image, no engine."""

from __future__ import annotations

import numpy as np

from eie_sim.arithmetic import VALUE_MAX, VALUE_MIN, Format, quantise, to_float
from workloads.records import Workload

N_CHUNK_ROWS = 256  # rows taken to float64 at a time, so that a check needs little memory


def check(workload: Workload, inputs: np.ndarray, activations: np.ndarray, outputs: np.ndarray, bits: Format) -> dict:
    """Compare outputs i16[out] with the references, for inputs f64[in] that entered as activations i16[in].

    passed: every output equals the fixed-point loop's bit for bit, and every output whose accumulator never saturated
    lies within its bound of float64. max_error, bound: the largest error, and the bound of the output that has it.
    """
    expected, saturated = fixed_point(workload, activations, inputs != 0, bits)
    exact, bound = float64(workload, inputs, activations, bits)
    error = np.abs(to_float(outputs, bits.outputs) - exact)
    error[saturated] = 0
    worst = int(error.argmax())
    bit_exact, within = bool(np.array_equal(outputs, expected)), bool((error <= bound).all())
    return {
        "passed": bit_exact and within,
        "bit_exact": bit_exact,
        "within_float64_bound": within,
        "max_error": float(error[worst]),
        "bound": float(bound[worst]),
        "saturated_outputs": int(saturated.sum()),
    }


def fixed_point(
    workload: Workload, activations: np.ndarray, non_zero: np.ndarray, bits: Format
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs i16[out], added up column after column, and which accumulators saturated, bool[out]."""
    shift = bits.shift
    half = (1 << shift) >> 1
    one = quantise(np.ones(1), bits.activations)
    values = np.append(activations, one)
    order = np.flatnonzero(np.append(non_zero, workload.bias is not None))
    accumulators = np.zeros(workload.n_out, np.int32)
    saturated = np.zeros(workload.n_out, bool)
    for value, column in zip(values[order], _quantised_columns(workload, order, bits.weights), strict=True):
        total = accumulators + ((column * np.int32(value) + half) >> shift)
        accumulators = np.minimum(np.maximum(total, VALUE_MIN), VALUE_MAX)  # np.clip takes four times as long
        saturated |= accumulators != total
    if workload.relu:
        accumulators = np.maximum(accumulators, 0)
    return accumulators.astype(np.int16), saturated


def float64(
    workload: Workload, inputs: np.ndarray, activations: np.ndarray, bits: Format
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs in float64, f64[out], and by how much the machine's may differ, f64[out].

    With w, x the (shared) weight and the input as reals, v, a their 16-bit values and s the accumulator's step: a
    product is off by at most |v| |a - x| + |v - w| |x|, its rounding by s/2, and ReLU enlarges no error.
    float64's own rounding adds at most (terms + 2) eps times the sum of |w| |x|.
    """
    active = np.flatnonzero(inputs)
    x, a = inputs[active], to_float(activations[active], bits.activations)
    if workload.bias is not None:
        one = to_float(quantise(np.ones(1), bits.activations), bits.activations)
        x, a = np.append(x, 1.0), np.append(a, one)
    exact, bound = np.empty(workload.n_out), np.empty(workload.n_out)
    half_step = 2.0 ** -(bits.outputs + 1)
    for start in range(0, workload.n_out, N_CHUNK_ROWS):
        rows = slice(start, start + N_CHUNK_ROWS)
        w = workload.weights[rows][:, active].astype(np.float64)
        if workload.bias is not None:
            w = np.column_stack((w, workload.bias[rows]))
        v = to_float(quantise(w, bits.weights), bits.weights)
        exact[rows] = w @ x
        eps = (len(x) + 2) * np.finfo(np.float64).eps
        bound[rows] = (
            np.abs(v) @ np.abs(a - x)
            + np.abs(v - w) @ np.abs(x)
            + np.count_nonzero(w, axis=1) * half_step
            + eps * (np.abs(w) @ np.abs(x))
        )
    return (np.maximum(exact, 0) if workload.relu else exact), bound


def _quantised_columns(workload: Workload, order: np.ndarray, fraction_bits: int) -> np.ndarray:
    """Return the columns `order` (n_in for the bias) in fixed point, i16[K, out]: a column in one piece."""
    columns = np.empty((len(order), workload.n_out), np.int16)
    inputs = order[order < workload.n_in]
    for start in range(0, workload.n_out, N_CHUNK_ROWS):
        rows = slice(start, start + N_CHUNK_ROWS)
        columns[: len(inputs), rows] = quantise(workload.weights[rows][:, inputs], fraction_bits).T
    if len(inputs) < len(order):
        columns[-1] = quantise(workload.bias, fraction_bits)
    return columns
