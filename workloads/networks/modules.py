"""The steps of a network with learnt parameters, forward and backward: Linear, Conv1d, Conv2d, BatchNorm.

Signals are f32[batch, in] or, channels second, f32[batch, in, length] and f32[batch, in, height, width]. Arrays given
as float64 stay float64, so that gradients can be checked by finite differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from workloads.errors import BadInput
from workloads.records import checked_array, plain_array

# (gradient by the outputs, whether the inputs' is wanted) -> (gradient by the inputs or None, {parameter: gradient})
Backward = Callable[[np.ndarray, bool], tuple[np.ndarray | None, dict[str, np.ndarray]]]


class Module:
    """One step of a network; `vjp` (vector-Jacobian product) is what training calls, `forward` what inference calls."""

    PARAMETERS: ClassVar[tuple[str, ...]] = ()
    source: str | None = None  # an earlier module whose outputs it takes beside its inputs

    def forward(self, *inputs: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch of inputs, and of what the source gave for them where there is one."""
        return self.vjp(*inputs)[0]

    def vjp(self, inputs: np.ndarray) -> tuple[np.ndarray, Backward]:
        """Return the outputs, and the function that carries a gradient back from them."""
        raise NotImplementedError

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """{name: array} of what training may change; a bias of None is none."""
        return {name: getattr(self, name) for name in self.PARAMETERS if getattr(self, name) is not None}


