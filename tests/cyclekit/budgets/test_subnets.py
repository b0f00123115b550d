"""Is an analysis kept and read again, and does EagleEye's search re-estimate, judge apart from that, and say so?"""

import json
from contextlib import nullcontext

import numpy as np
import pytest

from cyclekit import machine
from cyclekit.budgets import adapt as budgets
from cyclekit.budgets.adapt import adapt, knob_of
from cyclekit.budgets.knob import Knob
from cyclekit.command.cli import main
from workloads import tasks
from workloads.networks import nets
from workloads.networks.sequential import with_statistics
from workloads.recipes.recipe import Recipe
from workloads.recipes.steps import Prune

EIE = ["--machine", "eie", "--set", "n_pes=1", "--batch", "1", "--epochs", "1", "--budget", "0.6"]


def task_of(network, inputs, labels):
    learnt = nets.fit(network, inputs[:200], labels[:200], nets.Recipe(n_epochs=3, learning_rate=4e-3, batch=32))
    return tasks.Task(
        name="tiny",
        network=learnt,
        provenance="made up",
        inputs=inputs[:200],
        labels=labels[:200],
        test_inputs=inputs[200:],
        test_labels=labels[200:],
    )


@pytest.fixture(scope="module")
def convnet():
    """Return a task: images of 4 x 4, of which the brighter half is to be told."""
    inputs = np.random.default_rng(0).gamma(1.0, size=(260, 1, 4, 4)).astype(np.float32)
    labels = (inputs[:, 0, :, :2].sum(axis=(1, 2)) > inputs[:, 0, :, 2:].sum(axis=(1, 2))).astype(np.int64)
    return task_of(nets.convnet((1, 4, 4), (6, 8), 2, seed=0), inputs, labels)


@pytest.fixture(autouse=True)
def named(monkeypatch, convnet):
    monkeypatch.setitem(tasks.NAMED, "tiny", (lambda: convnet, "a tiny network"))
    monkeypatch.setattr(budgets, "N_DRAWS", 6)


def knob(task, **options):
    chosen = machine.load("eie")
    how = {"metric": "cycles", "batch": 1, "epochs": 1, **options}
    return knob_of(task, chosen, chosen.design(None, {"n_pes": 1}), **how)


def test_an_analysis_is_computed_once(tmp_path, monkeypatch, capsys):
    path, told = tmp_path / "tiny.json", tmp_path / "r.json"
    command = ["adapt", "tiny", *EIE, "--method", "sensitivity", "--analysis", str(path), "--json", str(told)]
    assert main(command) == 0
    first = json.loads(told.read_text())
    kept = json.loads(path.read_text())
    assert {name: len(rows) for name, rows in kept["layers"].items()} == {"conv1": 40, "conv2": 40, "ip": 40}

    def fail(knob, choice):
        raise AssertionError("evaluated again")

    monkeypatch.setattr(Knob, "evaluate", fail)
    assert main([*command[:-6], "--budget", "0.5", *command[-6:]]) == 0  # another budget, the same analysis
    assert main(command) == 0
    assert json.loads(told.read_text()) == first
    assert all(row["loss"] >= 0 for row in first["log"])


def test_its_values_are_those_of_each_layer_pruned_alone(tmp_path, convnet):
    path = tmp_path / "tiny.json"
    adapt(own := knob(convnet, analysis=path), 0.6 * own.table().cost(own.table().whole), "sensitivity")
    rows = json.loads(path.read_text())["layers"]["conv2"]
    for row in rows[::13]:
        steps = [Prune(density=row["density"], targets=("conv2",))]
        pruned = convnet.fit(Recipe(steps=steps)).apply()
        assert row["value"] == pruned.accuracy(convnet.inputs, convnet.labels)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is none that adapt wrote: name another file"),
        ('{"identity": "x", "layers": {"a": [1]}}', "is none that adapt wrote: name another file"),
        ('{"identity": "x", "layers": {}}', "is of another network, other inputs or levels: name another file"),
    ],
)
def test_a_file_of_something_else_is_refused_and_stays(tmp_path, capsys, content, complaint):
    path = tmp_path / "tiny.json"
    path.write_text(content)
    assert main(["adapt", "tiny", *EIE, "--method", "sensitivity", "--analysis", str(path)]) == 2
    *_, line = capsys.readouterr().err.splitlines()  # behind what the costs will take, on a busy machine
    assert complaint in line
    assert path.read_text() == content


def test_an_analysis_of_other_methods_is_refused(tmp_path, capsys):
    assert main(["adapt", "tiny", *EIE, "--method", "knapsack", "--analysis", str(tmp_path / "x")]) == 2
    assert "--analysis belongs to --method sensitivity, got 'knapsack'" in capsys.readouterr().err


def test_each_draw_is_told(convnet):
    told, own = [], knob(convnet, epochs=0)
    budget = 0.6 * own.table().cost(own.table().whole)
    adapt(own, budget, "random", lambda name: nullcontext(lambda *step: told.append((name, *step))))
    assert told == [("random", f"draw {n}", n, 6) for n in range(1, 7)]


def test_subnets_are_judged_on_other_inputs_than_they_are_recalibrated_on(convnet):
    # 200 inputs: 100 to judge by, the other 100 for the statistics; none is a test input
    own = knob(convnet, recalibrates=True)
    choice = dict.fromkeys(own.table().levels, 12)
    pruned = knob(convnet).start(choice).apply()
    counted = with_statistics(pruned, convnet.inputs[100:])
    assert own.evaluate(choice) == counted.accuracy(convnet.inputs[:100], convnet.labels[:100])


@pytest.mark.parametrize("on", ["eie", "tensorcore"])
def test_eagleeye_takes_the_best_of_its_subnets_and_says_what_it_did(tmp_path, on):
    told = tmp_path / "r.json"
    how = EIE if on == "eie" else ["--machine", on, "--batch", "4096", "--epochs", "0", "--budget", "0.97"]
    assert main(["adapt", "tiny", *how, "--method", "eagleeye", "--json", str(told)]) == 0
    result = json.loads(told.read_text())
    assert result["notes"] == [
        "mean and variance of 2 batch normalisations re-estimated on 100 inputs",
        "subnets tried on 100 others",
    ]
    assert len(result["log"]) == 6
    assert all(row["cost"] <= result["budget"] for row in result["log"])
    assert result["cost_after"] <= result["budget"]


def test_without_normalisation_it_says_that_nothing_was_re_estimated():
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((260, 6)).astype(np.float32)
    task = task_of(nets.mlp((6, 24, 12, 2), seed=0), inputs, (inputs[:, 0] > 0).astype(np.int64))
    own = knob(task)
    result = adapt(own, 0.6 * own.table().cost(own.table().whole), "eagleeye")
    assert result.notes == ("no batch normalisation: nothing was re-estimated", "subnets tried on 100 others")


@pytest.mark.parametrize("method", ["eagleeye", "sensitivity", "random", "amc", "netadapt"])
def test_layers_without_labels_are_refused(tmp_path, capsys, method):
    path = tmp_path / "w.npz"
    np.savez(path, weights=np.ones((64, 64), np.float32), activations=np.ones((2, 64), np.float32))
    assert main(["adapt", str(path), *EIE, "--method", method]) == 2
    assert "has no labels to be judged by here" in capsys.readouterr().err
