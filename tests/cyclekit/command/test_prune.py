"""Do `zeroskip prune`, `tradeoff` and `data` do what their help says, and refuse what they cannot?"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from workloads import tasks
from workloads.networks import data, nets
from workloads.pruning.patterns import mask
from workloads.pruning.scores import magnitude

ROOT = Path(__file__).parents[3]
TEXTS = [(ROOT / name).read_text(encoding="utf-8") for name in ("docs/pruning.md", "README.md")]
RECIPES = [recipe for text in TEXTS for recipe in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)]
RECIPES = [recipe for recipe in RECIPES if '"depth"' not in recipe]  # which takes blocks: see test_prune_cut.py


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Add a network 8 -> 16 -> 8 -> 4 with inputs and labels, "tiny", to those that have a name."""
    rng = np.random.default_rng(0)
    inputs, labels = rng.standard_normal((60, 8), np.float32), rng.integers(0, 4, 60)
    task = tasks.Task(
        name="tiny",
        network=nets.mlp((8, 16, 8, 4), seed=0),
        provenance="made up",
        inputs=inputs[:40],
        labels=labels[:40],
        test_inputs=inputs[40:],
        test_labels=labels[40:],
    )
    monkeypatch.setitem(tasks.NAMED, "tiny", (lambda: task, "a tiny network"))
    return task


@pytest.fixture
def recipe(tmp_path):
    """Return a function that writes a recipe and returns its path."""

    def write(text):
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def pruned(zeroskip, recipe, tmp_path):
    """Return a function that prunes `tiny` by a recipe: how the command ended, its JSON, and the file that it wrote."""

    def command(text, *options):
        out, found = tmp_path / "w.npz", tmp_path / "w.json"
        asked = ("prune", "tiny", "--recipe", recipe(text), "--out", out, "--batch", "3", "--json", found)
        ended = zeroskip(*asked, *options)
        assert ended.code == 0, ended.err
        return ended, json.loads(found.read_text()), out

    return command


SHARED = '[[step]]\ndo = "prune"\ndensity = 0.25\n[[step]]\ndo = "tune"\nepochs = 1\n[[step]]\ndo = "share"\n'
TWO_OF_FOUR = '[[step]]\ndo = "prune"\npattern = "2:4"\n'
FILTERS = '[[step]]\ndo = "prune"\npattern = "filter"\ndensity = 0.5\n'


@pytest.mark.parametrize(("text", "options"), [(SHARED, ()), (TWO_OF_FOUR, ()), (FILTERS, ("--compact",))])
def test_what_is_written_runs_on_both_machines_with_the_reported_cycles(zeroskip, pruned, text, options):
    _, result, path = pruned(text, "--check", *options)
    for layer in result["layers"]:
        for name, row in layer["machines"].items():
            changes = [word for field, value in row["spec"].items() for word in ("--set", f"{field}={value}")]
            how = ("--check", "--engine", "schedule", "--json", "-", *changes)
            ended = zeroskip("run", name, f"{path}:{layer['layer']}", *how)
            assert ended.code == 0, ended.err
            runs = json.loads(ended.out)
            runs = runs if isinstance(runs, list) else [runs]
            assert row["checked"]
            assert all(run["check"]["passed"] for run in runs)
            assert sum(run["cycles"] for run in runs) == row["cycles"]


def test_all_layers_of_a_file_run_apart(zeroskip, pruned):
    _, result, path = pruned(SHARED)
    runs = json.loads(zeroskip("run", "eie", path, "--inputs", "2", "--engine", "schedule", "--json", "-").out)
    names = [layer["layer"] for layer in result["layers"]]
    assert [(run["workload"], run["input"]) for run in runs] == [(name, i) for name in names for i in (0, 1)]
    found = json.loads(zeroskip("explain", "eie", path, "--layer", "ip2", "--json", "-").out)
    assert all(title.startswith("ip2: ") for title in found["tables"])


