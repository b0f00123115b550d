"""Which channels go together in graphs that can be overseen by hand, and why do the others stay?"""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import helper  # noqa: E402

from tests.channel_graphs import INPUTS, Builder, constants, read, replaced, residual  # noqa: E402
from tests.onnx_models import model_of, normal, reference  # noqa: E402
from workloads import BadInput  # noqa: E402
from workloads.allocation.coupling import coupled  # noqa: E402
from workloads.allocation.smaller import smaller  # noqa: E402

node = helper.make_node


def without(coupling, name, places):
    """Return bool[units] that lack those which a layer writes at some places."""
    stays = np.ones(coupling.n, bool)
    stays[coupling.ends[name].writes[places]] = False
    return stays


def test_what_a_residual_sum_adds_shrinks_together(tmp_path):
    built = residual()
    coupling = coupled(read(built.model(), tmp_path))
    ends = coupling.ends
    stem, hidden, back = built.convs
    assert {name: [len(units) for units in of_knob] for name, of_knob in coupling.knobs.items()} == {
        stem: [4],
        hidden: [5],
    }
    np.testing.assert_array_equal(ends[stem].writes, ends[back].writes)
    np.testing.assert_array_equal(ends[stem].writes, ends[hidden].reads)
    np.testing.assert_array_equal(ends["fc"].reads, np.repeat(ends[stem].writes, 16))
    assert coupling.kept == {"fc": "y is an output of the graph"}


def test_channels_that_no_producer_writes_may_go(tmp_path):
    built = residual()
    model, stored = built.model(), constants(built.model())
    stem, hidden, back = built.convs
    norms = [name.removesuffix(".gamma") for name in stored if name.endswith(".gamma")]
    for array in (f"{back}.weight", f"{back}.bias", f"{norms[0]}.gamma", f"{norms[0]}.beta"):
        stored[array][[1, 2]] = 0
    for part in ("gamma", "beta"):
        stored[f"{norms[1]}.{part}"][4] = 0
    silent = replaced(model, stored)
    coupling = coupled(read(silent, tmp_path))
    small = smaller(coupling, without(coupling, stem, [1, 2]) & without(coupling, hidden, [4]))
    (whole,), (few,) = reference(silent, INPUTS, "y"), reference(small.model, INPUTS, "y")
    np.testing.assert_allclose(few, whole, rtol=1e-5, atol=1e-5)
    # 2 of 4 channels stay, 4 of 5 hidden ones; a normalisation has 4 numbers a channel
    n = 2 * 3 * 9 + (4 * 2 * 9 + 4) + (2 * 4 + 2) + (3 * 2 * 16 + 3) + 4 * (2 + 4)
    assert sum(array.size for array in constants(small.model).values()) == n


def test_a_depthwise_convolution_goes_with_its_channels_and_a_block_of_groups_whole(tmp_path):
    built = Builder()
    wide = built.conv(built.conv(built.conv("x", 4), 8, 3, groups=4), 6, groups=2)
    built.fully(wide, 6 * 16, "Gemm")
    coupling = coupled(read(built.model(), tmp_path))
    first, depthwise, grouped = built.convs
    # the second of two blocks of 4 channels is 2 of the 4 kernels of the depthwise one: 2 units in all
    np.testing.assert_array_equal(coupling.ends[depthwise].writes, np.repeat(coupling.ends[first].writes, 2))
    assert [len(units) for units in coupling.knobs[first]] == [2]
    small = smaller(coupling, without(coupling, grouped, [3, 4, 5]))
    sizes = {product.name: (len(product.weights), product.n_in, product.groups) for product in small.products}
    assert sizes == {first: (2, 3, 1), depthwise: (4, 2 * 9, 2), grouped: (3, 4, 1), "fc": (3, 3 * 16, 1)}
    for name, ends in coupling.ends.items():
        stays = without(coupling, grouped, [3, 4, 5])
        assert ends.sizes(stays[ends.reads].sum(), stays[ends.writes].sum()) == sizes[name]


