"""Does a graph get what the user gives it, or is it said in one line what it wants?"""

import re

import numpy as np
import pytest

from tests.onnx_models import TensorProto, check, helper, model_of, normal, only_of, reference
from workloads import BadInput
from workloads.graphs.feed import Feed

LINEAR = helper.make_node("MatMul", ["x", "w"], ["y"])


def saved(folder, shape, kind=TensorProto.FLOAT, nodes=(LINEAR,), **stored):
    inputs = shape if isinstance(shape, dict) else {"x": shape}
    model = model_of(nodes, inputs, {"w": normal(5, 4), **stored}, kind=kind)
    (folder / "f.onnx").write_bytes(model.SerializeToString())
    return model, str(folder / "f.onnx")


def refused(path, inputs, said):
    with pytest.raises(BadInput, match=re.escape(said)) as caught:
        only_of(path, Feed.of(inputs=inputs))
    assert str(caught.value).startswith(f"workload file {path!r} ")
    assert "\n" not in str(caught.value)


X = normal(3, 5)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"X": X}, "has no input 'X': one of x: it wants 'x' float32[n, 5]"),
        ({"x": X, "other": X}, "has no input 'other': one of x: it wants 'x' float32[n, 5]"),
        ({"labels": np.arange(3)}, "wants an input 'x', got none: it wants 'x' float32[n, 5]"),
        ({}, "wants an input 'x', got none: it wants 'x' float32[n, 5]"),
        ({"x": normal(3, 6)}, "wants 'x' float32[n, 5], got float32[3, 6]"),
        ({"x": normal(5)}, "wants 'x' float32[n, 5], got float32[5]"),
        ({"x": normal(1, 3, 5)}, "wants 'x' float32[n, 5], got float32[1, 3, 5]"),
        ({"x": np.zeros((0, 5), np.float32)}, "wants 'x' float32[n, 5], got float32[0, 5]"),
        ({"x": X.astype(complex)}, "wants 'x' float32[n, 5], got complex128[3, 5]"),
        ({"x": np.full((3, 5), "a")}, "wants 'x' float32[n, 5], got <U1[3, 5]"),
        ({"x": np.full((3, 5), None)}, "wants 'x' float32[n, 5], got object[3, 5]"),
        ({"x": np.full((3, 5), np.nan)}, "wants 'x' float32[n, 5], finite, and got a value that is not"),
        ({"x": np.full((3, 5), 1e300)}, "wants 'x' float32[n, 5], finite, and got a value that is not"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_is_wanted(tmp_path, inputs, said):
    _, path = saved(tmp_path, ("n", 5))
    refused(path, inputs, said)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (X, "wants 'x' int8[?, 5], got float32[3, 5]"),
        (np.full((3, 5), 128), "wants 'x' int8[?, 5], got numbers beyond that"),
    ],
)
def test_whole_numbers_that_do_not_fit(tmp_path, array, said):
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    _, path = saved(tmp_path, (None, 5), TensorProto.INT8, nodes)
    refused(path, {"x": array}, said)


@pytest.mark.parametrize("array", [X.astype(np.float64), X.astype(np.float16), (9 * X).astype(np.int8)])
def test_numbers_of_another_size_are_converted(tmp_path, array):
    model, path = saved(tmp_path, ("n", 5))
    feeds = {"x": array.astype(np.float32)}
    check(only_of(path, Feed.of(inputs={"x": array})), *reference(model, feeds, "y"), batch=3)


@pytest.mark.parametrize(
    ("file", "said"),
    [("none.npz", "which does not exist"), ("bad.npz", "which is no .npz archive: "), ("f.npz", "has no input 'z'")],
)
def test_a_file_of_inputs_that_cannot_be_taken(tmp_path, file, said):
    _, path = saved(tmp_path, ("n", 5))
    (tmp_path / "bad.npz").write_bytes(b"PK\3\4" + bytes(99))
    np.savez(tmp_path / "f.npz", z=X)
    refused(path, str(tmp_path / file), said)


def test_a_file_of_inputs_with_labels(tmp_path):
    model, path = saved(tmp_path, ("n", 5))
    np.savez(tmp_path / "data.npz", x=X, labels=np.arange(3))
    layer = only_of(path, Feed.of(inputs=str(tmp_path / "data.npz")))
    check(layer, *reference(model, {"x": X}, "y"), batch=3)
    assert (layer.reached, layer.provenance) == ("real", "file f.onnx, layer w; inputs of data.npz")


def test_labels_that_the_graph_itself_wants_are_an_input(tmp_path):
    nodes = [LINEAR, helper.make_node("Add", ["y", "labels"], ["z"])]
    _, path = saved(tmp_path, {"x": ("n", 5), "labels": ("n", 4)}, nodes=nodes)
    refused(path, {"x": X}, "wants an input 'labels', got x: it wants 'x' float32[n, 5], 'labels'")
    assert only_of(path, Feed.of(inputs={"x": X, "labels": normal(3, 4)})).batch == 3


@pytest.mark.parametrize(("n_given", "n", "batch"), [(3, None, 3), (3, 2, 2), (3, 3, 3), (3, 9, 3)])
@pytest.mark.parametrize("first_axis", [1, "n"])
def test_so_many_inputs(tmp_path, first_axis, n_given, n, batch):
    _, path = saved(tmp_path, (first_axis, 5))
    layer = only_of(path, Feed(arrays={"x": X[:n_given]}, n=n))
    np.testing.assert_array_equal(layer.activations, X[:batch])
    assert (layer.batch, layer.positions) == (batch, 1)


