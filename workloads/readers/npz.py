"""NumPy's .npz archives of plain numbers, and the sparse matrices that SciPy's save_npz writes as such."""

import math
import zipfile
from pathlib import Path

import numpy as np

from workloads.errors import BadInput
from workloads.readers.limits import check_dense

KIND = ".npz archive of plain numbers"
BYTE_S = 5e-9  # of reading: bytes are copied or inflated, no text is understood
_SPARSE = {"format", "shape", "data"}  # which SciPy's save_npz writes, and beside them where the values stand
_PLACES = {"csr": ("indices", "indptr"), "csc": ("indices", "indptr"), "coo": ("row", "col")}
MOST_DEFLATED = 1100  # deflate makes nothing more than 1032 times smaller


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an archive; pickled objects are refused. Raises BadInput and what zipfile does.

    A sparse matrix of SciPy's comes as {file's name: f32[rows, columns]}.
    """
    with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as arrays:
        n_bytes = _checked_bytes(archive, path)
        stored = {name: arrays[name] for name in arrays.files}
    return {path.stem: _dense(stored, n_bytes)} if stored.keys() >= _SPARSE else stored


def n_numbers(path: Path) -> int:
    """Return how many f32 would take the bytes that the archive unpacks to. Raises what `read` does."""
    with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as arrays:
        n_bytes, n = _checked_bytes(archive, path), sum(member.file_size for member in archive.infolist()) // 4
        return n + math.prod(_shape(arrays["shape"], n_bytes)) if set(arrays.files) >= _SPARSE else n


def _dense(stored: dict[str, np.ndarray], n_bytes: int) -> np.ndarray:
    """Return f32[rows, columns], the matrix of SciPy's arrays; as SciPy has it, values of one place add up."""
    kind = stored["format"].item()
    kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
    if kind not in _PLACES:
        raise BadInput(f"holds a SciPy sparse matrix of format {kind!r}: save it as one of {', '.join(_PLACES)}")
    shape = _shape(stored["shape"], n_bytes)
    for name in _PLACES[kind]:
        if name not in stored or stored[name].dtype.kind not in "iu" or stored[name].ndim != 1:
            raise BadInput(f"is damaged: a SciPy sparse matrix of format {kind!r} must have int {name!r}")
    first, second = (stored[name].astype(np.int64) for name in _PLACES[kind])
    if kind != "coo":  # "indptr": where each row or column begins
        if len(second) != shape[kind == "csc"] + 1 or second[0] != 0 or (np.diff(second) < 0).any():
            raise BadInput(f"is damaged: its 'indptr' must be {shape[kind == 'csc'] + 1:,} numbers that rise from 0")
        major = np.repeat(np.arange(len(second) - 1), np.diff(second))
        first, second = (major, first) if kind == "csr" else (first, major)
    data = stored["data"]
    if not first.shape == second.shape == data.shape:
        raise BadInput(f"is damaged: it has {data.size:,} values for {first.size:,} rows and {second.size:,} columns")
    for places, length in ((first, shape[0]), (second, shape[1])):
        if places.size and not 0 <= places.min() <= places.max() < length:
            raise BadInput(f"is damaged: its places must be from 0 to {length - 1:,}")
    if data.dtype.kind not in "fiub":
        raise BadInput(f"must hold real numbers, got dtype {data.dtype}")
    dense = np.zeros(shape, np.float32)
    with np.errstate(over="ignore"):  # what is beyond f32 is refused by whoever takes the matrix
        np.add.at(dense, (first, second), data.astype(np.float32))
    return dense


def _shape(stored: np.ndarray, n_bytes: int) -> tuple[int, int]:
    """Return rows and columns; refuse more than the file can be meant to hold."""
    if stored.shape != (2,) or stored.dtype.kind not in "iu" or stored.min() < 0:
        raise BadInput(f"is damaged: the shape of a sparse matrix must be two whole numbers, got {stored.tolist()}")
    shape = int(stored[0]), int(stored[1])
    check_dense(shape, n_bytes)
    return shape


def _checked_bytes(archive: zipfile.ZipFile, path: Path) -> int:
    """Return the file's length; refuse an archive whose members promise more than it holds."""
    members, n_bytes = archive.infolist(), path.stat().st_size
    promised = sum(member.compress_size for member in members)
    if promised > n_bytes:
        raise BadInput(f"is damaged: its members promise {promised:,} bytes, the file has {n_bytes:,}")
    for member in members:
        _check_size(archive, member)
    return n_bytes


def _check_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse an array whose header promises more than the archive holds, before NumPy sets memory aside for it."""
    if member.file_size > MOST_DEFLATED * (member.compress_size + 1):
        raise BadInput(
            f"is damaged: {member.filename} promises {member.file_size:,} bytes out of {member.compress_size:,}"
        )
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        if dtype.hasobject:
            raise BadInput(f"must hold plain numbers, {member.filename} holds Python objects")
        promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if promised != member.file_size - stream.tell():
            raise BadInput(
                f"is damaged: {member.filename} promises {promised:,} bytes, has {member.file_size - stream.tell():,}"
            )