def test_parts_of_a_concat_are_groups_of_their_own_under_one_knob(tmp_path):
    built = Builder()
    squeezed = built.conv("x", 4)
    parts = [built.conv(squeezed, 3), built.conv(squeezed, 5, 3)]
    built.fully(built.node("Concat", parts, 8, axis=1), 8 * 16, "Reshape")
    coupling = coupled(read(built.model(), tmp_path))
    assert {name: [len(units) for units in of_knob] for name, of_knob in coupling.knobs.items()} == {
        squeezed: [4],
        parts[0]: [3, 5],
    }
    small = smaller(coupling, without(coupling, parts[1], [0, 1]))
    assert constants(small.model)["flat.shape"].tolist() == [-1, 6 * 16]
    assert reference(small.model, INPUTS, "y")[0].shape == (2, 3)


STORED = {"w": normal(4, 3, 1, 1), "fc": normal(4 * 16, 3)}
FIRST = node("Conv", ["x", "w"], ["c"], "first")
LAST = [node("Flatten", ["d"], ["f"]), node("MatMul", ["f", "fc"], ["y"], "fc")]


@pytest.mark.parametrize(
    ("between", "more", "reason"),
    [
        ([node("LRN", ["c"], ["d"], "lrn", size=3)], {}, "LRN lrn is not understood"),
        ([node("Softmax", ["c"], ["d"], "soft", axis=1)], {}, "Softmax soft normalises over them"),
        ([node("MatMul", ["c", "c"], ["d"], "mm")], {}, "MatMul mm is a product of two computed values"),
        (
            [
                node("Reshape", ["c", "heads"], ["h"], "split"),
                node("Transpose", ["h"], ["t"], perm=[0, 2, 1, 3, 4]),
                node("Reshape", ["t", "back"], ["d"]),
            ],
            {"heads": np.array([0, 2, 2, 4, 4]), "back": np.array([0, 4, 4, 4])},
            "Reshape split spreads them over several axes",
        ),
        (
            [node("Reshape", ["c", "flat"], ["m"]), node("MatMul", ["m", "m2"], ["d"], "m")],
            {"flat": np.array([0, 4, -1]), "m2": normal(16, 16)},
            "m is cut along another axis",
        ),
        ([node("Add", ["c", "x4"], ["d"], "a")], {}, "x4 keeps its width"),
        (
            [node("ReduceMean", ["c"], ["r"], "r", axes=[1]), node("Mul", ["r", "x4"], ["d"])],
            {},
            "ReduceMean r sums over them",
        ),
        ([node("ArgMax", ["c"], ["am"], "am", axis=1), node("Relu", ["c"], ["d"])], {}, "ArgMax am is not understood"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_rule_carries_through_stays_and_says_why(between, more, reason, tmp_path):
    joined = [node("Concat", ["x", "part"], ["x4"], axis=1), node("Slice", ["x", "0", "1", "1"], ["part"])][::-1]
    stored = STORED | more | {"0": np.array([0]), "1": np.array([1])}
    model = model_of([*joined, FIRST, *between, *LAST], {"x": ["n", 3, 4, 4]}, stored)
    coupling = coupled(read(model, tmp_path))
    assert coupling.kept["w"] == reason
    with pytest.raises(BadInput, match="must stay"):
        smaller(coupling, without(coupling, "w", [0]))


def test_quantised_weights_stay(tmp_path):
    quantised = {"q": np.ones((4, 3, 1, 1), np.int8), "s": np.float32(0.5)}
    nodes = [node("DequantizeLinear", ["q", "s"], ["w"]), FIRST, node("Relu", ["c"], ["d"]), *LAST]
    stored = {name: array for name, array in STORED.items() if name != "w"} | quantised
    coupling = coupled(read(model_of(nodes, {"x": ["n", 3, 4, 4]}, stored), tmp_path))
    assert coupling.kept["first"] == "Conv first is quantised"


def test_at_least_one_channel_stays(tmp_path):
    coupling = coupled(read(residual().model(), tmp_path))
    name = next(iter(coupling.ends))
    with pytest.raises(BadInput, match=f"layer '{name}' must keep at least one output, got none"):
        smaller(coupling, without(coupling, name, slice(None)))
