"""How weights lie in a tensor core: the tile of the sparse instruction that holds a place of them, and its metadata."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cyclekit.machine import Explanation, check_place
from tensorcore_sim.card.tiling import n_of_m
from tensorcore_sim.encode import Image, encode
from tensorcore_sim.format import what_if
from tensorcore_sim.format.formats import FORMATS, numbers
from tensorcore_sim.format.image import PATTERNS, Compressed, compress
from tensorcore_sim.format.metadata import GROUP_COLUMNS, SM90_ROWS, contributors, suppliers, thread_words, to_sm90
from tensorcore_sim.format.operand import to_reals
from tensorcore_sim.format.shapes import largest, parse
from tensorcore_sim.spec import SCALED, Spec
from workloads.errors import BadInput
from workloads.records import Workload

Rows = list[dict[str, str]]

KEPT, KEPT_ZERO, NOT_KEPT = "#", "o", "."
_SIGNS = f"{KEPT} a non-zero, kept; {KEPT_ZERO} a zero, kept; {NOT_KEPT} a zero, not kept"


@dataclass(frozen=True, eq=False, kw_only=True)
class _Tile:
    """The tile [m, k] of a layer's weights that holds the place asked for; zeros beyond the edges.

    top, left: its corner; n_rows: of its rows, those that the layer has; bits: patterns; cells: their numbers, f64.
    """

    layer: str
    row: int
    column: int
    top: int
    left: int
    n_rows: int
    bits: np.ndarray
    cells: np.ndarray

    @property
    def columns(self) -> str:
        return f"columns {self.left} to {self.left + self.bits.shape[1] - 1}"

    @property
    def title(self) -> str:
        return f"{self.layer}: rows {self.top} to {self.top + len(self.bits) - 1}, {self.columns}"


def explain(workload: Workload, spec: Spec, row: int, column: int) -> Explanation:
    """Show the tile that holds the weight at (row, column) as A of the format's largest sparse instruction.

    The weights are rounded as encode does it and padded with zeros at their edges. With sparsity "dense" the tile is
    shown as it would be compressed, or where it does not fit; with an N:M that is not the card's own, without metadata.
    Raises BadInput for a place outside the weights, weights that are not in the pattern, and a format that the card has
    no sparse instruction for.
    """
    check_place(workload, row, column)
    if spec.unit == "tcgen05":
        raise BadInput(f"card must be one with mma or wgmma: tcgen05's metadata are not shown, got {spec.card!r}")
    if spec.in_dtype in SCALED:
        raise BadInput(f"in_dtype must be one without block scales to show its tiles, got {spec.in_dtype!r}")
    if not spec.fma_per_cycle(spec.in_dtype):
        raise BadInput(f"in_dtype {spec.in_dtype!r} has no {spec.unit}.sp on {spec.card}")
    sparse = largest(spec.unit, True, spec.in_dtype, spec.card)  # of wgmma any n would do: A is the same
    image = encode(workload, spec)
    if spec.sparsity in ("dense", "2:4"):
        m, k = parse(sparse).m, parse(sparse).k
        tables, remarks = _own_pattern(_tile(image, spec, row, column, m, k), sparse, spec)
    else:
        n_kept, group = n_of_m(spec)
        dense = parse(largest(spec.unit, False, spec.in_dtype, spec.card))
        m, k = dense.m, what_if.columns_of_instructions(n_kept, group, dense.k)
        tables, remarks = _other_pattern(_tile(image, spec, row, column, m, k), n_kept, group)
    return Explanation(tables=tables, remarks=[*_remarks_on_values(image, spec), *remarks, *image.notes])


def _own_pattern(tile: _Tile, instruction: str, spec: Spec) -> tuple[dict[str, Rows], list[str]]:
    """Return tables and remarks on the pattern that the card has for the format."""
    pattern, group = PATTERNS[spec.in_dtype], GROUP_COLUMNS[spec.in_dtype]
    try:
        compressed = compress(tile.bits, spec.in_dtype)
    except BadInput as misfit:
        nothing = np.zeros((len(tile.bits), 0), np.int32)
        remark = f"the design stores the weights dense; this tile would not fit, as counted from its corner: {misfit}"
        return {f"{tile.title}, non-zeros": _picture(tile, group, nothing)}, [remark]
    columns = compressed.columns()
    tables = {
        f"{tile.layer}: row {tile.row}, {tile.columns}, {pattern}": _groups(
            tile, group, columns, _codes(compressed, tile)
        ),
        f"{tile.title}: A of {instruction}": _picture(tile, group, columns, compressed.metadata()),
        f"{tile.title}: metadata by thread, selector 0": _threads(tile, compressed, instruction),
    }
    n_selectors = 4 // len(contributors(instruction, spec.in_dtype))
    threads = (contributors(instruction, spec.in_dtype, selector) for selector in range(n_selectors))
    remarks = [
        _SIGNS,
        "metadata come from these threads of each quad, selector by selector: "
        + "; ".join(", ".join(map(str, of_selector)) for of_selector in threads),
    ]
    if parse(instruction).unit == "wgmma":
        place = "where a group lies in the tile's metadata"
        remarks.append(f"SM90 byte: {place}, for CUTLASS kernels with {compressed.shape[1]} k a tile")
    if spec.sparsity == "dense":
        remarks.append(f"the design stores the weights dense; this tile would fit {pattern}")
    return tables, remarks


def _other_pattern(tile: _Tile, n: int, m: int) -> tuple[dict[str, Rows], list[str]]:
    """Return tables and remarks on N of M, in the columns that whole dense instructions would take."""
    _, columns = what_if.compress(tile.cells, n, m)
    places = (columns[tile.row - tile.top] % m).reshape(-1, n)
    codes = [{"indices": " ".join(map(str, of_group))} for of_group in places]
    tables = {
        f"{tile.layer}: row {tile.row}, {tile.columns}, {n}:{m}": _groups(tile, m, columns, codes),
        tile.title: _picture(tile, m, columns),
    }
    return tables, [_SIGNS, f"an index takes {what_if.index_bits(m)} bits; there are no words and no threads"]


def _tile(image: Image, spec: Spec, row: int, column: int, m: int, k: int) -> _Tile:
    top, left = row // m * m, column // k * k
    piece = image.bits[top : top + m, left : left + k]
    padded = np.pad(piece, ((0, m - piece.shape[0]), (0, k - piece.shape[1])))
    return _Tile(
        layer=image.layer.name,
        row=row,
        column=column,
        top=top,
        left=left,
        n_rows=len(piece),
        bits=padded,
        cells=to_reals(padded, spec.in_dtype),
    )


def _remarks_on_values(image: Image, spec: Spec) -> list[str]:
    """Say how the numbers shown come from the weights."""
    divided = f", divided by {image.scale:g}" if image.scale != 1 else ""
    int4 = "int4 and then " if spec.int4_weights else ""
    remarks = [f"numbers are the weights{divided}, rounded to {int4}{spec.in_dtype}; beyond their edges zeros"]
    n_lost = np.count_nonzero(image.layer.weights) - np.count_nonzero(numbers(image.bits, FORMATS[spec.in_dtype]))
    if n_lost:
        remarks.append(f"non-zeros of {image.layer.name} that round to zero: {n_lost:,}")
    return remarks


def _groups(tile: _Tile, group: int, columns: np.ndarray, codes: list[dict[str, str]]) -> Rows:
    """Return a table row for each group of the row asked for.

    columns: i32[m, kept], the tile's columns that are kept; codes: what to say of each group's indices.
    """
    cells, kept_columns = tile.cells[tile.row - tile.top], columns[tile.row - tile.top]
    rows = []
    for place, code in enumerate(codes):
        span = range(place * group, (place + 1) * group)
        rows.append(
            {
                "columns": f"{tile.left + span[0]} to {tile.left + span[-1]}",
                "cells": _text(cells[span]),
                "kept": _text(cells[kept_columns[kept_columns // group == place]]),
                **code,
                "asked for": f"column {tile.column}" if tile.column - tile.left in span else "",
            }
        )
    return rows


def _codes(compressed: Compressed, tile: _Tile) -> list[dict[str, str]]:
    """Return the indices of each group of the row asked for: of cells, which are pairs of int4 and halves of tf32."""
    row, codes = tile.row - tile.top, []
    for group, nibble in enumerate(compressed.nibbles[row].tolist()):
        codes.append({"indices": f"{nibble & 3} {nibble >> 2}", "nibble": f"{nibble:04b}"})
        if len(compressed.nibbles) == SM90_ROWS:
            lone = np.zeros_like(compressed.nibbles)
            lone[row, group] = 15
            layout = to_sm90(lone, compressed.in_dtype, compressed.shape[1])
            (byte,) = np.flatnonzero(layout)
            codes[-1]["SM90 byte"] = f"{byte}, {'low' if layout[byte] == 15 else 'high'} half"
    return codes


def _picture(tile: _Tile, group: int, columns: np.ndarray, words: np.ndarray | None = None) -> Rows:
    """Return a table row for each of the layer's rows: a sign for each cell and, where there are any, packed words."""
    mask = np.zeros(tile.cells.shape, bool)
    np.put_along_axis(mask, columns, True, axis=1)
    signs = np.where(tile.cells != 0, KEPT, np.where(mask, KEPT_ZERO, NOT_KEPT))
    rows = []
    for place in range(tile.n_rows):
        cells = " ".join("".join(of_group) for of_group in signs[place].reshape(-1, group))
        rows.append({"row": str(tile.top + place), "cells": cells})
        if words is not None:
            rows[-1]["metadata"] = " ".join(f"0x{word:08x}" for word in words[place])
    return rows


def _threads(tile: _Tile, compressed: Compressed, instruction: str) -> Rows:
    """Return a table row for each thread, of the warp or of wgmma's four, that supplies a word of the tile."""
    words = thread_words(compressed.nibbles, instruction, compressed.in_dtype)
    group = GROUP_COLUMNS[compressed.in_dtype]
    threads = contributors(instruction, compressed.in_dtype)
    rows = []
    for quad, place, of_rows, groups in suppliers(instruction, compressed.in_dtype):
        first, last = tile.left + groups.start * group, tile.left + groups.stop * group - 1
        holds_cell = tile.row - tile.top in of_rows and first <= tile.column <= last
        rows.append(
            {
                "thread": str(4 * quad + threads[place]),
                "word": f"0x{words[quad, place]:08x}",
                "rows": " and ".join(str(tile.top + row) for row in of_rows),
                "columns": f"{first} to {last}",
                "asked for": f"row {tile.row}, column {tile.column}" if holds_cell else "",
            }
        )
    return rows


def _text(values: np.ndarray) -> str:
    """Return numbers as text, a negative zero as a zero."""
    return " ".join(f"{value + 0:g}" for value in values)
