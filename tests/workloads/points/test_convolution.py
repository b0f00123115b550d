"""Is a sparse convolution what a dense one gives at its outputs, a layer at a time and through a whole network?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.naive_points import dense_convolution
from workloads import BadInput
from workloads.points import networks
from workloads.points.chain import Chain
from workloads.points.clouds import Cloud
from workloads.points.convolution import SparseConvolution, convolve
from workloads.points.kernel_map import kernel_map


def cloud_of(n, seed, side=6):
    rng = np.random.default_rng(seed)
    return np.unique(rng.integers(0, side, (n, 3)), axis=0)


def through_grid(layer, features):
    """Return a layer's outputs f64 from dense grids: a transposed one spreads each input over its cells."""
    joined, weights = layer.map, layer.weights.astype(np.float64)
    if joined.is_transposed:
        expected = np.zeros((len(joined.outputs), layer.out_channels))
        places = {tuple(p): row for row, p in enumerate(joined.outputs.tolist())}
        for row, q in enumerate(joined.inputs):
            for offset, of_offset in zip(joined.offsets, weights):
                if (to := places.get(tuple((joined.stride * q + offset).tolist()))) is not None:
                    expected[to] += features[row] @ of_offset
    else:
        expected = dense_convolution(features, joined.inputs, weights, joined.offsets, joined.stride, joined.outputs)
    if layer.bias is not None:
        expected += layer.bias
    return np.maximum(expected, 0) if layer.relu else expected


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(0, 9), st.sampled_from([(3, 1, "floor"), (2, 2, "floor"), (3, 2, "dilating")]))
def test_a_layer_is_the_dense_one_at_its_outputs(n, seed, shape):
    kernel_size, stride, convention = shape
    joined = kernel_map(cloud_of(n, seed), kernel_size, stride, convention=convention)
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((len(joined.inputs), 3))
    weights = rng.standard_normal((len(joined.offsets), 3, 5))
    expected = dense_convolution(features, joined.inputs, weights, joined.offsets, stride, joined.outputs)
    np.testing.assert_allclose(convolve(features, weights, joined), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["minkunet-0.5", "centerpoint"])
def test_a_whole_network_is_that_of_dense_grids(name):
    model = networks.build(name, Cloud(name="tiny", coordinates=cloud_of(120, 1, side=34)))
    for layer in model.layers:  # each on what left those before it, which the test below follows
        expected = through_grid(layer, layer.features.astype(np.float64))
        error = np.abs(layer.forward() - expected).max() / np.abs(expected).max()
        assert error < 1e-4, layer.name


def test_features_of_minkunet_go_from_layer_to_layer():
    model = networks.build("minkunet-0.5", Cloud(name="tiny", coordinates=cloud_of(60, 1, side=9)))
    layers = {layer.name: layer for layer in model.layers}
    np.testing.assert_array_equal(layers["stem.0"].forward(), layers["stem.1"].features)
    np.testing.assert_array_equal(layers["stage1.down"].forward(), layers["stage1.0.conv1"].features)
    joined = np.maximum(layers["stage1.0.conv2"].forward() + layers["stage1.down"].forward(), 0)
    np.testing.assert_array_equal(joined, layers["stage1.1.conv1"].features)
    skip = np.concatenate([layers["up4.up"].forward(), layers["stage1.down"].features], axis=1)
    np.testing.assert_array_equal(skip, layers["up4.0.conv1"].features)


def test_maps_are_shared_and_the_way_up_takes_that_of_the_way_down():
    model = networks.build("minkunet-0.5", Cloud(name="tiny", coordinates=cloud_of(60, 1, side=9)))
    layers = {layer.name: layer for layer in model.layers}
    assert layers["stem.0"].map_from is None
    assert layers["stem.1"].map_from == "stem.0"
    assert layers["up4.0.conv2"].map_from == "stem.0"
    assert layers["up4.up"].map_from == "stage1.down"
    assert layers["up4.up"].kind == "transposed"


def test_a_chain_of_one_s_own():
    chain = Chain(Cloud(name="tiny", coordinates=cloud_of(20, 2)), channels=2, seed=3)
    x = chain.convolution("a", chain.input, 4, kernel_size=5)
    down = chain.convolution("b", x, 8, kernel_size=2, stride=2)
    chain.add("sum", x, chain.transposed("c", down, 4))
    assert [operator.name for operator in chain.model("own").operators] == ["a", "b", "c", "sum"]
    with pytest.raises(BadInput, match="no strided convolution of kernel_size 2"):
        chain.transposed("d", x, 4)
    with pytest.raises(BadInput, match="on the same voxels"):
        chain.add("e", x, down)


def test_batch_norm_with_the_cloud_s_own_statistics_is_in_the_weights():
    chain = Chain(Cloud(name="tiny", coordinates=cloud_of(200, 2)), seed=3)
    outputs = chain.convolution("a", chain.input, 4, relu=False).features
    np.testing.assert_allclose(outputs.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(outputs.std(axis=0), 1, atol=1e-4)


def test_features_of_another_length_are_refused():
    joined = kernel_map([[0, 0, 0], [1, 0, 0]])
    with pytest.raises(BadInput, match=r"features must be f32\[2, 3\] in a, got \[1, 3\]"):
        SparseConvolution(name="a", weights=np.ones((27, 3, 4)), map=joined, features=np.ones((1, 3)))
    with pytest.raises(BadInput, match="features must be of 2 voxels, got 3"):
        Cloud(name="c", coordinates=[[0, 0, 0], [1, 0, 0]], features=np.ones((3, 4)))


def test_spconv_gives_the_same_map_and_features():
    torch, spconv = pytest.importorskip("torch"), pytest.importorskip("spconv.pytorch")
    coordinates = cloud_of(200, 5, side=8)
    rng = np.random.default_rng(0)
    features = rng.standard_normal((len(coordinates), 4)).astype(np.float32)
    joined = kernel_map(coordinates)
    weights = rng.standard_normal((27, 4, 6)).astype(np.float32)
    rows = np.concatenate([np.zeros((len(coordinates), 1), np.int32), coordinates[:, ::-1]], axis=1)
    tensor = spconv.SparseConvTensor(torch.from_numpy(features), torch.from_numpy(rows.astype(np.int32)), [8, 8, 8], 1)
    layer = spconv.SubMConv3d(4, 6, 3, bias=False)
    with torch.no_grad():  # [out, z, y, x, in], and ours are x fastest
        layer.weight.copy_(torch.from_numpy(weights.reshape(3, 3, 3, 4, 6).transpose(4, 0, 1, 2, 3).copy()))
        theirs = layer(tensor).features.numpy()
    np.testing.assert_allclose(convolve(features, weights, joined), theirs, atol=1e-4)
