"""Do the matrices that a network is lowered to compute what the network computes, and find their way back into it?"""

from dataclasses import replace

import numpy as np
import pytest

from workloads.errors import BadInput
from workloads.networks.lowering import fold, lower, restore
from workloads.networks.modules import BatchNorm, Conv1d, Conv2d, Linear
from workloads.networks.sequential import GELU, AvgPool2d, Flatten, MaxPool2d, ReLU, Sequential, with_statistics
from workloads.records import Layer

RNG = np.random.default_rng(4)


def draw(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def norm(n):
    return BatchNorm(gamma=draw(n), beta=draw(n), mean=draw(n), variance=draw(n) ** 2)


INPUTS = draw(5, 2, 9, 8)
NETWORK = Sequential(
    {
        "conv1": Conv2d(weights=draw(4, 2, 3, 3), padding=1),
        "norm1": norm(4),
        "relu1": ReLU(),
        "pool1": MaxPool2d(2),
        "conv2": Conv2d(weights=draw(6, 4, 3, 2), bias=draw(6), stride=2),
        "gelu2": GELU(),
        "norm2": norm(6),
        "flatten": Flatten(),
        "ip3": Linear(weights=draw(7, 12), bias=draw(7)),
        "relu3": ReLU(),
        "ip4": Linear(weights=draw(3, 7)),
    }
)


def test_folding_changes_no_output_and_only_what_follows_a_matrix():
    folded = fold(NETWORK)
    assert list(folded.modules) == [name for name in NETWORK.modules if name != "norm1"]
    assert folded.forward(INPUTS) == pytest.approx(NETWORK.forward(INPUTS), rel=1e-4, abs=1e-4)


def test_folding_keeps_zeros_and_takes_two_norms_in_a_row():
    weights = draw(4, 6)
    weights[:, 2] = 0
    network = Sequential({"ip": Linear(weights=weights), "a": norm(4), "b": norm(4)})
    folded = fold(network)
    assert list(folded.modules) == ["ip"]
    assert np.array_equal(folded.modules["ip"].weights == 0, weights == 0)
    assert folded.forward(draw(3, 6) * 0) == pytest.approx(network.forward(np.zeros((3, 6), np.float32)), abs=1e-5)


def test_each_product_is_the_networks_own_intermediate_output():
    outputs = dict(zip(fold(NETWORK).modules, fold(NETWORK).outputs(INPUTS), strict=True))
    after = {"conv1": "relu1", "conv2": "conv2", "ip3": "relu3", "ip4": "ip4"}
    workloads = lower(NETWORK, INPUTS, provenance="drawn")
    assert [workload.name for workload in workloads] == list(after)
    assert [workload.relu for workload in workloads] == [True, False, True, False]
    for workload in workloads:
        expected = outputs[after[workload.name]]
        by_position = np.moveaxis(expected, 1, -1).reshape(-1, expected.shape[1])
        assert workload.forward(workload.activations) == pytest.approx(by_position, rel=1e-4, abs=1e-4)
        assert workload.provenance == "drawn"


def test_shapes_by_hand():
    # conv1: 5 images of 9 x 8 places, 2 * 3 * 3 inputs; pooled to 4 x 4; conv2: (4 - 3) // 2 + 1 = 1 by 2 places.
    shapes = [(w.weights.shape, w.activations.shape) for w in lower(NETWORK, INPUTS)]
    assert shapes == [((4, 18), (360, 18)), ((6, 24), (10, 24)), ((7, 12), (5, 12)), ((3, 7), (5, 7))]


def test_a_channels_kernel_lies_together():
    image = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    network = Sequential({"conv": Conv2d(weights=draw(1, 2, 2, 2))})
    assert lower(network, image)[0].activations.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7]]


@pytest.mark.parametrize("n_columns", [1, 4, 7, 100, 1000])
def test_only_the_first_columns_are_kept(n_columns, monkeypatch):
    whole = lower(NETWORK, INPUTS)
    monkeypatch.setattr("workloads.networks.sequential.N_VALUES_AT_ONCE", 2 * INPUTS[0].size)
    for part, all_of_it in zip(lower(NETWORK, INPUTS, n_columns), whole, strict=True):
        assert part.activations == pytest.approx(all_of_it.activations[:n_columns], rel=1e-5, abs=1e-5)