def test_the_report_tells_every_layer_on_every_machine(pruned):
    ended, result, path = pruned(SHARED)
    assert [layer["layer"] for layer in result["layers"]] == ["ip1", "ip2", "ip3"]
    assert [layer["density"] for layer in result["layers"]] == [0.25] * 3
    assert result["totals"]["eie"]["cycles"] == sum(row["machines"]["eie"]["cycles"] for row in result["layers"])
    assert (result["measure"], len(result["steps"])) == ("accuracy", 9)
    assert all(64 < layer["bytes_huffman"] < layer["bytes_f32"] for layer in result["layers"])  # 64: the codebook
    for told in (
        "row imb.",
        "act. density",
        "Huffman [B]",
        "eie, 3 inputs",
        "tensorcore, 3 inputs",
        "over dense",
        "accuracy: 0.",
    ):
        assert told in ended.out
    assert f"wrote {path}" in ended.out


def test_two_of_four_is_stored_as_such_and_is_half(pruned):
    _, result, _ = pruned(TWO_OF_FOUR)
    found = result["layers"][0]["machines"]["tensorcore"]
    assert found["spec"] == {"sparsity": "2:4"}
    assert (found["parts"]["values"], found["parts"]["metadata"]) == (16 * 8, 16 * 8 / 8)


def test_compaction_leaves_half_of_the_rows(pruned):
    _, result, path = pruned(FILTERS, "--compact")
    with np.load(path) as arrays:
        assert arrays["ip1/weights"].shape == (8, 8)
    assert result["layers"][0]["machines"]["tensorcore"]["bytes"] == 8 * 8 * 2


def test_equal_commands_write_equal_bytes(pruned):
    _, _, path = pruned(SHARED)
    first = path.read_bytes()
    assert pruned(SHARED)[2].read_bytes() == first


@pytest.mark.parametrize("n", range(3))
def test_the_recipes_of_the_documentation_run(pruned, n):
    assert len(RECIPES) == 3
    _, result, _ = pruned(RECIPES[n], "--check")
    assert all(layer["density"] <= 0.5 for layer in result["layers"] if layer["layer"] != "ip3")


def test_a_file_of_layers_is_pruned_too(zeroskip, recipe, tmp_path):
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "two.npz", **{f"{name}.weight": rng.standard_normal((4, 8)) for name in "ab"})
    asked = ("prune", tmp_path / "two.npz", "--recipe", recipe(TWO_OF_FOUR), "--out", tmp_path / "w.npz", "--json", "-")
    result = json.loads(zeroskip(*asked).out)
    assert [(layer["layer"], layer["density"]) for layer in result["layers"]] == [("a", 0.5), ("b", 0.5)]
    assert (result["measure"], result["quality_after"]) == (None, None)
    # What was written is a file of layers as well.
    again = ("prune", tmp_path / "w.npz:a", "--recipe", recipe(TWO_OF_FOUR), "--out", tmp_path / "v.npz")
    assert zeroskip(*again).code == 0


def test_what_is_passed_over_is_said(zeroskip, recipe, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **{"fc.weight": np.ones((4, 8)), "wte.weight": np.ones((24, 4))})  # 32 numbers and 96
    said = "passed over 96 numbers, 75.0% of those in matrices: wte.weight (an embedding is looked up, not multiplied)"
    assert f"  workload: file a.npz, layer fc; {said}; activations drawn" in zeroskip("run", "eie", path).out
    ended = zeroskip("prune", path, "--recipe", recipe(TWO_OF_FOUR), "--out", tmp_path / "w.npz")
    assert f"file a.npz, layer fc; {said}; activations drawn" in ended.out
    assert str(np.load(tmp_path / "w.npz")["provenance"]).startswith(f"file a.npz, layer fc; {said}; ")


def test_images_that_were_not_fetched_are_named(refused, recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    told = refused("prune", "lenet-300-100-fashion-mnist", "--recipe", recipe(SHARED), "--out", tmp_path / "w.npz")
    assert "fetch them with 'zeroskip data fashion-mnist'" in told
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]


def test_the_calibration_is_a_files_or_the_first_inputs(zeroskip, recipe, tiny, tmp_path):
    text = '[[step]]\ndo = "prune"\ncriterion = "wanda"\ndensity = 0.5'
    np.savez(tmp_path / "c.npz", inputs=tiny.inputs[:5], labels=tiny.labels[:5])
    written = []
    for options in (("--inputs", "5"), ("--calibration", tmp_path / "c.npz"), ()):
        out = tmp_path / "w.npz"
        assert zeroskip("prune", "tiny", "--recipe", recipe(text), "--out", out, *options).code == 0
        with np.load(out) as arrays:
            written.append(arrays["ip1/weights"])
    assert np.array_equal(written[0], written[1])
    assert not np.array_equal(written[0], written[2])


