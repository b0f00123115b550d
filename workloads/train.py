"""A small trainer for fully connected networks that keeps zeros zero, and the tuning of shared centroids."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workloads.errors import BadInput
from workloads.records import Layer, Network, Workload, with_activations
from workloads.share import bias_codes

# Adam, Kingma and Ba 2015: the defaults of algorithm 1, computed in the order that the end of their section 2 gives.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
# Adam's moments below this change nothing (EPSILON is far larger), but left to decay they become denormal numbers,
# on which every operation takes many times as long.
NEGLIGIBLE = 1e-20


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train: Adam with a cosine decay from learning_rate to 0 over n_epochs, on shuffled batches.

    Loss: the batch's mean of cross-entropy + activation_l1 * sum |hidden activations|, plus l2 / 2 * sum weights**2.
    """

    n_epochs: int
    learning_rate: float
    batch: int = 256
    l2: float = 0.0
    activation_l1: float = 0.0
    seed: int = 0

    def __post_init__(self):
        for field in ("n_epochs", "batch", "learning_rate", "l2", "activation_l1", "seed"):
            least = 1 if field in ("n_epochs", "batch") else 0
            if not getattr(self, field) >= least:
                raise BadInput(f"{field} must be at least {least}, got {getattr(self, field)!r}")


def initialise(name: str, widths: Sequence[int], inputs: np.ndarray, labels: np.ndarray, seed: int) -> Network:
    """Return an untrained network with layers ip1, ip2, ..., the last without ReLU.

    widths: inputs, hidden, ..., classes; inputs: f32[batch, widths[0]]; labels: int[batch]. Weights are normal with
    variance 2 / inputs (He et al. 2015), biases 0.
    """
    rng = np.random.default_rng(seed)
    layers = [
        Layer(
            name=f"ip{i}",
            weights=rng.standard_normal((n_out, n_in), dtype=np.float32) * np.float32(math.sqrt(2 / n_in)),
            bias=np.zeros(n_out, np.float32),
            relu=i < len(widths) - 1,
        )
        for i, (n_in, n_out) in enumerate(itertools.pairwise(widths), 1)
    ]
    return Network(name=name, layers=tuple(layers), inputs=inputs, labels=labels)


def train(network: Network, recipe: Recipe) -> Network:
    """Return the network trained on its own inputs and labels; a weight that is zero stays zero.

    Layers come back as plain Layers: codes and codebook no longer hold. Raises BadInput.
    """
    tables = [_table(layer) for layer in network.layers]
    kept = [np.flatnonzero(np.column_stack([layer.weights != 0, _has_bias(layer)])) for layer in network.layers]

    def write(free):
        for table, places, values in zip(tables, kept, free, strict=True):
            table.ravel()[places] = values

    def collect(gradients):
        return [gradient.ravel()[places] for gradient, places in zip(gradients, kept, strict=True)]

    # Only what may change has Adam moments.
    free = collect(tables)
    for step in _adam(network, recipe, tables, collect):
        for values, change in zip(free, step, strict=True):
            values -= change
        write(free)
    layers = []
    for layer, table in zip(network.layers, tables, strict=True):
        bias = None if layer.bias is None else table[:, -1]
        layers.append(Layer(name=layer.name, weights=table[:, :-1], bias=bias, relu=layer.relu))
    return replace(network, layers=tuple(layers))


def tune_centroids(network: Network, recipe: Recipe) -> Network:
    """Return the network of shared Workloads with its codebooks trained; codes keep their members and zeros stay zero.

    A centroid's gradient is the sum of the gradients of its weights and biases (Deep Compression, part 3). Codebooks
    come back ascending, and the activations are those that now reach each layer. Raises BadInput.
    """
    for layer in network.layers:
        if not isinstance(layer, Workload) or layer.codes is None:
            raise BadInput(f"layer {layer.name!r} must be shared before its centroids are tuned, got no codes")
    books = [layer.codebook.copy() for layer in network.layers]
    codes = [np.column_stack([layer.codes, bias_codes(layer)]) for layer in network.layers]
    tables = [book[code] for book, code in zip(books, codes, strict=True)]

    def collect(gradients):
        sums = []
        for gradient, code, book in zip(gradients, codes, books, strict=True):
            by_code = np.bincount(code.ravel(), weights=gradient.ravel(), minlength=len(book)).astype(np.float32)
            by_code[0] = 0
            sums.append(by_code)
        return sums

    for step in _adam(network, recipe, tables, collect):
        for table, code, book, change in zip(tables, codes, books, step, strict=True):
            book -= change
            np.take(book, code, out=table)
    layers = []
    for layer, book, code in zip(network.layers, books, codes, strict=True):
        book, code = _ascending(book, code)
        bias = None if layer.bias is None else book[code[:, -1]]
        weight_codes = np.ascontiguousarray(code[:, :-1])
        layers.append(replace(layer, weights=book[weight_codes], bias=bias, codes=weight_codes, codebook=book))
    return with_activations(replace(network, layers=tuple(layers)))


