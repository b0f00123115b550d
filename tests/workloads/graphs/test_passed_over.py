"""Is everything in an ONNX graph that no machine takes named, with its sizes and its share of the weights?"""

import numpy as np
import pytest

from tests.onnx_models import TensorProto, helper, loaded, model_of, normal, reference
from workloads.errors import BadInput

ORDERS = {"q": [0, 2, 1, 3], "k": [0, 2, 3, 1], "v": [0, 2, 1, 3]}
N_TOKENS, N_WIDTH, N_HEADS = 6, 8, 2


def attention():
    """Return a model of one attention layer with two heads, and its input."""
    n_each = N_WIDTH // N_HEADS
    nodes = []
    for name in "qkv":
        nodes += [
            helper.make_node("MatMul", ["x", f"{name}.weight"], [f"{name}_flat"]),
            helper.make_node("Reshape", [f"{name}_flat", "heads"], [f"{name}_heads"]),
            helper.make_node("Transpose", [f"{name}_heads"], [name], perm=ORDERS[name]),
        ]
    nodes += [
        helper.make_node("MatMul", ["q", "k"], ["scores"], name="qk"),
        helper.make_node("Softmax", ["scores"], ["shares"], name="softmax"),
        helper.make_node("MatMul", ["shares", "v"], ["mixed"], name="av"),
        helper.make_node("Transpose", ["mixed"], ["back"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["back", "flat"], ["joined"]),
        helper.make_node("MatMul", ["joined", "o.weight"], ["y"]),
    ]
    stored = {f"{name}.weight": normal(N_WIDTH, N_WIDTH, seed=seed) for seed, name in enumerate("qkvo")}
    stored |= {"heads": np.array([0, 0, N_HEADS, n_each]), "flat": np.array([0, 0, N_WIDTH])}
    return model_of(nodes, {"x": (1, N_TOKENS, N_WIDTH)}, stored), {"x": normal(1, N_TOKENS, N_WIDTH)}


def test_products_of_two_computed_values_are_named_with_their_macs(tmp_path):
    """Each of two products of two heads multiplies 6 x 4 by 4 x 6, or 6 x 6 by 6 x 4."""
    model, feeds = attention()
    whole = loaded(tmp_path, model, feeds)
    assert whole.is_graph
    n_macs = N_TOKENS * N_TOKENS * N_WIDTH
    others = {other.name: other for other in whole.others}
    assert {name: other.n_macs for name, other in others.items() if other.n_macs} == {"qk": n_macs, "av": n_macs}
    assert others["qk"].reason == others["av"].reason == "a product of two computed values"
    assert whole.notes == (f"not run: 2 products of two computed values, {2 * n_macs:,} MACs for one run of the graph",)


def test_operators_stand_in_the_order_in_which_they_run_with_the_bytes_that_they_write(tmp_path):
    model, feeds = attention()
    whole = loaded(tmp_path, model, feeds)
    kinds = [layer.kind for layer in whole.operators]
    assert kinds == [node.op_type for node in model.graph.node]
    outputs = [node.output[0] for node in model.graph.node]
    arrays = dict(zip(outputs, reference(model, feeds, *outputs), strict=True))
    others = [other for other in zip(whole.operators, outputs, strict=True) if other[0] in whole.others]
    assert len(others) == len(outputs) - 4
    for other, output in others:
        assert (other.n_elements, other.n_bytes) == (arrays[output].size, arrays[output].nbytes)


def test_an_embedding_is_passed_over_with_its_share(tmp_path):
    """20 rows of 8 in a table, 8 x 4 in the product."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["h"], name="embedding"),
        helper.make_node("MatMul", ["h", "fc.weight"], ["y"]),
    ]
    stored = {"table": normal(20, 8), "fc.weight": normal(8, 4)}
    model = model_of(nodes, {"ids": (2, 3)}, stored, kind=TensorProto.INT64)
    whole = loaded(tmp_path, model, {"ids": np.arange(6).reshape(2, 3)})
    (layer,) = whole.layers
    np.testing.assert_array_equal(layer.activations, stored["table"][:6])
    assert whole.notes == (f"passed over, with {100 * 160 / 192:.1f}% of the weights: embedding (Gather)",)
    assert [(other.n_weights, other.n_bytes) for other in whole.others] == [(160, 4 * 6 * 8)]


@pytest.mark.parametrize(("n", "more"), [(3, ""), (4, " and 1 more")])
def test_three_of_them_are_named_and_the_others_counted(tmp_path, n, more):
    """Each table has 5 x 4 numbers, the product 4 x 2."""
    nodes, last = [], ""
    for i in range(n):
        nodes.append(helper.make_node("Gather", [f"t{i}", "ids"], [f"h{i}"], name=f"e{i}"))
        if last:
            nodes.append(helper.make_node("Add", [last, f"h{i}"], [f"s{i}"]))
        last = f"s{i}" if last else f"h{i}"
    nodes.append(helper.make_node("MatMul", [last, "fc.weight"], ["y"]))
    stored = {f"t{i}": normal(5, 4, seed=i) for i in range(n)} | {"fc.weight": normal(4, 2)}
    whole = loaded(tmp_path, model_of(nodes, {"ids": (2,)}, stored, kind=TensorProto.INT64), {"ids": np.array([0, 1])})
    share = f"{100 * n * 20 / (n * 20 + 8):.1f}%"
    named = "e0 (Gather), e1 (Gather), e2 (Gather)"
    assert whole.notes == (f"passed over, with {share} of the weights: {named}{more}",)


def test_weights_in_a_loop_are_passed_over_and_named(tmp_path):
    """A Scan's body multiplies each step by a matrix of its own, which no layer is made of."""
    tensors = model_of([], {}, {"inside": normal(5, 5)}).graph.initializer
    body = helper.make_graph(
        [helper.make_node("MatMul", ["step", "inside"], ["out"])],
        "body",
        [helper.make_tensor_value_info("step", TensorProto.FLOAT, (2, 5))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, (2, 5))],
        tensors,
    )
    nodes = [
        helper.make_node("Scan", ["x"], ["h"], name="scan", body=body, num_scan_inputs=1),
        helper.make_node("MatMul", ["h", "fc.weight"], ["y"]),
    ]
    model = model_of(nodes, {"x": (3, 2, 5)}, {"fc.weight": normal(5, 5)})
    feeds = {"x": normal(3, 2, 5)}
    whole = loaded(tmp_path, model, feeds)
    (layer,) = whole.layers
    np.testing.assert_allclose(layer.activations, reference(model, feeds, "h")[0].reshape(-1, 5), rtol=1e-5)
    assert whole.notes == ("passed over, with 50.0% of the weights: scan (Scan)",)


def test_a_graph_without_a_product_is_refused(tmp_path):
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": (3, 5)}, {})
    with pytest.raises(BadInput, match="holds no product with stored weights"):
        loaded(tmp_path, model, {"x": normal(3, 5)})
