"""Does every module compute what its formula says, and is its gradient that of what it computes?"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from workloads.errors import BadInput
from workloads.networks.modules import BatchNorm, Conv1d, Conv2d, Linear, he_normal
from workloads.networks.sequential import GELU, AvgPool2d, Flatten, MaxPool2d, ReLU


def draw(*shape, seed=5):
    return np.random.default_rng(seed).normal(size=shape)


def norm(n):
    return BatchNorm(gamma=draw(n), beta=draw(n, seed=6), mean=np.zeros(n), variance=np.ones(n))


CASES = {
    "linear": (Linear(weights=draw(3, 5), bias=draw(3)), (4, 5)),
    "linear without bias": (Linear(weights=draw(3, 5)), (4, 5)),
    "conv2d": (Conv2d(weights=draw(3, 2, 3, 2), bias=draw(3)), (2, 2, 5, 4)),
    "conv2d with stride and padding": (Conv2d(weights=draw(2, 2, 3, 3), stride=2, padding=1), (2, 2, 6, 5)),
    "conv2d with gaps between windows": (Conv2d(weights=draw(2, 1, 2, 2), bias=draw(2), stride=3), (1, 1, 7, 8)),
    "conv1d": (Conv1d(weights=draw(3, 2, 3), bias=draw(3), stride=2, padding=2), (3, 2, 6)),
    "batch norm of vectors": (norm(4), (6, 4)),
    "batch norm of maps": (norm(3), (2, 3, 2, 3)),
    "relu": (ReLU(), (4, 5)),
    "gelu": (GELU(), (4, 5)),
    "max pool": (MaxPool2d(2), (2, 2, 4, 5)),
    "average pool": (AvgPool2d(3), (2, 2, 7, 6)),
    "flatten": (Flatten(), (3, 2, 2, 2)),
}


def differences(function, array, step=1e-6):
    """Return the central finite difference of a scalar function by every element of an array changed in place."""
    found = np.empty_like(array)
    for place in np.ndindex(array.shape):
        ends, before = [], array[place]
        for sign in (1, -1):
            array[place] = before + sign * step
            ends.append(function())
        array[place] = before
        found[place] = (ends[0] - ends[1]) / (2 * step)
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_the_finite_difference(name):
    module, shape = CASES[name]
    inputs = draw(*shape, seed=8)
    outputs, backward = module.vjp(inputs)
    towards = draw(*outputs.shape, seed=9)
    by_inputs, by_parameters = backward(towards, True)

    def value():
        return float((module.vjp(inputs)[0] * towards).sum())

    assert by_inputs.shape == inputs.shape
    assert by_inputs == pytest.approx(differences(value, inputs), rel=1e-5, abs=1e-7)
    assert by_parameters.keys() == module.parameters.keys()
    for key, array in module.parameters.items():
        assert by_parameters[key] == pytest.approx(differences(value, array), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_single_precision_stays_single(name):
    module, shape = CASES[name]
    arrays = {key: array.astype(np.float32) for key, array in vars(module).items() if isinstance(array, np.ndarray)}
    module = replace(module, **arrays) if arrays else module
    outputs, backward = module.vjp(draw(*shape).astype(np.float32))
    by_inputs, by_parameters = backward(np.ones_like(outputs), True)
    assert {a.dtype for a in (outputs, by_inputs, *by_parameters.values())} == {np.dtype(np.float32)}
    assert module.forward(draw(*shape).astype(np.float32)).dtype == np.float32


def naive_conv2d(inputs, weights, stride, padding):
    n, n_in, height, width = inputs.shape
    n_out, _, kh, kw = weights.shape
    padded = np.zeros((n, n_in, height + 2 * padding, width + 2 * padding))
    padded[:, :, padding : padding + height, padding : padding + width] = inputs
    rows = (height + 2 * padding - kh) // stride + 1
    columns = (width + 2 * padding - kw) // stride + 1
    found = np.zeros((n, n_out, rows, columns))
    for i, o, y, x in np.ndindex(found.shape):
        window = padded[i, :, y * stride : y * stride + kh, x * stride : x * stride + kw]
        found[i, o, y, x] = (window * weights[o]).sum()
    return found


@given(
    size=st.tuples(st.integers(4, 7), st.integers(4, 7)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
)
@settings(max_examples=30, deadline=None)
def test_a_convolution_is_the_sum_over_each_window(size, kernel, stride, padding):
    inputs, weights = draw(2, 3, *size), draw(2, 3, *kernel)
    module = Conv2d(weights=weights, stride=stride, padding=padding)
    assert module.forward(inputs) == pytest.approx(naive_conv2d(inputs, weights, stride, padding))
    # The matrix that the machines see times the columns is the same, positions in the order batch, row, column.
    product = (module.matrix @ module.columns(inputs)).reshape(2, 2, *module.forward(inputs).shape[2:])
    assert product.swapaxes(0, 1) == pytest.approx(module.forward(inputs))


def test_a_1d_convolution_is_a_2d_one_of_height_one():
    inputs, weights = draw(2, 3, 9), draw(4, 3, 5)
    one = Conv1d(weights=weights, stride=2).forward(inputs)
    two = Conv2d(weights=weights[:, :, np.newaxis], stride=2).forward(inputs[:, :, np.newaxis])
    assert one == pytest.approx(two[:, :, 0])


def test_batch_norm_in_training_gives_mean_beta_and_deviation_gamma():
    module = norm(3)
    outputs, _ = module.vjp(100 * draw(50, 3, 4, 4) + 7)
    assert outputs.mean(axis=(0, 2, 3)) == pytest.approx(module.beta)
    assert outputs.std(axis=(0, 2, 3)) == pytest.approx(np.abs(module.gamma))


def test_batch_norm_in_inference_uses_its_own_statistics():
    module = BatchNorm(gamma=[2.0], beta=[1.0], mean=[3.0], variance=[16.0], epsilon=0.0)
    assert module.forward(np.array([[3.0], [11.0]])).tolist() == [[1.0], [5.0]]  # 2 * (11 - 3) / 4 + 1


def test_gelu_is_the_error_functions():
    x = np.linspace(-4, 4, 41)
    assert GELU().forward(x) == pytest.approx(x * (1 + erf(x / np.sqrt(2))) / 2, abs=1e-12)


def test_pools_by_hand():
    inputs = np.array([[[[1.0, 2, 9], [3, 4, 9], [9, 9, 9]]]])  # the third row and column are left over
    assert MaxPool2d(2).forward(inputs).tolist() == [[[[4.0]]]]
    assert AvgPool2d(2).forward(inputs).tolist() == [[[[2.5]]]]


def test_of_equals_only_the_first_takes_the_gradient_of_a_max_pool():
    _, backward = MaxPool2d(2).vjp(np.array([[[[0.0, 7], [7, 7]]]]))
    assert backward(np.array([[[[5.0]]]]), True)[0].tolist() == [[[[0.0, 5], [0, 0]]]]


def test_he_initialisation_counts_the_kernel():
    weights = he_normal(np.random.default_rng(0), (400, 20, 5, 5))
    assert weights.var() == pytest.approx(2 / 500, rel=0.02)  # 200,000 samples: one sigma is 0.3%


def test_no_gradient_by_the_inputs_is_made_where_none_is_wanted():
    for module, shape in (CASES[name] for name in ("linear", "conv2d", "batch norm of maps")):
        outputs, backward = module.vjp(draw(*shape))
        assert backward(np.ones_like(outputs), False)[0] is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(weights=np.ones(3)), r"weights must be 2-D, got shape \(3,\)"),
        (lambda: Conv2d(weights=[[[[np.nan]]]]), "weights must be finite f32, got nan"),
        (lambda: Conv2d(weights=np.ones((2, 1, 3, 3)), bias=np.ones(3)), r"bias must be f32\[2\]"),
        (lambda: Conv2d(weights=np.ones((2, 1, 3, 3)), stride=0), "stride must be at least 1, got 0"),
        (lambda: Conv1d(weights=np.ones((2, 1, 3)), padding=-1), "padding must be at least 0, got -1"),
        (lambda: replace(norm(2), beta=np.ones(3)), r"beta must be f32\[2\], got \(3,\)"),
        (lambda: replace(norm(2), variance=-np.ones(2)), "variance must be at least 0, got -1"),
        (lambda: Linear(weights=np.ones((2, 3))).forward(np.ones((1, 4))), r"inputs must be f32\[batch, 3\]"),
        (lambda: CASES["conv2d"][0].forward(np.ones((1, 1, 5, 5))), r"f32\[batch, 2, height, width\], got"),
        (lambda: CASES["conv2d"][0].forward(np.ones((1, 2, 2, 2))), r"at least as large as the kernel \(3, 2\)"),
        (lambda: CASES["conv1d"][0].forward(np.ones((1, 3, 5))), r"f32\[batch, 2, length\], got"),
        (lambda: MaxPool2d(3).forward(np.ones((1, 1, 2, 5))), "at least 3 x 3, got shape"),
        (lambda: MaxPool2d(0), "size must be at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(BadInput, match=message):
        make()
