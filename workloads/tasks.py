"""Networks to compress, by name or from a file: each with inputs to calibrate and tune on, and others to judge by."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from workloads import address
from workloads.blas import one_thread
from workloads.errors import BadInput, did_you_mean
from workloads.graphs import rewrite
from workloads.graphs.feed import Feed
from workloads.graphs.graph import Graph
from workloads.networks import data, language, lenet, nets
from workloads.networks.decoder import Decoder
from workloads.networks.sentences import sentences
from workloads.networks.sequential import Sequential
from workloads.networks.transformer import Encoder
from workloads.networks.wordpiece import tokenise, vocabulary
from workloads.points import networks as cloud_networks
from workloads.readers import read
from workloads.readers.state_dict import candidates
from workloads.recipes.chain import of_graph
from workloads.recipes.recipe import Fitted, Recipe
from workloads.recipes.state import Allocator
from workloads.recipes.subjects import subject
from workloads.records import Model, checked_array
from workloads.transformers import config

SEED = 0  # of training, of splits and of drawn sentences
N_DIGITS_HELD_OUT = 360
N_LINES_HELD_OUT = 250  # sentences, of about 6,900
N_SENTENCES = 192, 128  # to calibrate, to judge by
N_RANDOM = 16  # inputs of a graph that nobody gave any
N_DRAWN = 256  # for a file's layers: after one input alone, what weighs inputs would drop all that were 0 in it


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A network and its inputs: f32[batch, ...] with labels int[batch], samples of an Encoder or a Decoder, or None.

    test_inputs, test_labels: those that accuracy is measured on, none of them among the others. graph: of an ONNX file;
    arrays: of a file of weights, as it holds them.
    """

    name: str
    network: Sequential | Encoder | Decoder | Model
    provenance: str
    inputs: Any = None
    labels: np.ndarray | None = None
    test_inputs: Any = None
    test_labels: np.ndarray | None = None
    graph: Graph | None = None
    arrays: Mapping[str, Any] | None = None

    @property
    def measure(self) -> str | None:
        """What `quality` is, or None: "accuracy", "cosine" (to the embeddings of the network as it was), a decoder's
        "perplexity", or of a graph without labels "relative error" (the largest of its outputs, to those as they were).
        """
        if isinstance(self.network, Decoder):
            return "perplexity"
        if isinstance(self.network, Encoder):
            return "cosine"
        if self.graph is not None:
            return "relative error" if self.graph.labels is None else "accuracy"
        return None if self.test_labels is None else "accuracy"

    def quality(self, network: Any) -> float | None:
        """Return the measure of a network of the task's kind on the test inputs, or a graph's own. Raises BadInput."""
        if self.graph is not None:
            return self.graph_quality(rewrite.with_weights(self.graph, {layer.name: layer for layer in network.layers}))
        if self.measure == "perplexity":
            return network.perplexity(self.test_inputs)
        if self.measure == "cosine":
            pairs = network.embed(self.test_inputs) * self.network.embed(self.test_inputs)
            return float(pairs.sum(axis=1).mean())
        return None if self.measure is None else network.accuracy(self.test_inputs, self.test_labels)

    def graph_quality(self, changed: Any) -> float:
        """Return the measure of a changed onnx.ModelProto of the task's graph. Raises BadInput."""
        rows = rewrite.compared(self.graph, changed)
        if self.measure == "accuracy":
            if not rows or rows[0]["accuracy"] is None:
                raise BadInput("labels must be of the graph's first output, which has no classes: leave them out")
            return rows[0]["accuracy"][1]
        errors = [row["relative_error"] for row in rows if row["relative_error"] is not None]
        if not errors:
            raise BadInput(f"network {self.name!r} has no output of real numbers, other than 0, to compare")
        return max(errors)

    def fit(self, recipe: Recipe, allocator: Allocator | None = None) -> Fitted:
        """Return the network compressed by a recipe, calibrated on the task's inputs. Raises BadInput.

        allocator: for steps `adapt`; see Recipe.fit.
        """
        chain = None if self.graph is None else partial(of_graph, self.graph)
        return recipe.fit(self.network, self.inputs, self.labels, chain, allocator)

    def first(self, n: int | None, *, after: int = 0) -> Task:
        """Return the task with only n inputs to calibrate and tune on (None: all), those behind `after` others."""
        if self.inputs is None:
            return self
        part = slice(after, None if n is None else after + n)
        return replace(self, inputs=self.inputs[part], labels=None if self.labels is None else self.labels[part])

    def calibrated(self, path: str | Path) -> Task:
        """Return the task with the inputs, f32[batch, ...], and labels, int[batch] or none, of an .npz file instead.

        Raises BadInput.
        """
        if not isinstance(self.network, Sequential):
            raise BadInput(f"network {self.name!r} takes no file of inputs to calibrate on")
        arrays = read(path)
        for name in arrays:
            if name not in ("inputs", "labels"):
                raise BadInput(f"{str(path)!r} has an unknown array {name!r}{did_you_mean(name, ('inputs', 'labels'))}")
        if "inputs" not in arrays:
            raise BadInput(f"{str(path)!r} has no array 'inputs'")
        inputs, labels = checked_array("inputs", arrays["inputs"], (self.inputs.ndim,)), arrays.get("labels")
        if inputs.shape[1:] != self.inputs.shape[1:]:
            wanted = ", ".join(map(str, ("batch", *self.inputs.shape[1:])))
            raise BadInput(f"inputs must be f32[{wanted}] for {self.name}, got shape {inputs.shape}")
        return replace(
            self, inputs=inputs, labels=labels, provenance=f"{self.provenance}; calibration {Path(path).name}"
        )


