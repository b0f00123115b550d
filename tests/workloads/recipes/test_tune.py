"""Does `tune`, with nothing said, help where pruning harmed, and never cost more than noise where nothing did?"""

import math
from importlib.util import find_spec

import pytest

from workloads import tasks
from workloads.networks import data
from workloads.recipes.recipe import Recipe
from workloads.recipes.repair import Tune
from workloads.recipes.steps import Prune

# Judged on each task's test inputs, of which nothing here was learnt or chosen. Noise is the binomial standard error
# of an accuracy p on n of them, sqrt(p (1 - p) / n): 0.9 points on LeNet's 1,000 images, 0.5 on the 360 digits.


def noise(accuracy: float, task: tasks.Task) -> float:
    return math.sqrt(accuracy * (1 - accuracy) / len(task.test_labels))


@pytest.fixture(scope="module", params=["lenet-300-100-dense", "digits-mlp", "digits-convnet"])
def task(request):
    if request.param.startswith("digits") and not (find_spec("sklearn") or data.is_here("digits")):
        pytest.skip("takes scikit-learn, which holds the digits, or `zeroskip data digits`")
    return tasks.load(request.param)


def test_alone_it_costs_no_more_than_noise(task):
    before = task.quality(task.network)
    after = task.quality(task.fit(Recipe(steps=[Tune()])).apply())
    assert after >= before - noise(before, task)


def test_after_pruning_it_wins_more_than_noise(task):
    pruned, tuned = (
        task.quality(task.fit(Recipe(steps=[Prune(density=0.25), *then])).apply()) for then in ([], [Tune()])
    )
    assert tuned > pruned + 3 * noise(pruned, task)


def test_what_was_kept_is_said():
    task = tasks.load("lenet-300-100-dense").first(200)
    said = {}
    for held_out in (0.1, 0.0):
        prune = Prune(density=0.25)
        said[held_out] = task.fit(Recipe(steps=[prune, Tune(epochs=2, held_out=held_out)])).notes
    assert said[0.0] == ("step 2 (tune): trained for 2 epochs, with no input held out to tell which is best",)
    (note,) = said[0.1]
    assert note.endswith(" of 2: least loss on 20 inputs held out of the calibration")
    fitted = task.fit(Recipe(steps=[Tune(epochs=1, learning_rate=30.0)]))
    assert fitted.notes == (
        "step 1 (tune): none of 1 epochs kept: least loss on 20 inputs held out of the calibration",
    )
    for name, matrix in fitted.apply().matrices.items():
        assert matrix is task.network.matrices[name] or (matrix == task.network.matrices[name]).all()