def test_a_graph_of_one_input_runs_once_for_each(tmp_path):
    """Its softmax runs over the first axis, of one: were the three to run together, they would not be all ones."""
    nodes = [helper.make_node("Softmax", ["x"], ["s"], axis=0), helper.make_node("MatMul", ["s", "w"], ["y"])]
    _, path = saved(tmp_path, (1, 5), nodes=nodes)
    layer = only_of(path, Feed.of(inputs={"x": X}))
    np.testing.assert_array_equal(layer.activations, np.ones((3, 5)))
    assert layer.batch == 3


def test_a_graph_of_two_inputs_takes_no_odd_number(tmp_path):
    _, path = saved(tmp_path, (2, 5))
    refused(path, {"x": X}, "wants 'x' float32[2, 5], got float32[3, 5]")
    assert only_of(path, Feed.of(inputs={"x": normal(4, 5)})).batch == 4
    with pytest.raises(BadInput, match="takes 2 inputs at a time, got 3"):
        only_of(path, Feed(arrays={"x": normal(4, 5)}, n=3))
    with pytest.raises(BadInput, match="takes 2 inputs at a time, got 1"):
        only_of(path, Feed(n=1))


def test_inputs_as_many_as_the_first_are_cut_with_it_and_others_enter_every_run(tmp_path):
    nodes = [helper.make_node("Mul", ["x", "scale"], ["s"]), helper.make_node("Add", ["s", "more"], ["a"])]
    nodes.append(helper.make_node("MatMul", ["a", "w"], ["y"]))
    _, path = saved(tmp_path, {"x": (1, 5), "scale": (5,), "more": (1, 5)}, nodes=nodes)
    scale, more = normal(5), normal(3, 5, seed=1)
    layer = only_of(path, Feed.of(inputs={"x": X, "scale": scale, "more": more}))
    np.testing.assert_allclose(layer.activations, X * scale + more, rtol=1e-6)


def test_inputs_of_different_numbers_are_refused(tmp_path):
    nodes = [helper.make_node("Add", ["x", "more"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    _, path = saved(tmp_path, {"x": (1, 5), "more": (1, 5)}, nodes=nodes)
    refused(path, {"x": X, "more": normal(2, 5)}, "wants as many of 'more' as of 'x', got 2 and 3")


# Random ones


@pytest.mark.parametrize("n", [None, 4])
def test_random_inputs_are_standard_normal_by_their_seed(tmp_path, n):
    _, path = saved(tmp_path, ("n", 5))
    layer = only_of(path, Feed(n=n, seed=7))
    expected = np.random.default_rng(7).standard_normal((n or 1, 5), np.float32)
    np.testing.assert_array_equal(layer.activations, expected)
    assert layer.reached == "random"
    assert layer.provenance.endswith("inputs random: standard normal, seed 7")


def test_random_inputs_of_a_graph_of_one(tmp_path):
    _, path = saved(tmp_path, (1, 5))
    layer = only_of(path, Feed(n=4))
    np.testing.assert_array_equal(layer.activations, np.random.default_rng(0).standard_normal((4, 5), np.float32))
    assert layer.batch == 4


@pytest.mark.parametrize(
    ("shape", "kind", "said"),
    [
        (("n", "length", 5), TensorProto.FLOAT, "wants 'x' float32[n, length, 5], of which axis 1 has no length"),
        ((1, None, 5), TensorProto.FLOAT, "wants 'x' float32[1, ?, 5], of which axis 1 has no length"),
        (None, TensorProto.FLOAT, "wants 'x' float32[...], whose values cannot be drawn"),
        ((2, 5), TensorProto.INT64, "wants 'x' int64[2, 5], whose values cannot be drawn"),
        ((2**20, 2**20), TensorProto.FLOAT, "random numbers for 'x' float32[1048576, 1048576]"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, shape, kind, said):
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    _, path = saved(tmp_path, shape, kind, nodes)
    refused(path, None, said)


# Densities and positions


def test_a_density_is_drawn_in_the_place_of_what_the_graph_gives(tmp_path):
    """Of 40,000 places 30% are not zero, within five standard errors."""
    _, path = saved(tmp_path, ("n", 5))
    layer = only_of(path, Feed(n=8000, densities={"w": 0.3}))
    share, error = np.count_nonzero(layer.activations) / 40_000, (0.3 * 0.7 / 40_000) ** 0.5
    assert abs(share - 0.3) < 5 * error
    assert (layer.activations >= 0).all()
    assert layer.reached == "drawn"
    assert only_of(path, Feed(densities={"other": 0.3})).reached == "random"
    assert only_of(path, Feed(densities={"w": 1})).reached == "dense"


def test_positions_are_a_sample_of_all(tmp_path):
    node = helper.make_node("Conv", ["x", "k"], ["y"])
    _, path = saved(tmp_path, (2, 3, 9), nodes=[node], k=normal(4, 3, 2))
    feeds = {"x": normal(2, 3, 9)}
    whole, part = only_of(path, Feed.of(inputs=feeds)), only_of(path, Feed.of(inputs=feeds, positions=3))
    assert (part.positions, part.sampled, part.batch, len(part.activations)) == (8, 3, 2, 6)
    rows = whole.activations.reshape(2, 8, 6)
    for of_input, sample in zip(rows, part.activations.reshape(2, 3, 6), strict=True):
        places = [next(i for i, row in enumerate(of_input) if np.array_equal(row, one)) for one in sample]
        assert places == sorted(set(places))
