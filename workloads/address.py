"""FILE:LAYER, the address of a layer in a file of weights, and the layers and workloads that it stands for.

The part after the colon is a layer's name or a pattern with * ? [ ]; without it every matrix of the file is meant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from workloads import readers
from workloads.errors import BadInput, did_you_mean, fits
from workloads.graphs import graph
from workloads.graphs.contents import contents as graph_contents
from workloads.graphs.feed import ACT_DENSITY, Feed
from workloads.graphs.graph import Graph
from workloads.networks import saved
from workloads.readers import READERS, read, state_dict
from workloads.readers.state_dict import Candidate, few
from workloads.readers.stored import numbers
from workloads.records import REAL, Layer, Model, Workload

GRAPH = ".onnx"
SUFFIXES = (*READERS, GRAPH)  # of all files that an address may name
_ADDRESS = re.compile(rf"(.*?(?:{'|'.join(map(re.escape, SUFFIXES))})):(.+)", re.IGNORECASE | re.DOTALL)
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


def names_a_file(address: str | Path) -> bool:
    """Tell whether a name is a file's or a folder's: by its suffix, or because it is there."""
    path, _ = split(address)
    return path.suffix.lower() in SUFFIXES or _is(Path.exists, path)


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
    if is_graph(path):
        with _naming(path):
            products = {product.name: product for product in graph.stored(_there(path), Feed())[0]}
        chosen = [products[name] for name in _matching(str(path), dict.fromkeys(products, ""), pattern)]
        return {p.name: Layer(name=p.name, weights=p.matrix, bias=p.bias, relu=p.relu) for p in chosen}
    return {name: layer for name, (layer, *_) in _layers(path, pattern, read(path)).items()}


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
    feed = Feed(seed=seed, densities=None if act_density == ACT_DENSITY else {"*": act_density})
    if is_graph(path):
        candidates = list(model(path, pattern, feed).layers)
        if activations is not None:
            candidates = [replace(layer, activations=activations, positions=1) for layer in candidates]
    else:
        candidates = _workloads(path, pattern, read(path), activations, feed)
    if len(candidates) > 1:
        names = {layer.name: layer for layer in candidates}
        example = f"{path.name}:{candidates[0].name}"
        raise BadInput(
            f"{str(address)!r} means {len(candidates)} layers, {few(list(names))}: name one, as in {example}"
        )
    return candidates[0]


def load(address: str | Path, feed: Feed | None = None) -> Workload | Model:
    """Return the one workload that an address stands for, or a Model of all the layers that it means. Raises BadInput.

    An ONNX graph runs on what the feed says, and every product gets what reaches it there; a whole one is a Model, of
    however many products. A file without a graph gives layers apart: what reaches one is the feed's array of its name,
    else drawn, or what the file itself brings.
    """
    feed = Feed() if feed is None else feed
    path, pattern = split(address)
    loaded = model(path, pattern, feed) if is_graph(path, feed) else apart(path, pattern, feed, read(path))
    is_whole = loaded.is_graph and pattern == "*"
    return loaded if is_whole or len(loaded.layers) > 1 else loaded.layers[0]


def is_graph(path: Path, feed: Feed | None = None) -> bool:
    """Tell whether a file holds a graph, which can be run, or the feed says what graph its weights are of."""
    architecture = None if feed is None else feed.architecture
    if path.suffix.lower() != GRAPH:
        return architecture is not None
    if architecture is not None:
        raise BadInput(f"{path.name} holds a graph of its own: --architecture {architecture!r} says another")
    return True


def graph_of(path: Path, feed: Feed) -> Graph:
    """Return the graph of a file with what enters it. Raises BadInput."""
    with _naming(path):
        return graph.read(_there(path), feed)


def model(path: Path, pattern: str, feed: Feed, read_graph: Graph | None = None) -> Model:
    """Return the model in an ONNX file, run on what the feed says; of its products those that the pattern means.

    read_graph: what `graph_of` gave, where it is there already.
    """
    read_graph = graph_of(path, feed) if read_graph is None else read_graph
    names = dict.fromkeys((product.name for product in read_graph.products), "")
    if not names:
        raise BadInput(f"workload file {str(path)!r} holds no product with stored weights")
    chosen = set(_matching(str(path), names, pattern))
    with _naming(path):
        return graph.as_model(read_graph, feed, chosen.__contains__)


def contents(address: str | Path, feed: Feed) -> tuple[list[dict[str, Any]], str]:
    """Return what is in an ONNX file, a row a product, and a remark: see workloads.graphs.contents. Raises BadInput."""
    path, pattern = split(address)
    with _naming(path):
        rows, remark = graph_contents(_there(path), feed)
    chosen = _matching(str(path), {row["layer"]: "" for row in rows}, pattern)
    return [row for row in rows if row["layer"] in chosen], remark


def apart(path: Path, pattern: str, feed: Feed, arrays: Mapping[str, Any]) -> Model:
    """Return the layers, apart from each other, in a file's arrays, as `readers.read` gives them. Raises BadInput."""
    candidates = [layer.sample(feed.positions) for layer in _workloads(path, pattern, arrays, None, feed)]
    said = candidates[0].provenance
    if len(candidates) > 1:  # what is said of any of them
        parts = [part for layer in candidates for part in layer.provenance.split("; ")[1:]]
        said = "; ".join([f"file {path.name}", *dict.fromkeys(parts)])
    return Model(name=readable(path.stem), operators=tuple(candidates), provenance=said)


