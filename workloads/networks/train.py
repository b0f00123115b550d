"""The training loop: keeps zeros zero and shared values shared, for modules in a row and for fully connected layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from workloads.blas import one_thread
from workloads.errors import BadInput
from workloads.networks.descent import OPTIMISERS, Recipe
from workloads.networks.gradual import Gradual
from workloads.networks.lowering import restore
from workloads.networks.modules import Linear, Module, Weighted, he_normal
from workloads.networks.sequential import GELU, ReLU, Sequential, with_statistics
from workloads.quantisation.share import bias_codes
from workloads.records import Layer, Network, Workload, checked_array, plain_array, with_activations

# Moments below this change next to nothing (EPSILON is far larger), but left to decay they become denormal numbers, on
# which every operation takes many times as long: from here in 393 steps by a factor of 0.9. They are cleared at the end
# of an epoch, as when the shipped networks were trained, or every 500 steps of a longer one.
NEGLIGIBLE, N_STEPS_LONGEST = 1e-20, 500

Gradients = dict[str, dict[str, np.ndarray]]  # {module: {parameter: gradient}}


def checked_labels(labels: np.ndarray, n_inputs: int) -> np.ndarray:
    """Return labels int[n_inputs]. Raises BadInput."""
    labels = plain_array("labels", labels)
    if labels.shape != (n_inputs,) or labels.dtype.kind not in "iu":
        raise BadInput(f"labels must be int[{n_inputs}], one for each input, got {labels.dtype}{list(labels.shape)}")
    return labels


@one_thread()
@np.errstate(over="ignore", invalid="ignore")  # a loss that diverges is refused in one line
def fit(
    network: Sequential,
    inputs: np.ndarray,
    labels: np.ndarray,
    recipe: Recipe,
    shared: Iterable[Workload] = (),
    until: Callable[[Sequential], bool] | None = None,
    gradual: Gradual | None = None,
) -> Sequential:
    """Return the network trained; a weight or gamma that is zero stays zero, and every BatchNorm gets its statistics.

    inputs: f32[batch, ...]; labels: int[batch]. shared: Workloads with codes; the network is folded, and the modules of
    their names take their values (see `restore`): those of one code then stay equal, those of code 0 zero, and the
    gradient of a centroid is the sum of its members' (Deep Compression, part 3). until: looks at the network after each
    epoch, which the next changes in place, and says whether that was the last. gradual: what is pruned meanwhile, of
    matrices that are not shared. Raises BadInput.
    """
    labels, shared = checked_labels(labels, len(inputs)), {workload.name: workload for workload in shared}
    inputs = plain_array("inputs", inputs)
    checked_array("inputs", inputs, (inputs.ndim,))
    for name, workload in shared.items():
        if workload.codes is None:
            raise BadInput(f"layer {name!r} must be shared before its centroids are tuned, got no codes")
    network = copied(restore(network, shared.values()) if shared else network)
    free = [pair for name, module in network.modules.items() for pair in free_values(name, module, shared.get(name))]
    parameters = {name: module.parameters for name, module in network.modules.items()}

    def gradients_of(chosen: np.ndarray, rng: np.random.Generator) -> tuple[float, Gradients]:
        return loss_and_gradients(network, inputs[chosen], labels[chosen], recipe, rng)

    ends = None if until is None else partial(until, network)
    descend(free, parameters, gradients_of, len(labels), recipe, ends, gradual)
    return with_statistics(network, inputs)


def descend(
    free: Sequence[tuple[Callable, Callable]],
    parameters: Mapping[str, Mapping[str, np.ndarray]],
    gradients_of: Callable[[np.ndarray, np.random.Generator], tuple[float, Gradients]],
    n_samples: int,
    recipe: Recipe,
    until: Callable[[], bool] | None = None,
    gradual: Gradual | None = None,
) -> None:
    """Change the parameters in place, step by step.

    free: see `free_values`; gradients_of: gives the loss of the samples int[batch] and its gradient by every parameter;
    until: says after each epoch whether that was the last; gradual: what is pruned meanwhile. Raises BadInput, also
    where the loss is no longer finite.
    """
    moments = [tuple(np.zeros_like(collect(parameters)) for _ in range(2)) for collect, _ in free]
    update = OPTIMISERS[recipe.optimiser]
    rng = np.random.default_rng(recipe.seed)
    n_steps_an_epoch = -(-n_samples // recipe.batch)
    n_steps_between, step = min(n_steps_an_epoch, N_STEPS_LONGEST), 0
    weights = {name: arrays["weights"] for name, arrays in parameters.items() if "weights" in arrays}
    prune = None if gradual is None else gradual.pruning(weights, n_steps_an_epoch)
    for _ in range(recipe.n_epochs):
        order = rng.permutation(n_samples)
        for start in range(0, n_samples, recipe.batch):
            loss, gradients = gradients_of(order[start : start + recipe.batch], rng)
            if not math.isfinite(loss):
                raise BadInput(
                    f"learning_rate must keep the loss finite, got {recipe.learning_rate!r}: take a lower one"
                )
            rate = recipe.rate(step, n_steps_an_epoch)
            step += 1
            for (collect, subtract), moment in zip(free, moments, strict=True):
                subtract(update(moment, collect(gradients), rate, step))
            if prune is not None:
                prune(step)
            if step % n_steps_between == 0:
                for moment in itertools.chain(*moments):
                    moment[np.abs(moment) < NEGLIGIBLE] = 0
        if until is not None and until():
            break


def loss_and_gradients(
    network: Sequential, inputs: np.ndarray, labels: np.ndarray, recipe: Recipe, rng: np.random.Generator | None = None
) -> tuple[float, Gradients]:
    """Return the loss of a batch (see Training) and its gradient by every parameter.

    inputs: float[batch, ...]; labels: int[batch]; rng: draws what is dropped out.
    """
    n, loss, steps, inside = len(labels), 0.0, [], hidden_of(network)

    def step(name: str, *entering: np.ndarray) -> np.ndarray:
        nonlocal loss
        signal, backward = network.modules[name].vjp(*entering)
        hidden, dropout = signal if name in inside else None, None
        if hidden is not None and recipe.activation_l1:
            loss += recipe.activation_l1 / n * float(np.abs(hidden).sum())
        if hidden is not None and recipe.dropout:
            dropout = (rng.random(hidden.shape, np.float32) >= recipe.dropout) / hidden.dtype.type(1 - recipe.dropout)
            signal = hidden * dropout
        steps.append((name, backward, hidden, dropout))
        return signal

    *_, (_, _, outputs) = network.walk(inputs, step)
    error, delta = cross_entropy(outputs, labels)
    loss += error

    gradients: Gradients = {name: {} for name in network.modules}
    by_source: dict[str, np.ndarray] = {}  # what comes back to a module from the Adds that took its outputs
    lowest = next((i for i, module in enumerate(network.modules.values()) if module.parameters), len(steps))
    for i in reversed(range(lowest, len(steps))):
        name, backward, hidden, dropout = steps[i]
        module = network.modules[name]
        if name in by_source:
            delta = delta + by_source.pop(name)
        if dropout is not None:
            delta = delta * dropout
        if hidden is not None and recipe.activation_l1:
            delta = delta + np.sign(hidden) * (recipe.activation_l1 / n)
        delta, gradients[name] = backward(delta, i > lowest)
        if module.source is not None:
            by_source[module.source] = by_source.get(module.source, 0) + delta
        loss += penalise(module.parameters, gradients[name], recipe)
    return loss, gradients


def hidden_of(network: Sequential) -> set[str]:
    """Return the modules whose outputs are hidden activations: every ReLU and GELU but a last one."""
    *others, _ = network.modules.items()
    return {name for name, module in others if isinstance(module, ReLU | GELU)}


def cross_entropy(outputs: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean over a batch and its gradient by the outputs, float[batch, classes]; labels: int[batch].

    Raises BadInput.
    """
    n = len(labels)
    if labels.min() < 0 or labels.max() >= outputs.shape[1]:
        raise BadInput(f"labels must be 0 to {outputs.shape[1] - 1}, got {labels.min()} to {labels.max()}")
    logits = outputs - outputs.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    gradient = np.exp(logits)
    gradient[np.arange(n), labels] -= 1
    gradient /= n
    return -float(logits[np.arange(n), labels].mean()), gradient


