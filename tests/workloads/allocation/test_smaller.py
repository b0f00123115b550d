"""Is a smaller graph the whole one whose readers take nothing from what went, and has it so many weights?"""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnxruntime")

from onnx import helper

from tests.channel_graphs import INPUTS, SIDE, constants, drawn, read, replaced
from tests.onnx_models import model_of, normal, reference
from workloads.allocation.coupling import coupled
from workloads.allocation.smaller import smaller


@settings(max_examples=60, deadline=None)
@given(drawn(), st.integers(0, 2**32 - 1))
def test_a_smaller_graph_gives_what_the_whole_gives_whose_readers_have_zeros(built, seed):
    model, rng = built.model(), np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        graph = read(model, Path(folder))
        coupling = coupled(graph)
        stays = np.ones(coupling.n, bool)
        for units in coupling.groups:
            stays[rng.permutation(units)[: rng.integers(len(units))]] = False
        silent = constants(model)
        for name, (_, n_groups) in built.convs.items():
            if n_groups == 1:
                silent[f"{name}.weight"][:, ~stays[coupling.ends[name].reads]] = 0
        silent["fc.weight"][~stays[coupling.ends["fc"].reads]] = 0
        silent = replaced(model, silent)
        small = smaller(coupled(read(silent, Path(folder))), stays)
    (whole,), (few,) = reference(silent, INPUTS, "y"), reference(small.model, INPUTS, "y")
    np.testing.assert_allclose(few, whole, rtol=1e-4, atol=1e-4 * np.abs(whole).max())
    assert {reason for name, reason in coupling.kept.items() if name != "fc"} <= {"it has one output"}
    stored = constants(small.model)
    for name, (kernel, n_groups) in built.convs.items():
        ends = coupling.ends[name]
        n_reads, n_writes = stays[ends.reads].sum(), stays[ends.writes].sum()
        n_of_group = n_reads if n_groups == 1 else len(ends.reads) // n_groups
        assert stored[f"{name}.weight"].size == n_writes * n_of_group * kernel**2
    assert stored["fc.weight"].shape == (stays[coupling.ends["fc"].reads].sum(), 3)


def tail(*nodes, stored=None, features=4 * SIDE**2, readers=None):
    """Return a graph of 4 channels in c, nodes between c and d, and a matrix behind; {constant: axis of its inputs}.

    readers: those of the nodes between.
    """
    first = [helper.make_node("Conv", ["x", "a.weight", "a.bias"], ["c"], "a")]
    last = [
        helper.make_node("Flatten", ["d"], ["f"]),
        helper.make_node("Gemm", ["f", "fc.weight"], ["y"], "fc", transB=1, alpha=0.5),
    ]
    weights = {"a.weight": normal(4, 3, 1, 1), "a.bias": normal(4), "fc.weight": normal(3, features)}
    model = model_of([*first, *nodes, *last], {"x": ["n", 3, SIDE, SIDE]}, weights | (stored or {}))
    return model, {"fc.weight": 1} | (readers or {})


N = helper.make_node
CASES = {
    "a slope for each channel": tail(N("PRelu", ["c", "slope"], ["d"]), stored={"slope": normal(4, 1, 1)}),
    "a constant on the left": tail(N("Sub", ["k", "c"], ["d"]), stored={"k": normal(1, 4, 1, 1)}),
    "a transposed convolution": tail(
        N("ConvTranspose", ["c", "t.weight", "t.bias"], ["d"], "t", strides=[2, 2]),
        stored={"t.weight": normal(4, 5, 2, 2), "t.bias": normal(5)},
        features=5 * 4 * SIDE**2,
        readers={"t.weight": 0},
    ),
    "a grouped transposed convolution": tail(
        N("ConvTranspose", ["c", "t.weight"], ["d"], "t", group=4),
        stored={"t.weight": normal(4, 2, 1, 1)},
        features=8 * SIDE**2,
    ),
    "sizes that a Resize reads": tail(
        N("Resize", ["c", "", "", "sizes"], ["d"], mode="nearest"),
        stored={"sizes": np.array([2, 4, 2 * SIDE, SIDE])},
        features=8 * SIDE**2,
    ),
    "a mean over positions, and rows of a matrix behind a Transpose": tail(
        N("ReduceMean", ["c"], ["m"], axes=[3], keepdims=0),
        N("Transpose", ["m"], ["t"], perm=[0, 2, 1]),
        N("MatMul", ["t", "b.weight"], ["p"], "b"),
        N("Gelu", ["p"], ["d"], domain="com.microsoft"),
        stored={"b.weight": normal(4, 6)},
        features=6 * SIDE,
        readers={"b.weight": 0},
    ),
    "a matrix on the left": tail(
        N("Reshape", ["c", "three"], ["m"]),
        N("MatMul", ["b.weight", "m"], ["d"], "b"),
        stored={"three": np.array([0, 4, -1]), "b.weight": normal(6, 4)},
        features=6 * SIDE**2,
        readers={"b.weight": 1},
    ),
    "one array that two layers read": tail(
        N("Conv", ["c", "b.weight"], ["p"], "p"),
        N("Conv", ["p", "b.weight"], ["d"], "q"),
        stored={"b.weight": normal(4, 4, 1, 1)},
        readers={"b.weight": 1},
    ),
    "channels last, and an axis taken away": tail(
        N("Transpose", ["c"], ["t"], perm=[0, 2, 3, 1]),
        N("Add", ["t", "k"], ["u"]),
        N("Unsqueeze", ["u", "axes"], ["v"]),
        N("Squeeze", ["v", "axes"], ["d"]),
        stored={"k": normal(4), "axes": np.array([1])},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_operators_one_by_one(name, tmp_path):
    model, readers = CASES[name]
    coupling = coupled(read(model, tmp_path))
    stays = np.ones(coupling.n, bool)
    for units in coupling.groups:
        stays[units[1:]] = False
    stored = constants(model)
    for constant, axis in readers.items():
        gone = ~stays[coupling.ends[constant.removesuffix(".weight")].reads]
        np.moveaxis(stored[constant], axis, 0)[gone] = 0
    silent = replaced(model, stored)
    small = smaller(coupled(read(silent, tmp_path)), stays)
    (whole,), (few,) = reference(silent, INPUTS, "y"), reference(small.model, INPUTS, "y")
    np.testing.assert_allclose(few, whole, rtol=1e-4, atol=1e-4)
    assert set(coupling.kept) == {"fc"}
    assert constants(small.model)["a.weight"].shape == (1, 3, 1, 1)
