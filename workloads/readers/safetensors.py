"""The .safetensors format: a JSON header with every array's type, shape and place, then the arrays back to back.

Parsed and written here, because the library's NumPy face has no BF16 and no F8. Source: the format's description in its
repository (huggingface/safetensors, README, "Format").
"""

import json
import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import ml_dtypes
import numpy as np

from workloads.errors import BadInput, did_you_mean

KIND = ".safetensors file"
N_LENGTH = 8  # bytes of the little-endian length in front of the header
MOST_HEADER_BYTES = 100_000_000  # the library's own limit
DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
}
METADATA = "__metadata__"


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays as read-only views of the mapped file: what is not used is not loaded. Raises BadInput."""
    with path.open("rb") as file:
        header, start = _header(file, n_bytes := path.stat().st_size)
        header.pop(METADATA, None)
        places = {name: _place(name, entry) for name, entry in header.items()}
        _check_tiling(places, n_bytes - start)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return {name: _view(mapped, start + first, dtype, shape) for name, (dtype, shape, first, _) in places.items()}


def metadata(path: Path) -> dict[str, str]:
    """Return what a file says of itself. Raises BadInput."""
    with path.open("rb") as file:
        said = _header(file, path.stat().st_size)[0].get(METADATA, {})
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        raise BadInput(f"is damaged: its {METADATA} must be texts by name")
    return said


def to_bytes(arrays: Mapping[str, np.ndarray], said: Mapping[str, str]) -> bytes:
    """Return the file of the arrays, whose metadata are `said`; equal arrays give equal bytes. Raises BadInput.

    As in files of the library, the widest elements come first, so that every array lies at a multiple of its own.
    """
    kinds = {np.dtype(kind): name for name, kind in DTYPES.items()}
    header: dict[str, object] = {METADATA: dict(said)} if said else {}
    parts, reached = [], 0
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize):
        dtype = array.dtype.newbyteorder("<")
        if dtype not in kinds:
            raise BadInput(f"array {name!r} is of the type {array.dtype}, which no .safetensors file holds: write .npz")
        parts.append(array.astype(dtype, copy=False).tobytes())
        offsets = [reached, reached := reached + len(parts[-1])]
        header[name] = {"dtype": kinds[dtype], "shape": list(array.shape), "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % N_LENGTH)
    return b"".join([len(text).to_bytes(N_LENGTH, "little"), text, *parts])


def _header(file: BinaryIO, n_bytes: int) -> tuple[dict, int]:
    """Return the header of a file of so many bytes, and where the arrays begin behind it."""
    length = int.from_bytes(file.read(N_LENGTH), "little")
    if n_bytes < N_LENGTH or length > min(MOST_HEADER_BYTES, n_bytes - N_LENGTH):
        raise BadInput(f"is damaged: its header promises {length:,} bytes, the file has {n_bytes:,}")
    header = json.loads(file.read(length), object_pairs_hook=_without_repeats)
    if not isinstance(header, dict):
        raise BadInput(f"is damaged: its header must be a JSON object, got {type(header).__name__}")
    return header, N_LENGTH + length


def _without_repeats(pairs: list[tuple]) -> dict:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise BadInput("is damaged: its header says a name twice")
    return entries


def _place(name: str, entry: object) -> tuple[np.dtype, list[int], int, int]:
    """Return dtype, shape, start and end of an entry of the header."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise BadInput(f"is damaged: {name!r} must have dtype, shape and data_offsets")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in DTYPES:
        raise BadInput(f"has {name!r} of an unknown type {kind!r}{did_you_mean(str(kind), DTYPES)}")
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise BadInput(f"is damaged: the shape and the two offsets of {name!r} must be whole numbers, none below 0")
    dtype, (start, end) = np.dtype(DTYPES[kind]), offsets
    promised = math.prod(shape) * dtype.itemsize
    if promised != end - start:
        raise BadInput(f"is damaged: {name!r} promises {promised:,} bytes, has {end - start:,}")
    return dtype, shape, start, end


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)


def _check_tiling(places: dict[str, tuple], n_bytes: int) -> None:
    """Refuse arrays that overlap, leave holes or end elsewhere than the file."""
    reached = 0
    for name, (*_, start, end) in sorted(places.items(), key=lambda item: item[1][2:]):
        if start != reached:
            raise BadInput(f"is damaged: {name!r} starts at byte {start:,} and must at {reached:,}")
        reached = end
    if reached != n_bytes:
        raise BadInput(f"is damaged: its arrays take {reached:,} bytes, the file has {n_bytes:,} for them")


def _view(mapped: mmap.mmap, start: int, dtype: np.dtype, shape: list[int]) -> np.ndarray:
    array = np.frombuffer(mapped, dtype, math.prod(shape), start) if math.prod(shape) else np.empty(0, dtype)
    return np.require(array.reshape(shape), requirements="A")  # kernels take aligned arrays only
