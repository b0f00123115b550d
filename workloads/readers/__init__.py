"""Readers of weight files, one file per format: `read` chooses by the suffix and gives {name: array}."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workloads.errors import BadInput, did_you_mean
from workloads.readers import (
    deep_compression,
    dlmc,
    gguf,
    keras,
    matrix_market,
    npy,
    npz,
    safetensors,
    shards,
    torch,
)
from workloads.readers.stored import Stored

READERS = {
    ".npz": npz,
    ".npy": npy,
    ".safetensors": safetensors,
    shards.INDEX: shards,
    ".pt": torch,
    ".pth": torch,
    ".bin": torch,
    ".mtx": matrix_market,
    ".smtx": dlmc,
    ".net": deep_compression,
    ".gguf": gguf,
    ".keras": keras,
    ".h5": keras,
}
MOST_LETTERS = 300  # of a complaint, which may quote what a file holds
# Of reading, as measured on two shared cores: a byte of text, a number that it stands for; Python with NumPy. A reader
# may have a BYTE_S or CELL_BYTES of its own.
BYTE_S, NUMBER_S, CELL_BYTES, BASE_BYTES = 5e-8, 1.2e-8, 4, 100e6


def read(path: str | Path) -> dict[str, np.ndarray | Stored]:
    """Return the arrays of a file by name, in the file's order and element type; of a folder, its .safetensors files'.

    workloads.readers.state_dict says which of them are layers. A file that holds one matrix without a name
    (.npy, .mtx, .smtx) gives it the file's own. Nothing in a file is run, and no memory is set aside for more than it
    holds. Raises BadInput where it is missing, damaged, of an unknown suffix or holds something else.
    """
    path = Path(path)
    if not path.is_file() and not path.is_dir():
        raise BadInput(f"workload file {str(path)!r} {'is not a file' if path.exists() else 'does not exist'}")
    suffixes = [suffix for suffix in READERS if path.name.lower().endswith(suffix)]
    reader = shards if path.is_dir() else READERS[suffixes[0]] if suffixes else None
    if reader is None:
        raise BadInput(f"workload file {str(path)!r} has an unknown suffix{did_you_mean(path.suffix, READERS)}")
    try:
        return reader.read(path)
    except BadInput as error:
        raise BadInput(f"workload file {str(path)!r} {str(error)[:MOST_LETTERS]}") from error.__cause__
    except MemoryError:
        raise BadInput(f"workload file {str(path)!r} does not fit this machine's memory") from None
    except Exception as error:  # parsers and decompressors each fail in ways of their own
        reason = " ".join(str(error).split())[:MOST_LETTERS] or type(error).__name__
        raise BadInput(f"workload file {str(path)!r} is no readable {reader.KIND}: {reason}") from error


def expected(path: str | Path) -> tuple[float, float]:
    """Return about how many seconds and bytes reading a file takes, by its size and by what its first bytes promise.

    (0, 0) for a file that is only mapped into memory, and for one that `read` will refuse.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    n_numbers, byte_s = getattr(reader, "n_numbers", None), getattr(reader, "BYTE_S", BYTE_S)
    number_bytes = getattr(reader, "CELL_BYTES", CELL_BYTES)
    try:
        n_bytes, n = path.stat().st_size, n_numbers(path) if n_numbers else 0
    except Exception:  # whatever is wrong with it, `read` says it better
        return 0.0, 0.0
    return (byte_s * n_bytes + NUMBER_S * n, BASE_BYTES + 3 * n_bytes + number_bytes * n) if n else (0.0, 0.0)
