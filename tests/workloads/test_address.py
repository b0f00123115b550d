"""Does FILE:LAYER find the layer that is meant, and is it said where its activations come from?"""

import re

import ml_dtypes
import numpy as np
import pytest

import workloads
from workloads import BadInput, address, tasks
from workloads.graphs.feed import Feed

ROWS = np.array([[1, 0, -2.5], [0, 0.5, 0]], np.float32)


@pytest.fixture
def net(tmp_path):
    """Return the path of a network of four matrices, two of them with a bias."""
    arrays = {
        "enc.0.weight": ROWS,
        "enc.0.bias": np.float32([1, 2]),
        "enc.1.weight": np.arange(36, dtype=np.float32).reshape(3, 2, 3, 2),
        "rnn.weight_ih": 2 * ROWS,
        "rnn.bias_ih": np.float32([3, 4]),
        "dec": 3 * ROWS,
        "scale": np.float32([1]),
    }
    np.savez(tmp_path / "net.npz", **arrays)
    return tmp_path / "net.npz"


@pytest.mark.parametrize(
    ("text", "path", "pattern"),
    [
        ("net.npz", "net.npz", "*"),
        ("a/net.safetensors:enc.*", "a/net.safetensors", "enc.*"),
        ("net.NPZ:enc.0", "net.NPZ", "enc.0"),
        ("c:net.onnx:dense/MatMul:0", "c:net.onnx", "dense/MatMul:0"),
        ("net.pt:a.pt:b", "net.pt", "a.pt:b"),
        ("m.smtx:m", "m.smtx", "m"),
        ("alex-6", "alex-6", "*"),
        ("net.npz:", "net.npz:", "*"),
    ],
)
def test_the_colon_stands_behind_a_known_suffix(text, path, pattern):
    found, layer = address.split(text)
    assert (str(found), layer) == (path, pattern)


def test_a_file_with_a_colon_in_its_name_is_a_file(tmp_path):
    (tmp_path / "a.npz:b.npz").touch()
    assert address.split(tmp_path / "a.npz:b.npz") == (tmp_path / "a.npz:b.npz", "*")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["enc.0", "enc.1", "rnn.weight_ih", "dec"]),
        (":*", ["enc.0", "enc.1", "rnn.weight_ih", "dec"]),
        (":enc.*", ["enc.0", "enc.1"]),
        (":enc.0", ["enc.0"]),
        (":enc.0.weight", ["enc.0"]),
        (":*.weight", ["enc.0", "enc.1"]),
        (":[er]*", ["enc.0", "enc.1", "rnn.weight_ih"]),
        (":dec", ["dec"]),
    ],
)
def test_patterns(net, pattern, names):
    assert list(address.layers(f"{net}{pattern}")) == names


def test_layers_are_out_by_in_with_their_bias(net):
    found = address.layers(net)
    assert np.array_equal(found["enc.0"].bias, [1, 2])
    assert np.array_equal(found["enc.1"].weights, np.arange(36).reshape(3, 12))
    assert found["enc.1"].bias is None
    assert np.array_equal(found["rnn.weight_ih"].bias, [3, 4])
    assert found["dec"].bias is None
    assert not any(layer.relu for layer in found.values())


def test_short_types_become_f32(tmp_path, monkeypatch):
    kinds = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, np.float16, np.int8]
    arrays = {np.dtype(kind).name: np.array([[1, 0]]).astype(kind) for kind in kinds}
    monkeypatch.setattr(address, "read", lambda path: arrays)
    for layer in address.layers("a.safetensors").values():
        assert layer.weights.dtype == np.float32
        assert layer.weights.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        (":enc.7", "has no layer 'enc.7', did you mean 'enc.1'?"),
        (":zzz", "has no layer 'zzz': it has enc.0, enc.1, rnn.weight_ih and 1 more"),
        (":enc.*", "means 2 layers, enc.0, enc.1: name one, as in net.npz:enc.0"),
        ("", "means 4 layers, enc.0, enc.1, rnn.weight_ih and 1 more: name one, as in net.npz:enc.0"),
    ],
)
def test_an_address_that_means_no_single_layer(net, pattern, complaint):
    with pytest.raises(BadInput, match=re.escape(complaint)):
        address.workload(f"{net}{pattern}")


def test_a_file_without_a_matrix(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    with pytest.raises(BadInput, match="holds no matrix"):
        address.layers(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.ones((0, 3)), "weights must not be empty, got shape (0, 3)"),
        (np.ones((3, 0, 2)), "weights must not be empty, got shape (3, 0)"),
        (np.array([["a"]]), "weights must be real numbers (f32), got dtype <U1"),
        (np.zeros((1, 1), "V4"), "weights must be real numbers (f32), got dtype |V4"),
        (np.zeros((1, 1), [("x", "f4")]), "weights must be real numbers (f32), got dtype [('x', '<f4')]"),
    ],
)
def test_an_array_that_is_no_layer(tmp_path, array, complaint):
    np.savez(tmp_path / "a.npz", odd=array)
    with pytest.raises(BadInput, match=re.escape(f"layer 'odd': {complaint}")):
        address.layers(tmp_path / "a.npz")


def test_a_layer_that_is_not_finite_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", good=ROWS, bad=np.full((2, 2), np.nan))
    with pytest.raises(BadInput, match="layer 'bad': weights must be finite f32, got nan at index"):
        address.layers(tmp_path / "a.npz")


# Activations


def test_given_activations_are_those_of_the_workload(net):
    found = address.workload(f"{net}:dec", np.eye(3))
    assert np.array_equal(found.activations, np.eye(3))
    assert found.provenance == "file net.npz, layer dec; activations given"


