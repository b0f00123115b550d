"""The 2-bit indices of a sparse A: packed in words, who supplies them to an instruction, CUTLASS' layouts of them.

Four bits describe a group of four cells, two of which are kept: the place of the first in the low two bits, of the
second in the high two (PTX ISA, "Sparse matrix storage"). A cell is one element of a 16- or 8-bit type, two of a 4-bit
type, half of a tf32. The group of the lowest columns lies in the lowest bits.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from tensorcore_sim.format.shapes import check_shape
from workloads.errors import BadInput

LEGAL = (0b0100, 0b1000, 0b1001, 0b1100, 0b1101, 0b1110)  # ascending pairs of places (PTX ISA, mma.sp ordered metadata)
LEGAL_TF32 = (0b0100, 0b1110)  # keeps the lower, keeps the upper (PTX ISA)
GROUP_COLUMNS = {"f16": 4, "bf16": 4, "e4m3": 4, "e5m2": 4, "int8": 4, "tf32": 2, "int4": 8, "e2m1": 8}
PAIRED = ("int4", "e2m1")  # 4-bit types: a cell is two of them
WIDE_CELLS = ("f16", "bf16", "tf32")  # cells of 16 bits; CUTLASS' metadata elements are then 16 bits, else 32

SM80_INTERLEAVE = {
    16: (32, 4),
    32: (16, 2),
}  # {bits of an element: (rows of a group, rows interleaved)}; host_reorder.h
SM90_ROWS = 64  # sm90_sparse_config.inl: an atom stacks four blocks of 16 rows


def pack(nibbles: np.ndarray, bits: int = 32) -> np.ndarray:
    """Return group descriptions u8[m, groups] packed in words, u32[m, groups / 8] or (bits=16) u16[m, groups / 4].

    Raises BadInput when the groups of a row do not fill its words.
    """
    per_word = bits // 4
    rows, groups = nibbles.shape
    if groups % per_word:
        raise BadInput(f"groups must be a multiple of {per_word} to fill words of {bits} bits, got {groups} a row")
    shifts = np.arange(0, bits, 4, dtype=np.uint32)
    words = nibbles.reshape(rows, -1, per_word).astype(np.uint32) << shifts
    return np.bitwise_or.reduce(words, axis=2).astype(np.dtype(f"u{bits // 8}"))


def unpack(words: np.ndarray, in_dtype: str) -> np.ndarray:
    """Return u8[m, groups] of packed words u32[m, w] or u16[m, w]; raises BadInput at the first illegal nibble."""
    shifts = np.arange(0, 8 * words.itemsize, 4, dtype=words.dtype)
    nibbles = (words[:, :, None] >> shifts & words.dtype.type(15)).astype(np.uint8).reshape(len(words), -1)
    legal = LEGAL_TF32 if in_dtype == "tf32" else LEGAL
    illegal = np.argwhere(~np.isin(nibbles, legal))
    if len(illegal):
        row, group = (int(place) for place in illegal[0])
        codes = ", ".join(f"{code:04b}" for code in legal)
        raise BadInput(f"metadata must be one of {codes}, got {nibbles[row, group]:04b} at row {row}, group {group}")
    return nibbles


def contributors(instruction: str, in_dtype: str, selector: int = 0) -> tuple[int, ...]:
    """Return which threads of each quad (0 to 3) supply the metadata of a sparse instruction, for its selector.

    One, two or four threads hold a tile's bits, 32 each, so the selector goes to 3, to 1, or is 0 (PTX ISA, mma.sp and
    wgmma.sp: "Sparsity selector"). Raises BadInput for a dense instruction or a selector out of range.
    """
    n_threads = _size(instruction, in_dtype)[1] // 4  # 16 bits a row and thread, two rows a quad
    largest = 4 // n_threads - 1
    if selector not in range(largest + 1):
        raise BadInput(f"selector must be 0 to {largest} for {instruction} with {in_dtype}, got {selector!r}")
    return tuple(range(selector * n_threads, (selector + 1) * n_threads))


def thread_words(nibbles: np.ndarray, instruction: str, in_dtype: str) -> np.ndarray:
    """Return the words that the contributors hold for one tile, u32[quads, contributors].

    nibbles: u8[m, groups] of the tile. Quad q of a warp serves rows q and q + 8 of its 16: all of mma.sp's tile, a
    quarter of wgmma.sp's, warp by warp. With cells of 16 bits, a contributor holds four groups of both rows, row q's
    below; else eight groups of one row, its neighbour those of the other.
    Sources: what ldmatrix delivers from CUTLASS' SM80 layout (host_reorder.h); CuTe's layouts of wgmma.sp's metadata
    (mma_traits_sm90_gmma_sparse.hpp: ELayout_64x64, 64x32, 64x16). Raises BadInput.
    """
    m, groups = _size(instruction, in_dtype)
    if nibbles.shape != (m, groups):
        raise BadInput(f"nibbles must be u8[{m}, {groups}] for {instruction}, got shape {list(nibbles.shape)}")
    of_warps = nibbles.reshape(-1, 2, 8, groups)
    lower, upper = (of_warps[:, half].reshape(-1, groups) for half in (0, 1))  # rows q, rows q + 8
    if in_dtype in WIDE_CELLS:
        return pack(lower, 16).astype(np.uint32) | pack(upper, 16).astype(np.uint32) << np.uint32(16)
    return np.stack([pack(lower), pack(upper)], axis=2).reshape(m // 2, -1)


def suppliers(instruction: str, in_dtype: str) -> list[tuple[int, int, tuple[int, ...], range]]:
    """Return what each word of thread_words describes: (quad, place among its contributors, rows, groups).

    Raises BadInput as contributors does.
    """
    m, _ = _size(instruction, in_dtype)
    words = []
    for quad, place in product(range(m // 2), range(len(contributors(instruction, in_dtype)))):
        row = quad // 8 * 16 + quad % 8
        if in_dtype in WIDE_CELLS:
            words.append((quad, place, (row, row + 8), range(4 * place, 4 * place + 4)))
        else:
            start = place // 2 * 8
            words.append((quad, place, (row + place % 2 * 8,), range(start, start + 8)))
    return words


def to_sm80(elements: np.ndarray) -> np.ndarray:
    """Return metadata elements u16[m, e] or u32[m, e] in the order in which CUTLASS' SM80 kernels hold them, flat.

    Rows are interleaved so that ldmatrix hands every thread its word; then the off-diagonal elements of each 2 x 2
    block change places; stored column-major, two columns interleaved (host_reorder.h, reorder_meta).
    Raises BadInput when m is no multiple of 32 (u16) or 16 (u32), or e is odd.
    """
    return elements.ravel()[_sm80_sources(*elements.shape, elements.itemsize * 8)]


def from_sm80(flat: np.ndarray, n_rows: int) -> np.ndarray:
    """Return what to_sm80 was given, [n_rows, e]. Raises BadInput as it does."""
    elements = np.empty((n_rows, len(flat) // n_rows), flat.dtype)
    elements.ravel()[_sm80_sources(*elements.shape, flat.itemsize * 8)] = flat
    return elements


def to_sm90(nibbles: np.ndarray, in_dtype: str, tile_k: int) -> np.ndarray:
    """Return u8[m, groups] as the bytes that CUTLASS' SM90 kernels read, flat u8, for tiles of tile_k columns.

    8-bit types: each 64 rows of a tile row by row. Wider types: ((8, 2, 4), (16, 2, tile_k / 32)) for 16 bits and
    ((8, 2, 4), (8, 2, tile_k / 16)) for tf32, in the order ((3, 1, 5), (0, 4, 2)); blocks of 64 rows, then tiles.
    Source: sm90_sparse_config.inl. Raises BadInput when m is no multiple of 64 or the columns are none of tile_k.
    """
    units, sources = _sm90_sources(*nibbles.shape, in_dtype, tile_k)
    return pack(nibbles, units).ravel()[sources].view(np.uint8)


def from_sm90(flat: np.ndarray, n_rows: int, in_dtype: str, tile_k: int) -> np.ndarray:
    """Return the u8[n_rows, groups] that to_sm90 was given. Raises BadInput as it does, and at an illegal nibble."""
    n_groups = 2 * len(flat) // n_rows
    units, sources = _sm90_sources(n_rows, n_groups, in_dtype, tile_k)
    words = np.empty((n_rows, 4 * n_groups // units), np.dtype(f"u{units // 8}"))
    words.ravel()[sources] = flat.view(words.dtype)
    return unpack(words, in_dtype)


def _size(instruction: str, in_dtype: str) -> tuple[int, int]:
    """Return how many rows a sparse instruction's A has, and how many groups a row."""
    parsed = check_shape(instruction, in_dtype)
    if not parsed.sparse:
        raise BadInput(f"instruction must be a sparse one, got {instruction!r}")
    return parsed.m, parsed.k // GROUP_COLUMNS[in_dtype]


