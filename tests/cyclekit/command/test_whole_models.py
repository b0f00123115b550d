"""Is what is printed of a whole model short enough to read, and does it say what did not run?"""

import numpy as np
import pytest

from cyclekit.command.model import show_notes
from cyclekit.terminal import Output

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def model_path(tmp_path):
    """Return an ONNX file of five matrices of 4 x 4, a ReLU between them, a softmax last."""
    from onnx import helper, numpy_helper

    rng, nodes, weights = np.random.default_rng(0), [], []
    for n in range(5):
        weights.append(numpy_helper.from_array(rng.standard_normal((4, 4), np.float32), f"w{n}"))
        nodes.append(helper.make_node("MatMul", [f"x{n}", f"w{n}"], [f"y{n}"]))
        nodes.append(helper.make_node("Softmax" if n == 4 else "Relu", [f"y{n}"], [f"x{n + 1}"]))
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, 4]) for name in ("x0", "x5")]
    graph = helper.make_graph(nodes, "five", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = tmp_path / "five.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("command", [("run", "eie", "--engine", "schedule"), ("compare",)], ids=lambda words: words[0])
def test_what_did_not_run_is_said(zeroskip, model_path, command):
    text = zeroskip(*command, model_path, "--positions", "2").out
    assert "not run and in no sum: 5 operators that are no product: 4 Relu, 1 Softmax" in text
    assert text.count("file five.onnx, executed by onnxruntime; inputs random: standard normal, seed 0") == 1
    assert "2 of 3" in text


def test_many_positions_run_by_the_quick_engine_unless_one_is_named(zeroskip, model_path):
    assert zeroskip("run", "eie", model_path).out.startswith("eie, engine schedule,")
    assert zeroskip("run", "eie", model_path, "--engine", "events").out.startswith("eie, engine events,")


def test_a_model_of_many_layers_is_one_table_in_compare(zeroskip, model_path):
    lines = zeroskip("compare", model_path, "--machines", "eie").out.splitlines()
    start = next(place for place, line in enumerate(lines) if line.endswith("time of an input [us]"))
    heads = ["layer", "out", "x", "in", "positions", "weights", "[%]", "act.", "[%]", "reached", "eie"]
    assert lines[start + 1].split() == heads
    rows = [line.split() for line in lines[start + 2 : start + 7]]
    assert [row[:5] for row in rows] == [[f"w{n}", "4", "x", "4", "3"] for n in range(5)]


def test_notes_that_differ_in_layer_and_numbers_only_are_one(capsys):
    said = [
        ("", "of all"),
        ("conv1", "conv1 has 17 values: shared in 15"),
        ("conv2", "conv2 has 1,024 values: shared in 15"),
        ("conv2", "it is slow"),
        ("fc", "it is large"),
    ]
    show_notes(Output(None), "note", said, most=3)
    assert capsys.readouterr().out.splitlines() == [
        "  note: of all",
        "  note: conv1 has 17 values: shared in 15 (the like in 2 layers)",
        "  note: conv2: it is slow",
        "  note: and 1 more, which --json tells",
    ]
