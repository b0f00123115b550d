"""The Mapping Unit cycle by cycle: the blocks that it takes, the merger before and behind its columns, the entries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cyclekit.run import Run
from cyclekit.trace.steps import DOES, UNIT, WIDTH, Step
from pointacc_sim.explain import clouds, marked, numbered, source, voxels
from pointacc_sim.image import Image
from pointacc_sim.mapping import Merged
from pointacc_sim.passes import mapping_passes
from pointacc_sim.plan import MERGE
from pointacc_sim.spec import Spec

TAKES, GIVES, MERGER = "block taken", "what leaves", "merger"
MAPPING = "mapping"
SHOWN_WHOLE = 8  # elements of a merger of which every column is shown


def steps(
    run: Run, image: Image, signal: Any, spec: Spec, *, begin: int, end: int, n_units: int | None
) -> Iterator[Step]:
    """Yield the cycles after `begin` up to `end` in which the Mapping Unit takes a block; it is one unit.

    Of a pass that sorts only how far it is; of one that merges for an offset the voxels, the merger's contents and the
    map entries found. What the merger lets out behind its last block has no cycle of its own.
    """
    passes, of_offset = mapping_passes(image, spec)
    passed = run.timeline.passed.tolist()
    yield Step(title="mapping", lines=_said(image, spec, len(passes)))
    for place, (since, _) in enumerate(passed):
        n_blocks, first = int(passes.blocks[place]), since - 1  # a block a cycle (R2)
        if first >= end or first + n_blocks <= begin:
            continue
        if passes.kind[place] == MERGE:
            row = int((of_offset == place).argmax())
            merge = numbered(*clouds(image.layer.map, row, spec.block), spec.block)
            offset = " ".join(map(str, image.layer.map.offsets[row].tolist()))
            told = ((number, _merge(number, step, keys, offset)) for number, step, keys in merge)
        else:
            told = ((number, _sort(number, n_blocks)) for number in range(n_blocks))
        for number, tables in told:
            at = first + number
            if number == n_blocks and first + n_blocks <= end:
                yield Step(title=f"pass {place}: the rest leaves", tables=tables)
            elif begin <= at < end and number < n_blocks:
                title = f"cycle {at + 1}: pass {place}, step {number} of {n_blocks}"
                yield Step(title=title, begin=at, end=at + 1, tables=tables)


def _sort(number: int, n_blocks: int) -> dict[str, list[dict[str, Any]]]:
    return {TAKES: [{UNIT: MAPPING, DOES: "sort", "block": number, "of": n_blocks}]}


def _merge(number: int, step: Merged, keys: list[int], offset: str) -> dict[str, list[dict[str, Any]]]:
    taken = {"offset": offset, "from": source(step), "takes": voxels(step.taken)}
    tables: dict[str, list[dict[str, Any]]] = {TAKES: [{UNIT: MAPPING, DOES: "merge", **taken}]}
    if step.columns:
        tables[MERGER] = _merger(step)
    entries = [f"={place}" for place in voxels(keys)]
    tables[GIVES] = [{UNIT: MAPPING, "leaves": marked(step.left, step.of), "map entries": entries}]
    return tables


def _merger(step: Merged) -> list[dict[str, Any]]:
    """Return a row for each element of the merger; of too many columns only the first and the last."""
    words = [marked(*column) for column in step.columns]
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


def _said(image: Image, spec: Spec, n_passes: int) -> list[str]:
    if not n_passes:
        return ["no pass: the map is needed by no offset, or an earlier layer has computed it"]
    return [
        f"{n_passes} passes, a block of {spec.block} a cycle; the merger holds {2 * spec.block}",
        "i: a voxel of the input cloud, shifted by the offset; o: one of the output cloud",
        "the next block is of the cloud whose next voxel is less; it enters upside down, so that what stayed and it "
        "rise and fall, which log2 columns of compare-exchanges sort; its lower half leaves",
        "equal neighbours (=) are an entry of the map; voxels are (x y z), z slowest",
    ]