def test_the_tradeoff_has_a_row_for_each_pattern(zeroskip, tmp_path):
    asked = (
        "tradeoff",
        "tiny",
        "--tune",
        "1",
        "--batch",
        "2",
        "--figures",
        tmp_path / "f",
        "--json",
        tmp_path / "t.json",
    )
    ended = zeroskip(*asked)
    assert ended.code == 0, ended.err
    result = json.loads((tmp_path / "t.json").read_text())
    assert [row["pattern"] for row in result["rows"]] == [
        "element", "vector 1x4", "vector 4x1", "block 4x4", "filter", "channel", "2:4"
    ]  # fmt: skip
    for row in result["rows"]:
        assert row["pattern"] in ended.out
        assert row["machines"].keys() == {"eie", "tensorcore"}
        assert 0 <= row["quality_tuned"] <= 1
        assert row["epoch"] in (0, 1)  # of the one asked for
        if row["epoch"] == 0:
            assert row["quality_tuned"] == row["quality_pruned"]
    by_pattern = {row["pattern"]: row["flexibility"] for row in result["rows"]}
    assert by_pattern["element"] > by_pattern["2:4"] > by_pattern["vector 1x4"] > by_pattern["block 4x4"]
    assert (tmp_path / "f" / "tradeoff-tiny.png").stat().st_size > 10_000


@pytest.mark.usefixtures("toy")
def test_the_tradeoff_takes_a_users_machine_and_the_patterns_asked_for(zeroskip):
    asked = ("tradeoff", "tiny", "--patterns", "row,element", "--density", "0.25", "--tune", "0", "--batch", "2")
    rows = json.loads(zeroskip(*asked, "--json", "-").out)["rows"]
    assert [row["pattern"] for row in rows] == ["filter", "element"]
    assert [row["quality_tuned"] for row in rows] == [None, None]
    # A cycle for each weight and input of the toy: filters leave, elements stay as zeros.
    n_weights = 16 * 8 + 8 * 16 + 4 * 8
    assert [row["machines"]["toy"]["cycles"] for row in rows] == [2 * n_weights // 4, 2 * n_weights]
    assert [row["machines"]["toy"]["speed_up"] for row in rows] == [pytest.approx(4), pytest.approx(1)]


def test_a_real_input_is_fetched_and_named(zeroskip, monkeypatch, tmp_path):
    def fetch(name, folder):
        (folder / name).mkdir(parents=True)
        (folder / name / "digits.csv.gz").write_bytes(b"")
        return folder / name

    monkeypatch.setattr(data, "fetch", fetch)
    found = json.loads(zeroskip("data", "digits", "--folder", tmp_path / "here", "--json", "-").out)
    assert (found["folder"], found["files"]) == (str(tmp_path / "here" / "digits"), ["digits.csv.gz"])


def test_networks_and_data_are_listed(zeroskip):
    for kind, name in (("networks", "lenet-300-100-dense"), ("data", "digits")):
        assert name in {row["name"] for row in json.loads(zeroskip("list", kind, "--json", "-").out)}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("prune tinny --recipe R --out TMP/w.npz", "unknown network 'tinny', did you mean 'tiny'?; or name a file"),
        ("prune tiny --recipe TMP/no.toml --out TMP/w.npz", "recipe 'TMP/no.toml' cannot be read: No such file"),
        ("prune tiny --recipe BAD --out TMP/w.npz", "recipe 'TMP/bad.toml': step 1 (prune): unknown key 'densty', did"),
        (
            "prune tiny --recipe R --out TMP/w.zip",
            "--out must name a file of .npz, .onnx, .safetensors, got 'TMP/w.zip'",
        ),
        (
            "prune tiny --recipe R --out TMP/no/w.npz",
            "--out must name a file in an existing folder, there is no folder",
        ),
        ("prune tiny --recipe R", "the following arguments are required: --out; see 'zeroskip prune --help'"),
        ("prune tiny --recipe R --out TMP/w.npz --inputs 0", "inputs must be a whole number of at least 1"),
        ("prune tiny --recipe R --out TMP/w.npz --calibration TMP/no.npz", "workload file 'TMP/no.npz' does not exist"),
        ("prune tiny --recipe R --out TMP/w.npz --calibration C", "inputs must be f32[batch, 8] for tiny, got"),
        (
            "prune tiny --recipe MISSING --out TMP/w.npz",
            "step 1 (prune): targets: no matrix fits 'fc*': one of ip1",
        ),
        ("tradeoff tiny --density 2", "density must be a number above 0 and at most 1, got 2.0"),
        ("tradeoff tiny --density x", "argument --density: invalid float value: 'x'"),
        ("tradeoff tiny --patterns element,blok", "pattern must be element, "),
        ("tradeoff tiny --figures R", "--figures must name a folder, "),
        ("data digit", "unknown data 'digit', did you mean 'digits'?"),
    ],
)
def test_what_cannot_be_done(refused, tmp_path, words, complaint):
    (tmp_path / "r.toml").write_text(SHARED)
    (tmp_path / "bad.toml").write_text('[[step]]\ndo = "prune"\ndensty = 0.5')
    (tmp_path / "missing.toml").write_text('[[step]]\ndo = "prune"\ndensity = 0.5\ntargets = ["fc*"]')
    np.savez(tmp_path / "c.npz", inputs=np.ones((3, 7)))
    places = {"R": "r.toml", "BAD": "bad.toml", "MISSING": "missing.toml", "C": "c.npz"}
    argv = [
        str(tmp_path / places[word]) if word in places else word.replace("TMP", str(tmp_path)) for word in words.split()
    ]
    assert refused(*argv).startswith(complaint.replace("TMP", str(tmp_path)))


