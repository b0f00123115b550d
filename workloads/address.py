"""FILE:LAYER, the address of a layer in a file of weights, and the layers and workloads that it stands for.

The part after the colon is a layer's name or a pattern with * ? [ ]; without it every matrix of the file is meant.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable
from numbers import Real
from pathlib import Path

import numpy as np

from workloads import readers
from workloads.errors import BadInput, did_you_mean
from workloads.networks import saved
from workloads.readers import READERS, read, state_dict
from workloads.readers.state_dict import Candidate, few
from workloads.readers.stored import numbers
from workloads.records import Layer, Model, Workload

# The share of inputs that are not zero where a file holds no activations: what reaches AlexNet's first two fully
# connected layers behind a ReLU (EIE, Table III: Act% of Alex-6 and Alex-7).
ACT_DENSITY = 0.35
_ADDRESS = re.compile(rf"(.*?(?:{'|'.join(map(re.escape, READERS))})):(.+)", re.IGNORECASE | re.DOTALL)
COMPLETE = (".npz", ".safetensors")  # what can hold a workload of its own
_MEANT = frozenset({"weights", "activations"})  # either of them says that this is one


def split(address: str | Path) -> tuple[Path, str]:
    """Return the file and the layer's name or pattern, "*" where the address has none.

    The colon is the first one behind a suffix that a reader knows or behind a folder, unless a file of the whole name
    exists.
    """
    folder, _, name = str(address).partition(":")
    if name and _is(Path.is_dir, folder):
        return Path(folder), name
    match = _ADDRESS.fullmatch(str(address))
    if match is None or _is(Path.is_file, address):
        return Path(address), "*"
    return Path(match[1]), match[2]


def _is(kind: Callable[[Path], bool], address: str | Path) -> bool:
    """Tell whether there is a file or a folder of that name; one too long for a file system is none."""
    try:
        return kind(Path(address))
    except OSError:
        return False


def expected(address: str | Path) -> tuple[float, float]:
    """Return about how many seconds and bytes reading the file of an address takes; (0, 0) where there is none."""
    path, _ = split(address)
    return readers.expected(path) if _is(Path.is_file, path) else (0.0, 0.0)


def layers(address: str | Path) -> dict[str, Layer]:
    """Return the layers of FILE or FILE:PATTERN by name, in the file's order.

    A layer is f32[out, in]: a convolution's [out, in, kh, kw] becomes [out, in * kh * kw]. Its name is the array's
    without ".weight", and either is understood; workloads.readers.state_dict says which arrays are layers. relu is
    False: a file of weights does not say it. Raises BadInput.
    """
    path, pattern = split(address)
    return {name: layer for name, (layer, _) in _layers(path, pattern, read(path)).items()}


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
        raise BadInput(
            f"{str(address)!r} means {len(candidates)} layers, {few(list(names))}: name one, as in {example}"
        )
    return candidates[0]


def workloads(address: str | Path, *, act_density: float = ACT_DENSITY, seed: int = 0, n_inputs: int = 1) -> Model:
    """Return every layer that FILE or FILE:PATTERN stands for, each as `workload` gives it. Raises BadInput.

    n_inputs: how many are drawn for a layer without activations, by the seeds from `seed` on.
    """
    path, pattern = split(address)
    candidates = _workloads(path, pattern, read(path), None, act_density, seed, n_inputs)
    said = candidates[0].provenance
    if len(candidates) > 1:  # what is said of any of them
        parts = [part for layer in candidates for part in layer.provenance.split("; ")[1:]]
        said = "; ".join([f"file {path.name}", *dict.fromkeys(parts)])
    return Model(name=readable(path.stem), operators=tuple(candidates), provenance=said)


def load(address: str | Path) -> Workload | Model:
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
        return [stored[name] for name in _matching(str(path), dict.fromkeys(stored, ""), pattern)]
    is_own = activations is None and path.suffix.lower() in COMPLETE and not _MEANT.isdisjoint(arrays)
    if is_own and (pattern == "*" or (pattern == "weights" and "activations" in arrays)):
        return [_complete(path, arrays)]
    given = activations
    drawn: dict[int, np.ndarray] = {}  # by width: many layers of a file have the same
    chosen = []
    for layer, note in _layers(path, pattern, arrays).values():
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
                provenance="; ".join(filter(None, (f"file {path.name}, layer {layer.name}", note, said))),
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


def _layers(path: Path, pattern: str, arrays: dict[str, np.ndarray]) -> dict[str, tuple[Layer, str]]:
    """Return {name: (layer, what a result says of it)} of those that a pattern means."""
    known = state_dict.candidates(arrays)
    chosen, passed_over = _chosen(str(path), known, pattern)
    layers = {}
    for name in chosen:
        candidate = known[name]
        try:
            weights, bias = candidate.read()
            weights = weights.reshape(len(weights), math.prod(weights.shape[1:]))
            layer = Layer(name=name, weights=weights, bias=bias, relu=False)
        except BadInput as error:
            raise BadInput(f"workload file {str(path)!r}, layer {name!r}: {error}") from None
        layers[name] = layer, "; ".join(filter(None, (candidate.note, passed_over)))
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
        name=readable(path.stem), provenance=f"file {path.name}", **{n: numbers(a) for n, a in arrays.items()}
    )


def readable(name: str) -> str:
    """Return a file's name as UTF-8 has it, whatever the locale: it must go into stores and figures."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _matching(path: str, names: dict[str, str], pattern: str) -> list[str]:
    """Return the names of {name: its array} that a pattern means: an exact one alone, else all that match."""
    exact = [name for name, array in names.items() if pattern in (name, array)]
    if exact:
        return [pattern] if pattern in names else exact[:1]
    fitting = [
        name
        for name, array in names.items()
        if fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(array, pattern)
    ]
    if not fitting:
        near = did_you_mean(pattern.removesuffix(".weight"), names)
        near = near if near.startswith(",") else f": it has {few(list(names))}"
        raise BadInput(f"workload file {path!r} has no layer {pattern!r}{near}")
    return fitting


def _chosen(path: str, known: dict[str, Candidate], pattern: str) -> tuple[list[str], str]:
    """Return the names of the layers that a pattern means, and which arrays it would mean that are none."""
    if not known:
        raise BadInput(f"workload file {path!r} holds no matrix")
    fitting = _matching(path, {name: candidate.array for name, candidate in known.items()}, pattern)
    if pattern in (fitting[0], known[fitting[0]].array):  # by its name: whatever it is, if it can be had
        if not known[fitting[0]].is_readable:
            raise BadInput(f"workload file {path!r}, array {known[fitting[0]].array!r}: {known[fitting[0]].aside}")
        return fitting, ""
    layers = [name for name in fitting if not known[name].aside]
    said = state_dict.passed_over([known[name] for name in fitting], known.values())
    if not layers:
        raise BadInput(f"workload file {path!r} holds no layer{'' if pattern == '*' else f' {pattern!r}'}: {said}")
    return layers, said
