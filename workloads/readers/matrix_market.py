"""Matrix Market files: one matrix of numbers or a pattern, as text."""

import io
import re
from pathlib import Path

import numpy as np

from workloads.errors import BadInput
from workloads.files import read_text_bytes
from workloads.readers.limits import check_dense

KIND = "Matrix Market file"
BANNER = re.compile(
    rb"%%matrixmarket\s+matrix\s+(coordinate|array)\s+(real|integer|pattern)\s+(general|symmetric|skew-symmetric)"
)
NUMBER_BYTES = b"0123456789+-.eE \t\r\n"


def read(path: Path) -> dict[str, np.ndarray]:
    """Return {file's name: f32[rows, columns]}, bool of a pattern. Raises BadInput and what scipy.io does."""
    content = read_text_bytes(path)
    banner, at = _line(content, 0)
    form = BANNER.fullmatch(banner.strip().lower())
    if form is None:
        raise BadInput("must begin with '%%MatrixMarket matrix', coordinate or array, real, integer or pattern")
    sizes, at = _line(content, at)
    while at < len(content) and (not sizes.strip() or sizes.startswith(b"%")):
        sizes, at = _line(content, at)
    # SciPy reads on past the end of a last line that neither a number nor a line break ends, and may crash.
    body = content[at:].rstrip() + b"\n"
    if body.translate(None, NUMBER_BYTES):
        raise BadInput("is damaged: behind its sizes it holds something that is no number")
    shape = _checked_shape(form[1], form[3], sizes, body)
    from scipy.io import mmread  # late: it takes a tenth of a second

    banner = b"%%MatrixMarket matrix " + b" ".join(form.groups())  # it reads this in one case only
    checked = io.BytesIO(b"\n".join((banner, b" ".join(sizes.split()), body)))  # and only what was checked
    matrix = mmread(checked, spmatrix=False)
    if matrix.shape != shape:
        raise BadInput(f"is damaged: it promises {shape} and gives {matrix.shape}")
    if isinstance(matrix, np.ndarray):
        return {path.stem: _single(matrix)}
    if len(np.unique(matrix.row.astype(np.int64) * shape[1] + matrix.col)) < matrix.nnz:
        raise BadInput("is damaged: it names a place twice")
    is_pattern = form[2] == b"pattern"
    dense = np.zeros(shape, bool if is_pattern else np.float32)
    dense[matrix.row, matrix.col] = True if is_pattern else _single(matrix.data)
    return {path.stem: dense}


def n_numbers(path: Path) -> int:
    """Return how many numbers the matrix has, zeros included, as the file's first lines say. Raises what int does."""
    with path.open("rb") as lines:
        next(lines)
        sizes = next(line for line in lines if line.strip() and not line.startswith(b"%")).split()
    shape = int(sizes[0]), int(sizes[1])
    check_dense(shape, path.stat().st_size)
    return shape[0] * shape[1]


def _single(numbers: np.ndarray) -> np.ndarray:
    """Return numbers as f32; refuse one that is beyond it."""
    with np.errstate(over="ignore"):
        single = numbers.astype(np.float32)
    if not (finite := np.isfinite(single)).all():
        raise BadInput(f"must hold finite f32 numbers, got {numbers[~finite][0]}")
    return single


def _line(content: bytes, at: int) -> tuple[bytes, int]:
    """Return the line that starts there and where the next one does."""
    end = content.find(b"\n", at) % (len(content) + 1)  # none: -1, which becomes the content's end
    return content[at:end], end + 1


def _checked_shape(form: bytes, symmetry: bytes, sizes: bytes, body: bytes) -> tuple[int, int]:
    """Return rows and columns; refuse sizes that the file is too short for."""
    numbers = sizes.split()
    if len(numbers) != (3 if form == b"coordinate" else 2) or not all(re.fullmatch(rb"\d{1,18}", n) for n in numbers):
        raise BadInput("is damaged: its first line after the comments must say rows, columns and, of a list, how many")
    n_rows, n_columns, *rest = map(int, numbers)
    if symmetry != b"general" and n_rows != n_columns:
        raise BadInput(f"is damaged: a {symmetry.decode()} matrix must be square, got {n_rows:,} x {n_columns:,}")
    if rest:
        n_promised, least_bytes = rest[0], 4  # b"1 1\n"
    else:
        n_promised = n_rows * n_columns if symmetry == b"general" else n_rows * (n_rows - 1) // 2
        least_bytes = 2  # b"1\n"
    if n_promised * least_bytes > len(body) + 1:
        raise BadInput(f"is damaged: it promises {n_promised:,} entries, which {len(body):,} bytes are too few for")
    check_dense((n_rows, n_columns), len(body))
    return n_rows, n_columns
