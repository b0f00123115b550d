"""By how much a run's outputs differ from those of the user's own weights in float64, whatever the machine."""

from __future__ import annotations

import dataclasses

import numpy as np

from cyclekit.run import Run
from workloads.points.convolution import SparseConvolution
from workloads.records import Layer

RELATIVE_ERROR = "relative_error_%"  # the name of the measure
WARN_FROM_PERCENT = 10.0
N_CHUNK_ROWS = 256  # taken to float64 at a time


def float64_outputs(layer: Layer | SparseConvolution, inputs: np.ndarray) -> np.ndarray:
    """Return the layer's outputs in float64, f64[batch, out], for inputs f32[batch, in]; a row of either is a voxel."""
    if isinstance(layer, SparseConvolution):
        return layer.forward(inputs, np.float64)
    signal, outputs = inputs.T.astype(np.float64), np.empty((len(inputs), layer.n_out))
    for start in range(0, layer.n_out, N_CHUNK_ROWS):
        rows = slice(start, start + N_CHUNK_ROWS)
        outputs[:, rows] = (layer.weights[rows].astype(np.float64) @ signal).T
    if layer.bias is not None:
        outputs += layer.bias
    return np.maximum(outputs, 0) if layer.relu else outputs


def judged(run: Run, expected: np.ndarray) -> Run:
    """Return the run with its relative error among its measures, and a note if that is large.

    expected: f64[n, out], what the run's rows of activations should give. The error is the norm of the difference over
    the norm of what is expected; where that is all zeros, 0% or 100%.
    """
    difference, norm = np.linalg.norm(np.atleast_2d(run.values) - expected), np.linalg.norm(expected)
    percent = 100 * float(difference / norm if norm else difference > 0)
    notes = run.notes
    if percent >= WARN_FROM_PERCENT:
        notes += (f"the outputs are {percent:.0f}% off those of the weights as given, in float64",)
    return dataclasses.replace(run, measures={**run.measures, RELATIVE_ERROR: percent}, notes=notes)
