"""Does the JSON of a command have the fields that its page names, and no others?"""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from cyclekit.command.cli import VERBS, main

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
FOUND = re.findall(r"^\| (`.+?) \| .+? \| (.+) \|$", PAGE, re.MULTILINE)
ROWS = {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in FOUND}
COMMANDS = [
    ("`run`", "run eie layer.npz"),
    ("`explain`", "explain eie layer.npz --row 3 --column 5"),
    ("`trace`", "trace eie layer.npz --window 1:9"),
    ("`sweep`", "sweep eie layer.npz --vary n_pes=2,4 --workers 1 --into s.db"),
    ("`rows`", "rows s.db"),
    ("`report`", "report s.db --out r.html"),
    ("`search`", "search eie layer.npz --vary n_pes=2,4 --workers 1 --into s.db"),
    ("`compare`", "compare layer.npz --machines eie"),
    ("`prune`", "prune layer.npz --recipe r.toml --out p.npz --machines none"),
    ("`sensitivity`", "sensitivity lenet-300-100-dense"),
    ("`adapt`", "adapt layer.npz --machine eie --set n_pes=4 --budget 0.8 --method knapsack"),
    ("`llm`", "llm llama-2-7b --preset h100-sxm --input 16 --output 2 --layers 1"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a small layer and a recipe."""
    rng = np.random.default_rng(0)
    place = tmp_path_factory.mktemp("json")
    weights = np.where(rng.random((24, 32)) < 0.5, rng.choice([-1.0, 0.5, 2.0], (24, 32)), 0).astype(np.float32)
    np.savez(place / "layer.npz", weights=weights, activations=np.abs(rng.standard_normal((2, 32))).astype(np.float32))
    (place / "r.toml").write_text('[[step]]\ndo = "prune"\ndensity = 0.25\n', encoding="utf-8")
    return place


@pytest.mark.parametrize(("name", "line"), COMMANDS, ids=[name.strip("`") for name, _ in COMMANDS])
def test_a_command_s_fields_are_those_of_the_page(name, line, folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert main([*shlex.split(line), "--json", "out.json"]) == 0
    told = json.loads(Path("out.json").read_text(encoding="utf-8"))
    assert set(told[0] if isinstance(told, list) else told) == ROWS[name]


def test_every_verb_is_on_the_page():
    assert {re.match(r"`(\w+)", name)[1] for name in ROWS} == set(VERBS)
