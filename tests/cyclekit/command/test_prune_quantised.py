"""Is a graph's quantised product pruned as the numbers that it stands for, and never put back as others?"""

import json

import numpy as np
import pytest

from tests.onnx_models import CONTRIB, helper, model_of, normal, onnx, reference
from workloads import load

RNG = np.random.default_rng(2)
CODES = RNG.integers(-127, 128, (8, 6)).astype(np.int8)
CODES[CODES == 0] = 1
SCALE, X = np.float32(0.02), {"x": normal(5, 4)}
SIGNAL = {"xs": np.float32(0.02), "xz": np.uint8(120), "ys": np.float32(0.25), "yz": np.uint8(128)}
FIRST = [helper.make_node("MatMul", ["x", "fc.weight"], ["h"])]
HALF = '[[step]]\ndo = "prune"\nwithin = "row"\ndensity = 0.5\n'

# Nodes and arrays of a product of 8-bit weights behind a float one, and its weights f32[out, in]
KINDS = {
    "DequantizeLinear": (
        [
            helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["real"], axis=1),
            helper.make_node("MatMul", ["h", "real"], ["y"]),
        ],
        {"w": CODES, "ws": np.full(6, SCALE), "wz": np.zeros(6, np.int8)},
        CODES.T * SCALE,
    ),
    "MatMulInteger": (
        [
            helper.make_node("DynamicQuantizeLinear", ["h"], ["q", "qs", "qz"]),
            helper.make_node("MatMulInteger", ["q", "w", "qz"], ["i"]),
            helper.make_node("Cast", ["i"], ["f"], to=1),
            helper.make_node("Mul", ["qs", "ws"], ["s"]),
            helper.make_node("Mul", ["f", "s"], ["y"]),
        ],
        {"w": CODES, "ws": SCALE},
        CODES.T * SCALE,
    ),
    "QLinearMatMul": (
        [
            helper.make_node("QuantizeLinear", ["h", "xs", "xz"], ["q"]),
            helper.make_node("QLinearMatMul", ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"]),
        ],
        {"w": CODES, "ws": SCALE, "wz": np.int8(0), **SIGNAL},
        CODES.T * SCALE,
    ),
    "MatMulNBits": (
        [helper.make_node("MatMulNBits", ["h", "w", "ws"], ["y"], domain=CONTRIB, K=16, N=6, bits=8, block_size=16)],
        {"w": RNG.integers(129, 256, (6, 1, 16)).astype(np.uint8), "ws": np.full((6, 1), SCALE)},
        None,
    ),
}


@pytest.fixture(params=KINDS)
def case(request, tmp_path, zeroskip):
    """Return a function that prunes a file of that kind, the path of the result, and the product's weights."""
    nodes, stored, weights = KINDS[request.param]
    n_in = 16 if weights is None else 8
    weights = (stored["w"][:, 0].astype(np.float32) - 128) * SCALE if weights is None else weights
    model = model_of([*FIRST, *nodes], {"x": ("n", 4)}, {"fc.weight": normal(4, n_in), **stored})
    (tmp_path / "q.onnx").write_bytes(model.SerializeToString())
    np.savez(tmp_path / "x.npz", **X)

    def prune(recipe, out):
        (tmp_path / "r.toml").write_text(recipe)
        words = ["--inputs", tmp_path / "x.npz", "--recipe", tmp_path / "r.toml", "--machines", "none"]
        return zeroskip("prune", tmp_path / "q.onnx", *words, "--out", tmp_path / out, "--json", tmp_path / "told.json")

    return prune, tmp_path, weights.astype(np.float32), model


def test_layers_of_its_own_take_the_numbers(case):
    prune, folder, weights, _ = case
    ended = prune(HALF, "p.npz")
    assert ended.code == 0, ended.err
    assert "note: no outputs to compare: layer" in ended.out
    assert "is quantised in the graph" in json.loads((folder / "told.json").read_text())["outputs_unknown"]
    _, layer = load(folder / "p.npz").layers
    least = np.sort(np.abs(weights), axis=1)[:, weights.shape[1] // 2]
    kept = layer.weights != 0
    assert (kept.sum(axis=1) == weights.shape[1] // 2).all()
    np.testing.assert_allclose(layer.weights[kept], weights[kept], rtol=1e-6)
    assert (np.abs(weights)[~kept] <= np.broadcast_to(least[:, None], weights.shape)[~kept]).all()
    assert layer.weight_bits == 8  # a zero has a code, too


def test_moved_weights_have_its_bits_no_more(case):
    prune, folder, *_ = case
    assert prune('[[step]]\ndo = "share"\nbits = 2\n', "p.npz").code == 0
    assert load(folder / "p.npz").layers[1].weight_bits is None


def test_the_graph_does_not_take_them(case):
    prune, folder, *_ = case
    complaint = prune(HALF, "p.onnx").complaint()
    assert complaint.endswith("is quantised in the graph: compress the model before it is quantised")
    assert not (folder / "p.onnx").exists()


def test_what_a_recipe_leaves_alone_stays_as_it_is(case):
    prune, folder, _, model = case
    ended = prune(f'{HALF}targets = ["fc"]\n', "p.onnx")
    assert ended.code == 0, ended.err
    (row,) = json.loads((folder / "told.json").read_text())["outputs"] or [{"relative_error": None}]
    pruned = onnx.load(folder / "p.onnx")
    changed = [t.name for t, u in zip(pruned.graph.initializer, model.graph.initializer, strict=True) if t != u]
    assert changed == ["fc.weight"]
    assert list(pruned.graph.node) == list(model.graph.node)
    (before,), (after,) = (reference(one, X, "y") for one in (model, pruned))
    if before.dtype.kind == "f":
        difference = np.linalg.norm(after.astype(float) - before) / np.linalg.norm(before.astype(float))
        assert row["relative_error"] == pytest.approx(difference)


def test_sensitivity_measures_the_other_layers(case, zeroskip):
    _, folder, _, model = case
    if model.graph.node[-1].op_type == "QLinearMatMul":
        pytest.skip("the graph gives integers, which have no relative error")
    ended = zeroskip(
        "sensitivity",
        folder / "q.onnx",
        "--inputs",
        folder / "x.npz",
        "--densities",
        "0.5",
        "--json",
        folder / "s.json",
    )
    assert ended.code == 0, ended.err
    float_row, quantised = json.loads((folder / "s.json").read_text())["rows"]
    assert float_row["value"] > 0
    assert quantised["value"] is quantised["kept"] is None
    assert quantised["reason"].endswith("is quantised in the graph: compress the model before it is quantised")
