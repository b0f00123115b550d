"""One sparse convolution with its kernel map and what reaches it, and what comes out of it by NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads.blas import one_thread
from workloads.errors import BadInput
from workloads.points.kernel_map import KernelMap
from workloads.records import REACHED, REAL, checked_array


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseConvolution:
    """One sparse convolution, y[q] = act(sum over the map's (p, q, d) of x[p] W[d] + b).

    weights: f32[offsets, in, out]; map: which voxels meet under which offset; features: f32[n_in voxels, in]; bias:
    f32[out] or None. map_from: the layer before it whose map this is (None: it needs one of its own). reached: what
    the features are, one of workloads.records.REACHED. pointwise_run: where pointwise layers follow each other
    directly, the channels that enter the first and leave each; run_place: which of them this is. Raises BadInput.

    What a product with stored weights says of itself it says as the matrix that im2col would make of it: n_in is
    channels times offsets, a position is an output voxel; macs are those of the map's entries alone.
    """

    name: str
    weights: np.ndarray
    map: KernelMap
    features: np.ndarray
    bias: np.ndarray | None = None
    relu: bool = False
    map_from: str | None = None
    pointwise_run: tuple[int, ...] = ()
    run_place: int = 0
    reached: str = REAL
    provenance: str = ""

    def __post_init__(self):
        object.__setattr__(self, "weights", checked_array("weights", self.weights, (3,)))
        object.__setattr__(self, "features", checked_array("features", self.features, (2,)))
        if len(self.weights) != len(self.map.sizes):
            raise BadInput(f"weights must have {len(self.map.sizes)} offsets in {self.name}, got {len(self.weights)}")
        wanted = (len(self.map.inputs), self.in_channels)
        if self.features.shape != wanted:
            raise BadInput(f"features must be f32{list(wanted)} in {self.name}, got {list(self.features.shape)}")
        if self.bias is not None:
            object.__setattr__(self, "bias", checked_array("bias", self.bias, (1,)))
            if len(self.bias) != self.out_channels:
                raise BadInput(f"bias must be f32[{self.out_channels}] in {self.name}, got {len(self.bias)}")
        if self.reached not in REACHED:
            raise BadInput(f"reached must be one of {', '.join(REACHED)}, got {self.reached!r}")

    @property
    def in_channels(self) -> int:
        return self.weights.shape[1]

    @property
    def out_channels(self) -> int:
        return self.weights.shape[2]

    @property
    def macs(self) -> int:
        """Multiply-adds of the map's entries."""
        return self.map.n_maps * self.in_channels * self.out_channels

    @property
    def kind(self) -> str:
        if len(self.map.sizes) == 1:
            return "pointwise"
        if self.map.is_submanifold:
            return "submanifold"
        return "transposed" if self.map.is_transposed else "strided"

    @property
    def n_out(self) -> int:
        return self.out_channels

    @property
    def n_in(self) -> int:
        return self.in_channels * len(self.weights)

    @property
    def blocks(self) -> np.ndarray:
        """f32[out, n_in]: the weights as a matrix."""
        return self.weights.reshape(self.n_in, self.out_channels).T

    @property
    def activations(self) -> np.ndarray:
        return self.features

    @property
    def positions(self) -> int:
        return len(self.map.outputs)

    @property
    def rows_of_input(self) -> int:
        return self.positions

    @property
    def mask(self) -> np.ndarray:
        """bool[offsets, in, out]: which weights are not zero."""
        return self.weights != 0

    groups = batch = 1
    weight_bits = None

    def first(self, n: int | None) -> SparseConvolution:
        """Return the layer as it is: a cloud is one input."""
        return self

    def sample(self, n: int | None) -> SparseConvolution:
        """Return the layer as it is: its voxels hang together."""
        return self

    def forward(self, features: np.ndarray | None = None, dtype=np.float32) -> np.ndarray:
        """Return the outputs [n_out voxels, out] in a type, for features [n_in voxels, in] (None: its own)."""
        given = self.features if features is None else features
        outputs = convolve(given.astype(dtype), self.weights.astype(dtype), self.map)
        if self.bias is not None:
            outputs += self.bias.astype(dtype)
        return np.maximum(outputs, 0, out=outputs) if self.relu else outputs


@one_thread()
def convolve(features: np.ndarray, weights: np.ndarray, map: KernelMap) -> np.ndarray:
    """Return the sums over a map's entries [n_out voxels, out] of features [n_in voxels, in], in their type.

    Gather, product, scatter, offset by offset: no offset has two entries of one output.
    """
    outputs = np.zeros((len(map.outputs), weights.shape[2]), features.dtype)
    for offset, of_offset in enumerate(weights):
        ins, outs = map.pairs(offset)
        if offset == map.centre:
            outputs += features @ of_offset
        else:
            outputs[outs] += features[ins] @ of_offset
    return outputs
