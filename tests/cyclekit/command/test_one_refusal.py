"""Does one machine's refusal stay one: is everything else computed, shown and written, and is what ran what is said?"""

import json
import re

import numpy as np
import pytest

import workloads
from cyclekit.machine import Demo, load
from workloads import BadInput


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
    nothing = dict.fromkeys(("bytes", "padding_bytes", "cycles", "time_us", "energy_pj", "speed_up"))
    assert result["totals"]["eie"] == nothing | {"reasons": [reason]}
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


@pytest.mark.parametrize(("batch", "ran"), [(None, 8), (3, 3)])
def test_tradeoff_names_the_inputs_that_ran(zeroskip, layer_file, tmp_path, batch, ran):
    asks = [] if batch is None else ["--batch", batch]
    words = ("--patterns", "element", "--density", "0.5", "--tune", "0", "--json", tmp_path / "t.json")
    assert zeroskip("tradeoff", layer_file, *words, *asks).code == 0
    assert json.loads((tmp_path / "t.json").read_text())["batch"] == ran


def test_sensitivity_goes_on_where_a_layer_cannot_be_pruned_so(zeroskip, tmp_path):
    words = ("--pattern", "block 4x4", "--densities", "0.5", "--json", tmp_path / "s.json", "--figures", tmp_path)
    ended = zeroskip("sensitivity", "lenet-300-100-dense", *words)
    assert ended.code == 0
    reason = "shape must be a multiple of 4 x 4 for pattern 'block 4x4', got (10, 100)"
    assert f"  ip3 cannot: {reason}\n" in ended.out
    assert re.search(r"^  ip3 +-$", ended.out, re.MULTILINE)
    rows = {row["layer"]: row for row in json.loads((tmp_path / "s.json").read_text())["rows"]}
    assert rows["ip3"] == {"layer": "ip3", "density": 0.5, "kept": None, "value": None, "reason": reason}
    assert all(0.4 < rows[name]["kept"] <= 0.5 and rows[name]["reason"] is None for name in ("ip1", "ip2"))


def test_sensitivity_of_a_density_that_the_pattern_lacks_is_a_dash(zeroskip):
    ended = zeroskip("sensitivity", "lenet-300-100-dense", "--pattern", "2:4", "--densities", "0.5,0.3")
    assert ended.code == 0
    assert re.search(r"^  ip1 +0\.\d+ +-$", ended.out, re.MULTILINE)


@pytest.mark.parametrize("pattern", ["block 7x7", "cube"])
def test_sensitivity_refuses_what_no_layer_can(zeroskip, pattern):
    ended = zeroskip("sensitivity", "lenet-300-100-dense", "--pattern", pattern, "--densities", "0.5")
    assert pattern in ended.complaint()


@pytest.fixture
def refusing(toy, monkeypatch):
    """Install a toy machine that refuses all that it is asked."""

    def refuse(*_, **__):
        raise BadInput("a toy takes nothing")

    for name in ("encode", "simulate", "estimate", "stored", "demo"):
        monkeypatch.setitem(load("toy").__dict__, name, refuse)


@pytest.mark.usefixtures("refusing")
@pytest.mark.parametrize("verb", ["prune", "tradeoff", "compare"])
def test_a_machine_that_refuses_everything_stops_no_other(zeroskip, layer_file, recipe, tmp_path, verb):
    recipe.write_text('[[step]]\ndo = "prune"\ndensity = 0.5\n')
    words = {
        "prune": ("--recipe", recipe, "--out", tmp_path / "o.npz"),
        "tradeoff": ("--patterns", "element,2:4"),
        "compare": (),
    }
    ended = zeroskip(verb, layer_file, *words[verb], "--json", tmp_path / "r.json")
    assert ended.code == 0
    assert ended.out.count("toy cannot: a toy takes nothing\n") == 1
    assert '"cycles": null' in (tmp_path / "r.json").read_text() or verb == "compare"


@pytest.mark.usefixtures("refusing")
def test_the_demo_of_a_machine_that_refuses_stops_no_other(zeroskip, tmp_path, monkeypatch):
    shown = Demo(built="well", right="", remember={}, further=(), figures=[], passed=True)
    for name in ("eie", "tensorcore"):
        monkeypatch.setitem(load(name).__dict__, "demo", lambda folder, *, progress: shown)
    ended = zeroskip("demo", "--figures", tmp_path / "demo", "--json", tmp_path / "r.json")
    assert ended.code == 1
    assert ended.out.count(": well\n") == 2
    assert "toy cannot: a toy takes nothing\n" in ended.out
    assert json.loads((tmp_path / "r.json").read_text())["toy"] == {"reason": "a toy takes nothing"}