def loss_and_gradients(
    tables: Sequence[np.ndarray],
    relus: Sequence[bool],
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    l2: float = 0.0,
    activation_l1: float = 0.0,
) -> tuple[float, list[np.ndarray]]:
    """Return the loss of a batch (see Recipe) and its gradient by every table.

    tables: float[out, in + 1] per layer, the bias as the last column; relus: bool per layer; inputs: float[batch, in];
    labels: int[batch].
    """
    n, signals, loss = len(labels), [inputs], 0.0
    for table, relu in zip(tables, relus, strict=True):
        signal = signals[-1] @ table[:, :-1].T + table[:, -1]
        signals.append(np.maximum(signal, 0, out=signal) if relu else signal)
        if l2:
            loss += l2 / 2 * float(np.vdot(table[:, :-1], table[:, :-1]))
    if activation_l1:
        loss += activation_l1 / n * sum(float(np.abs(hidden).sum()) for hidden in signals[1:-1])

    logits = signals[-1] - signals[-1].max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss -= float(logits[np.arange(n), labels].mean())
    delta = np.exp(logits)
    delta[np.arange(n), labels] -= 1
    delta /= n

    gradients = []
    for i in reversed(range(len(tables))):
        table, below, above = tables[i], signals[i], signals[i + 1]
        if activation_l1 and i < len(tables) - 1:
            delta += np.sign(above) * (activation_l1 / n)
        if relus[i]:
            delta *= above > 0
        gradient = np.empty_like(table)
        np.matmul(delta.T, below, out=gradient[:, :-1])
        gradient[:, -1] = delta.sum(axis=0)
        if l2:
            gradient[:, :-1] += l2 * table[:, :-1]
        gradients.append(gradient)
        if i:
            delta = delta @ table[:, :-1]
    return loss, gradients[::-1]


def _adam(
    network: Network, recipe: Recipe, tables: list[np.ndarray], collect: Callable[[list[np.ndarray]], list[np.ndarray]]
) -> Iterator[list[np.ndarray]]:
    """Yield, batch by batch, what to subtract from the free parameters; the caller then rewrites `tables` in place.

    collect: turns the gradients by the tables into those by the free parameters, a list of f32[n].
    """
    if network.labels is None:
        raise BadInput(f"network {network.name!r} has no labels to learn from")
    inputs, labels = network.inputs, np.asarray(network.labels)
    relus = [layer.relu for layer in network.layers]
    rng = np.random.default_rng(recipe.seed)
    n_steps = recipe.n_epochs * -(-len(labels) // recipe.batch)
    step, first, second = 0, [np.zeros_like(g) for g in collect(tables)], [np.zeros_like(g) for g in collect(tables)]
    for _ in range(recipe.n_epochs):
        order = rng.permutation(len(labels))
        for start in range(0, len(labels), recipe.batch):
            chosen = order[start : start + recipe.batch]
            _, by_table = loss_and_gradients(
                tables, relus, inputs[chosen], labels[chosen], l2=recipe.l2, activation_l1=recipe.activation_l1
            )
            rate = recipe.learning_rate * (1 + math.cos(math.pi * step / n_steps)) / 2
            step += 1
            rate *= math.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
            changes = []
            for m, v, gradient in zip(first, second, collect(by_table), strict=True):
                m += (1 - BETA_1) * (gradient - m)
                v += (1 - BETA_2) * (gradient * gradient - v)
                changes.append(rate * m / (np.sqrt(v) + EPSILON))
            yield changes
        for moment in (*first, *second):
            moment[np.abs(moment) < NEGLIGIBLE] = 0


def _table(layer: Layer) -> np.ndarray:
    """Return f32[out, in + 1]: the weights, and the bias (or zeros) as one more column."""
    return np.column_stack([layer.weights, np.zeros(layer.n_out, np.float32) if layer.bias is None else layer.bias])


def _has_bias(layer: Layer) -> np.ndarray:
    return np.full(layer.n_out, layer.bias is not None)


def _ascending(book: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the codebook with its used centroids in ascending order, and the codes that follow them."""
    places = np.append(0, 1 + np.flatnonzero(book[1:]))
    order = np.append(0, places[1:][np.argsort(book[places[1:]], kind="stable")])
    ordered = np.zeros_like(book)
    ordered[: len(order)] = book[order]
    new_code = np.zeros(len(book), np.uint8)
    new_code[order] = np.arange(len(order))
    return ordered, new_code[codes]
