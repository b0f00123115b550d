"""Untrained networks by their widths, and the three that learn the digits of scikit-learn within seconds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from workloads.errors import BadInput
from workloads.networks.kept import once
from workloads.networks.modules import BatchNorm, Conv2d, Linear, Module, he_normal
from workloads.networks.sequential import Add, Flatten, MaxPool2d, ReLU, Sequential
from workloads.networks.train import Recipe, fit

DIGITS_WIDTHS, DIGITS_CHANNELS, N_DIGITS = (64, 256, 128, 10), (16, 32), 10
# Chosen on splits of other seeds than benchmarks/accuracy reports.
DIGITS_MLP = Recipe(n_epochs=20, learning_rate=4e-3, batch=64, l2=1e-4, dropout=0.3)
DIGITS_CONVNET = Recipe(n_epochs=10, learning_rate=4e-3, batch=64, l2=1e-4)
DIGITS_RESNET = replace(DIGITS_CONVNET, n_epochs=4)


def mlp(widths: Sequence[int], seed: int) -> Sequential:
    """Return ip1, relu1, ip2, ...: fully connected, the last without ReLU; He's weights, biases 0.

    widths: inputs, hidden, ..., classes. Raises BadInput.
    """
    if len(widths) < 2 or min(widths) < 1:
        raise BadInput(f"widths must be at least two numbers of at least 1, got {tuple(widths)!r}")
    rng = np.random.default_rng(seed)
    modules: dict[str, Module] = {}
    for i, (n_in, n_out) in enumerate(itertools.pairwise(widths), 1):
        modules[f"ip{i}"] = Linear(weights=he_normal(rng, (n_out, n_in)), bias=np.zeros(n_out, np.float32))
        modules[f"relu{i}"] = ReLU()
    modules.popitem()
    return Sequential(modules)


def convnet(shape: tuple[int, int, int], channels: Sequence[int], n_classes: int, seed: int) -> Sequential:
    """Return conv1 (3x3, padded), norm1, relu1, pool1 (2x2), conv2, ..., flatten, ip: a small VGG; He's weights.

    shape: channels, height, width of an input, which every pool halves; channels: those of each convolution. Raises
    BadInput.
    """
    return _stages(shape, channels, n_classes, seed, is_residual=False)


def resnet(shape: tuple[int, int, int], channels: Sequence[int], n_classes: int, seed: int) -> Sequential:
    """Return conv1 to pool1 as `convnet`, then conv2, norm2, relu2, conv3, norm3, add3 (of pool1), relu3, conv4, ...

    A stage for each of channels: a convolution that halves the maps by its pool, and the block of two convolutions
    that a shortcut spans (He et al. 2015, figure 2); then flatten, ip. Raises BadInput.
    """
    return _stages(shape, channels, n_classes, seed, is_residual=True)


def _stages(
    shape: tuple[int, int, int], channels: Sequence[int], n_classes: int, seed: int, is_residual: bool
) -> Sequential:
    n_in, *size = shape
    if not channels or min(n_in, n_classes, *channels) < 1 or min(size) < 2 ** len(channels):
        raise BadInput(
            f"shape must have room for a pool of 2 x 2 after each convolution, and no width be below 1, "
            f"got shape {shape!r}, channels {tuple(channels)!r}, n_classes {n_classes!r}"
        )
    rng = np.random.default_rng(seed)
    modules: dict[str, Module] = {}

    def convolve(i: int, n_from: int, n_to: int) -> dict[str, Module]:
        # no bias: the normalisation's beta is one
        conv = Conv2d(weights=he_normal(rng, (n_to, n_from, 3, 3)), padding=1)
        return {f"conv{i}": conv, f"norm{i}": BatchNorm.identity(n_to)}

    for stage, (n_from, n_to) in enumerate(itertools.pairwise((n_in, *channels))):
        i = 1 + stage * (3 if is_residual else 1)
        modules |= {**convolve(i, n_from, n_to), f"relu{i}": ReLU(), f"pool{i}": MaxPool2d(2)}
        if is_residual:
            modules |= {**convolve(i + 1, n_to, n_to), f"relu{i + 1}": ReLU()}
            modules |= {**convolve(i + 2, n_to, n_to), f"add{i + 2}": Add(f"pool{i}"), f"relu{i + 2}": ReLU()}
    n_flat = channels[-1] * int(np.prod([n // 2 ** len(channels) for n in size]))
    modules |= {
        "flatten": Flatten(),
        "ip": Linear(weights=he_normal(rng, (n_classes, n_flat)), bias=np.zeros(n_classes, np.float32)),
    }
    return Sequential(modules)


def split(
    inputs: np.ndarray, labels: np.ndarray, n_held_out: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs and labels to learn from, then those of n_held_out others, drawn by the seed. Raises BadInput."""
    if not 0 < n_held_out < len(inputs):
        raise BadInput(f"n_held_out must be 1 to {len(inputs) - 1}, got {n_held_out!r}")
    order = np.random.default_rng(seed).permutation(len(inputs))
    held, seen = order[:n_held_out], order[n_held_out:]
    return inputs[seen], labels[seen], inputs[held], labels[held]


def with_shifts(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return f32[5 n, 1, height, width] and their labels: the images, then each moved by one pixel to every side."""
    height, width = images.shape[2:]
    wide = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    places = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    moved = [wide[:, :, row : row + height, column : column + width] for row, column in places]
    return np.concatenate(moved), np.tile(labels, len(places))


def digits_mlp(inputs: np.ndarray, labels: np.ndarray, seed: int) -> Sequential:
    """Return 64-256-128-10 trained on f32[n, 64] in 0 to 1, best `with_shifts` and flattened, and labels int[n]."""
    return once(fit, mlp(DIGITS_WIDTHS, seed), inputs, labels, recipe=replace(DIGITS_MLP, seed=seed))


def digits_convnet(inputs: np.ndarray, labels: np.ndarray, seed: int) -> Sequential:
    """Return two convolutions of 16 and 32 channels and a matrix, trained on f32[n, 1, 8, 8] in 0 to 1."""
    net = convnet((1, 8, 8), DIGITS_CHANNELS, N_DIGITS, seed)
    return once(fit, net, inputs, labels, recipe=replace(DIGITS_CONVNET, seed=seed))


def digits_resnet(inputs: np.ndarray, labels: np.ndarray, seed: int) -> Sequential:
    """Return the same with a residual block of two convolutions behind each: six, trained alike."""
    net = resnet((1, 8, 8), DIGITS_CHANNELS, N_DIGITS, seed)
    return once(fit, net, inputs, labels, recipe=replace(DIGITS_RESNET, seed=seed))
