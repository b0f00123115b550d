"""Does every verb take every kind of workload, or say in one line why not?"""

import argparse
import json
import sqlite3
from contextlib import closing
from importlib import import_module

import numpy as np
import pytest

from cyclekit.command.cli import VERBS
from tests import graph_case
from tests.pointacc_cases import voxels
from tests.reader_samples import mtx_file, safetensors_of
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
    arrays = {"wte.weight": np.ones((20, 8), np.float32), "fc.weight": matrix(4, 8)}
    (folder / "table.safetensors").write_bytes(safetensors_of(arrays))
    (folder / "a.mtx").write_bytes(mtx_file())
    for write, inputs in (
        (graph_case.written, graph_case.INPUTS),
        (graph_case.table, graph_case.IDS),
        (graph_case.grouped, graph_case.CHANNELS),
    ):
        np.savez(write(folder).with_suffix(".inputs.npz"), **inputs)
    np.savez(folder / "cloud.npz", coordinates=voxels(80, 0, side=8))
    (folder / "config.json").write_text(json.dumps(CONFIG))
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
    "table.safetensors": 1,
    "a.mtx": 1,
    "net.onnx": 2,
    "net.onnx:conv": 1,
    "table.onnx": 1,
    "grouped.onnx": 1,
    "lenet-300-100-dense": 3,
    "16x4x16": 0,
    "2*16x4x16": 0,
    "cloud.npz:submanifold-3x3x3": 1,
    "cloud.npz": 0,
    "config.json": 0,
    "llama-2-7b": 0,
}
CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "vocab_size": 100,
}
SIZES, CLOUD, TRANSFORMERS = ("16x4x16", "2*16x4x16"), "cloud.npz:submanifold-3x3x3", ("config.json", "llama-2-7b")
NO_VALUES = dict.fromkeys(SIZES, "without values")
NO_LAYERS = {"cloud.npz": "is a cloud: name a network on it"} | dict.fromkeys(TRANSFORMERS, "is for 'zeroskip llm'")
NO_CLOUD = {CLOUD: "eie takes no sparse convolution", **NO_LAYERS}
ONLY_CLOUDS = {**dict.fromkeys((k for k in KINDS if k != CLOUD), "pointacc takes clouds"), **NO_LAYERS}
UNTRAINED = {
    **dict.fromkeys(("nt-we", "lenet-300-100", *SIZES), "unknown network"),
    **NO_LAYERS,
    CLOUD: "there are none to prune",
}
# What a verb says of a kind that it does not take, by the kind; what is not listed works.
REFUSALS = {
    "list": {
        **dict.fromkeys(("nt-we", "lenet-300-100", "lenet-300-100-dense", *SIZES, "llama-2-7b"), "unknown list"),
        **{kind: said for kind, said in NO_LAYERS.items() if kind != "llama-2-7b"},
    },
    "run eie": {**NO_VALUES, **NO_CLOUD},
    "run pointacc": ONLY_CLOUDS,
    "run tensorcore": NO_LAYERS,
    "explain eie": {**NO_VALUES, **NO_CLOUD},
    "explain pointacc": {**ONLY_CLOUDS, **NO_VALUES},
    "explain tensorcore": {**NO_VALUES, **NO_LAYERS, CLOUD: "tensorcore explains matrices"},
    "trace eie": {**NO_VALUES, **NO_CLOUD},
    "trace pointacc": ONLY_CLOUDS,
    "trace tensorcore": NO_LAYERS,
    "compare": {**NO_VALUES, **NO_LAYERS},
    "sweep eie": {**NO_VALUES, **NO_CLOUD},
    "sweep pointacc": ONLY_CLOUDS,
    "sweep tensorcore": NO_LAYERS,
    "search eie": {**NO_VALUES, **NO_CLOUD},
    "search pointacc": ONLY_CLOUDS,
    "search tensorcore": NO_LAYERS,
    "prune": UNTRAINED,
    "tradeoff": UNTRAINED,
    "adapt": UNTRAINED,
    "sensitivity": {
        **dict.fromkeys((k for k in KINDS if "." in k and "onnx" not in k), "no labels to be right or wrong about"),
        **UNTRAINED,
    },
    "llm": dict.fromkeys((k for k in KINDS if k not in TRANSFORMERS), "give a"),  # a config.json
}
SEARCH = ["--minimise", "cycles", "--workers", "1", "--into", "OUT.db"]
SWEEP = ["--workers", "1", "--into", "OUT.db"]
WINDOW = ["--window", "1:5", "--units", "1"]
EIE, CARD, POINTS = (["--vary", text] for text in ("n_pes=2,4", "raster_tiles=4,8", "merger_width=16,64"))
MORE = {
    "run eie": ["--engine", "schedule"],
    "trace eie": WINDOW,
    "trace pointacc": WINDOW,
    "trace tensorcore": WINDOW,
    "sweep eie": [*EIE, *SWEEP],
    "sweep pointacc": [*POINTS, *SWEEP],
    "sweep tensorcore": [*CARD, *SWEEP],
    "search eie": [*EIE, *SEARCH],
    "search pointacc": [*POINTS, *SEARCH],
    "search tensorcore": [*CARD, *SEARCH],
    "prune": ["--recipe", "r.toml", "--out", "OUT.npz", "--batch", "1"],
    "tradeoff": ["--patterns", "element,row", "--batch", "1", "--tune", "0"],
    "adapt": [
        "--machine",
        "eie",
        "--set",
        "n_pes=2",
        "--budget",
        "1",
        "--method",
        "uniform",
        "--batch",
        "1",
        "--epochs",
        "0",
    ],
    "llm": ["--input", "8"],
}
ONE_LAYER = ("explain", "trace")  # show one layer, and no sum of several
PASSED_OVER = {"table.safetensors": "passed over 160 numbers, 83.3% of", "table.onnx": "passed over, with 83.3% of"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", REFUSALS)
def test_a_cell_works_or_refuses_in_one_line(verb, kind, files, zeroskip, tmp_path, monkeypatch):
    monkeypatch.chdir(files)
    place = tmp_path / "out"
    more = [word.replace("OUT", str(place)) for word in MORE.get(verb, [])]
    inputs = [f"{kind.partition('.')[0]}.inputs.npz"] if ".onnx" in kind else ["2"] if kind.startswith("lenet") else []
    more += ["--inputs", *inputs] if inputs and verb != "llm" else []
    if kind in REFUSALS[verb]:
        ended = zeroskip(*verb.split(), kind, *more)
        lines = ended.err.strip().splitlines()
        assert (ended.code, len(lines)) == (2, 1)
        assert REFUSALS[verb][kind] in lines[0]
        assert not list(tmp_path.iterdir())
        return
    ended = zeroskip(*verb.split(), kind, *more, "--json", tmp_path / "told.json")
    assert ended.code == 0, ended.err
    told = json.loads((tmp_path / "told.json").read_text())
    if layers := LAYERS.get(verb):
        assert len(layers(told)) == max(1, KINDS[kind])
    if kind in PASSED_OVER and verb.split()[0] not in ONE_LAYER:
        assert PASSED_OVER[kind] in ended.out


def test_every_verb_that_takes_a_workload_is_here():
    tabled = {verb.split()[0] for verb in REFUSALS}
    for verb in VERBS:
        parser = argparse.ArgumentParser()
        import_module(f"cyclekit.command.{verb}").add_arguments(parser)
        words = {action.dest for action in parser._actions if not action.option_strings}
        assert (verb in tabled) == bool(words & {"workload", "workloads", "network", "what", "config"}), verb


def test_a_workload_is_the_same_however_many_of_its_inputs_are_swept(files, zeroskip, tmp_path):
    into, exported = tmp_path / "s.db", tmp_path / "rows.csv"
    for n in ("1", "2"):
        words = ["--vary", "n_pes=2", "--workers", "1", "--inputs", n, "--into", into, "--out", exported]
        assert zeroskip("sweep", "eie", files / "own.npz", *words).code == 0
    with closing(sqlite3.connect(into)) as store, store:  # which commits, and does not close
        assert store.execute("select count(*), count(distinct content) from rows").fetchall() == [(2, 1)]


def _layers_of_runs(told) -> set[str]:
    runs = told if isinstance(told, list) else told.get("runs", [told])
    return {run["workload"] for run in runs}


LAYERS = {
    "list": lambda told: told["layers"],
    "run eie": _layers_of_runs,
    "run tensorcore": _layers_of_runs,
    "compare": lambda told: told["comparisons"][0]["layers"],
    "prune": lambda told: told["layers"],
    "adapt": lambda told: told["layers"],
}
