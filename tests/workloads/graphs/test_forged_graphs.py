"""Is a graph whose nodes make no sense refused in one line, and at once?"""

import numpy as np
import pytest

from tests.onnx_models import TensorProto, helper, model_of, normal, only, onnx
from tests.workloads.graphs.test_hostile_graphs import LINEAR, W, X, linear, refused


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([("Relu", "a", "b"), ("Relu", "b", "a")], "Relu reads 'a', which no operator before it gives"),
        ([("Relu", "a", "a")], "Relu reads 'a', which no operator before it gives"),
        ([("Transpose", "w", "w")], "Transpose gives 'w', which is given already"),
        ([("Relu", "x", "x")], "Relu gives 'x', which is given already"),
        ([("Relu", "y", "y")], "Relu gives 'y', which is given already"),
        ([("Relu", "none", "z")], "Relu reads 'none', which no operator before it gives"),
        ([("NoSuchThing", "y", "z")], "holds an operator 'NoSuchThing', which opset 17 does not have"),
    ],
)
def test_names_and_operators(tmp_path, nodes, said):
    refused(tmp_path, linear(*(helper.make_node(kind, [read], [gives]) for kind, read, gives in nodes)), said)


@pytest.mark.parametrize(
    ("kind", "inputs", "outputs"),
    [
        ("MatMul", ["y"], ["z"]),
        ("MatMul", [], ["z"]),
        ("MatMul", ["y", "w"], []),
        ("Gemm", ["y"], ["z"]),
        ("Conv", ["y"], ["z"]),
        ("If", [], ["z"]),
        ("LSTM", ["y"], ["z"]),
        ("Relu", [], []),
    ],
)
def test_too_few_inputs_or_outputs(tmp_path, kind, inputs, outputs):
    said = f"{kind} has {len(inputs)} inputs and {len(outputs)} outputs"
    refused(tmp_path, linear(helper.make_node(kind, inputs, outputs)), said)


def test_a_recurrent_node_without_outputs_is_no_layer(tmp_path):
    """All its outputs may be left out, and then it gives nothing that anybody needs."""
    node = helper.make_node("RNN", ["s", "i", "r"], [], hidden_size=3)
    model = linear(node, s=normal(2, 1, 5), i=normal(1, 3, 5), r=normal(1, 3, 3))
    assert only(tmp_path, model, {"x": normal(3, 5)}).name == "w"


def test_a_tensor_stored_twice(tmp_path):
    model = linear()
    model.graph.initializer.append(onnx.numpy_helper.from_array(normal(5, 4, seed=1), "w"))
    refused(tmp_path, model, "is damaged: it stores 'w' twice")


@pytest.mark.parametrize("version", [0, -1, 99, 2**62])
def test_an_unknown_opset(tmp_path, version):
    model = linear()
    model.opset_import[0].version = version
    refused(tmp_path, model, f"is of opset {version}, known are 1 to")


def test_an_unknown_domain(tmp_path):
    model = linear(helper.make_node("Strange", ["x"], ["s"], domain="elsewhere"), outputs=("s",))
    model.graph.node.append(helper.make_node("MatMul", ["s", "w"], ["z"]))
    refused(tmp_path, model, "")


def test_no_operators(tmp_path):
    refused(tmp_path, model_of([], X, W, ()), "holds no operator")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_off(tmp_path, share):
    content = linear().SerializeToString()
    refused(tmp_path, content[: int(share * len(content))], "")


@pytest.mark.parametrize("depth", [40, 80, 3000])
def test_graphs_in_graphs(tmp_path, depth):
    """Protobuf itself goes 100 messages deep, each graph being three of them."""
    model = linear()
    graph = model.graph.SerializeToString()
    for _ in range(depth):
        inner = onnx.GraphProto(name="g")
        node = inner.node.add(op_type="If", input=["x"], output=["z"])
        node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH)
        # Tag and length of the fields g of an attribute, attribute of a node, node of a graph, by hand.
        attribute = b"\n\x0bthen_branch" + field(6, graph) + b"\xa0\x01\x05"
        graph = field(1, b"\n\x01x" + b"\x12\x01z" + b'"\x02If' + field(5, attribute)) + field(2, b"g")
    del model.graph.node[:]
    refused(tmp_path, model.SerializeToString() + field(7, graph), "")


def field(number: int, content: bytes) -> bytes:
    """Return a field of bytes as protobuf writes it."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(n: int) -> bytes:
    parts = []
    while n > 127:
        parts.append(n & 127 | 128)
        n >>= 7
    return bytes([*parts, n])


def function(name: str, *called: str):
    nodes, value = [], "a"
    for place, other in enumerate(called):
        nodes.append(helper.make_node(other, [value], [f"v{place}"], domain="own"))
        value = f"v{place}"
    nodes.append(helper.make_node("Relu", [value], ["c"]))
    return helper.make_function(
        "own", name, ["a"], ["c"], nodes, [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    )


def calling(*functions):
    model = linear(helper.make_node("F0", ["y"], ["z"], domain="own"), outputs=("z",))
    model.functions.extend(functions)
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


def test_a_function_that_calls_itself(tmp_path):
    refused(tmp_path, calling(function("F0", "F1"), function("F1", "F0")), "its function 'F0' calls itself")


def test_functions_that_double_thirty_times(tmp_path):
    doubling = [function(f"F{n}", f"F{n + 1}", f"F{n + 1}") for n in range(30)]
    refused(tmp_path, calling(*doubling, function("F30")), "comes to more than 1,000,000 operators")


def test_a_loop_before_a_product(tmp_path):
    """2**60 times around."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Relu", ["v"], ["r"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, ()),
            helper.make_tensor_value_info("c", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, (3, 5)),
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("r", TensorProto.FLOAT, (3, 5)),
        ],
    )
    loop = helper.make_node("Loop", ["n", "", "x"], ["v_out"], body=body)
    stored = {"n": np.int64(2**60)}
    product = helper.make_node("MatMul", ["v_out", "w"], ["z"])
    refused(
        tmp_path, model_of([loop, product], X, W | stored, ("z",)), "computes what reaches a product in a Loop, 'v_out'"
    )


def test_a_value_of_no_numbers(tmp_path):
    model = linear()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    refused(tmp_path, model, "wants 'x'")


def test_an_input_that_is_a_sequence(tmp_path):
    model = model_of([LINEAR], {}, W)
    model.graph.input.append(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, (3, 5)))
    refused(tmp_path, model, "wants for 'x' a sequence or a map, which cannot be given")
