"""Have the ready-made networks the shape that was asked for, and do they learn?"""

import numpy as np
import pytest

from workloads.errors import BadInput
from workloads.networks import nets
from workloads.networks.lowering import lower


def marks(n=300, seed=0):
    """Return images f32[n, 1, 8, 8] in 0 to 1 and labels 0 to 9: a bright 3 x 3 square at one of ten places."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    images = 0.4 * rng.random((n, 1, 8, 8), dtype=np.float32)
    for image, label in zip(images[:, 0], labels, strict=True):
        row, column = divmod(label, 4)
        image[2 * row : 2 * row + 3, 2 * column - (column == 3) :][:, :3] += 0.6
    return images, labels


def test_an_mlp_has_the_widths_and_no_last_relu():
    net = nets.mlp((64, 256, 128, 10), seed=1)
    assert list(net.modules) == ["ip1", "relu1", "ip2", "relu2", "ip3"]
    assert [matrix.shape for matrix in net.matrices.values()] == [(256, 64), (128, 256), (10, 128)]


def test_a_convnet_halves_its_maps_with_every_pool():
    net = nets.convnet((3, 12, 9), (4, 6), 5, seed=1)
    # 12 x 9 -> 6 x 4 -> 3 x 2 with 6 channels: 36 inputs.
    assert {name: matrix.shape for name, matrix in net.matrices.items()} == {
        "conv1": (4, 27),
        "conv2": (6, 36),
        "ip": (5, 36),
    }
    images = np.random.default_rng(0).random((2, 3, 12, 9), dtype=np.float32)
    assert net.forward(images).shape == (2, 5)
    assert [workload.relu for workload in lower(net, images)] == [True, True, False]


def test_a_resnet_has_a_block_of_two_convolutions_behind_every_pool():
    net = nets.resnet((3, 12, 9), (4, 6), 5, seed=1)
    assert {name: matrix.shape for name, matrix in net.matrices.items()} == {
        "conv1": (4, 27),
        "conv2": (4, 36),
        "conv3": (4, 36),
        "conv4": (6, 36),
        "conv5": (6, 54),
        "conv6": (6, 54),
        "ip": (5, 36),
    }
    assert {name: module.source for name, module in net.modules.items() if module.source} == {
        "add3": "pool1",
        "add6": "pool4",
    }
    images = np.random.default_rng(0).random((2, 3, 12, 9), dtype=np.float32)
    assert net.forward(images).shape == (2, 5)


@pytest.mark.parametrize("make", [nets.digits_mlp, nets.digits_convnet, nets.digits_resnet])
def test_they_learn_and_the_seed_determines_the_result(make):
    (images, labels), (others, _) = marks(), marks(seed=1)
    if make is nets.digits_mlp:
        images, others = images.reshape(-1, 64), others.reshape(-1, 64)
    net = make(images, labels, seed=2)
    assert net.accuracy(others, labels) > 0.95
    again = make(images, labels, seed=2)
    assert all(np.array_equal(net.matrices[name], again.matrices[name]) for name in net.matrices)


def test_a_split_takes_every_input_once_with_its_label():
    inputs = np.arange(20)[:, np.newaxis]
    seen, seen_labels, held, held_labels = nets.split(inputs, np.arange(20), n_held_out=6, seed=3)
    assert len(held) == 6
    assert sorted([*seen_labels, *held_labels]) == list(range(20))
    assert np.array_equal(seen[:, 0], seen_labels)
    assert np.array_equal(held[:, 0], held_labels)


def test_shifts_move_by_one_pixel_to_every_side():
    image = np.zeros((1, 1, 3, 3), np.float32)
    image[0, 0, 1, 1] = 1
    image[0, 0, 2, 0] = 2
    moved, labels = nets.with_shifts(image, np.array([7]))
    assert np.array_equal(moved[0], image[0])
    assert sorted(tuple(np.argwhere(one == 1)[0]) for one in moved[1:, 0]) == [(0, 1), (1, 0), (1, 2), (2, 1)]
    assert [int((one == 2).sum()) for one in moved[:, 0]].count(0) == 2  # over the lower and the left edge it is lost
    assert labels.tolist() == [7] * 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nets.mlp((4,), 0), r"widths must be at least two numbers of at least 1, got \(4,\)"),
        (lambda: nets.convnet((1, 8, 3), (4, 4), 2, 0), "shape must have room for a pool of 2 x 2"),
        (lambda: nets.split(np.ones(3), np.ones(3), 3, 0), "n_held_out must be 1 to 2, got 3"),
    ],
)
def test_what_cannot_be_is_named(make, message):
    with pytest.raises(BadInput, match=message):
        make()
