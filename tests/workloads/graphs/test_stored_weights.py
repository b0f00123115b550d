"""Are the weights of an ONNX graph found wherever they stand: behind nodes, in branches, sparse, in other files?"""

import numpy as np
import pytest

from tests.onnx_models import TensorProto, check, helper, loaded, model_of, normal, only, onnx, reference, tensor
from workloads import load
from workloads.address import layers
from workloads.errors import BadInput
from workloads.graphs.feed import Feed

X = {"x": (3, 5)}
FEEDS = {"x": normal(3, 5)}
LINEAR = helper.make_node("MatMul", ["x", "w"], ["y"])
SCALE, ZERO = np.float32(0.02), np.uint8(7)
QUANTISED = np.random.default_rng(0).integers(0, 256, (5, 4)).astype(np.uint8)

BEHIND = {
    "Identity": ([helper.make_node("Identity", ["s"], ["w"])], {"s": normal(5, 4)}),
    "Transpose": ([helper.make_node("Transpose", ["s"], ["w"], perm=[1, 0])], {"s": normal(4, 5)}),
    "Cast": ([helper.make_node("Cast", ["s"], ["w"], to=TensorProto.FLOAT)], {"s": normal(5, 4).astype(np.float16)}),
    "Reshape": ([helper.make_node("Reshape", ["s", "shape"], ["w"])], {"s": normal(20), "shape": np.array([5, 4])}),
    "Constant": ([helper.make_node("Constant", [], ["w"], value=tensor("t", normal(5, 4)))], {}),
    "two": (
        [helper.make_node("Identity", ["s"], ["i"]), helper.make_node("Transpose", ["i"], ["w"], perm=[1, 0])],
        {"s": normal(4, 5)},
    ),
    "DequantizeLinear": (
        [helper.make_node("DequantizeLinear", ["s", "scale", "zero"], ["w"])],
        {"s": QUANTISED, "scale": SCALE, "zero": ZERO},
    ),
    "DequantizeLinear by column": (
        [helper.make_node("DequantizeLinear", ["s", "scale", "zero"], ["w"], axis=1)],
        {"s": QUANTISED, "scale": np.abs(normal(4)), "zero": np.arange(4, dtype=np.uint8)},
    ),
    "DequantizeLinear and Transpose": (
        [
            helper.make_node("DequantizeLinear", ["s", "scale", "zero"], ["d"]),
            helper.make_node("Transpose", ["d"], ["w"], perm=[1, 0]),
        ],
        {"s": np.ascontiguousarray(QUANTISED.T), "scale": SCALE, "zero": ZERO},
    ),
}


@pytest.mark.parametrize("name", BEHIND)
def test_behind_other_nodes(tmp_path, name):
    nodes, stored = BEHIND[name]
    model = model_of([*nodes, LINEAR], X, stored)
    layer = only(tmp_path, model, FEEDS)
    check(layer, *reference(model, FEEDS, "y"), batch=3)
    assert layer.weight_bits == (8 if name.startswith("Dequantize") else None)
    np.testing.assert_array_equal(layer.weights.T, *reference(model, FEEDS, "w"))


@pytest.mark.parametrize("name", BEHIND)
def test_they_are_found_without_running_the_graph(tmp_path, name):
    nodes, stored = BEHIND[name]
    model = model_of([*nodes, LINEAR], X, stored)
    (tmp_path / "f.onnx").write_bytes(model.SerializeToString())
    (layer,) = layers(tmp_path / "f.onnx").values()
    np.testing.assert_array_equal(layer.weights.T, *reference(model, FEEDS, "w"))


def test_a_convolution_quantised_by_channel(tmp_path):
    """Q and DQ around the signal, too: what reaches the layer is the rounded signal."""
    codes = np.random.default_rng(0).integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    stored = {"s": codes, "scale": np.abs(normal(4)), "zero": np.zeros(4, np.int8), "x_scale": SCALE, "x_zero": ZERO}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "x_scale", "x_zero"], ["r"]),
        helper.make_node("DequantizeLinear", ["s", "scale", "zero"], ["w"], axis=0),
        helper.make_node("Conv", ["r", "w"], ["y"]),
    ]
    model = model_of(nodes, {"x": (2, 3, 5, 5)}, stored)
    feeds = {"x": normal(2, 3, 5, 5)}
    layer = only(tmp_path, model, feeds)
    check(layer, *reference(model, feeds, "y"), axis=1, batch=2)
    assert layer.weight_bits == 8
    steps = layer.activations / SCALE
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)


