"""Does `zeroskip adapt` bring a network within its budget, by every method, and say what it did?"""

import json

import numpy as np
import pytest

import workloads
from cyclekit.command.cli import main

EIE = [
    "adapt",
    "digits-mlp",
    "--machine",
    "eie",
    "--set",
    "n_pes=4",
    "--batch",
    "2",
    "--inputs",
    "400",
    "--epochs",
    "1",
]


@pytest.mark.parametrize("method", ["netadapt", "knapsack", "uniform"])
def test_a_budget_on_eie_is_met_within_a_hundredth_and_never_exceeded(method, tmp_path, capsys):
    result, network = tmp_path / "r.json", tmp_path / "half.npz"
    command = [*EIE, "--budget", "0.5", "--method", method, "--json", str(result), "--out", str(network), "--check"]
    assert main(command) == 0
    told = json.loads(result.read_text(encoding="utf-8"))
    assert told["budget"] == pytest.approx(0.5 * told["cost_before"])
    assert 0.99 <= told["cost_after"] / told["budget"] <= 1
    assert told["checked"] is True
    assert told["tuned"] is True
    assert sum(layer["cost_after"] for layer in told["layers"]) == pytest.approx(told["cost_after"])
    written = workloads.load(str(network))
    for layer, row in zip(written.layers, told["layers"], strict=True):
        assert np.count_nonzero(layer.weights) / layer.weights.size == pytest.approx(row["density"])
    assert "values: 1 of 1 networks agree" in capsys.readouterr().out


def test_the_written_network_takes_the_cycles_that_are_told(tmp_path):
    result, network, ran = tmp_path / "r.json", tmp_path / "n.npz", tmp_path / "run.json"
    assert (
        main([*EIE, "--budget", "3000cycles", "--method", "uniform", "--json", str(result), "--out", str(network)]) == 0
    )
    told = json.loads(result.read_text(encoding="utf-8"))
    assert main(["run", "eie", str(network), "--set", "n_pes=4", "--engine", "schedule", "--json", str(ran)]) == 0
    runs = json.loads(ran.read_text(encoding="utf-8"))
    cycles = sum(run["cycles"] for run in runs) / 2  # of two inputs
    assert cycles == pytest.approx(told["cost_after"])


def test_a_second_time_nothing_is_computed(tmp_path, capsys):
    store, told = str(tmp_path / "costs.db"), []
    for name in ("first.json", "second.json"):
        result = tmp_path / name
        command = [*EIE, "--budget", "0.5", "--method", "knapsack", "--into", store, "--json", str(result)]
        assert main(command) == 0
        told.append(json.loads(result.read_text(encoding="utf-8")))
    first, second = told
    n = first.pop("tasks_computed")
    assert n >= 3 * 40 * 2  # layers, densities, inputs; and the network itself, dense and cut
    assert (second.pop("tasks_computed"), second.pop("tasks_stored_before")) == (0, n)
    assert first.pop("tasks_stored_before") == 0
    assert second == first
    assert f"costs of layers: 0 tasks computed, {n} were stored before" in capsys.readouterr().out
    assert main(["rows", store]) == 0
    assert "digits-mlp/ip1 (density 0.873)" in capsys.readouterr().out


def test_widths_on_a_card_are_a_smaller_network(tmp_path):
    result, figures = tmp_path / "r.json", tmp_path / "figures"
    command = ["adapt", "digits-mlp", "--machine", "tensorcore", "--batch", "4096", "--inputs", "400", "--epochs", "1"]
    command += ["--budget", "0.9", "--method", "knapsack,uniform", "--figures", str(figures), "--json", str(result)]
    assert main(command) == 0
    rows = json.loads(result.read_text(encoding="utf-8"))
    assert [row["method"] for row in rows] == ["knapsack", "uniform"]
    for row in rows:
        assert row["cost_after"] <= row["budget"]
        assert any(layer["width"] < layer["width_before"] for layer in row["layers"])
    assert {path.name for path in figures.iterdir()} == {"adapt_costs.png", "adapt_layers.png", "adapt_tradeoff.png"}


