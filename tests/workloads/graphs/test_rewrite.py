"""Are pruned weights put back into the graph where they were, and is nothing else touched?"""

import numpy as np
import pytest

from tests.graph_case import BIAS, CONV, DENSE, INPUTS, NORM, written
from workloads import BadInput
from workloads.graphs import rewrite
from workloads.graphs.execute import run
from workloads.graphs.feed import Feed
from workloads.graphs.graph import as_model, read
from workloads.records import Layer

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
RNG = np.random.default_rng(1)


@pytest.fixture
def path(tmp_path):
    return written(tmp_path)


def layers_of(path):
    graph = read(path, Feed(arrays=INPUTS))
    return graph, {layer.name: layer for layer in as_model(graph, Feed()).layers}


def changed(layer, weights) -> Layer:
    return Layer(name=layer.name, weights=weights, bias=layer.bias)


def test_masks_go_back_through_a_normalisation_and_a_transpose(path):
    graph, layers = layers_of(path)
    masks = {name: RNG.random(layer.weights.shape) < 0.5 for name, layer in layers.items()}
    model = rewrite.with_weights(
        graph, {name: changed(layer, layer.weights * masks[name]) for name, layer in layers.items()}
    )
    # By hand: the mask over the convolution's own weights, and over the matrix, whatever comes after either.
    conv = CONV * masks["conv"].reshape(CONV.shape)
    outputs = np.stack([conv_of(sample, conv) for sample in INPUTS["x"]]) + BIAS[:, None, None]
    scale = NORM["gamma"] / np.sqrt(NORM["variance"] + 1e-5)
    normed = (outputs - NORM["mean"][:, None, None]) * scale[:, None, None] + NORM["beta"][:, None, None]
    (fc,) = (name for name in layers if name != "conv")
    expected = np.maximum(normed, 0).mean(axis=(2, 3)) @ (DENSE * masks[fc].T)
    assert np.allclose(run(model, INPUTS, ["y"])["y"], expected, rtol=1e-5, atol=1e-5)
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert np.array_equal(tensors["conv.weight"] == 0, conv == 0)
    assert all(np.array_equal(tensors[name], array) for name, array in (NORM | {"conv.bias": BIAS}).items())


def conv_of(sample, weights):
    windows = np.lib.stride_tricks.sliding_window_view(sample, (3, 3), axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows, weights)


def test_a_graph_whose_weights_are_as_they_were_is_the_same_file(path):
    graph, layers = layers_of(path)
    assert rewrite.with_weights(graph, layers).SerializeToString() == path.read_bytes()
    (row,) = rewrite.compared(graph, graph.model)
    assert (row["relative_error"], row["top_1"]) == (0, 1)
    assert row["cosine"] == pytest.approx(1)


@pytest.mark.parametrize("is_normed", [True, False])
def test_a_new_bias_goes_where_the_last_constant_is_added(path, is_normed):
    if not is_normed:
        model = onnx.load(path)
        model.graph.node[1].CopyFrom(onnx.helper.make_node("Identity", ["c"], ["n"], "norm"))
        onnx.save(model, path)
    graph, layers = layers_of(path)
    conv, change = layers["conv"], np.arange(4, dtype=np.float32) - 1
    new = Layer(name="conv", weights=conv.weights, bias=conv.bias + change)
    model = rewrite.with_weights(graph, {"conv": new})
    before, after = (run(m, INPUTS, ["n"])["n"] for m in (graph.model, model))
    assert np.allclose(after, before + change[:, None, None], rtol=1e-5, atol=1e-5)
    differing = [t.name for t, u in zip(model.graph.initializer, graph.model.graph.initializer, strict=True) if t != u]
    assert differing == ["beta" if is_normed else "conv.bias"]


@pytest.mark.parametrize(
    ("added", "node"),
    [
        (np.float32([0.5]), ("Add", ["h", "b"], ["y"])),  # one number, which stood for all
        (np.ones(3, np.float32), ("Add", ["b", "h"], ["y"])),
        (np.ones((1, 3), np.float32), ("Gemm", ["x", "w", "b"], ["y"], {"beta": 2.0})),
    ],
)
def test_a_new_bias_behind_a_matrix(tmp_path, added, node):
    kind, reads, leaves, *settings = node
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["h"])] if kind == "Add" else []
    nodes.append(onnx.helper.make_node(kind, reads, leaves, **(settings[0] if settings else {})))
    inputs = {"x": RNG.standard_normal((2, 3), np.float32)}
    graph, layers = tied(tmp_path, nodes, {"w": RNG.standard_normal((3, 3), np.float32), "b": added}, inputs)
    (layer,) = layers.values()
    new = Layer(name=layer.name, weights=layer.weights, bias=layer.bias + np.float32([1, 2, 3]))
    after = run(rewrite.with_weights(graph, {layer.name: new}), inputs, ["y"])["y"]
    assert np.allclose(after - run(graph.model, inputs, ["y"])["y"], [1, 2, 3], rtol=1e-5)


