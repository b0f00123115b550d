"""Does each layer get the density that was asked for it, and does the sensitivity scan prune what pruning prunes?"""

import numpy as np
import pytest

from workloads.errors import BadInput
from workloads.pruning.prune import prune
from workloads.pruning.ratios import constant, per_layer, polynomial, sensitivity
from workloads.pruning.scores import random
from workloads.records import Layer

NAMES = ["conv1", "fc6", "fc7", "fc8"]
RNG = np.random.default_rng(6)
LAYERS = tuple(Layer(name=name, weights=RNG.standard_normal((8, 16))) for name in ("ip1", "ip2"))


def test_the_last_glob_that_fits_decides():
    asked = {"*": 0.1, "fc*": 0.2, "fc8": 1}
    assert per_layer(NAMES, asked) == {"conv1": 0.1, "fc6": 0.2, "fc7": 0.2, "fc8": 1}
    assert per_layer(NAMES, {"*": 0.3}) == dict.fromkeys(NAMES, 0.3)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"*": 0.1, "fc9": 0.2}, "no layer fits 'fc9', did you mean 'fc8'?"),
        ({"fc*": 0.2}, "layer 'conv1' has no density: add it, or '*' in front for all others"),
        ({"*": 0}, "density must be a number above 0 and at most 1, got 0"),
    ],
)
def test_globs_that_miss_are_named(asked, message):
    with pytest.raises(BadInput) as error:
        per_layer(NAMES, asked)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("density", "pattern", "options"),
    [
        (0.3, "element", {}),
        (0.25, "element", {"within": "row"}),
        (0.5, "block 4x4", {}),
        (0.5, "2:4", {}),
        (0.5, "channel", {"kernels": [4, 2]}),
        (0.5, "channel", {}),
        (0.5, "filter", {"scores": [random(layer.weights, 1) for layer in LAYERS]}),
    ],
)
def test_the_scan_prunes_exactly_what_prune_prunes(density, pattern, options):
    seen = []

    def evaluate(layers):
        seen.append(layers)
        return len(seen)

    rows = sensitivity(evaluate, LAYERS, [density], pattern, **options)
    assert [(row["layer"], row["value"]) for row in rows] == [("ip1", 1), ("ip2", 2)]
    for i, (layer, row) in enumerate(zip(LAYERS, rows, strict=True)):
        scores, kernel = options.get("scores", [None, None])[i], options.get("kernels", [1, 1])[i]
        within = options.get("within", "layer")
        pruned = prune(layer, density, pattern, scores=scores, kernel=kernel, within=within)
        assert np.array_equal(seen[i][i].weights, pruned.weights)
        assert seen[i][1 - i] is LAYERS[1 - i]
        assert row["kept"] == np.count_nonzero(pruned.weights) / 128 < 1


def test_of_three_layers_one_at_a_time_is_pruned_in_its_place():
    layers = tuple(Layer(name=name, weights=RNG.standard_normal((4, 4))) for name in "abc")
    seen = []
    sensitivity(lambda given: seen.append(given) or 0.0, layers, [0.5])
    assert [[layer.name for layer in given] for given in seen] == [["a", "b", "c"]] * 3
    same = [[layer is own for layer, own in zip(given, layers, strict=True)] for given in seen]
    assert same == [[False, True, True], [True, False, True], [True, True, False]]


def test_the_fragile_layer_loses_most():
    inputs = RNG.standard_normal((50, 16)).astype(np.float32)
    targets = LAYERS[0].forward(inputs)

    def error(layers):
        return float(np.square(layers[0].forward(inputs) - targets).mean())

    rows = sensitivity(error, LAYERS, [1, 0.5, 0.25])
    assert [(row["layer"], row["density"]) for row in rows] == [(n, d) for n in ("ip1", "ip2") for d in (1, 0.5, 0.25)]
    assert [row["kept"] for row in rows] == [1, 0.5, 0.25] * 2
    values = [row["value"] for row in rows]
    assert values[0] == 0 < values[1] < values[2]
    assert values[3:] == [0, 0, 0]  # what is evaluated does not depend on ip2


def test_one_score_and_kernel_per_layer():
    with pytest.raises(BadInput, match=r"^scores, kernels and blocks must be 2, one per layer, got 2, 1 and 2$"):
        sensitivity(len, LAYERS, [0.5], kernels=[1])


def test_the_polynomial_of_zhu_and_gupta():
    # sparsity 0.9 - 0.9 (1 - t/3)**3 at t = 1, 2, 3
    assert list(polynomial(0.1, 3)) == pytest.approx([0.1 + 0.9 * 8 / 27, 0.1 + 0.9 / 27, 0.1])
    assert list(polynomial(0.2, 4, start=0.6, power=1)) == pytest.approx([0.5, 0.4, 0.3, 0.2])
    assert [*polynomial(0.1, 7)][-1] == 0.1  # exactly: the count of weights depends on it


def test_a_constant_schedule():
    assert list(constant(0.3, 4)) == [0.3] * 4


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (lambda: polynomial(0.5, 3, start=0.4), "end must be at most start, 0.4, got 0.5"),
        (lambda: polynomial(0.1, 0), "n_steps must be an integer of at least 1, got 0"),
        (lambda: polynomial(0.1, 3, power=0), "power must be a finite number above 0, got 0"),
        (lambda: polynomial(0, 3), "density must be a number above 0 and at most 1, got 0"),
        (lambda: constant(0.1, 2.5), "n_steps must be an integer of at least 1, got 2.5"),
        (lambda: constant(2, 2), "density must be a number above 0 and at most 1, got 2"),
    ],
)
def test_schedules_that_cannot_be_are_named(schedule, message):
    with pytest.raises(BadInput) as error:
        schedule()
    assert str(error.value) == message


def test_a_way_that_stays_where_it_begins():
    assert list(polynomial(0.5, 3, start=0.5)) == [0.5] * 3


@pytest.mark.parametrize("power", [float("inf"), float("nan"), 0, -1, True, "3"])
def test_a_power_that_is_none(power):
    with pytest.raises(BadInput, match="power must be a finite number above 0"):
        polynomial(0.5, 3, power=power)
