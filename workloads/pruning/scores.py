"""Criteria: what each weight is worth, f32[out, in], higher = keep, so that a group's worth is the sum of its weights'.

A criterion of whole outputs gives every weight of a row an equal part of its output's score.
"""

import math
from collections.abc import Iterable
from numbers import Real

import numpy as np

from workloads.errors import BadInput
from workloads.records import checked_array


def magnitude(weights: np.ndarray, p: float = 1.0) -> np.ndarray:
    """Return |w|**p, f32[out, in]: its sum over a group ranks as the group's Lp norm. weights: f32[out, in]; p > 0.

    Raises BadInput, also where a weight that is not zero would score zero in f32. Source: Han et al. 2015
    (elements), Li et al. 2017 (filters).
    """
    if isinstance(p, bool) or not isinstance(p, Real) or not 0 < p < math.inf:
        raise BadInput(f"p must be a finite number above 0, got {p!r}")
    magnitudes = np.abs(_checked(weights))
    if p == 1:
        return magnitudes
    with np.errstate(over="ignore", under="ignore"):  # as in `_single`
        scores = magnitudes * magnitudes if p == 2 else magnitudes ** np.float32(p)
    if np.any((scores == 0) & (magnitudes != 0)):
        raise BadInput(
            f"p must leave every weight that is not zero a score, |w|**{p:g} is 0 for some: take a smaller p"
        )
    return scores


def scaling_factors(weights: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Return |gamma| of each output, in equal parts, f32[out, in]. weights: f32[out, in]; gamma: f32[out].

    gamma: the scales of the batch normalisation that follows the layer. Raises BadInput.
    Source: Network Slimming, Liu et al. 2017.
    """
    weights = _checked(weights)
    return _of_outputs(weights, np.abs(_checked(gamma, "gamma", (len(weights),))))


def obd(weights: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Return h w**2 / 2, f32[out, in]: what the loss gains without that weight, near a minimum.

    weights: f32[out, in]; curvature: f32[out, in], the diagonal h of the Hessian, or the Fisher information in its
    place. Raises BadInput. Source: Optimal Brain Damage, LeCun et al. 1990, equation 5.
    """
    weights = _checked(weights).astype(np.float64)
    return _single(_checked(curvature, "curvature", weights.shape) * weights**2 / 2)


def fisher(gradients: Iterable[np.ndarray]) -> np.ndarray:
    """Return the sampled diagonal of the Fisher information, f32[out, in]: the mean of squared gradients.

    gradients: f32[out, in] for each sample, of that sample's own loss; an array f32[samples, out, in], or a generator
    where all of them are too many to hold. Raises BadInput.
    """
    total, n = None, 0
    for gradient in gradients:
        square = _checked(gradient, "gradients", None if total is None else total.shape).astype(np.float64) ** 2
        total, n = square if total is None else total + square, n + 1
    if total is None:
        raise BadInput("gradients must be those of at least one sample, got none")
    return _single(total / n)


def fisher_of_linear(inputs: np.ndarray, deltas: np.ndarray) -> np.ndarray:
    """Return what `fisher` gives for a fully connected layer, f32[out, in], without a gradient for each sample.

    inputs: f32[samples, in]; deltas: f32[samples, out], the gradient of each sample's own loss by the layer's outputs
    before the activation function; a sample's gradient is their outer product. Raises BadInput.
    """
    inputs = _checked(inputs, "inputs").astype(np.float64)
    deltas = _checked(deltas, "deltas", (len(inputs), None)).astype(np.float64)
    return _single((deltas**2).T @ inputs**2 / len(inputs))


def apoz(weights: np.ndarray, activations: np.ndarray) -> np.ndarray:
    """Return 1 - APoZ of each output, in equal parts, f32[out, in]; APoZ is the average percentage of zeros, 0 to 1.

    weights: f32[out, in]; activations: f32[samples, out], what leaves the layer after its ReLU. Raises BadInput.
    Source: Network Trimming, Hu et al. 2016.
    """
    weights = _checked(weights)
    activations = _checked(activations, "activations", (None, len(weights)))
    return _of_outputs(weights, np.count_nonzero(activations, axis=0) / len(activations))


def wanda(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Return |w| times the L2 norm of its input over the samples, f32[out, in]; meant for choices within a row.

    weights: f32[out, in]; inputs: f32[samples, in]. Raises BadInput. Source: Wanda, Sun et al. 2023, equation 1.
    """
    weights = _checked(weights)
    inputs = _checked(inputs, "inputs", (None, weights.shape[1]))
    norms = np.sqrt(np.einsum("ij,ij->j", inputs, inputs, dtype=np.float64))
    with np.errstate(over="ignore", invalid="ignore"):  # as in `_single`; an infinite norm times 0
        return np.abs(weights) * _single(norms)


def contribution(weights: np.ndarray, activations: np.ndarray, outgoing: np.ndarray) -> np.ndarray:
    """Return mean |activation| times the L2 norm of the outgoing weights, in equal parts of each output, f32[out, in].

    weights: f32[out, in]; activations: f32[samples, out]; outgoing: f32[next, out * kernel], the next layer's weights.
    Raises BadInput.
    """
    weights = _checked(weights)
    activations = _checked(activations, "activations", (None, len(weights)))
    outgoing = _checked(outgoing, "outgoing").astype(np.float64)
    if outgoing.shape[1] % len(weights):
        raise BadInput(f"outgoing must be f32[next, {len(weights)} * kernel], got {outgoing.shape}")
    squares = (outgoing**2).sum(axis=0).reshape(len(weights), -1).sum(axis=1)
    return _of_outputs(weights, np.abs(activations).mean(axis=0, dtype=np.float64) * np.sqrt(squares))


def random(weights: np.ndarray, seed: int) -> np.ndarray:
    """Return scores drawn evenly from [0, 1), f32[out, in]: the control that a criterion has to beat."""
    return np.random.default_rng(seed).random(_checked(weights).shape, dtype=np.float32)


def _of_outputs(weights: np.ndarray, scores: np.ndarray) -> np.ndarray:
    n_in = weights.shape[1]
    return np.repeat(_single(scores / n_in)[:, None], n_in, axis=1)


def _single(scores: np.ndarray) -> np.ndarray:
    """Return f64 as f32; what overflows is refused as a score, by whoever chooses by it."""
    with np.errstate(over="ignore"):
        return scores.astype(np.float32)


def _checked(array: np.ndarray, name: str = "weights", shape: tuple[int | None, ...] | None = (None, None)):
    """Return finite f32 of the shape, None for a side of any length; shape None: 2-D. Raises BadInput."""
    shape = (None, None) if shape is None else shape
    array = checked_array(name, array, (len(shape),))
    if any(side not in (None, size) for side, size in zip(shape, array.shape, strict=True)):
        sides = ", ".join("any" if side is None else str(side) for side in shape)
        raise BadInput(f"{name} must be f32[{sides}], got {array.shape}")
    return array