def test_sensitivity_prunes_each_layer_alone_as_prune_would(zeroskip, tiny, tmp_path):
    found = tmp_path / "s.json"
    asked = ("sensitivity", "tiny", "--densities", "1,0.25", "--figures", tmp_path, "--json", found)
    assert zeroskip(*asked).code == 0
    result = json.loads(found.read_text())
    matrices = tiny.network.matrices
    assert [(row["layer"], row["density"]) for row in result["rows"]] == [(n, d) for n in matrices for d in (1, 0.25)]
    for row in result["rows"]:
        weights = matrices[row["layer"]]
        kept = mask(magnitude(weights), "element", row["density"])
        assert row["kept"] == row["density"]
        assert row["value"] == tiny.quality(tiny.network.with_matrices({row["layer"]: weights * kept}))
    assert all(row["value"] == result["dense"] for row in result["rows"] if row["density"] == 1)
    assert (tmp_path / "sensitivity-tiny.png").stat().st_size > 1000


@pytest.mark.parametrize("densities", ["", "a", "0", "0.5,2"])
def test_sensitivity_names_a_density_that_is_none(zeroskip, densities):
    ended = zeroskip("sensitivity", "tiny", "--densities", densities)
    assert ended.code == 2
    assert "densit" in ended.err
    assert ended.err.count("\n") == 1


def test_centroids_that_are_lost_are_said(zeroskip, tmp_path):
    weights = np.linspace(0.1, 1, 500).reshape(20, 25)
    weights[0, :2] = -1e6, 1e6  # of 15 centroids from -1e6 to 1e6 only the outer two and the middle one get values
    np.savez(tmp_path / "w.npz", weights=weights, activations=np.ones(25))
    recipe = tmp_path / "r.toml"
    for method, used in (("linear", 3), ("exact", 15)):
        recipe.write_text(f'[[step]]\ndo = "share"\nmethod = "{method}"\n')
        words = ("--recipe", recipe, "--out", tmp_path / "o.npz", "--json", tmp_path / "r.json")
        ended = zeroskip("prune", tmp_path / "w.npz", *words)
        assert f"{used} of 15" in ended.out
        assert json.loads((tmp_path / "r.json").read_text())["layers"][0]["centroids"] == [used, 15]
