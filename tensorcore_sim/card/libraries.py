"""The kernels that libraries bring: tiles and stages, how work is dealt, what time is their own; each with its source.

A GEMM takes the kernel of its library that choose.estimate finds the fastest. What no source tells of a library was
fitted on the rows of vllmbench named at its place; docs/tensorcore.md says how the others then stand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tensorcore_sim.card.deal import GRID, PERSISTENT, STREAM_K
from tensorcore_sim.spec import FAMILIES, Spec
from workloads.errors import BadInput

ALL = 2**24  # tiles of a band: every one, so that no band is cut


@dataclass(frozen=True, kw_only=True)
class Library:
    """tiles: (tile_m, tile_n, bytes of a dense row of B in a k-step, stages; 0: as many as fit).

    schedulers, splits: what deal.py knows. raster_tiles: tiles along m of a band. cluster: neighbouring SMs that a read
    reaches at once. stretch: of the instructions' time. call_us: beyond launch_us. least_k: of a part, where k is cut.
    """

    tiles: tuple[tuple[int, int, int, int], ...]
    schedulers: tuple[str, ...] = (GRID,)
    splits: tuple[int, ...] = (1,)
    raster_tiles: int = 8
    cluster: int = 1
    stretch: float = 1.0
    call_us: float = 0.0
    least_k: int = 1


def _each(shapes, depths, stages=(0,)) -> tuple:
    return tuple((*shape, depth, n) for shape in shapes for depth in depths for n in stages)


# Those of CUTLASS' profiler and narrower; wgmma takes any N in eights: 128 x 192 was chosen after seeing a row
_SHAPES = (
    (256, 128), (128, 256), (128, 128), (256, 64), (64, 256), (128, 64), (64, 128), (64, 64), (128, 32), (64, 32),
    (128, 16), (64, 16), (128, 8), (64, 8),
)  # fmt: skip
_SPLITS = (1, 2, 3, 4, 6, 8, 12, 16)
# CUTLASS, python/cutlass_library/generator.py: SM80 TensorOp 16816 and 16832 TN, in bytes of k
_CUTLASS_AMPERE = (
    (256, 128, 64, 3), (128, 256, 64, 3), (256, 64, 64, 4), (64, 256, 64, 4), (128, 128, 64, 5), (128, 64, 64, 6),
    (64, 128, 64, 6), (64, 64, 64, 10), (256, 128, 128, 3), (128, 256, 128, 3), (256, 64, 128, 4), (64, 256, 128, 4),
    (128, 128, 128, 4), (128, 128, 128, 3), (128, 64, 128, 3), (64, 128, 128, 3), (64, 64, 128, 5),
)  # fmt: skip
# The same file, SM80 SparseTensorOp 16832
_CUTLASS_AMPERE_SPARSE = (
    (256, 128, 128, 3), (64, 128, 128, 6), (128, 256, 128, 3), (128, 128, 128, 3), (256, 64, 128, 3),
    (64, 256, 128, 4), (128, 64, 128, 3), (64, 64, 128, 4), (128, 128, 256, 3), (256, 64, 256, 3), (128, 64, 256, 4),
    (64, 128, 256, 3), (64, 64, 256, 3),
)  # fmt: skip
_HOPPER_SHAPES = ((256, 128), (128, 256), (128, 128), (64, 128), (64, 256), (128, 64), (64, 64))
_CUTLASS_HOPPER = _each(_HOPPER_SHAPES, (128,))

BEST = {
    "ampere": Library(tiles=_each(_SHAPES, (64, 128, 256)), splits=_SPLITS),
    "hopper": Library(
        tiles=_each(((128, 192), *_SHAPES), (64, 128, 256)),
        splits=_SPLITS,
        schedulers=(GRID, PERSISTENT, STREAM_K),
        cluster=2,
    ),
}
CUTLASS = {
    ("ampere", "dense"): Library(tiles=_CUTLASS_AMPERE),
    ("ampere", "sparse"): Library(tiles=_CUTLASS_AMPERE_SPARSE),
    ("hopper", "dense"): Library(tiles=_CUTLASS_HOPPER, schedulers=(PERSISTENT, STREAM_K), cluster=2),
    ("hopper", "sparse"): Library(tiles=_each(_HOPPER_SHAPES, (128, 256)), schedulers=(PERSISTENT, STREAM_K)),
}
CUBLAS = {
    ("ampere", "f16"): Library(tiles=_CUTLASS_AMPERE, splits=(1, 2, 3, 4), least_k=1700),
    ("ampere", "int8"): Library(tiles=_CUTLASS_AMPERE, splits=(1, 2, 3, 4), least_k=1700, stretch=1.4),
    ("hopper", "f16"): Library(tiles=_CUTLASS_HOPPER, splits=(1, 2, 3, 4), schedulers=(GRID, PERSISTENT), cluster=2),
    ("hopper", "fp8"): Library(tiles=_CUTLASS_HOPPER, splits=(1, 2, 3, 4), schedulers=(GRID, PERSISTENT), cluster=2),
}
# The first is the one that it takes without a search
CUSPARSELT = {
    ("ampere", "f16"): Library(
        tiles=((256, 128, 128, 3), (128, 128, 128, 3), (128, 64, 128, 3), (64, 64, 128, 4)),
        raster_tiles=ALL,
        call_us=2.0,
    ),
    ("ampere", "int8"): Library(tiles=_CUTLASS_AMPERE_SPARSE, call_us=2.0),
    ("hopper", "f16"): Library(tiles=((256, 128, 128, 6), (128, 128, 128, 6)), cluster=2, call_us=2.0),
    ("hopper", "fp8"): Library(
        tiles=((256, 128, 128, 6), (128, 128, 128, 6), (64, 64, 128, 6)), cluster=2, call_us=1.0
    ),
}


def library(spec: Spec) -> Library:
    """Return the kernels that a design's GEMM chooses from; raises BadInput where the library has none for it."""
    family, side = FAMILIES.get(spec.in_dtype, spec.in_dtype), "sparse" if spec.sparse else "dense"
    if spec.kernels == "best":
        return BEST[spec.architecture]
    if spec.kernels == "cutlass":
        return CUTLASS[spec.architecture, side]
    if spec.kernels == "cublas" and spec.sparse:
        raise BadInput("kernels must be best, cutlass, cusparselt or cusparselt-searched with sparsity, got 'cublas'")
    table = CUBLAS if not spec.sparse else CUSPARSELT
    if (spec.architecture, family) not in table:
        has = ", ".join(name for architecture, name in table if architecture == spec.architecture)
        raise BadInput(f"kernels {spec.kernels!r} have none for {spec.in_dtype} here, only for {has}: best has")
    own = table[spec.architecture, family]
    return replace(own, tiles=own.tiles[:1]) if spec.sparse and spec.kernels == "cusparselt" else own
