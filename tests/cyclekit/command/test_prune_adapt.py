"""Is a step `adapt` of a recipe what `zeroskip adapt` does, held by the machine, and refused where there is none?"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import workloads
import zeroskip as face
from cyclekit.budgets.step import MachineAllocator
from workloads import BadInput, tasks
from workloads.networks import nets
from workloads.recipes.recipe import Recipe

EIE = 'do = "adapt"\nmachine = "eie"\nset = {n_pes = 4}\nbatch = 2\nepochs = 1\n'
CARD = 'do = "adapt"\nmachine = "tensorcore"\nbatch = 4096\nmethod = "knapsack"\nepochs = 1\n'


@pytest.fixture(autouse=True, scope="module")
def tiny():
    """Add a network 8 -> 64 -> 16 -> 4 that has learnt the signs of two numbers, "tiny", to those that have a name."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((400, 8), np.float32)
    labels = (inputs[:, 0] > 0) + 2 * (inputs[:, 1] > 0)
    recipe = nets.Recipe(n_epochs=10, learning_rate=4e-3, batch=32)
    task = tasks.Task(
        name="tiny",
        network=nets.fit(nets.mlp((8, 64, 16, 4), seed=0), inputs[:300], labels[:300], recipe),
        provenance="made up",
        inputs=inputs[:300],
        labels=labels[:300],
        test_inputs=inputs[300:],
        test_labels=labels[300:],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tasks.NAMED, "tiny", (lambda: task, "a tiny network"))
        yield task


@pytest.fixture
def prune(zeroskip, tmp_path):
    """Return a function that prunes `tiny` by steps: how the command ended, its JSON and what it wrote."""

    def command(*steps, machine="eie"):
        recipe, out, told = tmp_path / "r.toml", tmp_path / "w.npz", tmp_path / "w.json"
        recipe.write_text("".join(f"[[step]]\n{step}\n" for step in steps))
        asked = ("prune", "tiny", "--recipe", recipe, "--out", out, "--machines", machine, "--json", told)
        ended = zeroskip(*asked)
        return ended, json.loads(told.read_text()) if ended.code == 0 else None, out

    return command


def test_a_second_budget_is_a_share_of_what_was_given_too(prune):
    # AMD's way: the budget falls from round to round, each tuned; a share is of the network as it was given
    sixty, forty = (f'{EIE}method = "knapsack"\nbudget = {share}' for share in (0.6, 0.4))
    ended, result, _ = prune(sixty, forty)
    assert ended.code == 0, ended.err
    first, second = (note for note in result["notes"] if "knapsack on eie" in note)
    assert first.startswith("step 1 (adapt): knapsack on eie: ")
    shape = re.compile(r"knapsack on eie: ([\d.]+) us of at most ([\d.]+) us, from ([\d.]+) us;")
    found = (map(float, shape.search(note).groups()) for note in (first, second))
    (cost, most, dense), (cost_2, most_2, dense_2) = found
    assert most == pytest.approx(0.6 * dense, rel=5e-3)  # of costs in 3 digits
    assert most_2 == pytest.approx(0.4 * dense, rel=5e-3)
    assert cost <= most
    assert cost_2 <= most_2
    assert dense_2 == pytest.approx(cost, rel=0.02)  # it goes on from where the first ended
    assert {row["do"] for row in result["steps"]} == {"adapt"}
    assert result["quality_after"] > 0.5


def test_the_written_network_is_that_of_the_verb_adapt(prune):
    ended, _, out = prune(f'{EIE}method = "uniform"\nbudget = 0.5')
    assert ended.code == 0, ended.err
    written = workloads.load(str(out))
    shares = [np.count_nonzero(layer.weights) / layer.weights.size for layer in written.layers]
    assert min(shares) < 1
    found = face.adapt("tiny", "eie", "0.5", method="uniform", batch=2, epochs=1, n_pes=4)
    assert [row["density"] for row in found.rows] == pytest.approx(shares)
    assert found.detail.cost <= found.detail.budget
    for layer, own in zip(written.layers, found.detail.network.apply().weighted.values(), strict=True):
        assert np.array_equal(layer.weights, own.matrix)


def test_on_a_card_it_is_a_smaller_network_that_later_steps_work_on(prune):
    ended, result, out = prune(f"{CARD}budget = 0.95", 'do = "prune"\npattern = "2:4"\nignore = ["ip1"]')
    assert ended.code == 0, ended.err
    shapes = [layer.weights.shape for layer in workloads.load(str(out)).layers]
    assert shapes[0][0] == shapes[1][1] < 64
    assert shapes[1][0] == shapes[2][1]
    assert shapes[2][0] == 4
    assert [layer["n_out"] for layer in result["layers"]] == [rows for rows, _ in shapes]


