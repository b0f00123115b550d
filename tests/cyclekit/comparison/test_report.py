"""Are the report's figures those of a case worked by hand?"""

import numpy as np
import pytest

from cyclekit import machine
from cyclekit.comparison import report
from workloads import Workload
from workloads.errors import BadInput


@pytest.fixture
def layers():
    """Return a dense layer and the same with three of its six weights; two inputs."""
    kept = {"name": "w", "activations": [[1, 0, 1], [0, 2, 0]], "bias": [1, 1]}
    return Workload(weights=[[1, 2, 3], [4, 5, 6]], **kept), Workload(weights=[[0, 0, 3], [0, 5, 6]], **kept)


def test_the_figures_of_a_layer(layers):
    found = report.figures(*layers)
    # Rows hold 1 and 2 (mean 1.5), columns 0, 1 and 2 (mean 1), the inputs 3 of 6.
    # Dense outputs, bias included: [5, 11] and [5, 11]; made: [4, 7] and [1, 11].
    assert found == {
        "layer": "w",
        "n_out": 2,
        "n_in": 3,
        "density": 0.5,
        "row_imbalance": pytest.approx(2 / 1.5),
        "column_imbalance": 2,
        "activation_density": 0.5,
        "error": pytest.approx(np.sqrt((1 + 16 + 16) / (25 + 121 + 25 + 121))),
        "centroids": None,
        "bytes_f32": 24,
        "bytes_f16": 12,
        "bytes_huffman": None,
    }


def test_a_shared_layer_has_a_size_in_huffman_codes():
    book = np.array([0, 0.5, 2, 0], np.float32)
    codes = np.array([[0, 0, 1], [0, 2, 1]], np.uint8)
    shared = Workload(name="w", weights=book[codes], codes=codes, codebook=book, bias=[2, 0.5], activations=[1, 1, 1])
    assert report.figures(shared, shared)["centroids"] == [2, 3]
    # Codes 1, 2, 1: 1 bit each. Gaps 2, 1, 0: 1 + 2 + 2 bits. So 1 byte, 4 centroids and 2 biases.
    assert report.figures(shared, shared)["bytes_huffman"] == 1 + 4 * 4 + 2 * 4


def test_a_layer_that_gives_nothing_has_no_error_to_speak_of():
    empty = Workload(name="w", weights=[[0, 0]], activations=[1, 1])
    found = report.figures(empty, empty)
    assert (found["error"], found["row_imbalance"], found["column_imbalance"]) == (None, 1, 1)


@pytest.mark.usefixtures("toy")
def test_the_costs_on_a_machine(layers):
    toy = machine.load("toy")
    (found,) = report.costs(toy, layers[1:], check=True)
    # The toy takes a cycle for each of 6 weights and each of 2 inputs, at 100 MHz, and stores them as f32.
    assert (found["cycles"], found["time_us"], found["bytes"], found["parts"]) == (12, 0.12, 24, {"values": 24})
    assert (found["spec"], found["padding_bytes"], found["checked"]) == ({}, 0, True)
    assert report.dense_times(toy, layers) == [0.12, 0.12]
    assert report.total([found, found], [0.12, 0.36])["speed_up"] == pytest.approx(2)
    assert report.total([found], [None])["speed_up"] is None


@pytest.mark.usefixtures("toy")
def test_a_layer_that_a_machine_cannot_take_dense_has_no_time(layers, monkeypatch):
    toy = machine.load("toy")

    def refuse(workloads, spec):
        raise BadInput("does not fit")

    monkeypatch.setitem(toy.__dict__, "encode", refuse)
    assert report.dense_times(toy, layers) == [None, None]


@pytest.mark.parametrize(("sparsity", "weights"), [("2:4", [[1, 0, 2, 0]] * 8), ("dense", [[1, 3, 2, 0]] * 8)])
def test_the_weights_choose_how_a_card_stores_them(sparsity, weights):
    card = machine.load("tensorcore")
    (found,) = report.costs(card, [Workload(name="w", weights=weights, activations=[[1, 1, 1, 1]] * 3)], check=True)
    assert found["spec"] == ({} if sparsity == "dense" else {"sparsity": sparsity})
    assert found["checked"]
