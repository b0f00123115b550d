"""Does one machine's refusal stay one: is everything else computed, shown and written, and is what ran what is said?"""

import json

import numpy as np
import pytest

import workloads


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "share.toml"
    path.write_text('[[step]]\ndo = "share"\nbits = 5\n')  # 31 centroids, of which EIE's decoder holds 15
    return path


@pytest.fixture
def layer_file(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "d.npz"
    np.savez(path, weights=rng.standard_normal((20, 32)), activations=np.abs(rng.standard_normal((8, 32))))
    return path


def test_prune_goes_on_where_a_machine_cannot_take_a_layer(zeroskip, layer_file, recipe, tmp_path):
    out = tmp_path / "shared.npz"
    ended = zeroskip("prune", layer_file, "--recipe", recipe, "--out", out, "--json", tmp_path / "r.json")
    assert ended.code == 0
    reason = "codebook must have at most 16 entries for EIE, got 32"
    assert f"  eie cannot: {reason}\n" in ended.out
    result = json.loads((tmp_path / "r.json").read_text())
    (layer,) = result["layers"]
    assert (layer["machines"]["eie"]["reason"], layer["machines"]["eie"]["cycles"]) == (reason, None)
    assert result["totals"]["eie"] == {
        "bytes": None, "padding_bytes": None, "cycles": None, "time_us": None, "speed_up": None, "reasons": [reason]
    }  # fmt: skip
    assert layer["machines"]["tensorcore"]["reason"] is None
    assert result["totals"]["tensorcore"]["cycles"] > 0
    assert len(np.unique(workloads.load(out).weights)) <= 32


@pytest.mark.parametrize(("batch", "ran"), [(None, 8), (16, 8), (8, 8), (3, 3)])
def test_the_inputs_named_are_those_that_ran(zeroskip, layer_file, tmp_path, batch, ran):
    recipe = tmp_path / "prune.toml"
    recipe.write_text('[[step]]\ndo = "prune"\ndensity = 0.3\n')
    asks = [] if batch is None else ["--batch", batch]
    out = tmp_path / "o.npz"
    ended = zeroskip("prune", layer_file, "--recipe", recipe, "--out", out, "--json", tmp_path / "r.json", *asks)
    assert f"eie, {ran} inputs to a layer" in ended.out
    assert json.loads((tmp_path / "r.json").read_text())["batch"] == ran
    runs = zeroskip("run", "eie", out, "--engine", "schedule", "--json", tmp_path / "runs.json")
    assert runs.code == 0
    total = json.loads((tmp_path / "r.json").read_text())["totals"]["eie"]["cycles"]
    assert sum(run["cycles"] for run in json.loads((tmp_path / "runs.json").read_text())) == total
