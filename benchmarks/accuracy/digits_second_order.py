"""What one-shot compression costs on digits, without tuning: pruning, rounding and removed neurons over several seeds.

Needs scikit-learn for its digits. A 64-256-128-10 network is trained per seed on four fifths of the images, compressed
layer after layer on what now reaches each layer, and judged on the rest. Prints mean and spread in percent correct and
ends with an error where a target is missed.
"""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sklearn.datasets import load_digits

from workloads.networks.train import Recipe, initialise, train
from workloads.pruning.obs import gptq, hessian, sparsegpt
from workloads.pruning.patterns import mask
from workloads.pruning.ranks import largest
from workloads.pruning.reconstruct import lasso_channels, least_squares, thinet_channels
from workloads.pruning.scores import magnitude
from workloads.quantisation.quantise import awq, round_to_nearest
from workloads.records import Layer, Network

N_SEEDS = 5
WIDTHS = (64, 256, 128, 10)
Compress = Callable[[np.ndarray, np.ndarray], np.ndarray]  # weights f32[out, in], inputs f32[samples, in] -> weights
Choose = Callable[[np.ndarray, np.ndarray, int], np.ndarray]  # weights, inputs, n_kept -> bool[in]

METHODS: dict[str, Compress] = {
    **{
        f"magnitude, {d:.0%} kept": lambda w, x, d=d: w * mask(magnitude(w), "element", d) for d in (0.5, 0.3, 0.2, 0.1)
    },
    **{f"SparseGPT, {d:.0%} kept": lambda w, x, d=d: sparsegpt(w, hessian(x), density=d) for d in (0.5, 0.3, 0.2, 0.1)},
    "magnitude, 2:4": lambda w, x: w * mask(magnitude(w), "2:4"),
    "SparseGPT, 2:4": lambda w, x: sparsegpt(w, hessian(x), n_m=(2, 4)),
    **{f"round to nearest, {b} bits": lambda w, x, b=b: round_to_nearest(w, b).weights for b in (4, 3, 2)},
    **{f"AWQ, {b} bits": lambda w, x, b=b: awq(w, x, b).weights for b in (4, 3, 2)},
    **{f"GPTQ, {b} bits": lambda w, x, b=b: gptq(w, hessian(x), bits=b).weights for b in (4, 3, 2)},
    "GPTQ act-order, 2 bits": lambda w, x: gptq(w, hessian(x), bits=2, act_order=True).weights,
    "SparseGPT 2:4 + GPTQ 4 bits": lambda w, x: gptq(w, hessian(x), bits=4, n_m=(2, 4)).weights,
}
CHOICES: dict[str, Choose] = {
    "norm": lambda w, x, n: largest(np.linalg.norm(w, axis=0)[None], n)[0],
    "activation x norm": lambda w, x, n: largest((np.abs(x).mean(axis=0) * np.linalg.norm(w, axis=0))[None], n)[0],
    "LASSO": lasso_channels,
    "ThiNet": thinet_channels,
}


def trained(seed: int) -> tuple[Network, Network]:
    """Return the trained network with its training images, and the same with the images it is judged on."""
    images, labels = load_digits(return_X_y=True)
    images, order = (images / 16).astype(np.float32), np.random.default_rng(seed).permutation(len(labels))
    n = len(labels) * 4 // 5
    network = initialise("digits", WIDTHS, images[order[:n]], labels[order[:n]], seed=seed)
    network = train(network, Recipe(n_epochs=30, learning_rate=1e-3, batch=64, l2=1e-4, seed=seed))
    return network, replace(network, inputs=images[order[n:]], labels=labels[order[n:]])


def compressed(network: Network, compress: Compress) -> tuple[Layer, ...]:
    layers, signal = [], network.inputs
    for layer in network.layers:
        layers.append(replace(layer, weights=compress(layer.weights, signal)))
        signal = layers[-1].forward(signal)
    return tuple(layers)


def narrowed(network: Network, choose: Choose, reconstruct: bool) -> tuple[Layer, ...]:
    """Return the layers with half of all hidden neurons removed, as zero columns of the layer that they enter."""
    first, *others = network.layers
    layers, signal, dense = [first], first.forward(network.inputs), first.forward(network.inputs)
    for layer in others:
        kept_inputs = choose(layer.weights, signal, layer.n_in // 2)
        weights, bias = layer.weights * kept_inputs, layer.bias
        if reconstruct:
            targets = replace(layer, relu=False).forward(dense)
            weights, bias = least_squares(signal, targets, kept_inputs, start=layer.weights)
        layers.append(replace(layer, weights=weights, bias=bias))
        signal, dense = layers[-1].forward(signal), layer.forward(dense)
    return tuple(layers)


def main() -> None:
    accuracies: dict[str, list[float]] = {}
    for seed in range(N_SEEDS):
        network, judged = trained(seed)
        rows = {"dense": network.layers}
        rows |= {name: compressed(network, method) for name, method in METHODS.items()}
        for name, choose in CHOICES.items():
            rows[f"half the neurons, {name}"] = narrowed(network, choose, reconstruct=False)
            rows[f"half the neurons, {name}, least squares"] = narrowed(network, choose, reconstruct=True)
        for name, layers in rows.items():
            accuracies.setdefault(name, []).append(100 * replace(judged, layers=layers).accuracy())
    mean = {name: float(np.mean(values)) for name, values in accuracies.items()}
    for name, values in accuracies.items():
        print(f"{name:52} {mean[name]:6.2f} +- {np.std(values, ddof=1):5.2f}")
    targets = {
        "GPTQ at 2 bits within 2 points of dense": mean["GPTQ, 2 bits"] >= mean["dense"] - 2,
        "round to nearest at 2 bits below 60%": mean["round to nearest, 2 bits"] < 60,
        "half the neurons, ThiNet and least squares, at least 97%": mean["half the neurons, ThiNet, least squares"]
        >= 97,
        "half the neurons, LASSO and least squares, at least 97%": mean["half the neurons, LASSO, least squares"] >= 97,
        **{
            f"SparseGPT no worse than magnitude at {pattern}": mean[f"SparseGPT, {pattern}"]
            >= mean[f"magnitude, {pattern}"]
            for pattern in ("50% kept", "30% kept", "20% kept", "10% kept", "2:4")
        },
    }
    for name, reached in targets.items():
        print(f"{'reached' if reached else 'MISSED'}: {name}")
    if not all(targets.values()):
        sys.exit("targets missed")


if __name__ == "__main__":
    main()
