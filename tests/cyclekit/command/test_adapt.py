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
    result, network, figures = tmp_path / "r.json", tmp_path / "n.npz", tmp_path / "figures"
    command = ["adapt", "digits-mlp", "--machine", "tensorcore", "--batch", "4096", "--inputs", "400", "--epochs", "1"]
    command += ["--budget", "0.9", "--method", "knapsack,uniform", "--figures", str(figures), "--json", str(result)]
    assert main(command) == 0
    rows = json.loads(result.read_text(encoding="utf-8"))
    assert [row["method"] for row in rows] == ["knapsack", "uniform"]
    for row in rows:
        assert row["cost_after"] <= row["budget"]
        assert any(layer["width"] < layer["width_before"] for layer in row["layers"])
    assert {path.name for path in figures.iterdir()} == {"adapt_costs.png", "adapt_tradeoff.png"}
    assert not network.exists()


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--budget", "0.0001"], "budget must be at least"),
        (["--budget", "2"], "--budget without a unit is a share up to 1"),
        (["--budget", "0.5,3us,2cycles"], "--budget must be in one unit"),
        (["--budget", "0.5", "--method", "magic"], "unknown method 'magic'"),
        (["--budget", "0.5,0.4", "--out", "x.npz"], "--out takes one budget and one method"),
        (["--budget", "0.5", "--out", "x.txt"], "--out must name a file of .npz"),
        (["--budget", "0.5", "--seed", "-1"], "--seed and --epochs must be at least 0"),
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
