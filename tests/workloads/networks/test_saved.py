"""Do workloads come back from the file that `zeroskip prune` writes, and is a damaged one refused?"""

import io

import numpy as np
import pytest

from workloads import BadInput, Model, Workload, address, load
from workloads.networks import saved
from workloads.quantisation.share import share


@pytest.fixture
def layers():
    """Return a shared layer with a bias and a plain one without."""
    first = Workload(name="conv/1", weights=[[1, 0, -2], [0, 3, 0]], bias=[1, 3], activations=[[1, 2, 3], [0, 1, 0]])
    second = Workload(name="fc", weights=[[0.5, 0.25]], activations=[1, 0], relu=False)
    return share(first, bits=2), second


@pytest.fixture
def path(layers, tmp_path):
    """Return a file with both."""
    found = tmp_path / "w.npz"
    found.write_bytes(saved.to_bytes(layers, "made up"))
    return found


def test_everything_comes_back(layers, path):
    found = load(path)
    assert isinstance(found, Model)
    for before, after in zip(layers, found.layers, strict=True):
        assert (after.name, after.relu, after.provenance) == (before.name, before.relu, "file w.npz; made up")
        for key in ("weights", "bias", "activations", "codes", "codebook"):
            one, other = getattr(before, key), getattr(after, key)
            assert one is other is None or (one.dtype == other.dtype and np.array_equal(one, other))


def test_what_a_layer_of_a_graph_is_comes_back(tmp_path):
    sizes = {"positions": 9, "sampled": 2, "groups": 2, "kernel": 2, "weight_bits": 8}
    words = {"kind": "QLinearConv", "reached": "random"}
    weights = [[1, 0, 0, 0], [0, 0, 3, 4]]
    layer = Workload(name="c", weights=weights, activations=np.ones((6, 4)), **sizes, **words)
    (tmp_path / "w.npz").write_bytes(saved.to_bytes([layer], "made up"))
    after = load(tmp_path / "w.npz")
    assert {key: getattr(after, key) for key in sizes | words} == sizes | words
    assert (after.batch, after.activations.shape) == (3, (6, 4))


def test_equal_workloads_give_equal_bytes(layers):
    assert saved.to_bytes(layers, "x") == saved.to_bytes(layers, "x")


@pytest.mark.parametrize(("pattern", "names"), [("fc", ["fc"]), ("conv*", ["conv/1"]), ("*", ["conv/1", "fc"])])
def test_a_pattern_chooses_among_them(path, pattern, names):
    found = load(f"{path}:{pattern}")
    assert [layer.name for layer in (found.layers if isinstance(found, Model) else [found])] == names


def test_one_layer_is_a_workload(path):
    assert load(f"{path}:fc").weights.tolist() == [[0.5, 0.25]]
    assert address.workload(f"{path}:conv/1").codes.tolist() == [[2, 0, 1], [0, 3, 0]]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"fc/relu": None}, "has no array 'fc/relu'"),
        ({"fc/relu": np.array([True])}, "must hold one bool in 'fc/relu', got bool[1]"),
        ({"fc/activation": np.ones(2)}, "holds an unknown array 'fc/activation', did you mean 'activations'?"),
        ({"fc/positions": np.float64(2)}, "must hold one whole number in 'fc/positions', got float64[]"),
        ({"fc/positions": np.array(3)}, "layer 'fc': activations must hold 3 rows for each input"),
        ({"fc/kind": np.array(3)}, "must hold one text in 'fc/kind', got int64[]"),
        ({"fc/groups": np.array(2)}, "layer 'fc': groups must divide 1 outputs and 2 inputs, got 2"),
        ({"fc/kernel": np.array(3)}, "layer 'fc': kernel must divide the 2 inputs of a group, got 3"),
        ({"weights": np.ones((2, 2))}, "holds an unknown array 'weights'"),
        ({"fc/activations": np.ones(3)}, "layer 'fc': activations must be f32[2]"),
        ({"conv/1/codes": None}, "layer 'conv/1': codes and codebook come together"),
        ({"conv/1/codes": np.zeros((2, 3), np.uint8)}, "layer 'conv/1': codes and codebook must give the weights"),
        ({"fc/weights": np.array([[np.nan, 1]])}, "layer 'fc': weights must be finite"),
    ],
)
def test_a_damaged_file_is_refused(layers, tmp_path, changes, complaint):
    arrays = dict(np.load(io.BytesIO(saved.to_bytes(layers, "made up")))) | changes
    path = tmp_path / "bad.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(BadInput) as error:
        load(path)
    assert str(error.value).startswith(f"workload file {str(path)!r} {complaint}")


def test_layers_have_names_of_their_own(layers):
    with pytest.raises(BadInput, match="each with a name of its own"):
        Model(name="twice", operators=(layers[0], layers[0]))