def _there(path: Path) -> Path:
    if not path.is_file():
        raise BadInput("is not a file" if path.exists() else "does not exist")
    return path


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before what is said about its graph; what a parser fails with becomes one line, too."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"workload file {str(path)!r} {error}") from error.__cause__
    except MemoryError:
        raise BadInput(f"workload file {str(path)!r} does not fit this machine's memory") from None
    except Exception as error:  # protobuf's own, and of graphs that no checker has seen
        reason = " ".join(str(error).split())[: readers.MOST_LETTERS] or type(error).__name__
        raise BadInput(f"workload file {str(path)!r} is no readable ONNX model: {reason}") from error


def _workloads(
    path: Path, pattern: str, arrays: dict[str, np.ndarray], activations: np.ndarray | None, feed: Feed
) -> list[Workload]:
    if activations is None and saved.holds(arrays):
        try:
            stored = saved.from_arrays(arrays, path.name)
        except BadInput as error:
            raise BadInput(f"workload file {str(path)!r} {error}") from None
        return [fed(stored[name], feed) for name in _matching(str(path), dict.fromkeys(stored, ""), pattern)]
    is_own = activations is None and path.suffix.lower() in COMPLETE and not _MEANT.isdisjoint(arrays)
    if is_own and (pattern == "*" or (pattern == "weights" and "activations" in arrays)):
        return [fed(_complete(path, arrays), feed)]
    layers = _layers(path, pattern, arrays)
    given = _given(feed, layers) if activations is None else dict.fromkeys(layers, activations)
    drawn: dict[tuple[int, float], np.ndarray] = {}  # by width: many layers of a file have the same
    chosen = []
    for name, (layer, kernel, note) in layers.items():
        rows, said, reached = given.get(name), "activations given", REAL
        if rows is None:
            density = feed.density(name) or ACT_DENSITY
            if (layer.n_in, density) not in drawn:
                drawn[layer.n_in, density] = draw(layer.n_in, density, feed)
            rows, (reached, said) = drawn[layer.n_in, density], feed.drawn(density)
        chosen.append(
            Workload(
                name=readable(layer.name),
                weights=layer.weights,
                bias=layer.bias,
                relu=layer.relu,
                kernel=kernel,
                activations=rows,
                reached=reached,
                provenance="; ".join(filter(None, (f"file {path.name}, layer {layer.name}", note, said))),
            )
        )
    return chosen


def _given(feed: Feed, layers: Mapping[str, object]) -> dict[str, np.ndarray]:
    """Return the feed's arrays by layer. Raises BadInput for a name that is no layer."""
    if feed.arrays is None:
        return {}
    arrays = read(feed.arrays) if isinstance(feed.arrays, Path) else feed.arrays
    for name in arrays:
        if name not in layers:
            raise BadInput(f"inputs {name!r} must bear the name of a layer{did_you_mean(name, layers)}")
    return {name: np.atleast_2d(array)[: feed.n] for name, array in arrays.items()}


def fed(layer: Workload, feed: Feed) -> Workload:
    """Return a workload that has activations of its own with what the feed says of them. Raises BadInput.

    How many of its own are taken is for whoever takes them: what it is does not hang on that.
    """
    if feed.arrays is not None:
        raise BadInput(f"{layer.name} brings its activations: --inputs can only say how many of them")
    density = feed.density(layer.name)
    if density is None:
        return layer.sample(feed.positions)
    rows = np.concatenate([draw(layer.n_in, density, feed)] * layer.rows_of_input)
    reached, said = feed.drawn(density)
    provenance = f"{layer.provenance}; {said}"
    return replace(layer, activations=rows, reached=reached, provenance=provenance).sample(feed.positions)


def draw(n_in: int, density: float, feed: Feed) -> np.ndarray:
    """Return f32[n, in], as many inputs as the feed says or one, by the seeds from its own on."""
    return np.stack([half_normal(n_in, density, feed.seed + i) for i in range(feed.n or 1)])


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


def _layers(path: Path, pattern: str, arrays: Mapping[str, Any]) -> dict[str, tuple[Layer, int, str]]:
    """Return {name: (layer, columns of an input channel, what a result says of it)} of those that a pattern means."""
    known = state_dict.candidates(arrays)
    chosen, passed_over = _chosen(str(path), known, pattern)
    layers = {}
    for name in chosen:
        candidate = known[name]
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # the layer refuses what is not finite
                weights, bias = candidate.read()
            kernel = math.prod(weights.shape[2:])
            weights = weights.reshape(len(weights), math.prod(weights.shape[1:]))
            layer = Layer(name=name, weights=weights, bias=bias, relu=False)
        except BadInput as error:
            raise BadInput(f"workload file {str(path)!r}, layer {name!r}: {error}") from None
        layers[name] = layer, kernel, "; ".join(filter(None, (candidate.note, passed_over)))
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
    fitting = [name for name, array in names.items() if fits(name, pattern) or fits(array, pattern)]
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