def _sm80_sources(n_rows: int, n_columns: int, bits: int) -> np.ndarray:
    """Return, for each place in memory, the row-major place it is filled from."""
    group, interleave = SM80_INTERLEAVE[bits]
    if n_rows % group or n_columns % 2:
        raise BadInput(f"metadata must have rows in {group}s and an even width, got shape {[n_rows, n_columns]}")
    rows, columns = np.indices((n_rows, n_columns))
    to_row = rows // group * group + rows % 8 * interleave + rows % group // 8
    off_diagonal = (to_row % 2 != columns % 2) * (1 - 2 * (to_row % 2))  # +1: one row down and one column back
    to_row, to_column = to_row + off_diagonal, columns - off_diagonal
    places = to_column // 2 * 2 * n_rows + 2 * to_row + to_column % 2
    return np.argsort(places.ravel())


def _sm90_sources(n_rows: int, n_groups: int, in_dtype: str, tile_k: int) -> tuple[int, np.ndarray]:
    """Return the bits of a word that stays whole and, for each such word in memory, its row-major place."""
    if in_dtype not in GROUP_COLUMNS or in_dtype in PAIRED:
        raise BadInput(f"in_dtype must be f16, bf16, tf32, e4m3, e5m2 or int8 in the SM90 layout, got {in_dtype!r}")
    bits = 16 if in_dtype in WIDE_CELLS else 8
    columns = GROUP_COLUMNS[in_dtype] * n_groups
    block_k = GROUP_COLUMNS[in_dtype] * (8 if in_dtype in WIDE_CELLS else 16)  # 32 or 64 bits of metadata a row
    if n_rows % SM90_ROWS or tile_k < 1 or tile_k % block_k or columns % tile_k:
        raise BadInput(
            f"metadata must have rows in {SM90_ROWS}s and columns in tiles of tile_k, a multiple of {block_k}; "
            f"got {n_rows} rows, {columns} columns, tile_k {tile_k}"
        )
    places = np.arange(n_rows * n_groups * 4 // bits)
    if in_dtype not in WIDE_CELLS:
        # [block of rows, row, tile, byte] -> tiles outermost, then blocks
        order = places.reshape(n_rows // SM90_ROWS, SM90_ROWS, columns // tile_k, -1).transpose(2, 0, 1, 3)
    else:
        # [block, 4, 2, 8 rows; tile, tile_k / block_k, 2 words], the last of a bracket fastest in its row or column
        shape = (n_rows // SM90_ROWS, 4, 2, 8, columns // tile_k, tile_k // block_k, 2)
        order = places.reshape(shape).transpose(4, 0, 1, 6, 3, 5, 2)
    return bits, order.ravel()
