"""Workloads as the arrays of one .npz file, and back: NAME/weights, NAME/activations and what else each layer has."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import fields

import numpy as np

from workloads.errors import BadInput, did_you_mean
from workloads.records import Workload

# name and provenance aside, what a Workload is made of; what is optional is left out where it is as by default
REQUIRED, OPTIONAL = ("weights", "activations", "relu"), ("bias", "codes", "codebook")
COUNTS, WORDS = ("positions", "sampled", "groups", "kernel", "weight_bits"), ("kind", "reached")
KEYS = (*REQUIRED, *OPTIONAL, *COUNTS, *WORDS)
SCALARS = {
    "relu": ("bool", "b"),
    **dict.fromkeys(COUNTS, ("whole number", "iu")),
    **dict.fromkeys(WORDS, ("text", "U")),
}
DEFAULTS = {entry.name: entry.default for entry in fields(Workload) if entry.name in (*OPTIONAL, *COUNTS, *WORDS)}
PROVENANCE = "provenance"


def to_bytes(workloads: Iterable[Workload], provenance: str) -> bytes:
    """Return the .npz file of the workloads, which `from_arrays` reads back; equal workloads give equal bytes."""
    arrays: dict[str, np.ndarray] = {PROVENANCE: np.array(provenance)}
    for layer in workloads:
        for key in KEYS:
            value = getattr(layer, key)
            if key in REQUIRED or (value is not None and not (key in SCALARS and value == DEFAULTS[key])):
                arrays[f"{layer.name}/{key}"] = np.asarray(value)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def holds(arrays: Mapping[str, np.ndarray]) -> bool:
    """Tell whether a file's arrays are such workloads."""
    return any(f"{name.removesuffix('/weights')}/activations" in arrays for name in arrays if name.endswith("/weights"))


def from_arrays(arrays: Mapping[str, np.ndarray], file: str) -> dict[str, Workload]:
    """Return the workloads by name, in the file's order. Raises BadInput naming what is missing or unknown."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        layer, _, key = name.rpartition("/")
        if name == PROVENANCE:
            continue
        if not layer or key not in KEYS:
            raise BadInput(f"holds an unknown array {name!r}{did_you_mean(key, KEYS)}")
        parts.setdefault(layer, {})[key] = array
    said = str(arrays[PROVENANCE]) if PROVENANCE in arrays else ""
    return {
        name: _workload(name, part, "; ".join(filter(None, (f"file {file}", said)))) for name, part in parts.items()
    }


def _workload(name: str, part: dict[str, np.ndarray], provenance: str) -> Workload:
    for key in REQUIRED:
        if key not in part:
            raise BadInput(f"has no array {f'{name}/{key}'!r}")
    scalars = {key: part.pop(key) for key in SCALARS if key in part}
    for key, value in scalars.items():
        what, kinds = SCALARS[key]
        if value.shape != () or value.dtype.kind not in kinds:
            raise BadInput(f"must hold one {what} in {f'{name}/{key}'!r}, got {value.dtype}{list(value.shape)}")
    try:
        return Workload(
            name=name, provenance=provenance, **{key: value.item() for key, value in scalars.items()}, **part
        )
    except BadInput as error:
        raise BadInput(f"layer {name!r}: {error}") from None
