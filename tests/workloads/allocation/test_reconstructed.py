"""Do the readers of fewer channels give what they gave, where what went can be made of what stayed?"""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from onnx import helper

from tests.channel_graphs import SIDE, Builder, constants, replaced
from tests.onnx_models import model_of, normal, reference
from workloads.allocation.coupling import coupled
from workloads.allocation.reconstructed import reconstructed
from workloads.allocation.smaller import smaller
from workloads.graphs import graph as graphs
from workloads.graphs.feed import Feed

MANY = {"x": normal(40, 3, SIDE, SIDE)}


def read(model, folder):
    (folder / "f.onnx").write_bytes(model.SerializeToString())
    return graphs.read(folder / "f.onnx", Feed.of(inputs=MANY))


def solved(model, folder, layer, gone):
    """Return a model without a layer's outputs at some places, cut alone and solved anew."""
    coupling = coupled(read(model, folder))
    stays = np.ones(coupling.n, bool)
    stays[coupling.ends[layer].writes[gone]] = False
    small = smaller(coupling, stays)
    return small.model, reconstructed(coupling, small, stays).model


@pytest.mark.parametrize("with_norm", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_channel_that_is_twice_another_is_not_missed(bias, with_norm, tmp_path):
    """A ReLU keeps a factor; with a bias behind, or a normalisation's, the reader has a constant to change as well."""
    built = Builder()
    hidden = built.conv("x", 5, 3)
    back = built.conv(built.node("Relu", [hidden], 5), 4, bias=bias)
    last = built.node("GlobalAveragePool", [built.norm(back) if with_norm else back], 4)
    built.fully(last, 4, "Gemm")
    stored = constants(built.model())
    for part in ("weight", "bias"):
        stored[f"{hidden}.{part}"][3] = 2 * stored[f"{hidden}.{part}"][0]
    model = replaced(built.model(), stored)
    cut, anew = solved(model, tmp_path, hidden, [3])
    (whole,), (worse,), (same,) = (reference(of, MANY, "y") for of in (model, cut, anew))
    np.testing.assert_allclose(same, whole, rtol=1e-3, atol=1e-3)
    assert np.abs(worse - whole).max() > 0.1
    assert constants(anew)[f"{back}.weight"].shape == (4, 4, 1, 1)


def test_a_constant_channel_goes_into_the_bias(tmp_path):
    """Channel 1 has no weights and gives its bias everywhere: 3 times its columns is what the reader's bias gains."""
    nodes = [
        helper.make_node("Conv", ["x", "a.weight", "a.bias"], ["c"], "a"),
        helper.make_node("Conv", ["c", "b.weight", "b.bias"], ["y"], "b"),
    ]
    stored = {"a.weight": normal(3, 3, 1, 1), "a.bias": np.array([0.5, 3, -1], np.float32)}
    stored |= {"b.weight": normal(2, 3, 1, 1), "b.bias": normal(2)}
    stored["a.weight"][1] = 0
    model = model_of(nodes, {"x": ["n", 3, SIDE, SIDE]}, stored)
    _, anew = solved(model, tmp_path, "a", [1])
    expected = stored["b.bias"] + 3 * stored["b.weight"][:, 1, 0, 0]
    np.testing.assert_allclose(constants(anew)["b.bias"], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(constants(anew)["b.weight"], stored["b.weight"][:, [0, 2]], rtol=1e-3, atol=1e-4)
