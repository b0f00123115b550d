"""Is the shipped LeNet-300-100 what its provenance says, and as good as it must be?"""

import importlib.resources
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workloads.errors import BadInput
from workloads.networks import data, lenet
from workloads.records import Workload


@pytest.fixture(scope="module")
def dense():
    return lenet.dense()


@pytest.fixture(scope="module")
def compressed():
    return lenet.compressed()


def fixed(values, fraction_bits):
    return np.round(values * 2.0**fraction_bits) / 2.0**fraction_bits


def test_the_file_is_small_and_its_licence_stands_beside_it():
    folder = importlib.resources.files("workloads") / "data"
    # 3,000 images of 784 bytes, deflated to about half, and 266,200 weights of 2 bytes and half a byte
    assert len((folder / lenet.FILE).read_bytes()) < 2_000_000
    assert "Zalando SE" in (folder / "LICENSE.fashion-mnist").read_text()


def test_the_shapes_are_lenet_300_100(dense, compressed):
    for network in (dense, compressed):
        assert [layer.weights.shape for layer in network.layers] == [(300, 784), (100, 300), (10, 100)]
        assert [layer.name for layer in network.layers] == ["ip1", "ip2", "ip3"]
        assert [layer.relu for layer in network.layers] == [True, True, False]
        assert network.inputs.shape == (1000, 784)
        assert network.inputs.max() == 1
    assert (dense.name, compressed.name) == ("lenet-300-100-dense", "lenet-300-100")


def test_the_densities_are_deep_compressions(compressed):
    # Deep Compression, table 2: 8%, 9%, 26%.
    kept = [int(layer.mask.sum()) for layer in compressed.layers]
    assert kept == [round(0.08 * 784 * 300), round(0.09 * 300 * 100), round(0.26 * 100 * 10)]


def test_weights_are_four_bit_codes_and_activations_those_that_arrive(compressed):
    signal = compressed.inputs
    for layer in compressed.layers:
        assert isinstance(layer, Workload)
        assert layer.codebook.shape == (16,)
        assert np.array_equal(layer.codes != 0, layer.mask)
        assert np.array_equal(layer.activations, signal)
        signal = layer.forward(signal)


def test_accuracy_on_the_shipped_images(dense, compressed):
    n_right = [round(1000 * network.accuracy()) for network in (dense, compressed)]
    assert n_right[0] >= 880
    assert n_right[0] - n_right[1] <= 5


def test_accuracy_on_ten_thousand_as_the_provenance_says(compressed):
    said = {kind: float(value) for kind, value in re.findall(r"(dense|shared) ([\d.]+)%", compressed.provenance)}
    assert said["dense"] >= 89
    assert said["shared"] >= said["dense"] - 0.5
    # 1,000 of the 10,000 images: one sigma of their accuracy is 1 point.
    assert 100 * compressed.accuracy() == pytest.approx(said["shared"], abs=3)


def test_the_penalty_kept_the_first_hidden_layer_sparse(compressed):
    assert 0.1 < np.mean(compressed.layers[1].activations > 0) < 0.3


def test_sixteen_bit_fixed_point_holds_it_all(compressed):
    # Activations with 8 fraction bits reach 128, weights with 12 reach 8.
    signal = fixed(compressed.inputs, 8)
    for layer in compressed.layers:
        assert np.abs(layer.codebook).max() < 7.9
        signal = signal @ fixed(layer.weights, 12).T + fixed(layer.bias, 12)
        assert np.abs(signal).max() < 100
        signal = fixed(np.maximum(signal, 0) if layer.relu else signal, 8)
    correct = np.mean(signal.argmax(axis=1) == compressed.labels)
    assert correct == pytest.approx(compressed.accuracy(), abs=0.003)


def test_dense_weights_are_exact_in_half_precision(dense):
    for layer in dense.layers:
        assert np.array_equal(layer.weights, layer.weights.astype(np.float16).astype(np.float32))


@given(hnp.arrays(np.uint8, st.integers(0, 9), elements=st.integers(0, 15)))
def test_nibbles_come_back(codes):
    packed = lenet.pack_nibbles(codes)
    assert len(packed) == (len(codes) + 1) // 2
    assert np.array_equal(lenet.unpack_nibbles(packed)[: len(codes)], codes)


def test_the_first_of_each_class_are_taken_in_order():
    assert lenet.first_of_each_class(np.array([1, 0, 1, 1, 0, 0]), 2).tolist() == [0, 1, 2, 4]


def test_the_shipped_images_are_a_hundred_of_each_class(dense):
    assert np.bincount(dense.labels).tolist() == [100] * 10


def test_two_hundred_training_images_of_each_class_are_shipped_too_none_of_them_a_test_image(dense):
    images, labels = lenet.calibration()
    assert np.bincount(labels).tolist() == [200] * 10
    assert (images.dtype, images.shape, images.max()) == (np.float32, (2000, 784), 1)
    assert not {image.tobytes() for image in images} & {image.tobytes() for image in dense.inputs}


def test_the_shipped_images_are_those_of_the_data_set_where_it_was_fetched(dense):
    if not data.is_here("fashion-mnist"):
        pytest.skip("takes `zeroskip data fashion-mnist`")
    images, labels = lenet.calibration()
    ships = lenet.shipped_images()
    assert np.array_equal(data.as_inputs(ships["train_images"]), images)
    assert np.array_equal(ships["train_labels"], labels)
    assert np.array_equal(data.as_inputs(ships["images"]), dense.inputs)
    assert np.array_equal(ships["labels"], dense.labels)


def test_the_earlier_of_two_codes_lies_in_the_low_half():
    assert lenet.pack_nibbles(np.array([1, 2, 15], np.uint8)).tolist() == [0x21, 0x0F]


def test_without_the_data_set_one_line_says_so(tmp_path, monkeypatch, capsys):
    def fashion_mnist(split):
        raise BadInput(f"no {split}")

    monkeypatch.setattr(lenet, "fashion_mnist", fashion_mnist)
    assert lenet.main(["--out", str(tmp_path / "net.npz")]) == 2
    assert capsys.readouterr().err == "no train\n"
    assert not list(tmp_path.iterdir())


def test_an_impossible_place_is_named_before_the_training(tmp_path, capsys):
    assert lenet.main(["--out", str(tmp_path / "none" / "net.npz")]) == 2
    assert capsys.readouterr().err.startswith("--out must lie in a directory that exists, got ")
