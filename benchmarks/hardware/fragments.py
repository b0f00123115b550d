"""Which thread holds which element of a tile, and in which register: matrices into registers and back.

A place is (row, column) for each thread, register and element of it, lowest bits first. With g = lane / 4 and t = lane
mod 4, and p elements in a register (PTX ISA, "Matrix Fragments" of mma, mma.sp and wgmma):

A, warp w       register r holds row 16 w + g + 8 (r mod 2), columns 4 p (r / 2) + p t + 0 .. p - 1
B of mma        register r holds rows 4 p r + p t + 0 .. p - 1 of column g
C and D         elements 2 i and 2 i + 1 are row 16 w + g + 8 (i mod 2), columns 8 (i / 2) + 2 t and the next
B of wgmma      core matrices of 8 columns x 16 bytes, back to back along k, then the next 8 columns (card.cuh)

The columns of a sparse A are those of its kept values. Its metadata follow tensorcore_sim.format.metadata.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.hardware.instructions import BITS, Measured
from tensorcore_sim.format.metadata import GROUP_COLUMNS, contributors, thread_words

UNREAD = 0x44444444  # metadata of the threads that do not contribute: legal, and not what the others hold


class Places(NamedTuple):
    """Where the elements of registers lie in a matrix, i64[threads, registers, elements] each."""

    row: np.ndarray
    column: np.ndarray


def a_places(measured: Measured) -> Places:
    """Return where A's registers lie in the [m, k] (kept: [m, k / 2]) matrix."""
    per = 32 // BITS[measured.in_dtype]
    thread, register, element = _indices(measured.n_threads, measured.n_registers[0], per)
    row = thread // 32 * 16 + thread % 32 // 4 + 8 * (register % 2)
    return Places(row, 4 * per * (register // 2) + per * (thread % 4) + element)


def b_places(measured: Measured) -> Places:
    """Return where B's registers, for wgmma the words of its shared-memory matrix, lie in the [k, n] matrix."""
    per = 32 // BITS[measured.in_dtype]
    thread, register, element = _indices(measured.n_threads, measured.n_registers[1], per)
    if not measured.is_wgmma:
        return Places(4 * per * register + per * (thread % 4) + element, thread // 4 + 0 * register + 0 * element)
    word = thread * measured.n_registers[1] + register
    core, in_core = np.divmod(word, 32)
    columns, along_k = np.divmod(core, measured.shape.k // (4 * per))
    return Places(4 * per * along_k + per * (in_core % 4) + element, 8 * columns + in_core // 4 + 0 * element)


def c_places(measured: Measured) -> Places:
    """Return where the registers of C and D lie in the [m, n] matrix."""
    per = 32 // BITS[measured.out_dtype]
    thread, register, element = _indices(measured.n_threads, measured.n_registers[2], per)
    pair, second = np.divmod(per * register + element, 2)
    return Places(thread // 32 * 16 + thread % 32 // 4 + 8 * (pair % 2), 8 * (pair // 2) + 2 * (thread % 4) + second)


def to_registers(matrix: np.ndarray, places: Places) -> np.ndarray:
    """Return the registers u32[tiles, threads, registers] of bit patterns [tiles, rows, columns]."""
    elements = np.ascontiguousarray(matrix[:, places.row, places.column])
    return elements.astype(elements.dtype.newbyteorder("<")).view("<u4")[..., 0].astype(np.uint32)


def from_registers(registers: np.ndarray, places: Places, dtype: np.dtype, shape: tuple[int, int]) -> np.ndarray:
    """Return the bit patterns [tiles, rows, columns] of registers u32[tiles, threads, registers]."""
    matrix = np.zeros((len(registers), *shape), dtype)
    elements = np.ascontiguousarray(registers.astype("<u4"))[..., None].view(np.dtype(dtype).newbyteorder("<"))
    matrix[:, places.row, places.column] = elements
    return matrix


def metadata_registers(nibbles: np.ndarray, measured: Measured) -> np.ndarray:
    """Return the metadata register of each thread, u32[tiles, threads, 1], of nibbles u8[tiles, m, groups]."""
    registers = np.full((len(nibbles), measured.n_threads, 1), UNREAD, np.uint32)
    if not measured.shape.sparse:
        return registers
    of_quad = list(contributors(measured.instruction, measured.in_dtype, measured.selector))
    threads = np.arange(0, measured.n_threads, 4)[:, None] + of_quad
    for tile, of_tile in enumerate(nibbles):
        registers[tile, threads, 0] = thread_words(of_tile, measured.instruction, measured.in_dtype)
    return registers


def n_groups(measured: Measured) -> int:
    """Return how many groups a row of a sparse A has."""
    return measured.shape.k // GROUP_COLUMNS[measured.in_dtype]


def _indices(n_threads: int, n_registers: int, per: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.ix_(np.arange(n_threads), np.arange(n_registers), np.arange(per))
