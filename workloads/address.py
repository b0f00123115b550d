"""FILE:LAYER, the address of a layer in a file of weights, and the layers and workloads that it stands for.

The part after the colon is a layer's name or a pattern with * ? [ ]; without it every matrix of the file is meant.
"""

from __future__ import annotations

import math
import re
from numbers import Real
from pathlib import Path

import numpy as np

from workloads.errors import BadInput, did_you_mean
from workloads.globs import fits
from workloads.networks import saved
from workloads.readers import READERS, read
from workloads.records import Layer, Layers, Workload

# The share of inputs that are not zero where a file holds no activations: what reaches AlexNet's first two fully
# connected layers behind a ReLU (EIE, Table III: Act% of Alex-6 and Alex-7).
ACT_DENSITY = 0.35
N_NAMED = 3  # how many names an error lists
_ADDRESS = re.compile(rf"(.*?(?:{'|'.join(map(re.escape, READERS))})):(.+)", re.IGNORECASE | re.DOTALL)
COMPLETE = (".npz", ".safetensors")  # what can hold a workload of its own
_MEANT = frozenset({"weights", "activations"})  # either of them says that this is one


def split(address: str | Path) -> tuple[Path, str]:
    """Return the file and the layer's name or pattern, "*" where the address has none.

    The colon is the first one behind a suffix that a reader knows, unless a file of the whole name exists.
    """
    match = _ADDRESS.fullmatch(str(address))
    if match is None or _is_file(address):
        return Path(address), "*"
    return Path(match[1]), match[2]


def _is_file(address: str | Path) -> bool:
    """Tell whether there is a file of that name; one too long for a file system is none."""
    try:
        return Path(address).is_file()
    except OSError:
        return False


def layers(address: str | Path) -> dict[str, Layer]:
    """Return the layers of FILE or FILE:PATTERN by name, in the file's order.

    A layer is an array of two dimensions or more, f32[out, in]: a convolution's [out, in, kh, kw] becomes
    [out, in * kh * kw]. Its name is the array's without ".weight", and either is understood; its bias is the array with
    "bias" for "weight" in its name, if that is f32[out]. relu is False: a file of weights does not say it.
    Raises BadInput.
    """
    path, pattern = split(address)
    return _layers(path, pattern, read(path))


def workload(
    address: str | Path,
    activations: np.ndarray | None = None,
    *,
    act_density: float = ACT_DENSITY,
    seed: int = 0,
) -> Workload:
    """Return the one layer that FILE or FILE:LAYER stands for, with what reaches it.

    An .npz or .safetensors file with `weights` or `activations` is a workload of its own: weights f32[out, in],
    activations f32[in] or f32[batch, in], bias f32[out] or none, nothing else. Any other layer takes the given
    activations; with None they are drawn (see `half_normal`), and the provenance says so. Raises BadInput, also where
    the address means several layers.
    """
    path, pattern = split(address)
    candidates = _workloads(path, pattern, read(path), activations, act_density, seed)
    if len(candidates) > 1:
        names = {layer.name: layer for layer in candidates}
        example = f"{path.name}:{candidates[0].name}"
        raise BadInput(f"{str(address)!r} means {len(candidates)} layers, {_few(names)}: name one, as in {example}")
    return candidates[0]


def workloads(address: str | Path, *, act_density: float = ACT_DENSITY, seed: int = 0, n_inputs: int = 1) -> Layers:
    """Return every layer that FILE or FILE:PATTERN stands for, each as `workload` gives it. Raises BadInput.

    n_inputs: how many are drawn for a layer without activations, by the seeds from `seed` on.
    """
    path, pattern = split(address)
    candidates = _workloads(path, pattern, read(path), None, act_density, seed, n_inputs)
    return Layers(name=readable(path.stem), layers=tuple(candidates), provenance=candidates[0].provenance)


def load(address: str | Path) -> Workload | Layers:
    """Return the one workload that an address stands for, or all of a file that workloads.networks.saved wrote."""
    path, _ = split(address)
    if path.suffix.lower() == ".npz" and saved.holds(read(path)):
        candidates = workloads(address)
        return candidates if len(candidates.layers) > 1 else candidates.layers[0]
    return workload(address)


