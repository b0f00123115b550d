"""Any chain of sparse convolutions on one cloud: layers are added one by one, each with what really reaches it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from workloads.errors import BadInput
from workloads.points.clouds import Cloud
from workloads.points.convolution import SparseConvolution, convolve
from workloads.points.coordinates import DILATING, FLOOR
from workloads.points.kernel_map import KernelMap, kernel_map
from workloads.records import DRAWN, REAL, Model, Other

FLOAT_BYTES = 4


@dataclass(frozen=True, eq=False)
class Tensor:
    """Features f32[n, channels] on voxels; level: which of the chain's sets of voxels, reached: what they rest on.

    source: the operator that they leave, "" for the input.
    """

    features: np.ndarray
    level: int
    reached: str
    source: str = ""

    @property
    def channels(self) -> int:
        return self.features.shape[1]


class Chain:
    """Layers on a cloud; weights are drawn, and batch norm with the cloud's own statistics is folded into them.

    So features keep their size through any depth, as in a trained network. Kernel maps are shared as TorchSparse and
    MinkowskiEngine share them: one for each set of voxels, kernel and stride, and its inverse on the way up.
    """

    def __init__(self, cloud: Cloud, *, channels: int = 4, seed: int = 0):
        self._cloud, self._seed, self._rng = cloud, seed, np.random.default_rng(seed)
        self._operators: list[SparseConvolution | Other] = []
        self._levels = [cloud.coordinates]
        self._maps: dict[tuple[int, int, int, str], tuple[KernelMap, int, str]] = {}
        self._below: dict[tuple[int, int], tuple[KernelMap, int, str]] = {}  # (coarse level, kernel): on the way back
        self._taken: Counter[str] = Counter()  # how many operators take what leaves one
        self._source: dict[str, str] = {}  # of a layer's features
        features, reached = cloud.features, REAL
        if features is None:
            shape = len(cloud.coordinates), channels
            features, reached = self._rng.standard_normal(shape, np.float32), DRAWN
        self.input = Tensor(features, 0, reached)

    def convolution(
        self,
        name: str,
        tensor: Tensor,
        channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        convention: str = FLOOR,
        relu: bool = True,
        normalised: bool = True,
    ) -> Tensor:
        """Add a convolution and return what leaves it. normalised: batch norm is folded in. Raises BadInput."""
        key = tensor.level, kernel_size, stride, convention
        if key not in self._maps:
            coordinates = self._levels[tensor.level]
            if convention == DILATING:  # its grid begins at 0
                coordinates = coordinates - coordinates.min(axis=0)
            new = kernel_map(coordinates, kernel_size, stride, convention=convention)
            level = tensor.level
            if not new.is_submanifold:
                self._levels.append(new.outputs)
                level = len(self._levels) - 1
                self._below[level, kernel_size] = new.transposed(), tensor.level, name
            self._maps[key] = new, level, name
            return self._add(name, tensor, channels, new, level, None, relu, normalised)
        known, level, first = self._maps[key]
        return self._add(name, tensor, channels, known, level, first, relu, normalised)

    def transposed(self, name: str, tensor: Tensor, channels: int, *, kernel_size: int = 2) -> Tensor:
        """Add the convolution back to the voxels that a strided one of this kernel came from. Raises BadInput."""
        if (tensor.level, kernel_size) not in self._below:
            raise BadInput(f"{name} goes back where no strided convolution of kernel_size {kernel_size} came from")
        known, level, first = self._below[tensor.level, kernel_size]
        return self._add(name, tensor, channels, known, level, first, True, True)

    def add(self, name: str, one: Tensor, other: Tensor) -> Tensor:
        """Add the sum of two with a ReLU, the end of a residual block."""
        self._check_level(name, one, other)
        if one.channels != other.channels:
            raise BadInput(f"{name} must add as many channels, got {one.channels} and {other.channels}")
        return self._moved(name, "Add", np.maximum(one.features + other.features, 0), one, other)

    def concatenated(self, name: str, one: Tensor, other: Tensor) -> Tensor:
        """Add the features of two side by side, a skip connection."""
        self._check_level(name, one, other)
        return self._moved(name, "Concat", np.concatenate([one.features, other.features], axis=1), one, other)

    def model(self, name: str) -> Model:
        """Return all that was added as a model."""
        return Model(
            name=f"{self._cloud.name}:{name}",
            operators=tuple(self._in_runs()),
            is_graph=True,
            provenance=self._provenance,
            notes=(f"weights are drawn with seed {self._seed}, batch norm with the cloud's own statistics folded in",),
        )

    @property
    def _provenance(self) -> str:
        given = "features given" if self.input.reached == REAL else f"features drawn with seed {self._seed}"
        return f"{self._cloud.provenance}; {len(self._cloud.coordinates):,} voxels; {given}"

    def _add(self, name, tensor, channels, known, level, first, relu, normalised) -> Tensor:
        shape = len(known.sizes), tensor.channels, channels
        fan_in = tensor.channels * max(1.0, known.n_maps / len(known.outputs))
        weights = self._rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / fan_in))
        bias = None
        if normalised:
            raw = convolve(tensor.features, weights, known).astype(np.float64)
            deviation = raw.std(axis=0)
            deviation[deviation < 1e-6] = 1.0  # one voxel, or a dead channel
            weights = (weights / deviation).astype(np.float32)
            bias = (-raw.mean(axis=0) / deviation).astype(np.float32)
        layer = SparseConvolution(
            name=name,
            weights=weights,
            bias=bias,
            relu=relu,
            map=known,
            map_from=first,
            features=tensor.features,
            reached=tensor.reached,
            provenance=self._provenance,
        )
        self._operators.append(layer)
        self._taken[tensor.source] += 1
        self._source[name] = tensor.source
        return Tensor(layer.forward(), level, REAL, name)

    def _moved(self, name: str, kind: str, features: np.ndarray, one: Tensor, other: Tensor) -> Tensor:
        self._taken.update([one.source, other.source])
        n_bytes = FLOAT_BYTES * features.size
        self._operators.append(Other(name=name, kind=kind, n_elements=features.size, n_bytes=n_bytes))
        return Tensor(features, one.level, REAL, name)

    def _in_runs(self) -> Iterator[SparseConvolution | Other]:
        """Yield the operators; pointwise layers whose outputs the next one alone takes say of which run they are."""
        run: list[SparseConvolution] = []
        for operator in [*self._operators, None]:
            is_pointwise = isinstance(operator, SparseConvolution) and operator.kind == "pointwise"
            if run:
                last = run[-1].name
                if not is_pointwise or self._source[operator.name] != last or self._taken[last] > 1:
                    channels = (run[0].in_channels, *(layer.out_channels for layer in run))
                    yield from (replace(layer, pointwise_run=channels, run_place=at) for at, layer in enumerate(run))
                    run = []
            if is_pointwise:
                run.append(operator)
            elif operator is not None:
                yield operator

    def _check_level(self, name: str, one: Tensor, other: Tensor) -> None:
        if one.level != other.level:
            raise BadInput(f"{name} must join features on the same voxels, got levels {one.level} and {other.level}")
