"""A layer as the tensor core takes it: weights rounded to the format, checked against the pattern; or sizes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cyclekit.machine import layers_and_inputs
from cyclekit.run import identity
from tensorcore_sim.card.tiling import GROUP_SCALE_BITS, kept_share, metadata_bits, n_of_m, value_bits
from tensorcore_sim.format import blocks
from tensorcore_sim.format.image import PATTERNS, compress
from tensorcore_sim.format.operand import to_format, to_reals
from tensorcore_sim.format.what_if import compress as compress_n_of_m
from tensorcore_sim.spec import SCALED, Spec
from workloads.errors import BadInput
from workloads.records import Layer, Network, Shape, Workload

INT4_MAX = 7
N_TRIED_ROWS = 4
STORED_FIELDS = ("in_dtype", "sparsity", "int4_weights", "scale_group")  # of the Spec: all that encode looks at


@dataclass(frozen=True, eq=False, kw_only=True)
class Image:
    """One layer's A operand.

    bits: its values as patterns [out, in / groups] of the format, None for a Shape; scale: what they are to be
    multiplied with. stored: the fields of the Spec that it was encoded for. digest: of all this.
    """

    layer: Layer | Shape
    bits: np.ndarray | None
    scale: float
    stored: dict[str, object]
    digest: str
    notes: tuple[str, ...]


def encode(work: Workload | Shape | Network | Sequence[Workload | Shape], spec: Spec) -> Image | list[Image]:
    """Encode a layer or a Shape: an Image; of a network or several layers, a list.

    Reals are rounded to spec.in_dtype, scaled where it lacks their range; int4_weights in groups on their own grids.
    Raises BadInput where a group holds more non-zeros than spec.sparsity allows, with its place.
    """
    if isinstance(work, Workload | Shape):
        return _encode(work, spec)
    layers = layers_and_inputs(work)[0] if isinstance(work, Network) else work
    if not layers:
        raise BadInput("workloads must hold at least one layer, got none")
    return [_encode(layer, spec) for layer in layers]


def stored_fields(spec: Spec) -> dict[str, object]:
    """Return what of a Spec the weights in memory depend on."""
    return {name: getattr(spec, name) for name in STORED_FIELDS}


def stored(image: Image, spec: Spec) -> dict[str, float]:
    """Return the bytes of one layer in memory; padding fills the last group of each row."""
    n_out, n_in = image.layer.n_out, image.layer.n_in // image.layer.groups
    share, value, metadata = kept_share(spec), value_bits(spec), metadata_bits(spec)
    n_filled = n_out * (-n_in % n_of_m(spec)[1])
    if spec.in_dtype in SCALED:
        scales = blocks.n_bytes(n_out, n_in, spec.in_dtype, sparse=spec.sparse)["scales"]
    else:
        scales = n_out * -(-n_in // spec.scale_group) * GROUP_SCALE_BITS / 8 if spec.int4_weights else 0.0
    return {
        "values": float(n_out * n_in * share * value / 8),
        "metadata": float(n_out * n_in * share * metadata / 8),
        "scales": scales,
        "padding": float(n_filled * share * (value + metadata) / 8),
    }


def suited(layer: Workload | Shape, spec: Spec) -> Spec:
    """Return the spec with sparsity 2:4 for a layer whose weights fit that on a card that has it, else as it is."""
    if spec.sparse or isinstance(layer, Shape):
        return spec
    try:
        sparse = spec.replace(sparsity="2:4")
        _encode(layer, sparse)
    except BadInput:
        return spec
    return sparse


def _encode(layer: Workload | Shape, spec: Spec) -> Image:
    notes = () if spec.sparsity in ("dense", "2:4") else (f"{spec.sparsity} is a what-if: no card has it",)
    if layer.groups > 1:
        notes += (f"the {layer.groups:,} groups run as one batched GEMM, a product each",)
    if isinstance(layer, Shape):
        return Image(
            layer=layer,
            bits=None,
            scale=1.0,
            stored=stored_fields(spec),
            digest=identity([layer.n_out, layer.n_in, layer.positions, layer.groups], stored_fields(spec)),
            notes=notes,
        )
    weights = _int4_groups(layer.blocks, spec.scale_group) if spec.int4_weights else layer.blocks
    try:
        bits, scale, *of_blocks = _to_bits(weights, spec)
        _check_pattern(bits, spec)
    except BadInput as error:
        raise BadInput(f"weights of {layer.name}: {error}") from None
    bias = [] if layer.bias is None else [layer.bias]
    return Image(
        layer=layer,
        bits=bits,
        scale=scale,
        stored=stored_fields(spec),
        digest=identity(bits, scale, *of_blocks, stored_fields(spec), *bias, layer.relu),
        notes=notes,
    )


def pattern(spec: Spec) -> str | None:
    """Return what the weights must obey, None where they may be any: of the card's own 2:4 what its format makes it."""
    if not spec.sparse:
        return None
    return PATTERNS[blocks.values_of(spec.in_dtype)] if spec.sparsity == "2:4" else spec.sparsity


