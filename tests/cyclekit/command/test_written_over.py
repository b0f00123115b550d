"""Is a file that a command reads safe from what the same command writes, in every verb?"""

import argparse
from importlib import import_module

import numpy as np
import pytest

from cyclekit.command.arguments import OUTPUTS
from cyclekit.command.cli import VERBS

PRUNE = "prune IN --recipe RECIPE --calibration OTHER --out o.npz"
SWEEP = "sweep eie IN OTHER --vary n_pes=1,2 --into s.db"


@pytest.mark.parametrize(
    ("command", "option", "read"),
    [
        ("run eie IN", "--json", "IN"),
        ("run eie IN:weights", "--json", "IN"),
        ("explain eie IN", "--json", "IN"),
        ("trace eie IN", "--json", "IN"),
        ("trace eie IN", "--chrome", "IN"),
        ("trace eie IN", "--vcd", "IN"),
        ("compare OTHER IN", "--json", "IN"),
        (PRUNE, "--out", "IN"),
        (PRUNE, "--json", "IN"),
        (PRUNE, "--json", "RECIPE"),
        (PRUNE, "--out", "OTHER"),
        ("tradeoff IN", "--json", "IN"),
        ("sensitivity lenet-300-100-dense --calibration OTHER", "--json", "OTHER"),
        (SWEEP, "--json", "OTHER"),
        (SWEEP, "--out", "IN"),
        ("sweep SPACE", "--json", "SPACE"),
        ("sweep SPACE", "--json", "OTHER"),
        ("search eie IN --vary n_pes=1,2 --into s.db", "--json", "IN"),
        ("adapt IN --machine eie --budget 0.5", "--json", "IN"),
        ("adapt IN --machine eie --budget 0.5", "--out", "IN"),
        ("run eie nt-we --inputs OTHER", "--json", "OTHER"),
        ("list IN", "--json", "IN"),
        ("run pointacc CLOUD:pointnet", "--json", "CLOUD"),
        ("trace pointacc CLOUD:pointnet@0.5", "--chrome", "CLOUD"),
        ("compare CLOUD:pointnet", "--json", "CLOUD"),
        ("llm CONFIG --input 8", "--json", "CONFIG"),
        ("llm . --input 8", "--json", "CONFIG"),
    ],
)
@pytest.mark.parametrize("link", [False, True], ids=["itself", "a link to it"])
def test_an_output_that_is_an_input_is_refused(zeroskip, layer, tmp_path, monkeypatch, command, option, read, link):
    monkeypatch.chdir(tmp_path)
    names = {"IN": "in.npz", "OTHER": "other.npz", "RECIPE": "recipe", "SPACE": "space.toml"}
    names |= {"CLOUD": "cloud.ply", "CONFIG": "config.json"}
    np.savez(names["IN"], **layer)
    np.savez(names["OTHER"], **layer)
    (tmp_path / names["RECIPE"]).write_text('[[step]]\ndo = "prune"\ndensity = 0.5\n')
    (tmp_path / names["SPACE"]).write_text(
        'machine = "eie"\nworkloads = ["other.npz"]\ninto = "s.db"\n[vary]\nn_pes = [1, 2]\n'
    )
    for name in (names["CLOUD"], names["CONFIG"]):  # refused before they are read
        (tmp_path / name).write_text("{}")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    path = tmp_path / names[read]
    if link:
        path = tmp_path / f"link{path.suffix}"
        path.symlink_to(names[read])
    words = command
    for word, name in names.items():
        words = words.replace(word, name)
    complaint = zeroskip(*words.split(), option, path).complaint()
    assert complaint == f"{option} must name another file than one that is read, got '{path}'"
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("second", ["o.npz", "./o.npz"])
def test_two_outputs_are_two_files(zeroskip, layer, tmp_path, monkeypatch, second):
    monkeypatch.chdir(tmp_path)
    np.savez("in.npz", **layer)
    (tmp_path / "r.toml").write_text('[[step]]\ndo = "prune"\ndensity = 0.5\n')
    complaint = zeroskip("prune", "in.npz", "--recipe", "r.toml", "--out", "o.npz", "--json", second).complaint()
    assert complaint == "--json and --out must name two files, got 'o.npz' for both"
    assert not (tmp_path / "o.npz").exists()


def test_a_file_and_a_folder_are_two_places(zeroskip, layer_npz, tmp_path):
    both = tmp_path / "x"
    complaint = zeroskip("compare", layer_npz, "--json", both, "--figures", both).complaint()
    assert complaint == f"--json must name a file and --figures a folder, got '{both}' for both"
    assert not both.exists()


def test_an_output_may_bear_the_name_of_something_that_is_no_file(zeroskip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second time it is there
        assert zeroskip("explain", "eie", "lenet-300-100", "--json", "lenet-300-100").code == 0


def test_no_option_that_writes_a_file_is_left_out():
    """What says in its help that it writes one is in OUTPUTS."""
    for verb in VERBS:
        parser = argparse.ArgumentParser()
        import_module(f"cyclekit.command.{verb}").add_arguments(parser)
        for action in parser._actions:
            if action.option_strings and "FILE" in str(action.metavar) and "write" in action.help:
                assert action.dest in OUTPUTS