def test_a_1d_convolution_is_lowered_too():
    network = Sequential({"conv": Conv1d(weights=draw(4, 2, 3), stride=2), "relu": ReLU()})
    signal = draw(3, 2, 11)
    (workload,) = lower(network, signal)
    expected = np.moveaxis(network.forward(signal), 1, -1).reshape(-1, 4)
    assert workload.forward(workload.activations) == pytest.approx(expected, abs=1e-5)


def test_matrices_can_be_replaced_without_folding():
    weights = NETWORK.matrices["conv2"]
    assert weights.shape == (6, 24)
    doubled = NETWORK.with_matrices({"conv2": 2 * weights})
    assert np.array_equal(doubled.modules["conv2"].weights, 2 * NETWORK.modules["conv2"].weights)
    assert list(doubled.modules) == list(NETWORK.modules)


def test_new_weights_find_their_way_back():
    workloads = lower(NETWORK, INPUTS)
    same = restore(NETWORK, workloads)
    assert np.array_equal(same.forward(INPUTS), fold(NETWORK).forward(INPUTS))
    halved = restore(NETWORK, [replace(workloads[1], weights=workloads[1].weights / 2)])
    assert np.array_equal(halved.modules["conv2"].weights, NETWORK.modules["conv2"].weights / 2)
    assert np.array_equal(halved.modules["ip3"].weights, NETWORK.modules["ip3"].weights)


def test_statistics_are_those_of_what_arrives_in_whatever_batches(monkeypatch):
    # Sorted, so that the batches differ as much as they can.
    inputs = np.sort(RNG.normal(size=(60, 2, 6, 6)).astype(np.float32), axis=0)
    network = Sequential({"pool": AvgPool2d(3), "norm1": norm(2), "relu": ReLU(), "norm2": norm(2)})
    whole = with_statistics(network, inputs)
    first = network.modules["pool"].forward(inputs)
    second = np.maximum(whole.modules["norm1"].forward(first), 0)
    monkeypatch.setattr("workloads.networks.sequential.N_VALUES_AT_ONCE", 7 * inputs[0].size)
    for found in (whole, with_statistics(network, inputs)):
        for name, arriving in (("norm1", first), ("norm2", second)):
            assert found.modules[name].mean == pytest.approx(arriving.mean(axis=(0, 2, 3)), abs=1e-5)
            assert found.modules[name].variance == pytest.approx(arriving.var(axis=(0, 2, 3)), rel=1e-4)


def test_a_networks_outputs_do_not_depend_on_how_many_go_through_together(monkeypatch):
    whole = NETWORK.forward(INPUTS)
    monkeypatch.setattr("workloads.networks.sequential.N_VALUES_AT_ONCE", 1)
    assert NETWORK.forward(INPUTS) == pytest.approx(whole, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lower(NETWORK, INPUTS, n_columns=0), "n_columns must be at least 1, got 0"),
        (lambda: restore(NETWORK, [Layer(name="ip33", weights=draw(7, 12))]), "unknown matrix 'ip33', did you mean"),
        (lambda: restore(NETWORK, [Layer(name="relu1", weights=draw(7, 12))]), "unknown matrix 'relu1'"),
        (lambda: restore(NETWORK, [Layer(name="ip3", weights=draw(7, 11))]), r"must be f32\[7, 12\], got \[7, 11\]"),
        (lambda: fold(Sequential({"a": Linear(weights=draw(3, 2)), "b": norm(4)})), r"gamma must be f32\[3\]"),
        (lambda: NETWORK.forward(INPUTS[:0]), r"inputs must not be empty, got shape \(0, 2, 9, 8\)"),
        (lambda: NETWORK.replace({"relu9": ReLU()}), "unknown module 'relu9', did you mean 'relu"),
        (lambda: Sequential({}), "modules must hold at least one module"),
        (lambda: Sequential({"a": 3}), "module 'a' must be a Module, got int"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(BadInput, match=message):
        make()
