"""New weights put in the place of a file's own: its arrays as they lie, but for those of some layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from workloads.errors import BadInput
from workloads.readers import safetensors, shards
from workloads.readers.state_dict import Candidate, bias_name, candidates
from workloads.readers.stored import Stored
from workloads.records import Layer

TORCH = {"format": "pt"}  # what other libraries want to know of a file of a state dict


def with_layers(
    arrays: Mapping[str, np.ndarray | Stored], layers: Mapping[str, Layer]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return a file's arrays with the weights and biases of some layers replaced, and the layers that were rounded.

    Every array has its own type and lies its own way round, so that what is new is rounded where its type is narrower.
    What is stored as numbers and a mask becomes one array; a layer that is as it was stays as it lies. Raises BadInput
    for weights that the file quantised, for a bias that it has no place for, and for what cannot lie in a file.
    """
    known = candidates(arrays)
    new: dict[str, np.ndarray] = {}
    wholes: dict[str, str] = {}  # {a part: the array that it is in}
    rounded = []
    for name, layer in layers.items():
        candidate = known[name]
        weights, bias = candidate.read()
        weights, new_weights = np.asarray(weights), layer.weights.reshape(weights.shape)
        is_kept = weights.astype(np.float32) == new_weights
        if is_kept.all() and _alike(bias, layer.bias):
            continue
        _check(name, candidate, bias, layer)
        new_weights = np.where(is_kept, weights, new_weights)  # of a wide type whole
        own = {candidate.array: (candidate.stored, candidate.back(new_weights))}
        if candidate.bias is not None and (len(candidate.bias.parts) > 1 or not _alike(bias, layer.bias)):
            own[bias_name(candidate.array)] = candidate.bias, layer.bias.reshape(candidate.bias.shape)
        is_exact = True
        for whole, (stored, array) in own.items():
            with np.errstate(over="ignore"):
                new[whole] = array.astype(stored.dtype)
            if not np.isfinite(new[whole].astype(np.float32)).all():
                raise BadInput(f"layer {name!r} has a value beyond {stored.dtype}, its file's own type: write .npz")
            wholes |= dict.fromkeys(stored.parts, whole)
            is_exact = is_exact and np.array_equal(new[whole].astype(array.dtype), array)
        if not is_exact:
            rounded.append(f"{name} to {candidate.stored.dtype}")
    result: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if name in wholes:
            result.setdefault(wholes[name], new[wholes[name]])
        elif isinstance(array, Stored):
            raise BadInput(f"array {name!r} is packed in its file, which no .safetensors file holds: write .npz")
        else:
            result[name] = array
    return result, rounded


def metadata(path: Path) -> dict[str, str]:
    """Return what a .safetensors file, or the first of several, says of itself; of another, that it is a state dict."""
    folder = path if path.is_dir() else path.parent if path.name.endswith(shards.INDEX) else None
    file = path if folder is None else min(folder.glob("*.safetensors"))
    return safetensors.metadata(file) if file.is_file() and file.suffix == ".safetensors" else TORCH


def _alike(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one.astype(np.float32), other)


def _check(name: str, candidate: Candidate, bias: np.ndarray | None, layer: Layer) -> None:
    if not candidate.stored.is_plain:
        kind = candidate.note.partition(",")[0] or candidate.stored.dtype
        raise BadInput(f"layer {name!r} is no plain numbers in its file ({kind}): prune it before it is quantised")
    if _alike(bias, layer.bias):
        return
    stored = candidate.bias
    if stored is None or layer.bias is None or not stored.is_plain or np.prod(stored.shape) != len(layer.bias):
        raise BadInput(f"layer {name!r} has another bias than its file, which has no place for it: write .npz")