def penalise(parameters: dict[str, np.ndarray], gradients: dict[str, np.ndarray], recipe: Recipe) -> float:
    """Return the penalty on a module's weights and gamma, and add its gradient in place."""
    penalty = 0.0
    for name, l1, l2 in (("weights", recipe.l1, recipe.l2), ("gamma", recipe.gamma_l1, 0.0)):
        if l2 and name in parameters:
            penalty += l2 / 2 * float(np.vdot(parameters[name], parameters[name]))
            gradients[name] += l2 * parameters[name]
        if l1 and name in parameters:
            penalty += l1 * float(np.abs(parameters[name]).sum())
            gradients[name] += l1 * np.sign(parameters[name])
    return penalty


def copied(network: Sequential) -> Sequential:
    """Return the network with parameters of its own, which training then changes in place."""
    return Sequential(
        {
            name: replace(module, **{key: array.copy() for key, array in module.parameters.items()})
            if module.parameters
            else module
            for name, module in network.modules.items()
        }
    )


def free_values(name: str, module: Module, shared: Workload | None) -> list[tuple[Callable, Callable]]:
    """Return a pair of functions for each array of free values behind a module's parameters.

    The first picks the free values out of {module: {parameter: array}}, the second subtracts a change from them. Only
    what may change is among them, so that only it has moments.
    """
    if shared is not None:
        return [_centroids(name, module, shared)]
    return [non_zeros_of(name, key, array) for key, array in module.parameters.items()]