def he_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return f32[out, in, ...] drawn from a normal distribution of variance 2 / (in * ...) (He et al. 2015)."""
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear(Module):
    """y = W x + b: weights f32[out, in]; bias f32[out] or None. Raises BadInput."""

    weights: np.ndarray
    bias: np.ndarray | None = None
    PARAMETERS: ClassVar = ("weights", "bias")

    def __post_init__(self):
        _check(self, 2)

    @property
    def matrix(self) -> np.ndarray:
        """f32[out, in]: the weights as the machines see them."""
        return self.weights

    def columns(self, inputs: np.ndarray) -> np.ndarray:
        """Return f32[in, batch]: what the matrix is multiplied with."""
        return self._checked(inputs).T

    def vjp(self, inputs: np.ndarray) -> tuple[np.ndarray, Backward]:
        outputs = self._checked(inputs) @ self.weights.T
        if self.bias is not None:
            outputs += self.bias

        def backward(gradient, to_inputs=True):
            gradients = {"weights": gradient.T @ inputs}
            if self.bias is not None:
                gradients["bias"] = gradient.sum(axis=0)
            return gradient @ self.weights if to_inputs else None, gradients

        return outputs, backward

    def _checked(self, inputs: np.ndarray) -> np.ndarray:
        if inputs.ndim != 2 or inputs.shape[1] != self.weights.shape[1]:
            raise BadInput(f"inputs must be f32[batch, {self.weights.shape[1]}], got shape {inputs.shape}")
        return inputs


@dataclass(frozen=True, kw_only=True, eq=False)
class _Convolution(Module):
    """y = W * x + b as a product of matrices: every window of the padded input is a column (im2col)."""

    weights: np.ndarray
    bias: np.ndarray | None = None
    stride: int = 1
    padding: int = 0
    PARAMETERS: ClassVar = ("weights", "bias")
    N_AXES: ClassVar[int]

    def __post_init__(self):
        _check(self, 2 + self.N_AXES)
        for field, least in (("stride", 1), ("padding", 0)):
            if not getattr(self, field) >= least:
                raise BadInput(f"{field} must be at least {least}, got {getattr(self, field)!r}")

    @property
    def matrix(self) -> np.ndarray:
        """f32[out, in * kernel]: the weights as the machines see them, the kernel's columns of a channel together."""
        return self.weights.reshape(len(self.weights), -1)

    def columns(self, inputs: np.ndarray) -> np.ndarray:
        """Return f32[in * kernel, batch * positions]: what the matrix is multiplied with."""
        return self._windows(inputs).reshape(self.matrix.shape[1], -1)

    def vjp(self, inputs: np.ndarray) -> tuple[np.ndarray, Backward]:
        windows = self._windows(inputs)
        batch, places = windows.shape[1 + self.N_AXES], windows.shape[2 + self.N_AXES :]
        columns = windows.reshape(self.matrix.shape[1], -1)
        products = self.matrix @ columns
        if self.bias is not None:
            products += self.bias[:, np.newaxis]
        # In memory the channel stays first: what follows reads it as fast, and the way back needs no copy.
        outputs = products.reshape(len(self.weights), batch, *places).swapaxes(0, 1)

        def backward(gradient, to_inputs=True):
            by_channel = gradient.swapaxes(0, 1).reshape(len(self.weights), -1)
            gradients = {"weights": (by_channel @ columns.T).reshape(self.weights.shape)}
            if self.bias is not None:
                gradients["bias"] = by_channel.sum(axis=1)
            if not to_inputs:
                return None, gradients
            return self._add_up((self.matrix.T @ by_channel).reshape(windows.shape), inputs.shape), gradients

        return outputs, backward

    def _windows(self, inputs: np.ndarray) -> np.ndarray:
        """Return the windows as f32[in, *kernel, batch, *positions]."""
        n_in, kernel = self.weights.shape[1], self.weights.shape[2:]
        margins = [(0, 0)] * 2 + [(self.padding, self.padding)] * self.N_AXES
        if inputs.ndim != 2 + self.N_AXES or inputs.shape[1] != n_in:
            axes = ("height, width", "length")[self.N_AXES == 1]
            raise BadInput(f"inputs must be f32[batch, {n_in}, {axes}], got shape {inputs.shape}")
        if any(n + 2 * self.padding < k for n, k in zip(inputs.shape[2:], kernel, strict=True)):
            raise BadInput(f"inputs must be at least as large as the kernel {kernel}, got shape {inputs.shape}")
        padded = np.pad(inputs, margins) if self.padding else inputs
        axes = tuple(range(2, 2 + self.N_AXES))
        windows = sliding_window_view(padded, kernel, axis=axes)
        windows = windows[(..., *(slice(None, None, self.stride),) * self.N_AXES, *(slice(None),) * self.N_AXES)]
        return windows.transpose(1, *(axis + self.N_AXES for axis in axes), 0, *axes)

    def _add_up(self, windows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return f[shape]: every element of f[in, *kernel, batch, *positions] added where its window lay (col2im)."""
        batch, n_in, *size = shape
        padded = np.zeros((n_in, batch, *(n + 2 * self.padding for n in size)), windows.dtype)
        for offset, places in offsets(self.weights.shape[2:], self.stride, windows.shape[2 + self.N_AXES :]):
            padded[(slice(None), slice(None), *places)] += windows[(slice(None), *offset)]
        inside = (slice(self.padding, self.padding + n) for n in size)
        return padded[(slice(None), slice(None), *inside)].swapaxes(0, 1)


class Conv1d(_Convolution):
    """Convolution of f32[batch, in, length]: weights f32[out, in, k]; bias f32[out] or None. Raises BadInput."""

    N_AXES = 1


class Conv2d(_Convolution):
    """Convolution of f32[batch, in, height, width]: weights f32[out, in, kh, kw]; bias f32[out] or None.

    stride and padding (with zeros) are those of both axes. Raises BadInput.
    """

    N_AXES = 2


Weighted = Linear | Conv1d | Conv2d  # what is a product with a matrix


def offsets(kernel: tuple[int, ...], stride: int, n_places: tuple[int, ...]) -> Iterator[tuple[tuple, tuple]]:
    """Yield each offset in a kernel, and the slices that select the elements there in all windows of a signal."""
    for offset in np.ndindex(*kernel):
        yield offset, tuple(slice(o, o + stride * n, stride) for o, n in zip(offset, n_places, strict=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchNorm(Module):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta for each channel (Ioffe and Szegedy 2015).

    gamma, beta, mean, variance: f32[channels]. `vjp` takes mean and variance from the batch, over all positions.
    """

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    epsilon: float = 1e-5
    PARAMETERS: ClassVar = ("gamma", "beta")

    def __post_init__(self):
        for field in ("gamma", "beta", "mean", "variance"):
            object.__setattr__(self, field, _floats(field, getattr(self, field), 1))
            if getattr(self, field).shape != self.gamma.shape:
                raise BadInput(f"{field} must be f32{list(self.gamma.shape)}, got {getattr(self, field).shape}")
        if self.variance.min() < 0:
            raise BadInput(f"variance must be at least 0, got {self.variance.min()}")

    @classmethod
    def identity(cls, n_channels: int) -> BatchNorm:
        """Return the normalisation that an untrained network starts from."""
        ones, zeros = np.ones(n_channels, np.float32), np.zeros(n_channels, np.float32)
        return cls(gamma=ones, beta=zeros, mean=zeros, variance=ones)

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        scale = self.scale
        return inputs * _beside(scale, inputs) + _beside(self.beta - self.mean * scale, inputs)

    @property
    def scale(self) -> np.ndarray:
        """f32[channels]: what a channel is multiplied with in inference."""
        return self.gamma / np.sqrt(self.variance + self.epsilon)

    @staticmethod
    def statistics(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance f32[channels] over a batch and its positions."""
        axes = (0, *range(2, inputs.ndim))
        return inputs.mean(axis=axes), inputs.var(axis=axes)

    def vjp(self, inputs: np.ndarray) -> tuple[np.ndarray, Backward]:
        axes, (mean, variance) = (0, *range(2, inputs.ndim)), self.statistics(inputs)
        deviation = np.sqrt(variance + self.epsilon)
        normal = (inputs - _beside(mean, inputs)) / _beside(deviation, inputs)

        def backward(gradient, to_inputs=True):
            by_gamma, by_beta = (gradient * normal).sum(axis=axes), gradient.sum(axis=axes)
            gradients = {"gamma": by_gamma, "beta": by_beta}
            if not to_inputs:
                return None, gradients
            # Mean and variance are the batch's, so a gradient's own mean and its share along `normal` fall away.
            n = gradient.size // len(self.gamma)
            by_normal = gradient - _beside(by_beta / n, gradient) - normal * _beside(by_gamma / n, gradient)
            return by_normal * _beside(self.gamma / deviation, gradient), gradients

        return normal * _beside(self.gamma, inputs) + _beside(self.beta, inputs), backward


def _check(module: Weighted, n_dim: int):
    object.__setattr__(module, "weights", _floats("weights", module.weights, n_dim))
    if module.bias is not None:
        object.__setattr__(module, "bias", _floats("bias", module.bias, 1))
        if module.bias.shape != module.weights.shape[:1]:
            raise BadInput(
                f"bias must be f32[{len(module.weights)}] for weights {module.weights.shape}, got {module.bias.shape}"
            )


def _floats(name: str, value, n_dim: int) -> np.ndarray:
    """Return the finite, non-empty array as contiguous f32, or as the float64 that it is. Raises BadInput."""
    value = plain_array(name, value)
    checked = checked_array(name, value, (n_dim,))
    return np.ascontiguousarray(value) if value.dtype == np.float64 else checked


def _beside(per_channel: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Return f[channels] shaped to meet the channels of a signal."""
    return per_channel.reshape(-1, *(1,) * (signal.ndim - 2))
