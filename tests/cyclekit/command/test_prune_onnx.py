"""Does `prune` put an ONNX model's new weights back, and say what that changed?"""

import json

import numpy as np
import pytest

from tests.graph_case import INPUTS, written
from workloads.graphs.execute import run

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_the_verb_writes_it_and_says_what_it_changed(tmp_path, zeroskip):
    path = written(tmp_path)
    np.savez(tmp_path / "x.npz", labels=np.array([0, 1]), **INPUTS)
    (tmp_path / "r.toml").write_text('[[step]]\ndo = "prune"\ncriterion = "wanda"\npattern = "2:4"\n')
    out, told = tmp_path / "pruned.onnx", tmp_path / "told.json"
    words = ["--inputs", tmp_path / "x.npz", "--recipe", tmp_path / "r.toml", "--out", out, "--machines", "none"]
    assert zeroskip("prune", path, *words, "--json", told).code == 0
    before, after = (run(onnx.load(file), INPUTS, ["y"])["y"].astype(np.float64) for file in (path, out))
    (row,) = json.loads(told.read_text())["outputs"]
    assert row["relative_error"] == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before))
    assert row["cosine"] == pytest.approx((before * after).sum() / np.linalg.norm(before) / np.linalg.norm(after))
    assert row["top_1"] == (before.argmax(axis=1) == after.argmax(axis=1)).mean()
    assert row["accuracy"] == [(y.argmax(axis=1) == [0, 1]).mean() for y in (before, after)]
    conv = onnx.numpy_helper.to_array(onnx.load(out).graph.initializer[0]).reshape(4, 27)
    groups = np.pad(conv, ((0, 0), (0, 1))).reshape(4, 7, 4)
    assert (np.count_nonzero(groups, axis=2) <= 2).all()
    assert np.count_nonzero(conv) == 4 * (6 * 2 + 2)


def test_a_kernel_is_one_input_channel_of_the_convolution(tmp_path, zeroskip):
    path, out = written(tmp_path), tmp_path / "pruned.onnx"
    np.savez(tmp_path / "x.npz", **INPUTS)
    recipe = '[[step]]\ndo = "prune"\npattern = "kernel"\ndensity = 0.5\ntargets = ["conv"]\n'
    (tmp_path / "r.toml").write_text(recipe)
    words = ["--inputs", tmp_path / "x.npz", "--recipe", tmp_path / "r.toml", "--out", out, "--machines", "none"]
    assert zeroskip("prune", path, *words).code == 0
    conv = onnx.numpy_helper.to_array(onnx.load(out).graph.initializer[0])
    counts = np.count_nonzero(conv, axis=(2, 3)).ravel().tolist()
    assert sorted(counts) == [0] * 6 + [9] * 6  # 4 x 3 kernels of 3 x 3