def non_zeros_of(name: str, key: str, array: np.ndarray) -> tuple[Callable, Callable]:
    places = np.flatnonzero(array) if key in ("weights", "gamma") else np.arange(array.size)
    if len(places) == array.size:
        return lambda by: by[name][key], lambda change: np.subtract(array, change, out=array)

    def subtract(change):
        array.ravel()[places] -= change

    return lambda by: by[name][key].ravel()[places], subtract


def _centroids(name: str, module: Weighted, shared: Workload) -> tuple[Callable, Callable]:
    book, parameters = shared.codebook.copy(), module.parameters
    codes = {"weights": shared.codes.reshape(module.weights.shape), "bias": bias_codes(shared)}
    codes = {key: codes[key] for key in parameters}

    def beside(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        # the weights of each output and beside them its bias
        return np.column_stack([arrays[key].reshape(shared.n_out, -1) for key in parameters]).ravel()

    members = beside(codes)

    def collect(by):
        sums = np.bincount(members, weights=beside(by[name]), minlength=len(book)).astype(book.dtype)
        sums[0] = 0
        return sums

    def subtract(change):
        np.subtract(book, change, out=book)
        for key, array in parameters.items():
            np.take(book, codes[key], out=array)

    return collect, subtract


def initialise(name: str, widths: Sequence[int], inputs: np.ndarray, labels: np.ndarray, seed: int) -> Network:
    """Return an untrained network with layers ip1, ip2, ..., the last without ReLU.

    widths: inputs, hidden, ..., classes; inputs: f32[batch, widths[0]]; labels: int[batch]. Weights are normal with
    variance 2 / inputs (He et al. 2015), biases 0.
    """
    rng = np.random.default_rng(seed)
    layers = [
        Layer(
            name=f"ip{i}",
            weights=he_normal(rng, (n_out, n_in)),
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
    trained = _fit_layers(network, recipe)
    layers = (
        Layer(name=layer.name, weights=trained_layer.weights, bias=trained_layer.bias, relu=layer.relu)
        for layer, trained_layer in zip(network.layers, trained, strict=True)
    )
    return replace(network, layers=tuple(layers))


def tune_centroids(network: Network, recipe: Recipe) -> Network:
    """Return the network of shared Workloads with its codebooks trained; codes keep their members and zeros stay zero.

    Codebooks come back ascending, and the activations are those that now reach each layer. See `fit`. Raises BadInput.
    """
    for layer in network.layers:
        if not isinstance(layer, Workload) or layer.codes is None:
            raise BadInput(f"layer {layer.name!r} must be shared before its centroids are tuned, got no codes")
    shared = [replace(layer, name=f"{i}") for i, layer in enumerate(network.layers)]
    layers = []
    for layer, tuned in zip(network.layers, _fit_layers(network, recipe, shared), strict=True):
        book, codes, of_bias = np.zeros_like(layer.codebook), layer.codes, bias_codes(layer)
        book[codes] = tuned.weights
        if tuned.bias is not None:
            book[of_bias] = tuned.bias
        book, new_code = _ascending(book)
        bias = None if tuned.bias is None else book[new_code[of_bias]]
        layers.append(replace(layer, weights=book[new_code[codes]], bias=bias, codes=new_code[codes], codebook=book))
    return with_activations(replace(network, layers=tuple(layers)))


def _fit_layers(network: Network, recipe: Recipe, shared: Sequence[Workload] = ()) -> list[Linear]:
    """Return the layers, named by number, after training on the network's own inputs and labels."""
    if network.labels is None:
        raise BadInput(f"network {network.name!r} has no labels to learn from")
    modules = {}
    for i, layer in enumerate(network.layers):
        modules[f"{i}"] = Linear(weights=layer.weights, bias=layer.bias)
        if layer.relu:
            modules[f"{i} relu"] = ReLU()
    return list(fit(Sequential(modules), network.inputs, network.labels, recipe, shared).weighted.values())


def _ascending(book: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the codebook with its used centroids in ascending order, and u8[len(book)]: the new code of each."""
    places = np.append(0, 1 + np.flatnonzero(book[1:]))
    order = np.append(0, places[1:][np.argsort(book[places[1:]], kind="stable")])
    ordered = np.zeros_like(book)
    ordered[: len(order)] = book[order]
    new_code = np.zeros(len(book), np.uint8)
    new_code[order] = np.arange(len(order))
    return ordered, new_code