def test_a_narrower_network_is_an_onnx_model_as_well(tmp_path):
    pytest.importorskip("onnxruntime")
    result, network = tmp_path / "r.json", tmp_path / "n.onnx"
    command = ["adapt", "digits-mlp", "--machine", "tensorcore", "--batch", "4096", "--inputs", "200", "--epochs", "0"]
    assert main([*command, "--budget", "0.9", "--method", "uniform", "--out", str(network), "--json", str(result)]) == 0
    told = json.loads(result.read_text(encoding="utf-8"))
    written = workloads.load(str(network))
    assert [layer.n_out for layer in written.layers] == [layer["width"] for layer in told["layers"]]


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--budget", "0.0001"], "budget must be at least"),
        (["--budget", "2"], "budget without a unit is a share up to 1"),
        (["--budget", "0.5,3us,2cycles"], "--budget must be in one unit"),
        (["--budget", "0.5", "--method", "magic"], "unknown method 'magic'"),
        (["--budget", "0.5,0.4", "--out", "x.npz"], "--out takes one budget and one method"),
        (["--budget", "0.5", "--out", "x.txt"], "--out must name a file of .npz"),
        (["--budget", "0.5", "--seed", "-1"], "argument --seed: must be a whole number of at least 0"),
        (["--budget", "0.5", "--into", "no/folder/x.db"], "there is no folder"),
        (["--budget", "0.5", "--into", __file__], "is no store of zeroskip: name another file"),
    ],
    ids=str,
)
def test_one_line_and_exit_2(more, match, capsys):
    assert main([*EIE, *more]) == 2
    *_, line = capsys.readouterr().err.splitlines()  # before it, at most what the table is expected to take
    assert match in line


def test_layers_apart_have_no_accuracy_and_no_widths(tmp_path, capsys):
    path = tmp_path / "w.npz"
    rng = np.random.default_rng(0)
    np.savez(
        path,
        weights=rng.standard_normal((32, 48)).astype(np.float32),
        activations=np.abs(rng.standard_normal((4, 48))).astype(np.float32),
    )
    on_eie = ["adapt", str(path), "--machine", "eie", "--set", "n_pes=4", "--batch", "2", "--budget", "0.5"]
    assert main([*on_eie, "--method", "knapsack"]) == 0
    assert "nothing was tuned" in capsys.readouterr().out
    assert main([*on_eie, "--method", "netadapt"]) == 2
    assert "has no labels to be judged by" in capsys.readouterr().err
    assert main(["adapt", str(path), "--machine", "tensorcore", "--budget", "0.5"]) == 2
    assert "must be modules in a row with labels" in capsys.readouterr().err
    assert main([*on_eie, "--out", str(tmp_path / "x.onnx")]) == 2
    assert "--out must name an .npz file: w is no network that an .onnx file could hold" in capsys.readouterr().err


def graph_and_inputs(folder):
    """Return the files of a residual graph and of its inputs with labels, as options."""
    pytest.importorskip("onnxruntime")
    from tests.channel_graphs import INPUTS, residual

    (folder / "net.onnx").write_bytes(residual().model().SerializeToString())
    np.savez(folder / "x.npz", **INPUTS, labels=np.array([0, 1]))
    return [str(folder / "net.onnx"), "--inputs", str(folder / "x.npz")]


@pytest.mark.parametrize("method", ["knapsack", "uniform", "netadapt"])
def test_a_graph_becomes_a_smaller_one_that_runs(method, tmp_path):
    graph = graph_and_inputs(tmp_path)
    from tests.channel_graphs import INPUTS, constants
    from tests.onnx_models import onnx, reference

    result, network = tmp_path / "r.json", tmp_path / "narrower.onnx"
    command = ["adapt", *graph, "--machine", "tensorcore", "--batch", "65536", "--budget", "0.85"]
    command += ["--method", method, "--out", str(network), "--json", str(result), "--check"]
    assert main(command) == 0
    told = json.loads(result.read_text(encoding="utf-8"))
    assert told["cost_after"] <= told["budget"] < told["cost_before"]
    assert told["checked"] is True
    assert told["tuned"] is True
    assert "fc keeps its width: y is an output of the graph" in told["notes"]
    model = onnx.load(network)
    stored = constants(model)
    widths = {layer["layer"]: layer["width"] for layer in told["layers"]}
    assert any(layer["width"] < layer["width_before"] for layer in told["layers"])
    assert all(len(stored[f"{name}.weight"]) == width for name, width in widths.items() if name != "fc")
    (outputs,) = reference(model, INPUTS, "y")
    assert told["quality_after"] == np.mean(outputs.argmax(axis=1) == [0, 1])


def test_densities_of_a_graph_are_put_back_into_it(tmp_path):
    graph = graph_and_inputs(tmp_path)
    from tests.channel_graphs import constants
    from tests.onnx_models import onnx

    result, network = tmp_path / "r.json", tmp_path / "sparse.onnx"
    command = ["adapt", *graph, "--machine", "eie", "--set", "n_pes=4", "--budget", "0.9", "--method", "knapsack"]
    assert main([*command, "--out", str(network), "--json", str(result)]) == 0
    stored = constants(onnx.load(network))
    for layer in json.loads(result.read_text(encoding="utf-8"))["layers"]:
        assert (stored[f"{layer['layer']}.weight"] != 0).mean() == pytest.approx(layer["density"])
