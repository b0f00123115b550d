"""The .smtx files of the Deep Learning Matrix Collection: which weights of a pruned matrix are left, not their values.

Three lines of text: "rows, columns, non-zeros", the row offsets, the column indices. Source: Gale et al. 2020, Sparse
GPU Kernels for Deep Learning (arXiv 2006.10901).
"""

import codecs
import re
from pathlib import Path

import numpy as np

from workloads.errors import BadInput
from workloads.files import read_text_bytes
from workloads.readers.limits import check_dense

KIND = ".smtx pattern"


def read(path: Path) -> dict[str, np.ndarray]:
    """Return {file's name: bool[rows, columns]}, True where a weight is left. Raises BadInput."""
    content = read_text_bytes(path)
    lines = [*content.split(b"\n"), b"", b""]
    if any(line.strip() for line in lines[3:]):
        raise BadInput("is damaged: it must have three lines")
    sizes, offsets, columns = (_whole_numbers(line) for line in lines[:3])
    if len(sizes) != 3:
        raise BadInput("is damaged: its first line must say rows, columns and non-zeros")
    n_rows, n_columns, n_kept = sizes.tolist()
    if len(offsets) != n_rows + 1 or len(columns) != n_kept:
        raise BadInput(
            f"is damaged: it promises {n_rows:,} rows and {n_kept:,} non-zeros, "
            f"has {len(offsets) - 1:,} and {len(columns):,}"
        )
    counts = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != n_kept or (counts < 0).any():
        raise BadInput(f"is damaged: its row offsets must rise from 0 to {n_kept:,}")
    if (columns >= n_columns).any():
        raise BadInput(f"is damaged: its column indices must be below {n_columns:,}, got {columns.max():,}")
    check_dense((n_rows, n_columns), len(content))
    pattern = np.zeros((n_rows, n_columns), bool)
    pattern[np.repeat(np.arange(n_rows), counts), columns] = True
    if np.count_nonzero(pattern) != n_kept:
        raise BadInput("is damaged: it names a place twice")
    return {path.stem: pattern}


def n_numbers(path: Path) -> int:
    """Return how many places the pattern has, as the file's first line says. Raises BadInput."""
    with path.open("rb") as lines:
        n_rows, n_columns, _ = _whole_numbers(next(lines).removeprefix(codecs.BOM_UTF8)).tolist()
    check_dense((n_rows, n_columns), path.stat().st_size)
    return n_rows * n_columns


def _whole_numbers(line: bytes) -> np.ndarray:
    """Return i64[n]: the numbers of a line, separated by spaces or commas, none below 0."""
    if not re.fullmatch(rb"[\d,\s]*", line):
        raise BadInput("is damaged: it must hold whole numbers, none below 0")
    return np.array([int(word) for word in line.replace(b",", b" ").split()], np.int64)
