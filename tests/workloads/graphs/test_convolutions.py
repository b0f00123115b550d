"""Do the rows that reach a convolution of an ONNX graph, times its matrix, give what onnxruntime computes?"""

import itertools

import numpy as np
import pytest

from tests.onnx_models import check, helper, loaded, model_of, normal, only, product_of, reference

CONVOLUTIONS = {
    "1-D": ((4, 3, 3), (2, 3, 9), {}),
    "2-D": ((4, 3, 3, 2), (2, 3, 7, 6), {}),
    "3-D": ((2, 3, 2, 2, 2), (1, 3, 4, 3, 5), {}),
    "1x1": ((4, 3, 1, 1), (2, 3, 5, 5), {}),
    "stride": ((4, 3, 3, 3), (2, 3, 8, 9), {"strides": [2, 3]}),
    "pads that differ at each edge": ((4, 3, 3, 3), (2, 3, 5, 5), {"pads": [0, 1, 2, 3]}),
    "stride and pads": ((4, 3, 3, 3), (2, 3, 7, 8), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "dilation": ((4, 3, 3, 3), (2, 3, 9, 9), {"dilations": [2, 3]}),
    "SAME_UPPER": ((4, 3, 2, 4), (2, 3, 7, 8), {"auto_pad": "SAME_UPPER", "strides": [2, 1]}),
    "SAME_LOWER": ((4, 3, 2, 4), (2, 3, 7, 8), {"auto_pad": "SAME_LOWER", "strides": [2, 1]}),
    "VALID": ((4, 3, 3, 3), (2, 3, 7, 8), {"auto_pad": "VALID", "strides": [2, 1]}),
    "groups": ((6, 2, 3, 3), (2, 4, 5, 5), {"group": 2, "pads": [1, 1, 1, 1]}),
    "depthwise": ((4, 1, 3, 3), (2, 4, 5, 5), {"group": 4}),
    "depthwise of two": ((8, 1, 3), (2, 4, 9), {"group": 4, "strides": [2]}),
}


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution(tmp_path, name, has_bias):
    kernel, signal, settings = CONVOLUTIONS[name]
    stored = {"c.weight": normal(*kernel)} | ({"c.bias": normal(kernel[0])} if has_bias else {})
    model = model_of([helper.make_node("Conv", ["x", *stored], ["y"], **settings)], {"x": signal}, stored)
    feeds = {"x": normal(*signal)}
    layer = only(tmp_path, model, feeds)
    check(layer, *reference(model, feeds, "y"), axis=1, batch=signal[0])
    groups = settings.get("group", 1)
    assert (layer.name, layer.kind, layer.groups, layer.bias is not None) == ("c", "Conv", groups, has_bias)
    np.testing.assert_array_equal(layer.blocks, stored["c.weight"].reshape(len(stored["c.weight"]), -1))


def test_the_rows_of_a_convolution_drawn_by_hand(tmp_path):
    """A kernel of 2 with a zero before it, on 1 2 3 of one channel and 4 5 6 of the other."""
    node = helper.make_node("Conv", ["x", "c.weight"], ["y"], pads=[1, 0])
    model = model_of([node], {"x": (1, 2, 3)}, {"c.weight": normal(3, 2, 2)})
    layer = only(tmp_path, model, {"x": np.array([[[1, 2, 3], [4, 5, 6]]], np.float32)})
    assert layer.activations.tolist() == [[0, 1, 0, 4], [1, 2, 4, 5], [2, 3, 5, 6]]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_transposed_convolution(tmp_path, groups, stride):
    """Each position's product is added, by hand, to the places of the output that its kernel covers."""
    n_batch, n_in, n_out, kernel, size = 2, 4, 6, (2, 3), (3, 4)
    stored = {"t.weight": normal(n_in, n_out // groups, *kernel)}
    node = helper.make_node("ConvTranspose", ["x", *stored], ["y"], group=groups, strides=[stride, stride])
    model = model_of([node], {"x": (n_batch, n_in, *size)}, stored)
    feeds = {"x": normal(n_batch, n_in, *size)}
    (expected,) = reference(model, feeds, "y")
    layer = only(tmp_path, model, feeds)
    assert (layer.batch, layer.positions, layer.groups, layer.n_in) == (n_batch, 12, groups, n_in)
    parts = product_of(layer).reshape(n_batch, *size, n_out, *kernel)
    added = np.zeros(expected.shape)
    for i, j in itertools.product(*map(range, size)):
        added[:, :, i * stride : i * stride + kernel[0], j * stride : j * stride + kernel[1]] += parts[:, i, j]
    np.testing.assert_allclose(added, expected, rtol=1e-5, atol=1e-5)


def test_a_kernel_that_is_computed_is_no_layer_but_is_named(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "c.weight"], ["h"]),
        helper.make_node("Conv", ["x", "h"], ["y"], name="computed"),
    ]
    model = model_of(nodes, {"x": (2, 2, 5)}, {"c.weight": normal(2, 2, 3)})
    whole = loaded(tmp_path, model, {"x": normal(2, 2, 5)})
    assert [layer.name for layer in whole.layers] == ["c"]