@pytest.mark.parametrize("from_file", [False, True])
def test_a_feed_s_arrays_reach_the_layers_whose_names_they_bear(net, tmp_path, from_file):
    arrays = {"dec": 2 * np.eye(3, dtype=np.float32), "enc.0": np.float32([5, 6, 7])}  # one row needs no second side
    np.savez(tmp_path / "inputs.npz", **arrays)
    given = tmp_path / "inputs.npz" if from_file else arrays
    layers = {layer.name: layer for layer in address.load(net, Feed(arrays=given, n=2)).layers}
    assert layers["dec"].activations.tolist() == [[2, 0, 0], [0, 2, 0]]
    assert layers["enc.0"].activations.tolist() == [[5, 6, 7]]
    assert [layers[name].provenance.rpartition("; ")[2] for name in arrays] == ["activations given"] * 2
    assert layers["rnn.weight_ih"].provenance.endswith("not zero, seed 0")
    with pytest.raises(BadInput, match=r"inputs 'dek' must bear the name of a layer, did you mean 'dec'\?"):
        address.load(net, Feed(arrays={"dek": np.ones(3)}))


def test_drawn_activations_are_said_to_be_drawn(net):
    found = address.workload(f"{net}:dec")
    assert found.name == "dec"
    assert found.provenance == "file net.npz, layer dec; activations drawn: half-normal, 35% of them not zero, seed 0"
    assert np.array_equal(found.activations[0], address.half_normal(3, 0.35, 0))


@pytest.mark.parametrize(("n", "density", "n_active"), [(1000, 0.35, 350), (3, 0.5, 2), (10, 1, 10), (10, 0.01, 0)])
def test_as_many_are_active_as_asked(n, density, n_active):
    found = address.half_normal(n, density, 1)
    assert found.dtype == np.float32
    assert np.count_nonzero(found) == n_active
    assert found.min(initial=0) == 0


def test_a_half_normal_has_the_mean_of_one():
    # mean sqrt(2 / pi), variance 1 - 2 / pi; 4 sigma of the mean of a million
    found = address.half_normal(10**6, 1.0, 2)
    assert found.mean(dtype=np.float64) == pytest.approx(np.sqrt(2 / np.pi), abs=4 * np.sqrt((1 - 2 / np.pi) / 1e6))


def test_the_seed_says_which_ones():
    draws = [address.half_normal(100, 0.5, seed) for seed in (1, 1, 2)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


@pytest.mark.parametrize("density", [0, -1, 1.01, float("nan"), "all", None])
def test_a_density_outside(density):
    with pytest.raises(BadInput, match=f"act_density must be a number above 0 and at most 1, got {density!r}"):
        address.half_normal(10, density, 0)


@pytest.mark.parametrize("seed", [-1, 0.5, "one"])
def test_a_seed_that_is_none(seed):
    with pytest.raises(BadInput, match=f"seed must be a whole number from 0 on, got {seed!r}"):
        address.half_normal(10, 0.5, seed)


def test_a_file_with_activations_is_a_workload_of_its_own(tmp_path):
    np.savez(tmp_path / "mine.npz", weights=ROWS, activations=np.float32([1, 2, 3]), bias=np.float32([4, 5]))
    found = workloads.load(tmp_path / "mine.npz")
    assert (found.name, found.provenance) == ("mine", "file mine.npz")
    assert np.array_equal(found.activations, [[1, 2, 3]])
    assert np.array_equal(found.bias, [4, 5])


def test_its_activations_are_its_own_by_its_weights_name_too(tmp_path):
    np.savez(tmp_path / "mine.npz", weights=ROWS, activations=np.float32([1, 2, 3]))
    assert np.array_equal(address.workload(f"{tmp_path}/mine.npz:weights").activations, [[1, 2, 3]])
    assert np.array_equal(address.workload(tmp_path / "mine.npz:weights", np.eye(3)).activations, np.eye(3))


def test_weights_alone_are_a_layer_when_they_are_asked_for_by_name(tmp_path):
    np.savez(tmp_path / "mine.npz", weights=ROWS)
    with pytest.raises(BadInput, match="has no array 'activations'; it holds weights"):
        address.workload(tmp_path / "mine.npz")
    assert "activations drawn" in address.workload(f"{tmp_path}/mine.npz:weights").provenance


def test_load_takes_an_address(net):
    assert np.array_equal(workloads.load(f"{net}:dec").weights, 3 * ROWS)


@pytest.mark.parametrize("load", [workloads.load, tasks.load])
def test_a_name_longer_than_a_file_system_takes_is_unknown_as_any_other(load):
    with pytest.raises(BadInput, match=r"unknown (workload|network) 'xxx"):
        load("x" * 300)


def test_a_layer_s_name_longer_than_a_file_system_takes_is_one(tmp_path):
    np.savez(tmp_path / "a.npz", **{"x" * 300: np.ones((2, 3), np.float32), "b": np.ones((4, 5), np.float32)})
    assert workloads.load(f"{tmp_path / 'a.npz'}:{'x' * 300}").weights.shape == (2, 3)


def test_what_reading_takes_is_told_of_a_file_that_is_there(tmp_path):
    (tmp_path / "a.mtx").write_bytes(b"%%MatrixMarket matrix coordinate real general\n20 30 1\n1 1 1\n")
    seconds, n_bytes = address.expected(f"{tmp_path / 'a.mtx'}:a")
    assert seconds > 0
    assert n_bytes > 4 * 20 * 30
    assert address.expected(tmp_path / "b.mtx") == address.expected("nt-we") == (0, 0)
