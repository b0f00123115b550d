"""Is what enters looked at once: places named twice, marks at a file's start, names, labels, dead layers?"""

import numpy as np
import pytest

from workloads import BadInput, load
from workloads.pruning.obs import hessian, sparsegpt
from workloads.pruning.scores import magnitude
from workloads.readers import read
from workloads.recipes.recipe import Recipe

PATTERN = "%%MatrixMarket matrix coordinate pattern general\n2 3 {n}\n1 1\n{more}2 3\n"
OBD = '[[step]]\ndo = "prune"\ncriterion = "obd"\ndensity = 0.5\n'
BOM = b"\xef\xbb\xbf"


def test_a_place_that_a_pattern_names_twice_is_refused(tmp_path):
    path = tmp_path / "m.mtx"
    path.write_text(PATTERN.format(n=3, more="1 1\n"))
    with pytest.raises(BadInput, match=r"it names a place twice$"):
        read(path)
    path.write_text(PATTERN.format(n=2, more=""))
    assert read(path)["m"].tolist() == [[1, 0, 0], [0, 0, 1]]


def test_a_byte_order_mark_is_no_content(tmp_path):
    matrix, recipe, pattern = tmp_path / "m.mtx", tmp_path / "r.toml", tmp_path / "p.smtx"
    matrix.write_bytes(BOM + PATTERN.format(n=2, more="").encode())
    recipe.write_bytes(BOM + OBD.encode())
    pattern.write_bytes(BOM + b"2, 3, 2\n0 1 2\n0 2\n")
    assert read(matrix)["m"].sum() == 2
    assert read(pattern)["p"].tolist() == [[True, False, False], [False, False, True]]
    assert len(Recipe.read(recipe).steps) == 1


def test_a_layer_s_name_longer_than_a_file_s_may_be(tmp_path):
    np.savez(tmp_path / "f.npz", a=np.ones((2, 3)))
    with pytest.raises(BadInput, match="no layer"):
        load(f"{tmp_path / 'f.npz'}:{'x' * 300}")


def test_two_arrays_of_one_layer_s_name_both_stand(tmp_path):
    path = tmp_path / "f.npz"
    np.savez(path, **{"emb": np.ones((8, 16)), "emb.weight": np.ones((12, 20))})
    assert load(f"{path}:emb").weights.shape == (8, 16)
    assert load(f"{path}:emb.weight").weights.shape == (12, 20)


def test_a_power_under_which_weights_vanish_is_refused():
    weights = np.random.default_rng(0).standard_normal((64, 128)).astype(np.float32) * 0.05
    assert (magnitude(weights, 4) > 0).all()
    with pytest.raises(BadInput, match=r"^p must leave .* \|w\|\*\*64 is 0 "):
        magnitude(weights, 64)


def test_nothing_reaches_a_dead_layer():
    with pytest.raises(BadInput, match=r"nothing reaches the matrix"):
        sparsegpt(np.ones((2, 4), np.float32), hessian(np.zeros((5, 4), np.float32)), density=0.5)


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros(40),
        np.eye(10)[np.zeros(40, int)],
        np.full(40, "a"),
        np.zeros(40, bool),
        np.zeros(39, int),
        np.zeros((40, 1), int),
    ],
    ids=["float", "one-hot", "texts", "bool", "one too few", "a column"],
)
def test_labels_are_checked_by_whoever_looks_at_them(labels):
    network = load("lenet-300-100-dense")
    inputs = np.ones((40, 784), np.float32)
    with pytest.raises(BadInput, match=r"labels must be int\[40\], one for each input, got "):
        Recipe.parse(OBD).fit(network, inputs, labels)
