"""Does every code block of the README and the pages run as it stands, or say why it is not run?"""

import os
import shutil
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from safetensors.numpy import save_file

from cyclekit.command.cli import main
from tests.documented import PAGES, ROOT, blocks, run
from tests.onnx_models import model_of, normal
from workloads import tasks
from workloads.recipes.recipe import Recipe

QUERY = "encoder.layer.0.attention.self.query"
TEXTS = [page for page in PAGES if page.parent.name != "tutorials"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Return a folder with the files that the pages suppose a reader has, by the names that they use."""
    folder, rng = tmp_path_factory.mktemp("desk"), np.random.default_rng(0)
    weights = np.where(rng.random((96, 128)) < 0.2, rng.choice([-1.0, 0.5, 2.0], (96, 128)), 0).astype(np.float32)
    activations, bias = np.abs(rng.standard_normal((3, 128))).astype(np.float32), normal(96)
    for name in ("mine", "layer", "pruned"):
        np.savez(folder / f"{name}.npz", weights=_in_2_4(weights), activations=activations)
    save_file({f"{QUERY}.weight": weights, f"{QUERY}.bias": bias}, folder / "model.safetensors")
    gemms = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "v", "c"], ["y"], transB=1),
    ]
    stored = {"w": weights, "b": bias, "v": normal(10, 96), "c": normal(10)}
    onnx.save(model_of(gemms, {"x": ["n", 128]}, stored), folder / "model.onnx")
    np.savez(folder / "x.npz", x=activations)
    (folder / "recipe.toml").write_text('[[step]]\ndo = "prune"\npattern = "2:4"\n', encoding="utf-8")
    return folder


def _in_2_4(weights):
    """Return the weights, the last two of every four inputs zero."""
    kept = weights.copy()
    kept.reshape(len(kept), -1, 4)[:, :, 2:] = 0
    return kept


def _store(folder):
    """Return a small store of a sweep, made once."""
    path = folder / "results.db"
    if not path.exists():
        argv = ["sweep", "eie", str(folder / "mine.npz"), "--vary", "n_pes=2,4", "--into", str(path), "--workers", "1"]
        assert main(argv) == 0
    return path


def supposed(page, folder):
    """Return the names that a page's Python supposes that a reader has."""
    if page == "README.md":
        layer = np.load(folder / "mine.npz")
        return {"w": layer["weights"], "x": layer["activations"], "b": normal(len(layer["weights"]))}
    if page == "docs/models.md":
        return {"x": np.load(folder / "x.npz")["x"]}
    if page == "docs/pruning.md":
        task = tasks.load("lenet-300-100-dense")
        inputs = task.inputs[:128]
        return {"network": task.network, "calibration": inputs, "labels": task.labels[:128], "inputs": inputs}
    if page in ("docs/energy.md", "docs/trace.md"):
        import eie_sim
        import workloads

        spec, layer = eie_sim.Spec(n_pes=4), workloads.load(folder / "mine.npz")
        image, activations = eie_sim.encode(layer, spec), layer.activations[0]
        run_of_it = eie_sim.simulate(image, activations, spec)
        return {"eie_sim": eie_sim, "image": image, "activations": activations, "spec": spec, "run": run_of_it}
    return {}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_block_of_a_page_runs(page, desk, tmp_path, monkeypatch):
    for path in desk.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    own = blocks(page)
    if page.name in ("figures.md", "report.md", "sweep.md"):
        _store(tmp_path)
    names = {"__name__": "page", **supposed(str(page.relative_to(ROOT)), tmp_path)}
    for block in own:
        if not block.is_run:
            continue
        if block.language == "toml":
            read = tomllib.loads(block.text)
            if "step" in read:
                Recipe.parse(block.text)
        elif block.language == "sql":
            with closing(sqlite3.connect("results.db")) as store:
                assert store.execute(block.text).fetchall()
        else:
            run(block, names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_run_says_why(page):
    for block in blocks(page):
        assert block.language in ("sh", "python", "toml", "sql", ""), f"{block}: of no language that is run here"
        if block.reason:
            assert len(block.reason.split()) >= 3, block
        for start in block.excused:
            assert start in block.text, f"{block}: no line starts with {start}"


def test_a_block_that_fails_would_be_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text("```sh\nzeroskip run eie nowhere.npz\n```\n\n<!-- not run: it needs a card -->\n```sh\nnvcc\n```\n")
    monkeypatch.setattr("tests.documented.ROOT", tmp_path)
    first, second = blocks(page)
    with pytest.raises(AssertionError, match="nowhere"):
        run(first, {})
    assert (second.reason, second.is_run, os.linesep.join(first.commands())) == (
        "it needs a card",
        False,
        "zeroskip run eie nowhere.npz",
    )


def test_the_pages_are_the_project_s():
    assert Path("README.md").name in {page.name for page in TEXTS}
    assert len(TEXTS) > 20
