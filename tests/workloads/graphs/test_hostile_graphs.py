"""Is a forged or unusual ONNX file refused in one line, at once, in little memory and without leaving its folder?"""

import resource
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.onnx_models import TensorProto, helper, model_of, normal, tensor
from workloads import BadInput, load
from workloads.address import layers
from workloads.graphs.feed import Feed

LINEAR = helper.make_node("MatMul", ["x", "w"], ["y"])
W = {"w": normal(5, 4)}
X = {"x": (3, 5)}
MOST_SECONDS = 10
MOST_BYTES = 2**30


def refused(folder, content, said, name="f.onnx"):
    """Assert that a file is refused with those words in one line, in little time and memory."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInput) as caught:
        load(path, Feed.of(inputs={"x": normal(3, 5)}))
    assert time.perf_counter() - began < MOST_SECONDS
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < MOST_BYTES
    message = str(caught.value)
    assert message.startswith(f"workload file {str(path)!r} ")
    assert said in message
    assert "\n" not in message
    assert len(message) < 600


def linear(*nodes, outputs=("y",), **stored):
    return model_of([LINEAR, *nodes], X, W | stored, outputs)


# Sizes


@pytest.mark.parametrize(
    ("dims", "said"),
    [
        ([2**20, 2**20], "'w' promises 4,398,046,511,104 bytes ([1048576, 1048576]), has 80"),
        ([2**62, 2**62], "'w' promises"),
        ([-5, 4], "'w' has the shape [-5, 4]"),
        ([5, 5], "'w' promises 100 bytes ([5, 5]), has 80"),
        ([], "'w' promises 4 bytes ([]), has 80"),
    ],
)
def test_a_tensor_of_another_size_than_its_bytes(tmp_path, dims, said):
    model = linear()
    model.graph.initializer[0].dims[:] = dims
    refused(tmp_path, model, said)


@pytest.mark.parametrize("dims", [[2**20, 2**20], [5, 5], [2, 3], [10, 4], [-5, -4]])
def test_a_tensor_of_another_size_than_its_numbers(tmp_path, dims):
    model = linear()
    model.graph.initializer[0].CopyFrom(helper.make_tensor("w", TensorProto.FLOAT, (5, 4), normal(20)))
    model.graph.initializer[0].dims[:] = dims
    refused(tmp_path, model, "is damaged: 'w' ")


@pytest.mark.parametrize("kind", [0, 99])
def test_a_tensor_of_an_unknown_type(tmp_path, kind):
    model = linear()
    model.graph.initializer[0].data_type = kind
    refused(tmp_path, model, f"has 'w' of an unknown type, number {kind}")


def sparse(dims, places, values=(1.0,)):
    model = model_of([LINEAR], X, {})
    entry = model.graph.sparse_initializer.add(dims=dims)
    entry.values.CopyFrom(tensor("w", np.array(values, np.float32)))
    entry.indices.CopyFrom(tensor("", np.array(places, np.int64)))
    return model


@pytest.mark.parametrize(
    ("dims", "places", "said"),
    [
        ((2**20, 2**20), [0], "promises a matrix of 1,048,576 x 1,048,576"),
        ((-5, 4), [0], "'w' has the shape [-5, 4]"),
        ((5, 4), [20], "'w' has a place beyond its shape [5, 4]"),
        ((5, 4), [-1], "'w' has a place beyond its shape [5, 4]"),
        ((5, 4), [[5, 0]], "'w' has a place beyond its shape [5, 4]"),
        ((5, 4), [0, 1], "'w' has 1 values and places of the shape [2]"),
        ((5, 4), [[0, 0, 0]], "'w' has 1 values and places of the shape [1, 3]"),
    ],
)
def test_a_sparse_tensor_that_does_not_fit(tmp_path, dims, places, said):
    refused(tmp_path, sparse(dims, places), said)


BOMBS = {
    "ConstantOfShape": [helper.make_node("ConstantOfShape", ["n"], ["big"])],
    "Expand": [helper.make_node("Expand", ["one", "n"], ["big"])],
    "Tile": [helper.make_node("Tile", ["one", "n"], ["big"])],
    "of the inputs": [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "zero"], ["nothing"]),
        helper.make_node("Cast", ["nothing"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Add", ["n", "whole"], ["many"]),
        helper.make_node("ConstantOfShape", ["many"], ["big"]),
    ],
}


@pytest.mark.parametrize("power", [38, 40])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_file_of_a_large_tensor(tmp_path, bomb, power):
    """2**38 numbers take a terabyte."""
    nodes = [
        *BOMBS[bomb],
        helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0),
        helper.make_node("Add", ["w", "sum"], ["v"]),
        helper.make_node("MatMul", ["x", "v"], ["h"]),
        helper.make_node("MatMul", ["h", "u"], ["y"]),
    ]
    stored = {"n": np.array([2**power]), "one": np.ones(1, np.float32), "zero": np.float32(0), "u": normal(4, 2)}
    refused(tmp_path, model_of(nodes, X, W | stored), "cannot be run")


def test_no_more_than_half_of_the_memory_is_had(tmp_path):
    """Half a gigabyte on a machine that is told to have a quarter of one for it."""
    nodes = [helper.make_node("ConstantOfShape", ["n"], ["big"]), helper.make_node("ReduceSum", ["big"], ["sum"])]
    nodes += [helper.make_node("Add", ["x", "sum"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])]
    model = model_of(nodes, X, W | {"n": np.array([1, 2**27])})
    (tmp_path / "f.onnx").write_bytes(model.SerializeToString())
    program = f"""