def _workloads(
    path: Path,
    pattern: str,
    arrays: dict[str, np.ndarray],
    activations: np.ndarray | None,
    act_density: float,
    seed: int,
    n_inputs: int = 1,
) -> list[Workload]:
    if activations is None and saved.holds(arrays):
        try:
            stored = saved.from_arrays(arrays, path.name)
        except BadInput as error:
            raise BadInput(f"workload file {str(path)!r} {error}") from None
        return [stored[name] for name in _chosen(str(path), dict.fromkeys(stored, ""), pattern)]
    is_own = activations is None and path.suffix.lower() in COMPLETE and not _MEANT.isdisjoint(arrays)
    if is_own and (pattern == "*" or (pattern == "weights" and "activations" in arrays)):
        return [_complete(path, arrays)]
    given = activations
    drawn: dict[int, np.ndarray] = {}  # by width: many layers of a file have the same
    chosen = []
    for layer in _layers(path, pattern, arrays).values():
        said = "activations given"
        if given is None:
            if layer.n_in not in drawn:
                rows = [half_normal(layer.n_in, act_density, seed + i) for i in range(n_inputs)]
                drawn[layer.n_in] = np.stack(rows)
            activations = drawn[layer.n_in]
            said = f"activations drawn: half-normal, {100 * act_density:g}% of them not zero, seed {seed}"
        chosen.append(
            Workload(
                name=readable(layer.name),
                weights=layer.weights,
                bias=layer.bias,
                relu=layer.relu,
                activations=activations,
                provenance=f"file {path.name}, layer {layer.name}; {said}",
            )
        )
    return chosen


def half_normal(n: int, density: float, seed: int) -> np.ndarray:
    """Return f32[n]: |normal| numbers in round(density * n) places drawn at random, else 0. Raises BadInput."""
    if not isinstance(density, Real) or not 0 < density <= 1:
        raise BadInput(f"act_density must be a number above 0 and at most 1, got {density!r}")
    if not isinstance(seed, int) or seed < 0:
        raise BadInput(f"seed must be a whole number from 0 on, got {seed!r}")
    rng = np.random.default_rng(seed)
    drawn = np.zeros(n, np.float32)
    places = rng.permutation(n)[: round(density * n)]
    drawn[places] = np.abs(rng.standard_normal(len(places), np.float32))
    return drawn


def _layers(path: Path, pattern: str, arrays: dict[str, np.ndarray]) -> dict[str, Layer]:
    names = [name for name, array in arrays.items() if array.ndim >= 2]
    matrices = {name.removesuffix(".weight"): name for name in names}
    if len(matrices) < len(names):
        twice = next(name for name in names if matrices[name.removesuffix(".weight")] != name)
        raise BadInput(f"workload file {str(path)!r} has two arrays for layer {twice!r}: {twice} and {matrices[twice]}")
    chosen = _chosen(str(path), matrices, pattern)
    layers = {}
    for name in chosen:
        weights, bias = arrays[matrices[name]], arrays.get(_bias_name(matrices[name]))
        try:
            layers[name] = Layer(
                name=name,
                weights=_numbers(weights).reshape(len(weights), math.prod(weights.shape[1:])),
                bias=None if bias is None or bias.shape != weights.shape[:1] else _numbers(bias),
                relu=False,
            )
        except BadInput as error:
            raise BadInput(f"workload file {str(path)!r}, layer {name!r}: {error}") from None
    return layers


def _complete(path: Path, arrays: dict[str, np.ndarray]) -> Workload:
    """Return the workload that a file's arrays are."""
    known = (*_MEANT, "bias")
    for name in arrays:
        if name not in known:
            raise BadInput(f"workload file {str(path)!r} has an unknown array {name!r}{did_you_mean(name, known)}")
    for name in ("weights", "activations"):
        if name not in arrays:
            raise BadInput(f"workload file {str(path)!r} has no array {name!r}; it holds {', '.join(arrays)}")
    return Workload(
        name=readable(path.stem), provenance=f"file {path.name}", **{n: _numbers(a) for n, a in arrays.items()}
    )


def readable(name: str) -> str:
    """Return a file's name as UTF-8 has it, whatever the locale: it must go into stores and figures."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _chosen(path: str, matrices: dict[str, str], pattern: str) -> list[str]:
    """Return the names that a pattern means: an exact one alone, else all that match."""
    if not matrices:
        raise BadInput(f"workload file {path!r} holds no matrix")
    exact = pattern.removesuffix(".weight")
    if exact in matrices:
        return [exact]
    fitting = [name for name, full in matrices.items() if fits(name, pattern) or fits(full, pattern)]
    if not fitting:
        near = did_you_mean(exact, matrices)
        near = near if near.startswith(",") else f": it has {_few(matrices)}"
        raise BadInput(f"workload file {path!r} has no layer {pattern!r}{near}")
    return fitting


def _few(names: dict) -> str:
    """Return the first names in words, and how many more there are."""
    listed = ", ".join(list(names)[:N_NAMED])
    return listed if len(names) <= N_NAMED else f"{listed} and {len(names) - N_NAMED} more"


def _bias_name(name: str) -> str:
    """Return the name with "bias" for its last "weight", "" where it has none."""
    before, word, after = name.rpartition("weight")
    return f"{before}bias{after.removeprefix('s')}" if word else ""


def _numbers(array: np.ndarray) -> np.ndarray:
    """Return f32 of a number type that NumPy does not know as one (BF16, F8), and any other array as it is."""
    return array.astype(np.float32) if array.dtype.isbuiltin == 2 else array  # 2: registered by another package
