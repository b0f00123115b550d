"""Is a graph of one product told as a whole, with what of it is no layer?"""

import json

import numpy as np
import pytest

from tests.onnx_models import TensorProto, helper, model_of, normal
from workloads import Model, Workload, load
from workloads.graphs.feed import Feed

# A product of two computed values, whose 3 x 3 sums have 5 terms each, before the one product with stored weights
NODES = [
    helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
    helper.make_node("MatMul", ["x", "t"], ["s"], "scores"),
    helper.make_node("Gather", ["table", "j"], ["g"], "lookup"),
    helper.make_node("Add", ["s", "g"], ["a"]),
    helper.make_node("MatMul", ["a", "w"], ["y"], "out"),
]
STORED = {"table": normal(4, 3), "w": normal(3, 6)}
NOTES = [
    "passed over, with 40.0% of the weights: lookup (Gather)",
    "not run: 1 products of two computed values, 45 MACs for one run of the graph",
]


@pytest.fixture
def path(tmp_path):
    model = model_of(NODES, {"x": (3, 5)}, STORED)
    model.graph.input.append(helper.make_tensor_value_info("j", TensorProto.INT64, [3]))
    (tmp_path / "one.onnx").write_bytes(model.SerializeToString())
    np.savez(tmp_path / "x.npz", x=normal(3, 5), j=np.arange(3))
    return tmp_path / "one.onnx"


def test_the_whole_is_a_model_and_its_layer_a_workload(path):
    feed = Feed.of(inputs=path.with_name("x.npz"))
    whole, layer = load(path, feed), load(f"{path}:w", feed)
    assert isinstance(whole, Model)
    assert isinstance(layer, Workload)
    assert list(whole.notes) == NOTES
    assert [other.name for other in whole.others if other.n_macs] == ["scores"]


@pytest.mark.parametrize("verb", ["run eie", "run tensorcore", "compare", "sweep eie", "prune"])
def test_every_verb_says_what_of_it_is_no_layer(path, zeroskip, verb, tmp_path):
    (tmp_path / "r.toml").write_text('[[step]]\ndo = "prune"\ndensity = 0.5\n')
    more = {
        "sweep eie": ["--vary", "n_pes=2,4", "--workers", 1, "--into", tmp_path / "s.db"],
        "prune": ["--recipe", tmp_path / "r.toml", "--out", tmp_path / "p.npz"],
    }
    words = ["--inputs", tmp_path / "x.npz", "--json", tmp_path / "told.json"]
    ended = zeroskip(*verb.split(), path, *more.get(verb, []), *words)
    assert ended.code == 0, ended.err
    said = " ".join(ended.out.split())
    assert all(note in said for note in NOTES)
    told = json.loads((tmp_path / "told.json").read_text())
    told = told["comparisons"][0] if verb == "compare" else told
    assert [note.removeprefix("one: ") for note in told["notes"] if note.removeprefix("one: ") in NOTES] == NOTES
    if verb.startswith("run"):
        assert len(told["layers"]) == 1
    if verb.startswith(("run", "compare")):
        assert {"Add", "Gather", "MatMul", "Transpose"} == {other["kind"] for other in told["others"]}
