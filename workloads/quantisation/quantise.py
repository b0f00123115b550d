"""Rounding weights to few bits: symmetric grids per tensor, channel or group, and AWQ's scaling of the inputs."""

from dataclasses import dataclass

import numpy as np

from workloads.errors import BadInput
from workloads.records import checked_array

AWQ_POWERS = np.arange(20) / 20  # the exponents tried: 20 points from 0 (no scaling); Lin et al. 2024
AWQ_CLIPS = 1 - np.arange(10) / 20  # the share of the range kept: 20 steps to a range, at most half of it cut
LEAST_INPUT_SCALE = 1e-4  # keeps the scale of an input that is always 0 away from 0; as the authors' code


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantised:
    """A layer's weights on symmetric grids: weight = scale * code / input scale.

    codes: i8[out, in], each from -(2**(bits - 1) - 1) to 2**(bits - 1) - 1 (2 bits: -1, 0, 1), 0 for the value zero.
    scales: f32[1, 1] for one grid per tensor, f32[out, 1] per channel (a row), f32[out, in / group] per group of
    consecutive inputs in a row. input_scales: f32[in], AWQ's, or None for 1: the previous operation may divide its
    outputs by them instead, and the layer then computes with scale * code alone.
    """

    bits: int
    codes: np.ndarray
    scales: np.ndarray
    input_scales: np.ndarray | None = None

    @property
    def weights(self) -> np.ndarray:
        """f32[out, in]: what the layer computes with on unscaled inputs."""
        weights = dequantise(self.codes, self.scales)
        return weights if self.input_scales is None else weights / self.input_scales


def round_to_nearest(weights: np.ndarray, bits: int, per: str | int = "channel") -> Quantised:
    """Return the weights rounded to the nearest points of their grids, whose ends are the largest magnitudes.

    weights: f32[out, in]; bits: 2 to 8; per: "tensor", "channel" or a group's number of inputs, which divides `in`.
    Zeros stay zero. Raises BadInput.
    """
    weights = checked_array("weights", weights, (2,))
    scales = grid_scales(weights, bits, per)
    return Quantised(bits=bits, codes=nearest_codes(weights, scales, bits), scales=scales)


def awq(weights: np.ndarray, inputs: np.ndarray, bits: int, per: str | int = "channel") -> Quantised:
    """Return the weights rounded after scaling up the inputs' columns that matter, and clipping the grids' ends.

    weights: f32[out, in]; inputs: f32[samples, in]; bits, per: see `round_to_nearest`. Input scales are
    mean(|inputs|)**power, over the square root of their largest times their smallest, with the power of AWQ_POWERS of
    least squared error of the outputs; then each grid takes the clip of AWQ_CLIPS of least error of its own part of
    the outputs. Zeros stay zero. Raises BadInput. Source: AWQ, Lin et al. 2024.
    """
    weights = checked_array("weights", weights, (2,))
    inputs = checked_array("inputs", inputs, (2,))
    if inputs.shape[1] != weights.shape[1]:
        raise BadInput(f"inputs must be f32[samples, {weights.shape[1]}] for these weights, got {inputs.shape}")
    wide = inputs.astype(np.float64)  # squares of what f32 holds are beyond it
    gram, magnitudes = wide.T @ wide, np.abs(wide).mean(axis=0)

    def error(input_scales: np.ndarray) -> float:
        scaled = _scaled(weights, input_scales)
        if not np.isfinite(scaled).all():  # beyond f32: no scaling, among those tried, is within it
            return np.inf
        rounded = round_to_nearest(scaled, bits, per)
        difference = rounded.weights / input_scales - weights.astype(np.float64)
        return float(np.vdot(difference @ gram, difference))

    input_scales = min((_input_scales(magnitudes, power) for power in AWQ_POWERS), key=error)
    scaled = _scaled(weights, input_scales)
    scales = _clipped_scales(scaled, gram / np.outer(input_scales, input_scales), bits, per)
    codes = nearest_codes(scaled, scales, bits)
    return Quantised(bits=bits, codes=codes, scales=scales, input_scales=input_scales)


def group_size(n_in: int, per: str | int) -> int:
    """Return how many inputs of a row share a grid. Raises BadInput for a group that does not divide n_in."""
    if per in ("tensor", "channel"):
        return n_in
    if isinstance(per, bool) or not isinstance(per, int) or per < 1 or n_in % per:
        raise BadInput(f"per must be 'tensor', 'channel' or a group size that divides {n_in} inputs, got {per!r}")
    return per


def grid_scales(weights: np.ndarray, bits: int, per: str | int) -> np.ndarray:
    """Return f32[1 or out, groups]: the step of each grid over weights f32[out, in], largest magnitude / largest code.

    A grid without non-zero weights has the step 1. Raises BadInput.
    """
    groups = np.abs(weights).reshape(len(weights), -1, group_size(weights.shape[1], per))
    largest = groups.max(axis=(0, 2) if per == "tensor" else 2, keepdims=per == "tensor").reshape(-1, groups.shape[1])
    scales = (largest / largest_code(bits)).astype(np.float32)
    return np.where(scales > 0, scales, np.float32(1))


def nearest_codes(weights: np.ndarray, scales: np.ndarray, bits: int) -> np.ndarray:
    """Return i8[out, in]: the code nearest to each of the weights f32[out, in], the even one of two as near."""
    ends = largest_code(bits)
    groups = weights.reshape(len(weights), scales.shape[1], -1)
    return np.rint(groups / scales[:, :, None]).clip(-ends, ends).astype(np.int8).reshape(weights.shape)


def dequantise(codes: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return f32[out, in]: scale * code."""
    return (codes.reshape(len(codes), scales.shape[1], -1) * scales[:, :, None]).reshape(codes.shape)


def largest_code(bits: int) -> int:
    """Return the largest code of a symmetric grid of 2 to 8 bits. Raises BadInput."""
    if bits not in range(2, 9):
        raise BadInput(f"bits must be 2 to 8, got {bits!r}")
    return 2 ** (int(bits) - 1) - 1


def _scaled(weights: np.ndarray, input_scales: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return weights * input_scales


def _input_scales(magnitudes: np.ndarray, power: float) -> np.ndarray:
    scales = np.maximum(magnitudes**power, LEAST_INPUT_SCALE)
    return (scales / np.sqrt(scales.max() * scales.min())).astype(np.float32)


def _clipped_scales(weights: np.ndarray, gram: np.ndarray, bits: int, per: str | int) -> np.ndarray:
    """Return f32[1 or out, groups]: for each grid the clipped step of least error of its own part of the outputs."""
    size, full = group_size(weights.shape[1], per), grid_scales(weights, bits, per)
    n_groups = full.shape[1]
    diagonal = np.arange(n_groups)
    own_grams = gram.reshape(n_groups, size, n_groups, size)[diagonal, :, diagonal]  # [groups, size, size]
    best, least = full, np.full(full.shape, np.inf)
    for clip in AWQ_CLIPS.astype(np.float32):
        difference = dequantise(nearest_codes(weights, full * clip, bits), full * clip) - weights
        parts = difference.reshape(-1, n_groups, size).transpose(1, 0, 2)
        errors = np.einsum("gos,gos->og", parts @ own_grams, parts)
        errors = errors.sum(axis=0, keepdims=True) if per == "tensor" else errors
        best = np.where(errors < least, full * clip, best)
        least = np.minimum(errors, least)
    return best
