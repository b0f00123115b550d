"""NumPy's .npz archives of plain numbers."""

import zipfile
from pathlib import Path

import numpy as np

from workloads.errors import BadInput

KIND = ".npz archive of plain numbers"
MOST_DEFLATED = 1100  # deflate makes nothing more than 1032 times smaller


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an archive; pickled objects are refused. Raises BadInput and what zipfile does."""
    with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as arrays:
        members, n_bytes = archive.infolist(), path.stat().st_size
        promised = sum(member.compress_size for member in members)
        if promised > n_bytes:
            raise BadInput(f"is damaged: its members promise {promised:,} bytes, the file has {n_bytes:,}")
        for member in members:
            _check_size(archive, member)
        return {name: arrays[name] for name in arrays.files}


def n_numbers(path: Path) -> int:
    """Return how many f32 would take the bytes that the archive unpacks to. Raises what zipfile does."""
    with zipfile.ZipFile(path) as archive:
        return sum(member.file_size for member in archive.infolist()) // 4


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
