"""Does a run say by how much its outputs differ from those of the user's own weights?"""

import json

import numpy as np
import pytest

from cyclekit.command.cli import main
from cyclekit.comparison.verdict import RELATIVE_ERROR, float64_outputs, judged
from cyclekit.run import Run
from workloads import Layer, Network


def run(outputs, **fields) -> Run:
    about = {"machine": "toy", "workload": "w", "input": 0, "engine": "e", "spec": {}, "id": "", "output_sha256": ""}
    found = {"cycles": 1, "time_us": 1.0, "load_balance": 1.0, "actions": {}, "states": {}}
    return Run(**about | found | fields, outputs=np.array(outputs))


def test_the_expected_outputs_are_the_layer_in_float64_block_by_block():
    rng = np.random.default_rng(0)
    weights, bias, inputs = (rng.standard_normal(size).astype(np.float32) for size in ((600, 3), 600, (2, 3)))
    plain = [
        [sum(float(w) * float(x) for w, x in zip(row, xs)) + float(b) for row, b in zip(weights, bias)] for xs in inputs
    ]
    layer = Layer(name="w", weights=weights, bias=bias, relu=False)
    assert float64_outputs(layer, inputs) == pytest.approx(np.array(plain), rel=1e-12)
    layer = Layer(name="w", weights=weights, bias=bias)
    assert float64_outputs(layer, inputs) == pytest.approx(np.maximum(plain, 0), rel=1e-12)


@pytest.mark.parametrize(
    ("outputs", "expected", "percent"),
    [
        ([3.0, 4.5], [3.0, 4.0], 10.0),  # 0.5 of 5
        ([3.0, 4.4], [3.0, 4.0], 8.0),
        ([3.0, 4.0], [3.0, 4.0], 0.0),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([0.0, 1.0], [0.0, 0.0], 100.0),
    ],
)
def test_the_error_is_relative_and_a_tenth_is_worth_a_note(outputs, expected, percent):
    verdict = judged(run(outputs), np.array([expected]))
    assert verdict.measures[RELATIVE_ERROR] == pytest.approx(percent)
    assert any("off those of the weights as given" in note for note in verdict.notes) == (percent >= 10)


def test_a_run_is_held_against_the_rows_that_are_its_own():
    expected = np.array([[1.0, 0.0], [3.0, 4.0]])
    assert judged(run([3.0, 4.5], input=1), expected[1:]).measures[RELATIVE_ERROR] == pytest.approx(10)
    both = judged(run([[1.0, 0.0], [3.0, 4.5]]), expected)
    assert both.measures[RELATIVE_ERROR] == pytest.approx(100 * 0.5 / np.sqrt(26))


def test_outputs_in_steps_are_taken_as_reals():
    assert judged(run([6, 8], output_step=0.5), np.array([[3.0, 4.0]])).measures[RELATIVE_ERROR] == 0


@pytest.mark.parametrize("machine", ["eie", "tensorcore"])
def test_the_verb_says_it_of_every_machine_checked_or_not(machine, tmp_path, capsys):
    # 1, 2, ..., 16 times 1, -1, ...: EIE must lay two of the values together, the card need not.
    path, result = tmp_path / "w.npz", tmp_path / "result.json"
    np.savez(path, weights=np.arange(1, 17, dtype=np.float32)[:, None], activations=np.ones(1, np.float32))
    assert main(["run", machine, str(path), "--json", str(result)]) == 0
    assert "relative error of the outputs" in capsys.readouterr().out
    percent = json.loads(result.read_text())["measures"][RELATIVE_ERROR]
    assert percent == pytest.approx(100 * np.sqrt(0.5 / 1496) if machine == "eie" else 0, abs=1e-6)


def test_what_earlier_layers_lost_counts(zeroskip, monkeypatch, tmp_path):
    # In whole numbers 1/2, 1/2 and 1/8 are 0, so that the first layer gives 0 for 9/8, and the second 0 for 9/4.
    weights = {"a": np.array([[1.0, 1.0, 1.0]]), "b": np.array([[2.0]])}
    layers = tuple(Layer(name=name, weights=matrix) for name, matrix in weights.items())
    network, path = Network(name="n", layers=layers, inputs=np.array([[0.5, 0.5, 0.125]])), tmp_path / "runs.json"
    monkeypatch.setattr("workloads.load", lambda name, feed: network)
    assert zeroskip("run", "eie", "n", "--set", "activation_fraction_bits=0", "--json", path).code == 0
    assert [run["measures"][RELATIVE_ERROR] for run in json.loads(path.read_text())] == [100, 100]


def test_a_layer_without_values_has_no_error(zeroskip):
    assert "relative error" not in zeroskip("run", "tensorcore", "64x64x64").out
