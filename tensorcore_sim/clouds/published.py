"""TorchSparse's published figures (data/torchsparse.csv) that sparse convolutions on a card are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from cyclekit.validation import Comparison
from tensorcore_sim.clouds import groups, moves
from tensorcore_sim.clouds.layer import kernels_of
from tensorcore_sim.spec import PRESETS, Spec
from workloads.files import read_table
from workloads.points import networks
from workloads.points.clouds import read
from workloads.points.convolution import SparseConvolution
from workloads.points.coordinates import at_stride
from workloads.points.kernel_map import KernelMap, kernel_map

SOURCE = "TorchSparse"
CLOUD, N_COPIES, APART = "lidar-0.05", 4, 4096  # copies of a sweep as a batch, so many voxels apart
FOOTNOTES = (
    "TorchSparse was measured on SemanticKITTI, whose first layers have about 1e5 voxels; here it is a batch of four "
    "copies of lidar-0.05, 113,916 voxels. No constant is fitted on these rows but the hash map's accesses, which none "
    "of them judges.",
    "The model charges every kernel its launch (3.4 us), which kernels queued behind each other hide in part: fusing "
    "moves gains more here. Small batched products cost it no more than their tiles: Fig 7 has its best at 13 groups, "
    "and falls less below three.",
    "Table 2 is of MinkUNet 0.5 on an RTX 2080 Ti, the products of all submanifold layers here; Fig 7 of one layer, 64 "
    "to 64 channels here, whose epsilon gives so many groups; Table 3 of MinkUNet 1.0's gathers and scatters.",
)
MOVES = {
    "f32 scalar": {"in_dtype": "tf32", "vector_moves": False, "fused_moves": False, "local_moves": False},
    "f16 scalar": {"vector_moves": False, "fused_moves": False, "local_moves": False},
    "f16 vector": {"fused_moves": False, "local_moves": False},
    "fused": {"local_moves": False},
    "local": {},
}


def compare(progress: Callable[[float], None] = lambda share: None) -> list[Comparison]:
    """Return the comparisons with TorchSparse's tables."""
    card = PRESETS["rtx-2080-ti"]
    simulated = _strategies(_submanifold("minkunet-0.5"), card)
    progress(0.4)
    simulated |= _group_counts(_layers("submanifold-3x3x3")[0], card)
    simulated |= _moves(_submanifold("minkunet-1.0"), card)
    progress(0.6)
    times = [_time_us(_layers("minkunet-0.5"), PRESETS[preset]) for preset in ("rtx-2080-ti", "rtx-3090")]
    simulated["Fig 14", "ratio", "minkunet-0.5"] = times[0] / times[1]
    return [
        Comparison(
            source=SOURCE,
            quantity=f"{row['source']}, {row['quantity'].replace('_', '-')}",
            unit="x",
            layer=row["source"],
            setting=row["setting"],
            kind="as published",
            published=float(row["published"]),
            simulated=simulated[row["source"], row["quantity"], row["setting"]],
            mark=row["mark"],
        )
        for row in read_table("tensorcore_sim", "torchsparse")
    ]


@cache
def _layers(name: str) -> tuple[SparseConvolution, ...]:
    """Return a network's layers on the batch, without values: those of a small cloud, with the batch's maps."""
    small = networks.load(f"lidar-0.2:{name}").layers
    levels = sorted({len(side) for layer in small for side in (layer.map.inputs, layer.map.outputs)}, reverse=True)
    return tuple(_with_map(layer, _map(layer.map, levels)) for layer in small)


def _with_map(layer: SparseConvolution, joined: KernelMap) -> SparseConvolution:
    return replace(layer, map=joined, features=np.zeros((len(joined.inputs), layer.in_channels), np.float32))


def _map(small: KernelMap, levels: Sequence[int]) -> KernelMap:
    """Return the batch's map that stands where a small one does: between the same levels."""
    fine = small.outputs if small.is_transposed else small.inputs
    joined = _of_level(levels.index(len(fine)), round(len(small.sizes) ** (1 / 3)), small.stride)
    return joined.transposed() if small.is_transposed else joined


@cache
def _of_level(level: int, kernel_size: int, stride: int) -> KernelMap:
    return kernel_map(_batch(level), kernel_size, stride)


@cache
def _batch(level: int) -> np.ndarray:
    if level:
        return at_stride(_batch(level - 1), 2)
    one = read(CLOUD).coordinates
    return np.concatenate([one + np.int32([APART * copy, 0, 0]) for copy in range(N_COPIES)])


def _submanifold(name: str) -> list[SparseConvolution]:
    return [layer for layer in _layers(name) if layer.kind == "submanifold"]


def _strategies(layers: Sequence[SparseConvolution], card: Spec) -> dict[tuple[str, str, str], float]:
    """Return Table 2: speed-up of the products over separate, and rows that run over rows that are there."""
    times, works = {}, {}
    for grouping in ("separate", "symmetric", "fixed", "adaptive"):
        spec = card.replace(grouping=grouping)
        of_layers = [kernels_of(layer, spec, "schedule") for layer in layers]
        times[grouping] = sum(kernels[2].time_us for kernels, _ in of_layers)
        weights = [layer.macs for layer in layers]
        works[grouping] = float(np.average([measures["work_factor"] for _, measures in of_layers], weights=weights))
    rows = {("Table 2", "speed_up", name): times["separate"] / time for name, time in times.items()}
    return rows | {("Table 2", "work_factor", name): work for name, work in works.items()}


def _group_counts(layer: SparseConvolution, card: Spec) -> dict[tuple[str, str, str], float]:
    """Return Fig 7: speed-up of a layer's products over 26 groups, for so many as an epsilon gives."""
    joined, times = layer.map, {}

    def time_us(changes: dict) -> float:
        return kernels_of(layer, card.replace(**changes), "schedule")[0][2].time_us

    separate = time_us({"grouping": "separate"})
    for epsilon in np.linspace(0, 1, 101):
        changes = {"grouping": "adaptive", "tuned_groups": False, "mm_threshold": 2**40, "epsilon": float(epsilon)}
        chosen = groups.launches(joined, card.replace(**changes), lambda rows: 0.0)
        times.setdefault(len(chosen.groups), time_us(changes))
    # Of a number of groups that no epsilon gives the next larger.
    return {
        ("Fig 7", "speed_up", str(n)): separate / times[min(many for many in times if many >= n)]
        for n in (13, 6, 3, 2, 1)
    }


def _moves(layers: Sequence[SparseConvolution], card: Spec) -> dict[tuple[str, str, str], float]:
    """Return Table 3: speed-up of gathers and scatters together over f32 scalars."""
    times = {}
    for name, changes in MOVES.items():
        spec = card.replace(**changes)
        times[name] = sum(
            moves.gather(layer.map, layer.in_channels, spec).time_us
            + moves.scatter(layer.map, layer.out_channels, spec).time_us
            for layer in layers
        )
    return {("Table 3", "speed_up", name): times["f32 scalar"] / time for name, time in times.items()}


def _time_us(layers: Sequence[SparseConvolution], card: Spec) -> float:
    return sum(kernel.time_us for layer in layers for kernel in kernels_of(layer, card, "schedule")[0])
