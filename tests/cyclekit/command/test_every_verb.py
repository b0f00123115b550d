"""Does every verb take every kind of workload, or say in one line why not?"""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from tests.graph_case import INPUTS, written
from workloads.networks import saved
from workloads.records import Workload

RNG = np.random.default_rng(0)
FEW = np.float32([0, 0, 0.5, -0.25])


def matrix(*shape) -> np.ndarray:
    return RNG.choice(FEW, shape)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder with a file of every kind."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("kinds")
    np.savez(folder / "own.npz", weights=matrix(8, 12), activations=np.ones((2, 12), np.float32))
    np.savez(folder / "bag.npz", **{"a.weight": matrix(8, 12), "b.weight": matrix(4, 8)})
    layers = [Workload(name=name, weights=matrix(8, 12), activations=np.ones((2, 12))) for name in ("a", "b")]
    (folder / "pruned.npz").write_bytes(saved.to_bytes(layers, "by hand"))
    written(folder)
    np.savez(folder / "x.npz", **INPUTS)
    (folder / "r.toml").write_text('[[step]]\ndo = "prune"\ndensity = 0.5\n')
    return folder


# Kinds, and the layers that each means; 0: sizes alone.
KINDS = {
    "nt-we": 1,
    "lenet-300-100": 3,
    "own.npz": 1,
    "bag.npz": 2,
    "bag.npz:a": 1,
    "bag.npz:*": 2,
    "pruned.npz": 2,
    "pruned.npz:b": 1,
    "net.onnx": 2,
    "net.onnx:conv": 1,
    "16x4x16": 0,
}
NO_VALUES = "without values"
# What a verb says of a kind that it does not take, by the kind; what is not listed works.
REFUSALS = {
    "list": {"nt-we": "unknown list", "lenet-300-100": "unknown list", "16x4x16": "unknown list"},
    "run eie": {"16x4x16": NO_VALUES},
    "run tensorcore": {},
    "explain eie": {"16x4x16": NO_VALUES},
    "explain tensorcore": {"16x4x16": NO_VALUES},
    "trace eie": {"16x4x16": NO_VALUES},
    "trace tensorcore": {},
    "compare": {"16x4x16": NO_VALUES},
    "sweep eie": {"16x4x16": NO_VALUES},
    "sweep tensorcore": {},
    "search eie": {"16x4x16": NO_VALUES},
    "prune": dict.fromkeys(("nt-we", "lenet-300-100", "16x4x16"), "unknown network"),
    "tradeoff": dict.fromkeys(("nt-we", "lenet-300-100", "16x4x16"), "unknown network"),
    "sensitivity": {
        **dict.fromkeys((k for k in KINDS if "onnx" not in k), "no labels to be right or wrong about"),
        **dict.fromkeys(("nt-we", "lenet-300-100", "16x4x16"), "unknown network"),
    },
}
MORE = {
    "run eie": ["--engine", "schedule"],
    "trace eie": ["--window", "1:5", "--units", "1"],
    "trace tensorcore": ["--window", "1:5", "--units", "1"],
    "compare": ["--batch", "2"],
    "sweep eie": ["--vary", "n_pes=2,4", "--workers", "1", "--into", "OUT.db"],
    "sweep tensorcore": ["--vary", "raster_tiles=4,8", "--workers", "1", "--into", "OUT.db"],
    "search eie": ["--vary", "n_pes=2,4", "--minimise", "cycles", "--workers", "1", "--into", "OUT.db"],
    "prune": ["--recipe", "r.toml", "--out", "OUT.npz", "--batch", "1"],
    "tradeoff": ["--patterns", "element,row", "--batch", "1", "--tune", "0"],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", REFUSALS)
def test_a_cell_works_or_refuses_in_one_line(verb, kind, files, zeroskip, tmp_path, monkeypatch):
    monkeypatch.chdir(files)
    place = tmp_path / "out"
    more = [word.replace("OUT", str(place)) for word in MORE.get(verb, [])]
    if kind in REFUSALS[verb]:
        ended = zeroskip(*verb.split(), kind, *more)
        lines = ended.err.strip().splitlines()
        assert (ended.code, len(lines)) == (2, 1)
        assert REFUSALS[verb][kind] in lines[0]
        assert not list(tmp_path.iterdir())
        return
    inputs = ["--inputs", "x.npz"] if kind.startswith("net.onnx") else []
    if kind == "lenet-300-100" and verb != "explain":
        inputs = ["--inputs", "2"]
    ended = zeroskip(*verb.split(), kind, *more, *inputs, "--json", tmp_path / "told.json")
    assert ended.code == 0, ended.err
    told = json.loads((tmp_path / "told.json").read_text())
    if layers := LAYERS.get(verb):
        assert len(layers(told)) == max(1, KINDS[kind])


def test_a_workload_is_the_same_however_many_of_its_inputs_are_swept(files, zeroskip, tmp_path):
    into, exported = tmp_path / "s.db", tmp_path / "rows.csv"
    for n in ("1", "2"):
        words = ["--vary", "n_pes=2", "--workers", "1", "--inputs", n, "--into", into, "--export", exported]
        assert zeroskip("sweep", "eie", files / "own.npz", *words).code == 0
    with closing(sqlite3.connect(into)) as store, store:  # which commits, and does not close
        assert store.execute("select count(*), count(distinct content) from rows").fetchall() == [(2, 1)]


def _layers_of_runs(told) -> set[str]:
    runs = told["runs"] if "runs" in told else told if isinstance(told, list) else [told]
    return {run["workload"] for run in runs}


LAYERS = {
    "list": lambda told: told["layers"],
    "run eie": _layers_of_runs,
    "run tensorcore": _layers_of_runs,
    "compare": lambda told: told["comparisons"][0]["layers"],
    "prune": lambda told: told["layers"],
}