def describe() -> dict[str, str]:
    """Return {name: one line} of the networks that have a name."""
    return {name: line for name, (_, line) in NAMED.items()}


@one_thread()
def load(name: str, feed: Feed | None = None) -> Task:
    """Return a network by its name, or the layers that FILE or FILE:PATTERN stands for. Raises BadInput.

    feed: how many inputs to calibrate and tune on, or for a file those that `catalogue.load` takes.
    """
    feed = Feed() if feed is None else feed
    if name in NAMED:
        feed.check_number_only(f"network {name!r}")
        return NAMED[name][0]().first(feed.n)
    if cloud_networks.split(name):
        raise BadInput(f"{name!r} is a cloud, on which a network's weights are drawn: there are none to prune")
    cloud_networks.check_no_cloud(name)
    config.check_no_transformer(name)
    if address.names_a_file(name):
        path, _ = address.split(name)
        if feed.n is None and feed.arrays is None:
            feed = replace(feed, n=N_RANDOM if address.is_graph(path, feed) else N_DRAWN)
        if address.is_graph(path, feed):
            return _graph(name, feed)
        return _apart(name, feed)
    raise BadInput(f"unknown network {name!r}{did_you_mean(name, NAMED)}; or name a file of weights")


def _apart(name: str, feed: Feed) -> Task:
    """Return the layers of a file without a graph, each with the first of what reaches it."""
    path, pattern = address.split(name)
    arrays = read(path)
    model = address.apart(path, pattern, feed, arrays)
    model = model.with_layers(layer.first(feed.n) for layer in model.layers)
    own = candidates(arrays)  # a file of workloads has none of their names
    are_stored = all(layer.name in own for layer in model.layers)
    return Task(
        name=model.name if len(model.layers) > 1 else model.layers[0].name,
        network=model,
        provenance=model.provenance,
        arrays=arrays if are_stored else None,
    )


def _graph(name: str, feed: Feed) -> Task:
    """Return the products of an ONNX graph, each with what reaches it."""
    path, pattern = address.split(name)
    graph = address.graph_of(path, feed)
    model = address.model(path, pattern, feed, graph)
    return Task(name=model.name, network=model, provenance=model.provenance, graph=graph)


def _lenet() -> Task:
    network, (inputs, labels) = lenet.dense(), lenet.calibration()
    return Task(
        name=network.name,
        network=subject(network).network,
        provenance=network.provenance,
        inputs=inputs,
        labels=labels,
        test_inputs=network.inputs,
        test_labels=network.labels,
    )


