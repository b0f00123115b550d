"""Matrix Market files: one matrix of numbers or a pattern, as text."""

import codecs
import io
import re
from pathlib import Path

import numpy as np

from workloads.errors import BadInput
from workloads.readers.limits import check_dense

KIND = "Matrix Market file"
BANNER = re.compile(
    rb"%%matrixmarket\s+matrix\s+(coordinate|array)\s+(real|integer|pattern)\s+(general|symmetric|skew-symmetric)"
)
NUMBER_BYTES = b"0123456789+-.eE \t\r\n"


def read(path: Path) -> dict[str, np.ndarray]:
    """Return {file's name: f64 or i64[rows, columns]}, bool of a pattern. Raises BadInput and what scipy.io does."""
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
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
    matrix = mmread(io.BytesIO(b"\n".join((banner, b" ".join(sizes.split()), body))))  # and only what was checked
    if isinstance(matrix, np.ndarray):
        dense = matrix
    else:
        if len(np.unique(matrix.row.astype(np.int64) * shape[1] + matrix.col)) < matrix.nnz:
            raise BadInput("is damaged: it names a place twice")
        dense = matrix.toarray()
    if dense.shape != shape:
        raise BadInput(f"is damaged: it promises {shape} and gives {dense.shape}")
    return {path.stem: dense != 0 if form[2] == b"pattern" else dense}


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
    if rest:
        n_promised, least_bytes = rest[0], 4  # b"1 1\n"
    else:
        n_promised = n_rows * n_columns if symmetry == b"general" else n_rows * (n_rows - 1) // 2
        least_bytes = 2  # b"1\n"
    if n_promised * least_bytes > len(body) + 1:
        raise BadInput(f"is damaged: it promises {n_promised:,} entries, which {len(body):,} bytes are too few for")
    check_dense((n_rows, n_columns), len(body))
    return n_rows, n_columns
