"""Are all combinations of what is to be compared made once: the base, each alone, then together?"""

import pytest

from cyclekit.serving.knobs import points
from cyclekit.serving.serve import Request
from cyclekit.sweep.points import expanded
from workloads import BadInput
from workloads.transformers import config

MODEL, REQUEST = config.load("llama-2-70b"), Request(batch=1, input=10, output=10)


def labels(*knobs):
    return [point.label for point in points(MODEL, REQUEST, knobs, expanded)]


def test_the_base_each_alone_then_together():
    assert labels("depth=64,48", "sparsity=2:4") == [
        "as it is",
        "depth 64",
        "depth 48",
        "sparsity 2:4",
        "depth 64, sparsity 2:4",
        "depth 48, sparsity 2:4",
    ]


def test_shares_are_of_the_models_own_size_and_the_whole_is_the_base():
    turned = points(MODEL, REQUEST, ["ffn=1,0.75,0.5"], expanded)
    assert [point.model.ffn for point in turned] == [28672, 21504, 14336]


def test_ranges_are_those_of_a_sweep():
    assert [p.model.n_layers for p in points(MODEL, REQUEST, ["depth=20:80:+20"], expanded)] == [80, 20, 40, 60]


def test_other_weights_bring_the_activations_that_go_with_them():
    request = Request(batch=1, input=10, output=10, weights="e4m3", activations="e4m3")
    _, int4 = points(MODEL, request, ["weights=int4"], expanded)
    assert (int4.request.weights, int4.request.activations) == ("int4", None)


@pytest.mark.parametrize(
    ("knobs", "match"),
    [
        (["depth"], "must look like depth=VALUES, got 'depth'"),
        (["dept=1"], "unknown knob 'dept' to compare, did you mean 'depth'"),
        (["depth=1", "depth=2"], "names depth twice"),
        (["depth=x"], "depth must be a share up to 1 or a whole number, got 'x'"),
        (["ffn=1.5"], "ffn must be a share up to 1 or a whole number"),
        (["ffn=0"], "ffn must be a share"),
        (["depth=96"], "n_layers must be at most 80"),
        (["batch=0"], "batch must be a whole number of at least 1"),
        (["ffn=1000:3000:+1"], "makes 2,002 points, at most 1,000"),
    ],
    ids=str,
)
def test_what_cannot_be_compared(knobs, match):
    with pytest.raises(BadInput, match=match):
        points(MODEL, REQUEST, knobs, expanded)
