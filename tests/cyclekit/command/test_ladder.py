"""Does the command take every kind of file of a network as the right matrices, or refuse it in one clear line?"""

import numpy as np
import pytest

from tests import ladder_of_files, ladder_of_graphs
from workloads import address
from workloads.graphs.feed import Feed

LADDER = ladder_of_files.RUNGS | ladder_of_graphs.RUNGS


def test_there_are_forty_rungs_or_more():
    assert len(LADDER) == len(ladder_of_files.RUNGS) + len(ladder_of_graphs.RUNGS) >= 40


@pytest.mark.parametrize("kind", [kind for kind, rung in ladder_of_graphs.RUNGS.items() if rung.matrices])
def test_what_a_graph_lists_is_what_runs(kind, tmp_path):
    rung = LADDER[kind]
    path, feed = tmp_path / rung.write(tmp_path), Feed.of(inputs=rung.inputs)
    rows, _ = address.contents(path, feed)
    layers = address.model(path, "*", feed).layers
    assert [row["layer"] for row in rows] == [layer.name for layer in layers]
    for row, layer in zip(rows, layers, strict=True):
        keys = ("n_out", "n_in", "groups", "positions", "weight_bits", "relu")
        assert {key: row[key] for key in keys} == {key: getattr(layer, key) for key in keys}


@pytest.mark.parametrize("kind", LADDER)
def test_a_rung(kind, tmp_path, zeroskip):
    """What is pruned to all of its weights is written as the matrices that were read."""
    rung = LADDER[kind]
    (tmp_path / "all.toml").write_text('[[step]]\ndo = "prune"\ndensity = 1\nallow_empty = true\n')
    words = ["--recipe", tmp_path / "all.toml", "--out", tmp_path / "out.npz", "--machines", "none"]
    if rung.inputs is not None:
        np.savez(tmp_path / "inputs.npz", **rung.inputs)
        words += ["--inputs", tmp_path / "inputs.npz"]
    (tmp_path / "files").mkdir()
    name = rung.write(tmp_path / "files")
    ended = zeroskip("prune", tmp_path / "files" / name, *words)
    if rung.matrices is None:
        assert rung.said in ended.complaint()
        return
    assert ended.code == 0, ended.err
    assert rung.said in ended.out
    arrays = np.load(tmp_path / "out.npz")
    layers = [key.removesuffix("/weights") for key in arrays.files if key.endswith("/weights")]
    assert sorted(layers) == sorted(rung.matrices)
    for layer, matrix in rung.matrices.items():
        np.testing.assert_allclose(arrays[f"{layer}/weights"], matrix, rtol=1e-6, atol=0)
        if rung.biases is not None:
            assert (f"{layer}/bias" in arrays) == (layer in rung.biases)
            assert np.array_equal(arrays.get(f"{layer}/bias", 0), rung.biases.get(layer, 0))