# Branches


def branch(name: str, weight: str, seed: int, *extra, op: str = "MatMul"):
    """Return a graph of one matrix, whose names are the same in every branch."""
    nodes = [helper.make_node(op, ["x", weight], ["inner"], name="node"), *extra]
    last = extra[-1].output[0] if extra else "inner"
    output = helper.make_empty_tensor_value_info(last)
    return helper.make_graph(nodes, name, [], [output], [tensor(weight, normal(5, 4, seed=seed))])


def branching(then, other, before=()):
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["cond"]),
        *before,
        helper.make_node("If", ["cond"], ["y"], then_branch=then, else_branch=other),
    ]
    return model_of(nodes, X, {"zero": np.float32(0)})


@pytest.mark.parametrize(("sign", "seed"), [(1, 1), (-1, 2)])
def test_the_branch_that_the_inputs_take(tmp_path, sign, seed):
    model = branching(branch("then", "a.weight", 1), branch("else", "b.weight", 2))
    feeds = {"x": sign * np.abs(FEEDS["x"])}
    layer = only(tmp_path, model, feeds)
    assert layer.name == {1: "a", -1: "b"}[sign]
    np.testing.assert_array_equal(layer.weights.T, normal(5, 4, seed=seed))
    check(layer, *reference(model, feeds, "y"), batch=3)


def test_inputs_that_take_different_branches_are_refused(tmp_path):
    """A graph of one input runs once for each, and one run's layers are not another's."""
    model = branching(branch("then", "a.weight", 1), branch("else", "b.weight", 2))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    rows = np.abs(normal(2, 5)) * [[1], [-1]]
    assert only(tmp_path, model, {"x": np.abs(rows)}).name == "a"
    with pytest.raises(BadInput, match="takes other branches for run 1 of its inputs than for the first, by 'cond'"):
        loaded(tmp_path, model, {"x": rows})


@pytest.mark.parametrize("signs", [(1, 1), (1, -1)])
def test_branches_in_branches(tmp_path, signs):
    """The sum decides outside, the first number inside; the names inside and outside are the same."""
    inner_if = helper.make_node(
        "If",
        ["cond"],
        ["out"],
        then_branch=branch("then", "w", 1),
        else_branch=branch("else", "w", 2),
    )
    inner_nodes = [
        helper.make_node("Slice", ["x", "start", "end", "axes"], ["cut"]),
        helper.make_node("ReduceSum", ["cut"], ["first"], keepdims=0),
        helper.make_node("Greater", ["first", "zero"], ["cond2"]),
    ]
    inner_if.input[0] = "cond2"
    stored = {"start": np.array([0, 0]), "end": np.array([1, 1]), "axes": np.array([0, 1])}
    then = helper.make_graph(
        [*inner_nodes, inner_if],
        "outer",
        [],
        [helper.make_empty_tensor_value_info("out")],
        [tensor(name, array) for name, array in stored.items()],
    )
    model = branching(then, branch("else", "w", 3))
    x = np.abs(FEEDS["x"]) * signs[0]
    x[0, 0] = signs[1] * 1e-3
    layer = only(tmp_path, model, {"x": x})
    np.testing.assert_array_equal(layer.weights.T, normal(5, 4, seed={1: 1, -1: 2}[signs[1]]))
    check(layer, *reference(model, {"x": x}, "y"), batch=3)