def _lenet_fashion() -> Task:
    if not data.is_here("fashion-mnist"):
        raise BadInput(
            "network 'lenet-300-100-fashion-mnist' takes all 70,000 images, which are not here: fetch them with "
            "'zeroskip data fashion-mnist', or take 'lenet-300-100-dense', which ships with 3,000 of them"
        )
    (inputs, labels), (test_inputs, test_labels) = (data.fashion_mnist(split) for split in ("train", "test"))
    return replace(
        _lenet(),
        name="lenet-300-100-fashion-mnist",
        provenance=f"{lenet.dense().provenance}; here all training images, and all test images to judge by",
        inputs=inputs,
        labels=labels.astype(np.int64),
        test_inputs=test_inputs,
        test_labels=test_labels,
    )


def _digits(make: Callable[..., Sequential], shape: tuple[int, ...]) -> Task:
    images, labels = data.digits()
    split = nets.split(images.reshape(-1, 1, 8, 8), labels.astype(np.int64), N_DIGITS_HELD_OUT, SEED)
    inputs, labels = nets.with_shifts(*split[:2])
    inputs = inputs.reshape(-1, *shape)
    return Task(
        name=make.__name__.replace("_", "-"),
        network=make(inputs, labels, SEED),
        provenance=f"trained here on the digits of scikit-learn, seed {SEED}; {N_DIGITS_HELD_OUT} held out to judge by",
        inputs=inputs,
        labels=labels,
        test_inputs=split[2].reshape(-1, *shape),
        test_labels=split[3],
    )


def _minilm() -> Task:
    if not data.is_here("minilm"):
        raise BadInput("network 'minilm' is 91 MB that are not here: zeroskip data minilm fetches them")
    place = data.fetch("minilm")
    pieces = vocabulary((place / "vocab.txt").read_text(encoding="utf-8"))
    tokens = [tokenise(sentence, pieces) for sentence in sentences()]
    order = np.random.default_rng(SEED).permutation(len(tokens))[: sum(N_SENTENCES)]
    drawn = [tokens[i] for i in order]
    own, others = N_SENTENCES
    arrays = read(place / "model.safetensors")
    return Task(
        name="minilm",
        network=Encoder(arrays),
        arrays=arrays,
        provenance=f"all-MiniLM-L6-v2; {own} sentences to calibrate, {others} others to judge by, seed {SEED}",
        inputs=drawn[:own],
        test_inputs=drawn[own:],
    )


def _decoder() -> Task:
    lines = list(sentences())
    inputs, test_inputs = language.corpus(lines, N_LINES_HELD_OUT, SEED)
    network = language.decoder(inputs, SEED)
    return Task(
        name="docstrings-decoder",
        network=network,
        arrays=network.arrays,
        provenance=(
            f"trained here on {len(lines) - N_LINES_HELD_OUT:,} sentences of the docstrings of Python "
            f"{platform.python_version()}, seed {SEED}; {N_LINES_HELD_OUT} others to judge by"
        ),
        inputs=inputs,
        test_inputs=test_inputs,
    )


NAMED: dict[str, tuple[Callable[[], Task], str]] = {
    "lenet-300-100-dense": (
        _lenet,
        "784 -> 300 -> 100 -> 10 on Fashion-MNIST, before pruning; 2,000 training and 1,000 test images",
    ),
    "lenet-300-100-fashion-mnist": (
        _lenet_fashion,
        "the same with all 60,000 training and 10,000 test images, once `zeroskip data fashion-mnist` brought them",
    ),
    "digits-mlp": (
        lambda: _digits(nets.digits_mlp, (64,)),
        "64 -> 256 -> 128 -> 10 on the digits of scikit-learn, trained within 10 s at its first use",
    ),
    "digits-convnet": (
        lambda: _digits(nets.digits_convnet, (1, 8, 8)),
        "two convolutions of 16 and 32 channels and a matrix, on the same digits, trained within 20 s at its first use",
    ),
    "digits-resnet": (
        lambda: _digits(nets.digits_resnet, (1, 8, 8)),
        "the same with a residual block behind each: six convolutions, a matrix; trained within 20 s at its first use",
    ),
    "docstrings-decoder": (
        _decoder,
        "a language model of 8 blocks on Python's own docstrings, trained within a minute at its first use; perplexity",
    ),
    "minilm": (_minilm, "36 matrices of a sentence encoder; real sentences; quality: cosine to the dense embedding"),
}
