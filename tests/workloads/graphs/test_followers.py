"""Is what follows a product in an ONNX graph seen: an addition, a normalisation, an activation function?"""

import numpy as np
import pytest

from tests.onnx_models import check, helper, loaded, model_of, normal, only, onnx, reference

LINEAR = helper.make_node("MatMul", ["x", "w"], ["h"])
CONV = helper.make_node("Conv", ["x", "w"], ["h"])


def linear(*after, outputs=("y",), **stored):
    return model_of([LINEAR, *after], {"x": (3, 5)}, {"w": normal(5, 4), **stored}, outputs)


def conv(*after, outputs=("y",), **stored):
    return model_of([CONV, *after], {"x": (2, 3, 6, 6)}, {"w": normal(4, 3, 3, 3), **stored}, outputs)


def batch_norm(value: str, output: str):
    return helper.make_node("BatchNormalization", [value, "gamma", "beta", "mean", "var"], [output], epsilon=1e-3)


NORM = {"gamma": normal(4), "beta": normal(4, seed=1), "mean": normal(4, seed=2), "var": np.abs(normal(4, seed=3))}


@pytest.mark.parametrize("shape", [(4,), (1, 4), (1,), ()])
@pytest.mark.parametrize("inputs", [["h", "b"], ["b", "h"]])
def test_a_bias_behind_a_matrix(tmp_path, shape, inputs):
    model = linear(helper.make_node("Add", inputs, ["y"]), b=normal(*shape))
    feeds = {"x": normal(3, 5)}
    check(only(tmp_path, model, feeds), *reference(model, feeds, "y"), batch=3)


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1), (1,)])
def test_a_bias_behind_a_convolution(tmp_path, shape):
    model = conv(helper.make_node("Add", ["h", "b"], ["y"]), b=normal(*shape))
    feeds = {"x": normal(2, 3, 6, 6)}
    check(only(tmp_path, model, feeds), *reference(model, feeds, "y"), axis=1, batch=2)


@pytest.mark.parametrize("shape", [(4,), (4, 4), (1, 1, 4, 4)])
def test_what_is_added_by_place_is_no_bias(tmp_path, shape):
    """Along the last axis lie the columns of the feature map: 4 of them, as many as there are outputs."""
    model = conv(helper.make_node("Add", ["h", "b"], ["y"]), b=normal(*shape))
    feeds = {"x": normal(2, 3, 6, 6)}
    layer = only(tmp_path, model, feeds)
    assert layer.bias is None
    check(layer, *reference(model, feeds, "h"), axis=1, batch=2)


def test_what_leaves_the_graph_before_the_bias_has_none(tmp_path):
    model = linear(helper.make_node("Add", ["h", "b"], ["y"]), outputs=("y", "h"), b=normal(4))
    assert only(tmp_path, model, {"x": normal(3, 5)}).bias is None


@pytest.mark.parametrize("has_bias", [False, True])
def test_a_normalisation_is_folded(tmp_path, has_bias):
    after = [helper.make_node("Add", ["h", "b"], ["s"]), batch_norm("s", "y")] if has_bias else [batch_norm("h", "y")]
    bias = {"b": normal(4, 1, 1, seed=4)} if has_bias else {}
    model = conv(*after, **NORM, **bias)
    feeds = {"x": normal(2, 3, 6, 6)}
    check(only(tmp_path, model, feeds), *reference(model, feeds, "y"), axis=1, batch=2)


def test_a_normalisation_of_a_gemm_with_a_matrix_added_is_not_folded(tmp_path):
    nodes = [helper.make_node("Gemm", ["x", "w", "c"], ["h"]), batch_norm("h", "y")]
    stored = {"w": normal(5, 4), "c": normal(3, 4), **NORM}
    model = model_of(nodes, {"x": (3, 5)}, stored)
    feeds = {"x": normal(3, 5)}
    check(only(tmp_path, model, feeds), reference(model, feeds, "h")[0] - stored["c"], batch=3)


@pytest.mark.parametrize("passed", [[], ["Identity"], ["Dropout"], ["Identity", "Dropout", "Identity"]])
@pytest.mark.parametrize(("function", "relu"), [("Relu", True), ("Sigmoid", False), ("LeakyRelu", False)])
def test_an_activation_function(tmp_path, passed, function, relu):
    chain, value = [], "h"
    for place, kind in enumerate(passed):
        chain.append(helper.make_node(kind, [value], [f"p{place}"]))
        value = f"p{place}"
    model = linear(*chain, helper.make_node(function, [value], ["y"]))
    feeds = {"x": normal(3, 5)}
    layer = only(tmp_path, model, feeds)
    assert layer.relu is relu
    check(layer, *reference(model, feeds, "h"), batch=3)
    if relu:
        np.testing.assert_allclose(layer.forward(layer.activations), *reference(model, feeds, "y"), rtol=1e-5)


def test_a_value_that_two_read_has_no_activation_function(tmp_path):
    """The sum of h and relu(h): h itself goes on, with its negative numbers."""
    model = linear(helper.make_node("Relu", ["h"], ["r"]), helper.make_node("Add", ["h", "r"], ["y"]))
    assert not only(tmp_path, model, {"x": normal(3, 5)}).relu


def test_a_value_that_a_branch_reads_too_has_no_activation_function(tmp_path):
    """The branch of an If sees the values around it without naming them among its inputs."""
    branches = {
        name: helper.make_graph([helper.make_node(kind, ["h"], [name])], name, [], [onnx.ValueInfoProto(name=name)])
        for name, kind in (("then", "Neg"), ("other", "Abs"))
    }
    loop = helper.make_node("If", ["cond"], ["z"], then_branch=branches["then"], else_branch=branches["other"])
    model = linear(
        helper.make_node("Relu", ["h"], ["y"]),
        helper.make_node("ReduceMax", ["y"], ["largest"], keepdims=0),
        helper.make_node("Greater", ["largest", "zero"], ["cond"]),
        loop,
        outputs=("y", "z"),
        zero=np.float32(0),
    )
    assert not only(tmp_path, model, {"x": normal(3, 5)}).relu


def test_layers_in_a_row_reach_each_other(tmp_path):
    """What reaches the second layer is what the first gives behind its function."""
    nodes = [
        LINEAR,
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    model = model_of(nodes, {"x": (3, 5)}, {"w": normal(5, 4), "v": normal(4, 2)})
    feeds = {"x": normal(3, 5)}
    first, second = loaded(tmp_path, model, feeds).layers
    np.testing.assert_allclose(second.activations, first.forward(first.activations), rtol=1e-5, atol=1e-6)
    check(second, *reference(model, feeds, "y"), batch=3)