def _to_bits(weights: np.ndarray, spec: Spec) -> tuple:
    """Return weights as patterns and what they are to be multiplied with: one scale, and those of blocks if any."""
    if spec.in_dtype not in SCALED:
        return to_format(weights, spec.in_dtype)
    columns = blocks.BLOCKS[spec.in_dtype].size * (1 + spec.sparse)
    filled = np.pad(weights, ((0, 0), (0, -weights.shape[1] % columns)))
    scaled = blocks.scale(filled, spec.in_dtype, sparse=spec.sparse)
    return scaled.patterns[:, : weights.shape[1]], scaled.matrix_scale, scaled.scales


def _check_pattern(bits: np.ndarray, spec: Spec) -> None:
    try:
        _compress(bits, spec)
    except BadInput as error:
        line = f"{error}: prune to {pattern(spec)} first, or run with sparsity=dense"
        if kernel := _kernel_between(bits, spec):
            line += (
                f"; groups lie along a row: if this is a convolution with kernels of {kernel} places, {pattern(spec)} "
                f"along its input channels, store it as [out, kh, kw, in]"
            )
        raise BadInput(line) from None


def _compress(bits: np.ndarray, spec: Spec) -> None:
    """Raise BadInput where the weights are not in the pattern; the end of a row is filled with zeros."""
    n, m = n_of_m(spec)
    padded = np.pad(bits, ((0, 0), (0, -bits.shape[1] % max(m, 8))))
    if spec.sparsity == "2:4":
        compress(padded, blocks.values_of(spec.in_dtype))
    elif spec.sparse:
        compress_n_of_m(to_reals(padded, spec.in_dtype), n, m)


def _kernel_between(bits: np.ndarray, spec: Spec) -> int:
    """Return how many places a kernel has if rows [in, kernel] in the order [kernel, in] were in the pattern, or 0."""
    n_in = bits.shape[1]
    for kernel in (places for places in range(2, n_in // 2 + 1) if n_in % places == 0):
        for rows in (bits[:N_TRIED_ROWS], bits):  # most kernels fail in the first few
            try:
                _compress(rows.reshape(len(rows), -1, kernel).swapaxes(1, 2).reshape(rows.shape), spec)
            except BadInput:
                break
        else:
            return kernel
    return 0


def _int4_groups(weights: np.ndarray, group: int) -> np.ndarray:
    """Return the weights rounded to nearest on a symmetric grid of 15 values with an f16 scale for each group of k."""
    rounded = np.empty_like(weights)
    for start in range(0, weights.shape[1], group):
        block = weights[:, start : start + group].astype(np.float64)
        with np.errstate(over="ignore"):  # refused in the next line
            scales = (np.abs(block).max(axis=1, keepdims=True) / INT4_MAX).astype(np.float16).astype(np.float64)
        if not np.isfinite(scales).all():
            raise BadInput(f"weights must be at most {INT4_MAX * 65504} in size for int4_weights, got a larger one")
        scales[scales == 0] = 1.0
        rounded[:, start : start + group] = np.clip(np.rint(block / scales), -INT4_MAX, INT4_MAX) * scales
    return rounded
