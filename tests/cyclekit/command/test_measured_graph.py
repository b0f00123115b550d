"""Are `sensitivity` and `tradeoff` of an ONNX graph by its own outputs, as onnxruntime gives them?"""

import json

import numpy as np
import pytest

from tests.graph_case import CONV, INPUTS, NORM, written
from workloads.graphs.execute import run

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def outputs(path, density=1.0):
    """Return y with that share of the convolution's weights, the largest once normalised, left in."""
    model = onnx.load(path)
    sizes = np.abs(CONV * (NORM["gamma"] / np.sqrt(NORM["variance"] + 1e-5))[:, None, None, None])
    least = np.sort(sizes, axis=None)[-round(density * CONV.size)]
    (place,) = (t for t in model.graph.initializer if t.name == "conv.weight")
    place.CopyFrom(onnx.numpy_helper.from_array(np.where(sizes >= least, CONV, np.float32(0)), "conv.weight"))
    return run(model, INPUTS, ["y"])["y"].astype(np.float64)


@pytest.mark.parametrize("labels", [None, np.array([0, 1])])
def test_one_layer_pruned_alone(tmp_path, zeroskip, labels):
    path = written(tmp_path)
    np.savez(tmp_path / "x.npz", **INPUTS, **({} if labels is None else {"labels": labels}))
    words = ["--inputs", tmp_path / "x.npz", "--densities", "0.5", "--json", "-"]
    ended = zeroskip("sensitivity", path, *words)
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    (row,) = (row for row in told["rows"] if row["layer"] == "conv")
    before, after = outputs(path), outputs(path, 0.5)
    if labels is None:
        expected = 0, np.linalg.norm(after - before) / np.linalg.norm(before)
    else:
        expected = tuple((y.argmax(axis=1) == labels).mean() for y in (before, after))
    assert told["measure"] == ("relative error" if labels is None else "accuracy")
    assert (told["dense"], row["value"]) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_a_pattern_of_the_tradeoff(tmp_path, zeroskip):
    path = written(tmp_path)
    np.savez(tmp_path / "x.npz", **INPUTS)
    words = ["--inputs", tmp_path / "x.npz", "--patterns", "filter", "--density", "1", "--batch", "1", "--json", "-"]
    ended = zeroskip("tradeoff", path, *words)
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert (told["measure"], told["quality_dense"], told["rows"][0]["quality_pruned"]) == ("relative error", 0, 0)