def test_names_of_a_branch_that_the_graph_has_too(tmp_path):
    """Two Ifs in a row whose branches all call their values and nodes the same."""
    first, second = (branching(branch("then", "w", s), branch("else", "w", s + 1)) for s in (1, 3))
    last = second.graph.node[-1]
    last.output[0] = "z"
    nodes = [*first.graph.node, last, helper.make_node("Add", ["y", "z"], ["both"])]
    model = model_of(nodes, X, {"zero": np.float32(0)}, ("both",))
    feeds = {"x": np.abs(FEEDS["x"])}
    one, other = loaded(tmp_path, model, feeds).layers
    np.testing.assert_array_equal(one.weights.T, normal(5, 4, seed=1))
    np.testing.assert_array_equal(other.weights.T, normal(5, 4, seed=3))
    assert one.name != other.name
    check(one, *reference(model, feeds, "y"), batch=3)
    check(other, *reference(model, feeds, "z"), batch=3)


# Other places


def test_weights_that_are_listed_among_the_inputs_as_old_files_have_it(tmp_path):
    model = model_of([LINEAR], X | {"w": (5, 4)}, {"w": normal(5, 4)})
    check(only(tmp_path, model, FEEDS), *reference(model, FEEDS, "y"), batch=3)


def test_weights_that_two_products_share(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])]
    model = model_of(nodes, X, {"w": normal(5, 5)})
    first, second = loaded(tmp_path, model, FEEDS).layers
    assert (first.name, second.name) == ("w", "w#2")
    for layer, expected in zip((first, second), reference(model, FEEDS, "h", "y"), strict=True):
        check(layer, expected, batch=3)


def test_a_table_that_is_read_and_multiplied_is_not_passed_over(tmp_path):
    """An embedding whose rows are looked up at the beginning and multiplied at the end: no weight is left out."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["h"], name="embedding"),
        helper.make_node("Transpose", ["table"], ["w"], perm=[1, 0]),
        helper.make_node("MatMul", ["h", "w"], ["y"]),
    ]
    model = model_of(nodes, {"ids": (2,)}, {"table": normal(20, 8)}, kind=TensorProto.INT64)
    assert loaded(tmp_path, model, {"ids": np.array([3, 4])}).notes == ()


@pytest.mark.parametrize("by_axis", [False, True])
def test_a_sparse_initializer(tmp_path, by_axis):
    dense = np.zeros((5, 4), np.float32)
    places = np.array([1, 6, 7, 19])
    dense.ravel()[places] = [1, -2, 3, 4]
    model = model_of([LINEAR], X, {})
    sparse = onnx.SparseTensorProto(dims=dense.shape)
    sparse.values.CopyFrom(tensor("w", dense.ravel()[places]))
    sparse.indices.CopyFrom(tensor("", np.argwhere(dense) if by_axis else places))
    model.graph.sparse_initializer.append(sparse)
    layer = only(tmp_path, model, FEEDS)
    np.testing.assert_array_equal(layer.weights, dense.T)
    check(layer, FEEDS["x"] @ dense, batch=3)


def test_weights_in_a_file_beside_the_model(tmp_path):
    nodes = [LINEAR, helper.make_node("MatMul", ["y", "v"], ["z"])]
    model = model_of(nodes, X, {"w": normal(5, 4), "v": normal(4, 2)}, ("z",))
    expected = reference(model, FEEDS, "y", "z")
    onnx.save_model(model, tmp_path / "f.onnx", save_as_external_data=True, location="f.bin", size_threshold=0)
    first, second = load(tmp_path / "f.onnx", Feed.of(inputs=FEEDS)).layers
    check(first, expected[0], batch=3)
    check(second, expected[1], batch=3)


def test_a_function_of_the_models_own(tmp_path):
    """A model's local function is a product of its own at each place that calls it."""
    product = helper.make_node("MatMul", ["a", "b"], ["c"])
    body = helper.make_function("own", "Linear", ["a", "b"], ["c"], [product], [helper.make_opsetid("", 17)])
    nodes = [
        helper.make_node("Linear", ["x", "w"], ["y"], domain="own"),
        helper.make_node("Linear", ["y", "v"], ["z"], domain="own"),
    ]
    model = model_of(nodes, X, {"w": normal(5, 4), "v": normal(4, 2)}, ("z",))
    model.functions.append(body)
    model.opset_import.append(helper.make_opsetid("own", 1))
    first, second = loaded(tmp_path, model, FEEDS).layers
    expected = reference(model, FEEDS, "y", "z")
    check(first, expected[0], batch=3)
    check(second, expected[1], batch=3)
