"""Do the rows that reach a matrix of an ONNX graph, times it, give what onnxruntime computes, wherever it stands?"""

import numpy as np
import pytest

from tests.onnx_models import TensorProto, check, helper, loaded, model_of, normal, only, product_of, reference


@pytest.mark.parametrize("c_shape", [None, (), (1,), "m", "n", "mn"])
@pytest.mark.parametrize("beta", [1.0, 0.5])
@pytest.mark.parametrize("alpha", [1.0, -2.0])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("constant", ["A", "B"])
def test_gemm(tmp_path, constant, trans_a, trans_b, alpha, beta, c_shape):
    m, k, n = 3, 5, 4
    shapes = {"A": (k, m) if trans_a else (m, k), "B": (n, k) if trans_b else (k, n)}
    moving = "B" if constant == "A" else "A"
    stored = {constant: normal(*shapes[constant])}
    if c_shape is not None:
        stored["C"] = normal(*{"m": (m, 1), "n": (n,), "mn": (m, n)}.get(c_shape, c_shape), seed=1)
    settings = {"alpha": alpha, "beta": beta, "transA": trans_a, "transB": trans_b}
    node = helper.make_node("Gemm", ["A", "B", *(["C"] if "C" in stored else [])], ["y"], **settings)
    model = model_of([node], {moving: shapes[moving]}, stored)
    feeds = {moving: normal(*shapes[moving], seed=2)}
    (expected,) = reference(model, feeds, "y")
    layer = only(tmp_path, model, feeds)
    along_outputs = {"A": "m", "B": "n"}[constant]
    is_bias = c_shape in (None, (), (1,), along_outputs)
    if not is_bias:  # what is added is not the same at each position, and so is no part of the layer
        assert layer.bias is None
        expected = expected - np.float32(beta) * stored["C"]
    rows = np.moveaxis(expected, 0 if constant == "A" else 1, -1)
    np.testing.assert_allclose(product_of(layer), rows, rtol=1e-5, atol=1e-5)
    assert layer.batch * layer.positions == (n if constant == "A" else m)


@pytest.mark.parametrize(
    ("signal", "matrix", "batch"),
    [
        ((2, 5), (5, 4), 2),
        ((2, 3, 5), (5, 4), 2),
        ((2, 3, 6, 5), (5, 4), 2),
        ((2, 3, 5), (1, 5, 4), 2),
        ((2, 3, 6, 5), (1, 1, 5, 4), 2),
        ((2, 5), (5, 1), 2),
    ],
)
def test_matmul_with_the_matrix_on_the_right(tmp_path, signal, matrix, batch):
    model = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": signal}, {"w": normal(*matrix)})
    feeds = {"x": normal(*signal)}
    check(only(tmp_path, model, feeds), *reference(model, feeds, "y"), batch=batch)


@pytest.mark.parametrize(
    ("signal", "matrix", "batch"),
    [((2, 5, 3), (4, 5), 2), ((2, 3, 5, 6), (4, 5), 2), ((2, 5, 3), (1, 4, 5), 2), ((2, 5, 1), (1, 5), 2)],
)
def test_matmul_with_the_matrix_on_the_left(tmp_path, signal, matrix, batch):
    model = model_of([helper.make_node("MatMul", ["w", "x"], ["y"])], {"x": signal}, {"w": normal(*matrix)})
    feeds = {"x": normal(*signal)}
    check(only(tmp_path, model, feeds), *reference(model, feeds, "y"), axis=-2, batch=batch)


@pytest.mark.parametrize("is_left", [False, True])
def test_matmul_of_one_vector(tmp_path, is_left):
    node = helper.make_node("MatMul", ["w", "x"] if is_left else ["x", "w"], ["y"])
    model = model_of([node], {"x": (5,)}, {"w": normal(4, 5) if is_left else normal(5, 4)})
    feeds = {"x": normal(5)}
    layer = only(tmp_path, model, feeds)
    (expected,) = reference(model, feeds, "y")
    np.testing.assert_allclose(layer.activations @ layer.weights.T, [expected], rtol=1e-5)


@pytest.mark.parametrize(("shape", "said"), [((2, 5, 4), "a stack of matrices [2, 5, 4]"), ((5,), "a vector [5]")])
def test_what_is_no_matrix_is_passed_over_and_named(tmp_path, shape, said):
    nodes = [
        helper.make_node("MatMul", ["x", "fc.weight"], ["h"]),
        helper.make_node("MatMul", ["h", "odd"], ["y"]),
    ]
    model = model_of(nodes, {"x": (2, 3, 5)}, {"fc.weight": normal(5, 5), "odd": normal(*shape)})
    whole = loaded(tmp_path, model, {"x": normal(2, 3, 5)})
    assert [layer.name for layer in whole.layers] == ["fc"]
    assert [(other.name, other.reason) for other in whole.others] == [("odd" if len(shape) > 1 else "y", said)]


def test_a_model_of_half_precision(tmp_path):
    """Its values are of 11 bits, and a sum of 5 products of them is rounded once more: two parts in 2**10."""
    stored = {"w": normal(5, 4).astype(np.float16)}
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = model_of([node], {"x": (3, 5)}, stored, kind=TensorProto.FLOAT16)
    feeds = {"x": normal(3, 5).astype(np.float16)}
    (expected,) = reference(model, feeds, "y")
    layer = only(tmp_path, model, feeds)
    assert layer.weights.dtype == np.float32
    check(layer, expected, batch=3, step=2**-9 * float(np.abs(expected).max()))