from pathlib import Path
from workloads import BadInput, load
from workloads.graphs import execute
execute.most_bytes = lambda: 2**28
try:
    load({str(tmp_path / "f.onnx")!r})
except BadInput as error:
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0], error)
"""  # the high water of this program alone: getrusage's begins with that of the process that started it
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    most_kilobytes, _, said = done.stdout.partition(" ")
    assert int(most_kilobytes) < 2**19
    assert "cannot be run" in said


def test_weights_that_are_a_large_tensor(tmp_path):
    nodes = [helper.make_node("ConstantOfShape", ["n"], ["w"]), LINEAR]
    refused(tmp_path, model_of(nodes, X, {"n": np.array([5, 2**38])}), "cannot be run")


def test_pads_without_end(tmp_path):
    node = helper.make_node("Conv", ["x", "k"], ["y"], pads=[2**40, 2**40])
    (tmp_path / "f.onnx").write_bytes(model_of([node], {"x": (1, 3, 5)}, {"k": normal(4, 3, 2)}).SerializeToString())
    with pytest.raises(BadInput, match="an input with its pads, which is more than half of this machine's memory"):
        load(tmp_path / "f.onnx", Feed())


# Files beside the model


def outside(folder, location, **more):
    model = linear()
    stored = model.graph.initializer[0]
    stored.ClearField("raw_data")
    stored.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        stored.external_data.add(key=key, value=str(value))
    return model


@pytest.fixture
def folder(tmp_path):
    """A folder for the model, beside a file that it must not read, which has as many bytes as it wants."""
    (tmp_path / "secret").write_bytes(W["w"].tobytes())
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link").symlink_to(tmp_path / "secret")
    (inner / "linked").symlink_to(tmp_path)
    (inner / "short.bin").write_bytes(bytes(79))
    (inner / "w.bin").write_bytes(W["w"].tobytes())
    return inner


@pytest.mark.parametrize("location", ["../secret", "link", "linked/secret", "./../secret", "", ".", "a/../../secret"])
def test_a_file_outside_the_folder(folder, location):
    refused(folder, outside(folder, location), f"wants 'w' from {location!r}, which is not in the model's own folder")


def test_an_absolute_path(folder):
    location = str(folder.parent / "secret")
    refused(folder, outside(folder, location), f"wants 'w' from {location!r}, which is not in the model's own folder")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"location": "none.bin"}, "keeps 'w' in 'none.bin', which is not beside it"),
        ({"location": "short.bin"}, "'w' wants 80 bytes of 'short.bin' from 0 on, which has 79"),
        ({"location": "w.bin", "offset": 4}, "'w' wants 80 bytes of 'w.bin' from 4 on, which has 80"),
        ({"location": "w.bin", "offset": -80, "length": 80}, "'w' wants 80 bytes of 'w.bin' from -80 on"),
        ({"location": "w.bin", "length": 2**60}, "'w' wants 80 bytes of 'w.bin' from 0 on, which has 80"),
        ({"location": "w.bin", "offset": "many"}, "the place of 'w' in 'w.bin' is no number"),
        ({"location": "w\0.bin"}, "is no readable ONNX model"),
    ],
)
def test_a_file_that_does_not_fit(folder, entries, said):
    refused(folder, outside(folder, **entries), said)


def test_the_sample_with_a_file_beside_it_is_sound(folder):
    (folder / "f.onnx").write_bytes(outside(folder, "w.bin").SerializeToString())
    (layer,) = layers(folder / "f.onnx").values()
    np.testing.assert_array_equal(layer.weights, W["w"].T)
