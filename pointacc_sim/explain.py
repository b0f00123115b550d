"""How the Mapping Unit merges two clouds: the block of each cycle, what leaves, which neighbours are equal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from cyclekit.machine import Explanation
from pointacc_sim.mapping import LAST, Merged, intersect, merge_steps, sort
from pointacc_sim.spec import Spec
from workloads.errors import BadInput
from workloads.points.convolution import SparseConvolution
from workloads.points.coordinates import pack, shift_of, unpack
from workloads.points.kernel_map import KernelMap

N_STEPS = 12  # that are shown
N_SHOWN = 8  # voxels of a block
SHIFTED, OUTPUT = "shifted input", "output"


def explain(workload: SparseConvolution, spec: Spec, row: int, column: int) -> Explanation:
    """Show the merge for the offset `row`, from the step `column` on. Raises BadInput for one that is not there."""
    joined = workload.map
    if row >= len(joined.sizes):
        raise BadInput(f"row must be an offset, from 0 to {len(joined.sizes) - 1} in {workload.name}, got {row}")
    offset, block = joined.offsets[row], spec.block
    one, other = clouds(joined, row, block)
    n_blocks = -(-len(one) // block) - (-len(other) // block)
    if column >= n_blocks:
        raise BadInput(f"column must be a step of the merge, from 0 to {n_blocks - 1}, got {column}")
    n_found = len(intersect(one, other, block)[0])
    moved = tuple((-offset).tolist())
    steps = [_row(*step) for step in islice(numbered(one, other, block), column, column + N_STEPS)]
    remarks = [
        f"offset {row} is {tuple(offset.tolist())}: the input cloud, shifted by {moved}, stays sorted; where it meets "
        "the output cloud, an input voxel is a neighbour of an output voxel",
        f"{len(one):,} and {len(other):,} voxels in blocks of {block}: {n_blocks:,} cycles, a block a cycle, and "
        f"{n_found:,} entries of the map, those of two equal keys side by side (the sizes say {joined.sizes[row]:,})",
        "a block is taken from the cloud whose next voxel is less; the merger's upper half stays, the other leaves",
        "voxels are (x y z), their order is that of z, then y, then x; i: shifted input, o: output, =: both",
    ]
    return Explanation(tables={f"{workload.name}: the merge for offset {row}": steps}, remarks=remarks)


def clouds(joined: KernelMap, row: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys i64[n] that are merged for an offset: those of the fine cloud, shifted, and of the scaled one."""
    fine, coarse = (joined.outputs, joined.inputs) if joined.is_transposed else (joined.inputs, joined.outputs)
    one = sort(pack(fine), 2 * block)[0] - shift_of(joined.offsets[row])
    return one, sort(pack(coarse * np.int32(joined.stride)), 2 * block)[0]


def numbered(one: np.ndarray, other: np.ndarray, block: int) -> Iterator[tuple[int, Merged, list[int]]]:
    """Yield the steps of a merge by number, each with the keys of its map entries.

    An entry belongs to the step in which the later of its two equal keys leaves.
    """
    last = LAST
    for number, step in enumerate(merge_steps(one, other, block)):
        left = [last, *step.left.tolist()]
        yield number, step, [key for before, key in zip(left, left[1:], strict=False) if key == before]
        last = left[-1]


def source(step: Merged) -> str:
    """Return which cloud a step takes its block from."""
    return (OUTPUT if step.from_other else SHIFTED) if len(step.taken) else "nothing: the rest leaves"


def voxels(keys: Iterable[int]) -> list[str]:
    """Return the voxels of keys as text."""
    return ["({} {} {})".format(*place) for place in unpack(np.array(list(keys), np.int64)).tolist()]


def marked(keys: np.ndarray, of: np.ndarray, names: str = "io") -> list[str]:
    """Return the voxels of keys as text, behind the letter of the stream that they are of; - for none."""
    places = zip(keys.tolist(), of.tolist(), voxels(keys), strict=True)
    return ["-" if key == LAST else f"{names[which]}{place}" for key, which, place in places]


def _row(number: int, step: Merged, entries: list[int]) -> dict[str, str]:
    return {
        "step": str(number),
        "takes a block of": source(step),
        "takes": _few(voxels(step.taken)),
        "leaves": _few(marked(step.left, step.of)),
        "entries": _few([f"={place}" for place in voxels(entries)]),
    }


def _few(words: list[str]) -> str:
    return " ".join(words[:N_SHOWN]) + (f" ... {len(words)} in all" if len(words) > N_SHOWN else "") or "-"
