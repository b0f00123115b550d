"""Does a chain of layers on a cloud join tensors, share maps and tell runs of pointwise layers as it should?"""

import numpy as np
import pytest

from workloads import BadInput
from workloads.points.chain import Chain
from workloads.points.clouds import Cloud
from workloads.points.coordinates import DILATING
from workloads.points.kernel_map import kernel_map
from workloads.records import DRAWN, REAL

# Four voxels in a row and one apart: at a stride of 2 three outputs.
VOXELS = np.array([[-3, 0, 0], [-2, 0, 0], [-1, 0, 0], [0, 0, 0], [5, 5, 5]], np.int32)


@pytest.fixture
def chain():
    features = np.random.default_rng(0).standard_normal((5, 3), np.float32)
    return Chain(Cloud(name="few", coordinates=VOXELS, features=features, provenance="by hand"), seed=9)


def test_a_sum_has_a_relu_and_a_skip_stands_beside(chain):
    one, other = (chain.convolution(name, chain.input, 4, relu=False) for name in ("one", "other"))
    total, both = chain.add("total", one, other), chain.concatenated("both", one, chain.input)
    assert np.array_equal(total.features, np.maximum(one.features + other.features, 0))
    assert np.array_equal(both.features[:, :4], one.features)
    assert np.array_equal(both.features[:, 4:], chain.input.features)
    assert [(tensor.level, tensor.reached, tensor.source) for tensor in (total, both)] == [
        (0, REAL, "total"),
        (0, REAL, "both"),
    ]
    *_, added, joined = chain.model("net").operators
    assert (added.name, added.kind, added.n_elements, added.n_bytes) == ("total", "Add", 5 * 4, 4 * 5 * 4)
    assert (joined.name, joined.kind, joined.n_elements, joined.n_bytes) == ("both", "Concat", 5 * 7, 4 * 5 * 7)


def test_what_does_not_lie_on_the_same_voxels_is_not_joined(chain):
    down = chain.convolution("down", chain.input, 3, kernel_size=2, stride=2)
    for join in (chain.add, chain.concatenated):
        with pytest.raises(BadInput, match="bad must join features on the same voxels, got levels 0 and 1"):
            join("bad", chain.input, down)
    with pytest.raises(BadInput, match="bad must add as many channels, got 3 and 4"):
        chain.add("bad", chain.input, chain.convolution("four", chain.input, 4))
    for tensor, kernel_size in ((chain.input, 2), (down, 3)):
        with pytest.raises(BadInput, match=f"up goes back where no strided convolution of kernel_size {kernel_size} "):
            chain.transposed("up", tensor, 3, kernel_size=kernel_size)


def test_a_map_is_of_the_first_layer_with_its_voxels_kernel_and_stride(chain):
    first = chain.convolution("first", chain.input, 4)
    second = chain.convolution("second", first, 4)
    wide = chain.convolution("wide", second, 4, kernel_size=5)
    down = chain.convolution("down", wide, 4, kernel_size=2, stride=2)
    again = chain.convolution("again", chain.input, 4, kernel_size=2, stride=2)
    deep = chain.convolution("deep", down, 4)
    up = chain.transposed("up", deep, 4)
    layers = {layer.name: layer for layer in chain.model("net").layers}
    assert {name: layer.map_from for name, layer in layers.items()} == {
        "first": None, "second": "first", "wide": None, "down": None, "again": "down", "deep": None, "up": "down",
    }  # fmt: skip
    assert [t.level for t in (first, second, wide, down, again, deep, up)] == [0, 0, 0, 1, 1, 1, 0]
    # floor(x / 2) of -3, -2, -1, 0 and 5
    assert sorted(layers["down"].map.outputs.tolist()) == [[-2, 0, 0], [-1, 0, 0], [0, 0, 0], [2, 2, 2]]
    assert np.array_equal(layers["deep"].map.inputs, layers["down"].map.outputs)
    assert np.array_equal(layers["up"].map.outputs, VOXELS)
    assert [layers[name].kind for name in ("first", "down", "up")] == ["submanifold", "strided", "transposed"]


def test_outputs_that_dilate_are_of_a_grid_from_0_on(chain):
    chain.convolution("grown", chain.input, 4, convention=DILATING, stride=2)
    (layer,) = chain.model("net").layers
    grid = VOXELS - [-3, 0, 0]
    assert np.array_equal(layer.map.inputs, grid)
    assert np.array_equal(layer.map.outputs, kernel_map(grid, 3, 2, convention=DILATING).outputs)


def test_pointwise_layers_run_together_until_another_takes_what_one_gives(chain):
    def pointwise(name, tensor, channels):
        return chain.convolution(name, tensor, channels, kernel_size=1)

    b = pointwise("b", pointwise("a", chain.input, 5), 6)
    c = chain.convolution("c", b, 7)  # a run ends at a layer that is none
    d = pointwise("d", c, 8)
    e = pointwise("e", d, 9)
    pointwise("f", d, 9)  # d's output is taken twice: each of the three alone
    chain.add("sum", e, e)
    runs = {layer.name: (layer.pointwise_run, layer.run_place) for layer in chain.model("net").layers}
    assert runs == {
        "a": ((3, 5, 6), 0), "b": ((3, 5, 6), 1), "c": ((), 0), "d": ((7, 8), 0), "e": ((8, 9), 0), "f": ((8, 9), 0),
    }  # fmt: skip
    assert [operator.name for operator in chain.model("net").operators] == ["a", "b", "c", "d", "e", "f", "sum"]


@pytest.mark.parametrize("given", [True, False])
def test_what_the_weights_and_features_are_is_said(given):
    features = np.ones((5, 2), np.float32) if given else None
    chain = Chain(Cloud(name="few", coordinates=VOXELS, features=features, provenance="by hand"), channels=6, seed=9)
    assert (chain.input.channels, chain.input.reached) == ((2, REAL) if given else (6, DRAWN))
    chain.convolution("one", chain.input, 4)
    model = chain.model("net")
    told = "features given" if given else "features drawn with seed 9"
    assert (model.name, model.provenance) == ("few:net", f"by hand; 5 voxels; {told}")
    assert model.notes == ("weights are drawn with seed 9, batch norm with the cloud's own statistics folded in",)
    assert model.layers[0].reached == chain.input.reached
    if not given:
        assert np.array_equal(chain.input.features, np.random.default_rng(9).standard_normal((5, 6), np.float32))