@pytest.mark.parametrize("trans_b", [0, 1])
def test_the_factor_of_a_matrix_is_not_put_back_with_it(tmp_path, trans_b):
    # y = 4 x B: a layer of 4 B, of which the graph holds a quarter
    w, inputs = RNG.standard_normal((3, 3), np.float32), {"x": RNG.standard_normal((2, 3), np.float32)}
    node = onnx.helper.make_node("Gemm", ["x", "w"], ["y"], alpha=4.0, transB=trans_b)
    graph, layers = tied(tmp_path, [node], {"w": w}, inputs)
    (layer,) = layers.values()
    assert np.array_equal(layer.weights, 4 * (w if trans_b else w.T))
    new = RNG.standard_normal((3, 3), np.float32)
    model = rewrite.with_weights(graph, {layer.name: Layer(name=layer.name, weights=new)})
    (tensor,) = model.graph.initializer
    assert np.array_equal(onnx.numpy_helper.to_array(tensor), (new if trans_b else new.T) / 4)
    assert np.allclose(run(model, inputs, ["y"])["y"], inputs["x"] @ new.T, rtol=1e-5, atol=1e-6)


def test_a_bias_without_a_place_is_refused(path):
    graph, layers = layers_of(path)
    (name,) = (name for name in layers if name != "conv")
    with pytest.raises(BadInput, match=f"layer '{name}' has another bias than the graph, which has no place for it"):
        rewrite.with_weights(graph, {name: Layer(name=name, weights=layers[name].weights, bias=np.ones(5))})


GROUPED = {
    "dw": RNG.standard_normal((6, 1, 3), np.float32),
    "pairs": RNG.standard_normal((4, 3, 2), np.float32),
    "up": RNG.standard_normal((4, 3, 2), np.float32),  # [in, out / groups, kernel]
}


def test_the_blocks_of_groups_go_back_alone(tmp_path):
    norm = {name: RNG.random(6, np.float32) + np.float32(0.5) for name in ("g", "b", "m", "v")}
    nodes = [
        onnx.helper.make_node("Conv", ["x", "dw"], ["c"], "first", group=6, pads=[1, 1]),
        onnx.helper.make_node("BatchNormalization", ["c", *norm], ["n"], "norm"),
        onnx.helper.make_node("Conv", ["n", "pairs"], ["d"], "second", group=2),
        onnx.helper.make_node("ConvTranspose", ["d", "up"], ["y"], "third", group=2),
    ]
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 6, 8])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in (GROUPED | norm).items()]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "g", [x], [y], tensors),
        opset_imports=[onnx.helper.make_opsetid("", 13)],
        ir_version=8,
    )
    onnx.save(model, tmp_path / "g.onnx")
    graph = read(tmp_path / "g.onnx", Feed(n=1))
    layers = {layer.name: layer for layer in as_model(graph, Feed()).layers}
    new = {
        name: changed(layer, layer.weights * (RNG.random(layer.weights.shape) < 0.5)) for name, layer in layers.items()
    }
    onnx.save(rewrite.with_weights(graph, new), tmp_path / "new.onnx")
    again = as_model(read(tmp_path / "new.onnx", Feed(n=1)), Feed()).layers
    assert [layer.name for layer in again] == ["dw", "pairs", "up"]
    for layer in again:
        assert np.array_equal(layer.weights != 0, new[layer.name].weights != 0)
        assert np.allclose(layer.weights, new[layer.name].weights, rtol=1e-6)
    written = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(tmp_path / "new.onnx").graph.initializer}
    for name, before in GROUPED.items():  # every number is as it was, or 0
        assert np.allclose(np.where(written[name] == 0, 0, before), written[name], rtol=1e-6)
        assert 0 < np.count_nonzero(written[name]) < before.size


# Weights that something else reads, too


def tied(tmp_path, nodes, stored, inputs):
    """Return the graph of f32[n, 3] inputs x, its Gathers' indices i, and its layers by name."""
    helper, kind = onnx.helper, onnx.TensorProto
    entering = [
        helper.make_tensor_value_info(n, kind.INT64 if n == "i" else kind.FLOAT, a.shape) for n, a in inputs.items()
    ]
    inner = {name for node in nodes for name in node.input}
    leaving = [
        helper.make_tensor_value_info(n, kind.FLOAT, None) for node in nodes if (n := node.output[0]) not in inner
    ]
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "g", entering, leaving, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "tied.onnx")
    graph = read(tmp_path / "tied.onnx", Feed(arrays=inputs))
    return graph, {layer.name: layer for layer in as_model(graph, Feed()).layers}


def test_a_table_that_is_looked_up_stays_where_its_product_is_pruned(tmp_path):
    table = RNG.standard_normal((4, 3), np.float32)
    nodes = [
        onnx.helper.make_node("Gather", ["table", "i"], ["row"], "lookup"),
        onnx.helper.make_node("Gemm", ["x", "table"], ["y"], "head", transB=1),
    ]
    inputs = {"x": np.ones((1, 3), np.float32), "i": np.array([2])}
    graph, layers = tied(tmp_path, nodes, {"table": table}, inputs)
    (layer,) = layers.values()
    model = rewrite.with_weights(graph, {layer.name: changed(layer, 0 * layer.weights)})
    values = run(model, inputs, ["row", "y"])
    assert np.array_equal(values["row"], table[[2]])
    assert not values["y"].any()


def test_of_two_products_of_one_matrix_only_the_pruned_one_changes(tmp_path):
    matrix = RNG.standard_normal((3, 3), np.float32)
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], [name], name) for name in ("first", "second")]
    inputs = {"x": np.ones((1, 3), np.float32)}
    graph, layers = tied(tmp_path, nodes, {"w": matrix}, inputs)
    second = [*layers.values()][1]
    model = rewrite.with_weights(graph, layers | {second.name: changed(second, 0 * second.weights)})
    values = run(model, inputs, ["first", "second"])
    assert np.allclose(values["first"], matrix.sum(axis=0))
    assert not values["second"].any()
