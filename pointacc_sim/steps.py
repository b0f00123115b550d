"""The Mapping Unit cycle by cycle: the blocks that it takes, the merger before and behind its columns, the entries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cyclekit.run import Run
from cyclekit.trace.steps import DOES, UNIT, WIDTH, Step
from pointacc_sim.explain import OUTPUT, SHIFTED, clouds, marked, numbered, source, voxels
from pointacc_sim.image import Image
from pointacc_sim.mapping import Merged, sort
from pointacc_sim.passes import mapping_passes
from pointacc_sim.plan import MERGE
from pointacc_sim.spec import Spec
from workloads.points.coordinates import DILATING, pack, quantised

Rows = list[dict[str, Any]]
Told = Iterator[tuple[bool, dict[str, Rows]]]  # steps: whether it has a cycle of its own, and its tables

TAKES, GIVES, MERGER, SORTER = "block taken", "what leaves", "merger", "sorter"
MAPPING = "mapping"
SHOWN_WHOLE = 8  # elements of a merger of which every column is shown


def steps(
    run: Run, image: Image, signal: Any, spec: Spec, *, begin: int, end: int, n_units: int | None
) -> Iterator[Step]:
    """Yield the cycles after `begin` up to `end` in which the Mapping Unit takes a block; it is one unit.

    Of a pass through the sorter its blocks, unsorted and sorted; of one that merges the voxels, the merger's contents
    and, where it is for an offset, the map entries found. What the merger lets out behind its last block has no cycle
    of its own. Of outputs that dilate only the number of blocks is told while they are sorted.
    """
    passes, of_offset = mapping_passes(image, spec)
    yield Step(title="mapping", lines=_said(spec, len(passes)))
    sorts = _sorts(image, spec)
    for place, (since, _) in enumerate(run.timeline.passed.tolist()):
        n_blocks, first = int(passes.blocks[place]), since - 1  # a block a cycle (R2)
        if passes.kind[place] == MERGE:
            told = _for_offset(image, int((of_offset == place).argmax()), spec)
        else:
            told = next(sorts, None) or _numbered(n_blocks)
        if first >= end or first + n_blocks <= begin:
            continue
        number = 0
        for has_cycle, tables in told:
            if not has_cycle and begin < first + number <= end:
                yield Step(title=f"pass {place}: the rest leaves", tables=tables)
            elif has_cycle and begin <= first + number < end:
                title = f"cycle {first + number + 1}: pass {place}, step {number} of {n_blocks}"
                yield Step(title=title, begin=first + number, end=first + number + 1, tables=tables)
            number += has_cycle


def _numbered(n_blocks: int) -> Told:
    yield from ((True, {TAKES: [{UNIT: MAPPING, DOES: "sort", "block": number}]}) for number in range(n_blocks))


def _for_offset(image: Image, row: int, spec: Spec) -> Told:
    """Yield the steps that merge the clouds for an offset."""
    offset = " ".join(map(str, image.layer.map.offsets[row].tolist()))
    for _, step, keys in numbered(*clouds(image.layer.map, row, spec.block), spec.block):
        taken = {"offset": offset, "from": source(step), "takes": voxels(step.taken)}
        given = {"leaves": marked(step.left, step.of), "map entries": [f"={place}" for place in voxels(keys)]}
        yield bool(len(step.taken)), _tables("merge", taken, _merger(step, "io"), given)


def _sorts(image: Image, spec: Spec) -> Iterator[Told]:
    """Yield the passes that sort, each as its steps: blocks through the sorter, then merges of runs twice as long."""
    joined, block = image.layer.map, spec.block
    keys = pack(joined.inputs)
    if joined.convention == DILATING and not joined.is_submanifold:
        return  # its candidates are not kept
    if not joined.is_submanifold:
        keys = pack(quantised(joined.inputs, joined.stride, joined.convention))
    width = run = 2 * block
    yield _through_the_sorter(keys, width)
    keys = np.concatenate([sort(keys[at : at + width], width)[0] for at in range(0, len(keys), width)])
    while run < len(keys):
        yield _of_runs(keys, run, block)
        run *= 2
        keys = np.concatenate([np.sort(keys[at : at + run]) for at in range(0, len(keys), run)])


def _through_the_sorter(keys: np.ndarray, width: int) -> Told:
    for at in range(0, len(keys), width):
        before, behind = voxels(keys[at : at + width]), voxels(sort(keys[at : at + width], width)[0])
        rows = [
            {"element": place, "before": old, "behind": new}
            for place, (old, new) in enumerate(zip(before, behind, strict=True))
        ]
        yield True, {TAKES: [{UNIT: MAPPING, DOES: "sort", "takes": before}], SORTER: rows}


def _of_runs(keys: np.ndarray, run: int, block: int) -> Told:
    """Yield the steps that merge each two runs; a last one without another goes through as it is."""
    for start in range(0, len(keys), 2 * run):
        one, other = keys[start : start + run], keys[start + run : start + 2 * run]
        if not len(other):
            for at in range(0, len(one), block):
                taken = voxels(one[at : at + block])
                yield True, _tables("sort", {"from": "a lone run", "takes": taken}, [], {"leaves": taken})
            return
        for _, step, _ in numbered(one, other, block):
            of_run = {OUTPUT: "run b", SHIFTED: "run a"}.get(source(step), source(step))
            taken, given = {"from": of_run, "takes": voxels(step.taken)}, {"leaves": marked(step.left, step.of, "ab")}
            yield bool(len(step.taken)), _tables("sort", taken, _merger(step, "ab"), given)


def _tables(does: str, taken: dict[str, Any], merger: Rows, given: dict[str, Any]) -> dict[str, Rows]:
    tables: dict[str, Rows] = {TAKES: [{UNIT: MAPPING, DOES: does, **taken}]}
    return tables | ({MERGER: merger} if merger else {}) | {GIVES: [{UNIT: MAPPING, **given}]}


def _merger(step: Merged, names: str) -> Rows:
    """Return a row for each element of the merger; of too many columns only the first and the last."""
    if not step.columns:
        return []
    words = [marked(*column, names) for column in step.columns]
    n = len(words[0])
    heads = ["before", *(f"column {column}" for column in range(1, len(words) - 1)), "behind"]
    width = sum(2 + max(map(len, column)) for column in words) + len("element") + len("leaves") + 4
    if n > SHOWN_WHOLE or width > WIDTH:
        words, heads = [words[0], words[-1]], [heads[0], heads[-1]]
    rows = []
    for place in range(n):
        cells = dict(zip(heads, (column[place] for column in words), strict=True))
        rows.append({"element": place, **cells, "then": "leaves" if place < n // 2 else "stays"})
    return rows


def _said(spec: Spec, n_passes: int) -> list[str]:
    if not n_passes:
        return ["no pass: the map is needed by no offset, or an earlier layer has computed it"]
    return [
        f"{n_passes} passes, a block of {spec.block} a cycle; the merger holds {2 * spec.block}",
        "i: a voxel of the input cloud, shifted by the offset; o: one of the output cloud; a, b: of two sorted runs",
        "the next block is of the cloud whose next voxel is less; it enters upside down, so that what stayed and it "
        "rise and fall, which log2 columns of compare-exchanges sort; its lower half leaves",
        "equal neighbours (=) are an entry of the map; voxels are (x y z), z slowest",
    ]
