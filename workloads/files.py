"""Reading files: a workload from an .npz archive, and the CSV tables that come with a package."""

from __future__ import annotations

import csv
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np

from workloads.errors import BadInput, did_you_mean
from workloads.records import Workload

REQUIRED, OPTIONAL = ("weights", "activations"), ("bias",)


def read_table(package: str, name: str) -> list[dict[str, str]]:
    """Return the rows of data/NAME.csv of a package as {column: text}; lines that begin with # are comments."""
    text = files(package).joinpath(f"data/{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def read_npz(path: Path) -> Workload:
    """Return the workload in a file: weights f32[out, in], activations f32[in] or f32[batch, in], bias f32[out].

    Raises BadInput where it is missing, damaged or holds something else.
    """
    if not path.is_file():
        raise BadInput(f"workload file {str(path)!r} {'is not a file' if path.exists() else 'does not exist'}")
    try:
        with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as arrays:
            _check_names(path, arrays.files)
            for member in archive.infolist():
                _check_size(path, archive, member)
            found = {name: arrays[name] for name in arrays.files}
    except BadInput:
        raise
    except MemoryError:
        raise BadInput(f"workload file {str(path)!r} does not fit this machine's memory") from None
    except Exception as error:  # zipfile, its decompressors and NumPy's parser each fail in ways of their own
        reason = str(error) or type(error).__name__
        raise BadInput(f"workload file {str(path)!r} is no readable .npz archive of plain numbers: {reason}") from error
    return Workload(name=path.stem, provenance=f"file {path.name}", **found)


def _check_names(path: Path, names: list[str]) -> None:
    known = (*REQUIRED, *OPTIONAL)
    for name in names:
        if name not in known:
            raise BadInput(f"workload file {str(path)!r} has an unknown array {name!r}{did_you_mean(name, known)}")
    for name in REQUIRED:
        if name not in names:
            raise BadInput(f"workload file {str(path)!r} has no array {name!r}; it holds {', '.join(names) or 'none'}")


def _check_size(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse an array whose header promises more than the archive holds, before NumPy sets memory aside for it."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        if dtype.hasobject:
            raise BadInput(
                f"workload file {str(path)!r} must hold plain numbers, {member.filename} holds Python objects"
            )
        promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if promised != member.file_size - stream.tell():
            raise BadInput(
                f"workload file {str(path)!r} is damaged: {member.filename} promises {promised:,} bytes, "
                f"has {member.file_size - stream.tell():,}"
            )
