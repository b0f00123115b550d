"""The fields of a Spec that only sparse convolutions on clouds look at: how a library such as TorchSparse runs them."""

from __future__ import annotations

from dataclasses import dataclass

from cyclekit.spec import Spec, choice, number, switch

TORCHSPARSE = "TorchSparse, MLSys 2022"
GATHER_SCATTER, FETCH_ON_DEMAND, IMPLICIT_GEMM = DATAFLOWS = ("gather-scatter", "fetch-on-demand", "implicit-gemm")
SEPARATE, SYMMETRIC, FIXED, DENSE, ADAPTIVE = GROUPINGS = ("separate", "symmetric", "fixed", "dense", "adaptive")
HASH, GRID = SEARCHES = ("hash", "grid")


@dataclass(frozen=True, kw_only=True)
class CloudFields(Spec):
    """What is chosen for a sparse convolution; no matrix looks at it. The defaults are TorchSparse's."""

    sparse_dataflow: str = choice(
        GATHER_SCATTER,
        "how a sparse convolution runs: by rows gathered and scattered, in one kernel by its map, or as a masked GEMM",
        source=f"{TORCHSPARSE}; TorchSparse++, MICRO 2023",
        options=DATAFLOWS,
    )
    grouping: str = choice(
        ADAPTIVE, "which offsets run as one batched product", source=f"{TORCHSPARSE}, 4.2", options=GROUPINGS
    )
    tuned_groups: bool = switch(
        True,
        "adaptive: epsilon and threshold of each layer are those that take least on this model",
        source=f"{TORCHSPARSE}, 4.2.3",
    )
    epsilon: float = number(
        0.0, "adaptive, not tuned: most that 1 - least / largest of a group may be", source=TORCHSPARSE, maximum=1
    )
    mm_threshold: int = number(
        0, "adaptive, not tuned: a group with a size from here on runs as single products", source=TORCHSPARSE
    )
    mask_splits: int = number(
        1,
        "implicit-gemm: parts into which offsets are split, each sorted by its masks; 0: outputs are not sorted",
        source="spconv 2; TorchSparse++",
        maximum=9,
    )
    vector_moves: bool = switch(
        True, "a thread moves 4 bytes of a row, or else a scalar", source=f"{TORCHSPARSE}, 4.3.1"
    )
    fused_moves: bool = switch(
        True, "one kernel gathers for all offsets, and one scatters", source=f"{TORCHSPARSE}, 4.3.2"
    )
    local_moves: bool = switch(
        True,
        "a row is read once for all that it is gathered to, and written once for all that is scattered to it",
        source=f"{TORCHSPARSE}, 4.3.3",
    )
    map_search: str = choice(
        GRID, "table in which voxels are looked up", source=f"{TORCHSPARSE}, 4.4", options=SEARCHES
    )
    map_symmetry: bool = switch(
        True, "look up one of two offsets that mirror each other only", source=f"{TORCHSPARSE}, 4.4"
    )


def idle(spec: CloudFields) -> dict[str, str]:
    """Return {field: why} of those that change nothing of a sparse convolution on a design."""
    fields: dict[str, str] = {}
    if spec.sparse_dataflow != GATHER_SCATTER:
        why = f"of gather-scatter, and sparse_dataflow={spec.sparse_dataflow}"
        fields |= dict.fromkeys(("grouping", "tuned_groups", "vector_moves", "fused_moves", "local_moves"), why)
    if spec.grouping != ADAPTIVE:
        fields.setdefault("tuned_groups", f"of adaptive, and grouping={spec.grouping}")
    if spec.sparse_dataflow != GATHER_SCATTER or spec.grouping != ADAPTIVE or spec.tuned_groups:
        fields |= dict.fromkeys(("epsilon", "mm_threshold"), "of adaptive groups that are not tuned")
    if spec.sparse_dataflow != IMPLICIT_GEMM:
        fields["mask_splits"] = f"of implicit-gemm, and sparse_dataflow={spec.sparse_dataflow}"
    return fields
