"""A layer as it lies in the machine before cycle 0: its maps as the Mapping Unit computes them, its weights in FP16."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cyclekit.run import identity
from pointacc_sim.mapping import Maps, maps
from pointacc_sim.spec import COORDINATE_BYTES, ENTRY_BYTES, FEATURE_BYTES, SUM_BYTES, Spec
from workloads.errors import BadInput
from workloads.points.convolution import SparseConvolution
from workloads.points.coordinates import pack

LARGEST_F16 = float(np.finfo(np.float16).max)


@dataclass(frozen=True, eq=False, kw_only=True)
class Image:
    """A layer encoded. weights: f32[offsets, in, out], each an FP16; is_sorted: the input cloud comes in key order."""

    layer: SparseConvolution
    maps: Maps
    weights: np.ndarray
    is_sorted: bool
    block: int  # elements of a merger's step that the maps were computed with
    digest: str
    notes: tuple[str, ...]

    @property
    def workload(self) -> SparseConvolution:
        return self.layer


def encode(layers: Sequence[SparseConvolution], spec: Spec) -> list[Image]:
    """Return the layers as they lie in the machine. Raises BadInput for what is no sparse convolution."""
    return [_encode(layer, spec) for layer in layers]


def _encode(layer: SparseConvolution, spec: Spec) -> Image:
    if not isinstance(layer, SparseConvolution):
        raise BadInput(f"pointacc takes sparse convolutions on a cloud, as lidar-0.1:minkunet-0.5, not {layer.name!r}")
    weights, notes = to_f16("weights", layer.weights)
    return Image(
        layer=layer,
        maps=maps(layer.map, spec.block),
        weights=weights,
        is_sorted=bool((np.diff(pack(layer.map.inputs)) > 0).all()),
        block=spec.block,
        digest=identity(
            layer.weights,
            layer.map.digest,
            None if layer.bias is None else layer.bias.tolist(),
            layer.relu,
            layer.map_from is None,
            layer.pointwise_run,
        ),
        notes=notes,
    )


def to_f16(name: str, reals: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return reals rounded to FP16 as f32, cut at its largest, and what must be said of those that were cut."""
    n_cut = int((np.abs(reals) > LARGEST_F16).sum())
    rounded = np.clip(reals, -LARGEST_F16, LARGEST_F16).astype(np.float16).astype(np.float32)
    return rounded, (f"{n_cut} {name} are beyond FP16 and were cut",) if n_cut else ()


def stored(image: Image, spec: Spec) -> dict[str, float]:
    """Return what the layer takes in DRAM, by part, in bytes."""
    layer = image.layer
    parts = {
        "weights": image.weights.size * FEATURE_BYTES,
        "bias": 0 if layer.bias is None else layer.bias.size * SUM_BYTES,
        "coordinates": (len(layer.map.inputs) + (not layer.map.is_submanifold) * layer.positions) * COORDINATE_BYTES,
    }
    if len(layer.map.sizes) > 1:
        parts["maps"] = (layer.map.n_maps - (layer.positions if layer.map.centre is not None else 0)) * ENTRY_BYTES
    return {name: float(size) for name, size in parts.items()}