def test_from_python_too(tiny):
    recipe = Recipe.parse(f'[[step]]\n{EIE}method = "knapsack"\nbudget = 0.5')
    result = face.prune("tiny", recipe)
    (note,) = [note for note in result.notes if note.startswith("step 1 (adapt): knapsack on eie")]
    assert "accuracy" in note
    assert all(row["density"] < 1 for row in result.rows if row["layer"] == "ip1")


def test_a_file_of_layers_is_not_tuned_and_says_so(zeroskip, tmp_path):
    path, recipe = tmp_path / "w.npz", tmp_path / "r.toml"
    rng = np.random.default_rng(0)
    activations = np.abs(rng.standard_normal((4, 48))).astype(np.float32)
    np.savez(path, weights=rng.standard_normal((32, 48)).astype(np.float32), activations=activations)
    recipe.write_text(f'[[step]]\n{EIE}method = "knapsack"\nbudget = 0.5')
    ended = zeroskip("prune", path, "--recipe", recipe, "--out", tmp_path / "o.npz", "--machines", "none")
    assert ended.code == 0, ended.err
    assert "step 1 (adapt): nothing was tuned" in ended.out


def test_where_no_machine_is_handed_in_it_is_refused_before_any_step_runs(tiny):
    text = f'[[step]]\ndo = "prune"\ndensity = 1e-9\n[[step]]\n{EIE}budget = 0.5'  # the first step would fail, too
    with pytest.raises(BadInput, match=r"^step 2 \(adapt\): adapt takes a simulated machine, which `zeroskip prune`"):
        tiny.fit(Recipe.parse(text))


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ("budget = 0.5", "machine must be a name, such as 'eie' or 'tensorcore:h100-sxm', got None"),
        ('machine = "eie"', "budget must be a share, such as 0.5, or an amount, such as '123us', got None"),
        ('machine = "eye"\nbudget = 0.5', "unknown machine 'eye', did you mean 'eie'?"),
        ('machine = "eie:silicom"\nbudget = 0.5', "unknown preset 'silicom' of eie, did you mean 'silicon'?"),
        ('machine = "eie"\nbudget = 1.5', "budget without a unit is a share up to 1, got '1.5'"),
        ('machine = "eie"\nbudget = "5 parsecs"', "budget must be a share up to 1, or a number with one of"),
        ('machine = "eie"\nbudget = 0.5\nmethod = "netadopt"', "unknown method 'netadopt', did you mean 'netadapt'?"),
        ('machine = "eie"\nbudget = 0.5\nset = {n_pe = 4}', "unknown field 'n_pe', did you mean 'n_pes'?"),
        ('machine = "eie"\nbudget = 0.5\nset = 4', "set must be fields of the design, such as {n_pes = 16}, got 4"),
        ('machine = "eie"\nbudget = 0.5\nepochs = -1', "epochs must be a whole number from 0 to "),
        ('machine = "eie"\nbudget = 0.5\nbatch = 0', "batch must be a whole number from 1 to "),
        ('machine = "eie"\nbudget = 0.5\ntargets = ["a"]', "targets and ignore are not for adapt"),
        ('machine = "eie"\nbudget = 1e-9', "budget must be at least "),
    ],
)
def test_one_line_that_names_the_step(prune, keys, complaint):
    ended, *_ = prune(f'do = "adapt"\n{keys}')
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert "step 1 (adapt): " in line
    assert complaint in line


@pytest.mark.parametrize(
    ("first", "complaint"),
    [
        ('do = "share"', "step 2 (adapt): adapt takes weights that are not shared by now: put share behind it"),
        ('do = "quantise"', "step 2 (adapt): matrix 'ip1' is quantised, which this would undo: put this step first"),
    ],
)
def test_values_on_a_grid_are_refused(prune, first, complaint):
    ended, *_ = prune(first, f"{EIE}budget = 0.5")
    assert ended.code == 2
    assert complaint in ended.err


def test_the_documented_rounds_are_a_recipe(tiny):
    text = (Path(__file__).parents[3] / "docs" / "adapt.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    steps = Recipe.parse(recipe).steps
    assert [step.budget for step in steps] == [0.9, 0.7]
    for step in steps:
        MachineAllocator(tiny).check(step)
