"""What a shipped network learned is kept in the user's cache: the next process reads what the first one trained."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import resources
from typing import TypeVar

import numpy as np

from workloads.files import write_arrays
from workloads.networks.data import cache_folder
from workloads.networks.decoder import Decoder
from workloads.networks.sequential import Sequential
from workloads.networks.train import Recipe

Trained = TypeVar("Trained", Sequential, Decoder)

UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)  # then it is trained again


def once(fit: Callable[..., Trained], start: Trained, *data: np.ndarray, recipe: Recipe) -> Trained:
    """Return fit(start, *data, recipe), from the cache where these sources trained this start on this data before.

    The file is named by a hash of all that determines what it holds but the processor: this package's sources, NumPy's
    version, every array that enters, and the recipe. It is a help and no condition: one that is damaged is made anew,
    and a cache that cannot be written is left alone.
    """
    place = cache_folder() / "trained" / f"{_identity(fit, start, data, recipe)}.npz"
    with suppress(*UNREADABLE), place.open("rb") as stream, np.load(stream) as file:
        return _with_arrays(start, dict(file))
    trained = fit(start, *data, recipe)
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(place, _arrays(trained))
    return trained


def _identity(fit: Callable, start: Trained, data: tuple[np.ndarray, ...], recipe: Recipe) -> str:
    digest = hashlib.sha256(f"{fit.__qualname__} {recipe} {np.__version__}".encode())
    for source in sorted(resources.files("workloads.networks").iterdir(), key=lambda path: path.name):
        if source.name.endswith(".py"):
            digest.update(source.read_bytes())
    for name, array in [*_arrays(start).items(), *enumerate(data)]:
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _arrays(network: Trained) -> dict[str, np.ndarray]:
    """Return {name: array} of all that a network's arrays are, statistics of normalisations included."""
    if isinstance(network, Decoder):
        return dict(network.arrays)
    return {
        f"{name}.{field}": value
        for name, module in network.modules.items()
        for field, value in vars(module).items()
        if isinstance(value, np.ndarray)
    }


def _with_arrays(network: Trained, arrays: Mapping[str, np.ndarray]) -> Trained:
    if isinstance(network, Decoder):
        return replace(network, arrays={name: arrays[name] for name in network.arrays})
    changes = {}
    for name in _arrays(network):
        module, _, field = name.rpartition(".")
        changes.setdefault(module, {})[field] = arrays[name]
    return network.replace({name: replace(network.modules[name], **fields) for name, fields in changes.items()})
