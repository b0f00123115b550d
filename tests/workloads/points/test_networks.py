"""Have the networks on clouds the channels that were published, and are their weights drawn and normalised as said?"""

from dataclasses import replace

import numpy as np
import pytest

from workloads.points import networks
from workloads.points.chain import Chain
from workloads.points.clouds import Cloud
from workloads.points.convolution import SparseConvolution, convolve

GRID = np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int32)
FEW = GRID[np.random.default_rng(0).random(len(GRID)) < 0.1]
# core/models/semantic_kitti/minkunet.py of mit-han-lab/spvnas at cr = 1.0: (in, out) of each convolution, in order;
# a residual block that changes the channels has a pointwise way around it.
MINKUNET = [(4, 32), (32, 32)]
MINKUNET += [(32, 32), *[(32, 32)] * 4]
MINKUNET += [(32, 32), (32, 64), (64, 64), (32, 64), (64, 64), (64, 64)]
MINKUNET += [(64, 64), (64, 128), (128, 128), (64, 128), (128, 128), (128, 128)]
MINKUNET += [(128, 128), (128, 256), (256, 256), (128, 256), (256, 256), (256, 256)]
MINKUNET += [(256, 256), (256 + 128, 256), (256, 256), (256 + 128, 256), (256, 256), (256, 256)]
MINKUNET += [(256, 128), (128 + 64, 128), (128, 128), (128 + 64, 128), (128, 128), (128, 128)]
MINKUNET += [(128, 96), (96 + 32, 96), (96, 96), (96 + 32, 96), (96, 96), (96, 96)]
MINKUNET += [(96, 96), (96 + 32, 96), (96, 96), (96 + 32, 96), (96, 96), (96, 96)]
MINKUNET += [(96, 19)]


def cloud(coordinates=FEW, channels=None) -> Cloud:
    features = None
    if channels is not None:
        features = np.random.default_rng(1).standard_normal((len(coordinates), channels), np.float32)
    return Cloud(name="few", coordinates=coordinates, features=features)


def widths(model) -> list[tuple[int, int]]:
    return [(layer.in_channels, layer.out_channels) for layer in model.layers]


def test_minkunet_has_the_channels_of_its_authors():
    whole, half = (networks.build(name, cloud()) for name in ("minkunet-1.0", "minkunet-0.5"))
    assert widths(whole) == MINKUNET
    ends = {4: 4, 19: 19}  # the features of a point and the classes stay
    assert widths(half) == [(ends.get(n_in, n_in // 2), ends.get(n_out, n_out // 2)) for n_in, n_out in MINKUNET]
    assert len(MINKUNET) == 50  # 42 convolutions and 8 pointwise, as their descriptions say
    assert sum(len(layer.map.sizes) == 1 for layer in whole.layers) == 8


def test_pointnet_has_the_channels_of_its_paper():
    # Qi et al., CVPR 2017, Fig 2: mlp (64, 64), then mlp (64, 128, 1024)
    assert widths(networks.build("pointnet", cloud())) == [(3, 64), (64, 64), (64, 64), (64, 128), (128, 1024)]


@pytest.mark.parametrize(
    ("kernel_size", "coordinates", "entries"),
    [
        (1, FEW, 1.0),
        (3, GRID, (16 * 3 - 2) ** 3 / 16**3),  # two neighbours and itself on each axis, at the two ends one fewer
    ],
)
def test_weights_keep_the_features_variance_by_the_entries_of_an_output(kernel_size, coordinates, entries):
    # He et al. 2015: standard deviation sqrt(2 / inputs of an output); the first that the seed draws.
    chain = Chain(cloud(coordinates, 3), seed=7)
    chain.convolution("plain", chain.input, 5, kernel_size=kernel_size, relu=False, normalised=False)
    layer = chain.model("one").layers[0]
    drawn = np.random.default_rng(7).standard_normal((kernel_size**3, 3, 5), np.float32)
    assert layer.bias is None
    assert layer.weights == pytest.approx(drawn * np.sqrt(2 / (3 * entries)), rel=1e-6)


def test_normalised_outputs_have_mean_0_and_deviation_1_in_each_channel():
    given = cloud(channels=3)
    chain = Chain(replace(given, features=0.1 * given.features), seed=7)
    out = chain.convolution("normal", chain.input, 5, relu=False)
    assert out.features.mean(axis=0) == pytest.approx(np.zeros(5), abs=1e-6)
    assert out.features.std(axis=0) == pytest.approx(np.ones(5), rel=1e-5)


def test_a_channel_that_does_not_vary_is_not_divided():
    # One voxel: a deviation of 0. The weights stay as drawn, the bias takes all that they give.
    chain = Chain(cloud(GRID[:1], 3), seed=7)
    out = chain.convolution("lonely", chain.input, 5, relu=False)
    layer: SparseConvolution = chain.model("one").layers[0]
    drawn = np.random.default_rng(7).standard_normal((27, 3, 5), np.float32) * np.float32(np.sqrt(2 / 3))
    assert layer.weights == pytest.approx(drawn)
    assert layer.bias == pytest.approx(-convolve(layer.features, drawn, layer.map)[0])
    assert out.features == pytest.approx(np.zeros((1, 5)), abs=1e-6)
