"""How the Mapping Unit merges two clouds: the block of each cycle, what leaves, which neighbours are equal."""

from __future__ import annotations

import numpy as np

from cyclekit.machine import Explanation
from pointacc_sim.mapping import intersect, merged, sort
from pointacc_sim.spec import Spec
from workloads.errors import BadInput
from workloads.points.convolution import SparseConvolution
from workloads.points.coordinates import pack, shift_of, unpack

N_STEPS = 12  # that are shown
N_SHOWN = 8  # voxels of a block
SHIFTED, OUTPUT = "shifted input", "output"


def explain(workload: SparseConvolution, spec: Spec, row: int, column: int) -> Explanation:
    """Show the merge for the offset `row`, from the step `column` on. Raises BadInput for one that is not there."""
    joined = workload.map
    if row >= len(joined.sizes):
        raise BadInput(f"row must be an offset, from 0 to {len(joined.sizes) - 1} in {workload.name}, got {row}")
    fine, coarse = (joined.outputs, joined.inputs) if joined.is_transposed else (joined.inputs, joined.outputs)
    offset, block = joined.offsets[row], spec.block
    one = sort(pack(fine), 2 * block)[0] - shift_of(offset)
    other, _ = sort(pack(coarse * np.int32(joined.stride)), 2 * block)
    keys, _, of, n_blocks = merged(one, other, block)
    if column >= n_blocks:
        raise BadInput(f"column must be a step of the merge, from 0 to {n_blocks - 1}, got {column}")
    n_found = len(intersect(one, other, block)[0])
    moved = tuple((-offset).tolist())
    steps = list(_steps(one, other, keys, of, block))[column : column + N_STEPS]
    remarks = [
        f"offset {row} is {tuple(offset.tolist())}: the input cloud, shifted by {moved}, stays sorted; where it meets "
        "the output cloud, an input voxel is a neighbour of an output voxel",
        f"{len(one):,} and {len(other):,} voxels in blocks of {block}: {n_blocks:,} cycles, a block a cycle, and "
        f"{n_found:,} entries of the map, those of two equal keys side by side (the sizes say {joined.sizes[row]:,})",
        "a block is taken from the cloud whose next voxel is less; the merger's upper half stays, the other leaves",
        "voxels are (x y z), their order is that of z, then y, then x; i: shifted input, o: output, =: both",
    ]
    return Explanation(tables={f"{workload.name}: the merge for offset {row}": steps}, remarks=remarks)


def _steps(one: np.ndarray, other: np.ndarray, keys: np.ndarray, of: np.ndarray, block: int):
    """Yield a row of the table for each block taken, and one for what is left in the merger at last."""
    a = b = step = 0
    while a < len(one) or b < len(other):
        from_other = a >= len(one) or (b < len(other) and other[b] < one[a])
        taken = other[b : b + block] if from_other else one[a : a + block]
        a, b = (a, b + block) if from_other else (a + block, b)
        yield _row(str(step), OUTPUT if from_other else SHIFTED, taken, keys, of, (step - 1) * block, block)
        step += 1
    yield _row(str(step), "nothing: the rest leaves", one[:0], keys, of, (step - 1) * block, len(keys))


def _row(step: str, source: str, taken: np.ndarray, keys, of, first: int, n: int) -> dict[str, str]:
    places = np.arange(max(0, first), min(len(keys), max(0, first) + n)) if first >= 0 else np.arange(0)
    # An entry belongs to the step in which the later of its two equal keys leaves.
    pairs = [place for place in places.tolist() if place and keys[place] == keys[place - 1]]
    words = [f"{'io'[of[place]]}{_voxel(keys[place])}" for place in places[:N_SHOWN].tolist()]
    return {
        "step": step,
        "takes a block of": source,
        "takes": _few([_voxel(key) for key in taken[:N_SHOWN]], len(taken)),
        "leaves": _few(words, len(places)),
        "entries": _few([f"={_voxel(keys[place])}" for place in pairs[:N_SHOWN]], len(pairs)),
    }


def _voxel(key: int) -> str:
    return "({} {} {})".format(*unpack(np.array([key]))[0].tolist())


def _few(words: list[str], n: int) -> str:
    return " ".join(words) + (f" ... {n} in all" if n > len(words) else "") or "-"
