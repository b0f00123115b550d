"""Is what a command prints whole on a terminal of 80, 100 and 120 columns: no line too long, no number cut?"""

import contextlib
import io
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cyclekit import machine
from cyclekit.command.cli import VERBS, main, parser
from cyclekit.terminal import Output
from tests.schema_cases import held
from workloads.networks import data

WIDTHS = (80, 100, 120)
NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?%?")
# What each verb is asked for here: cheap, and with all that it can print.
CASES = {
    "list": [
        "",
        "machines",
        "schemas",
        "presets",
        "presets silicon",
        "presets tensorcore",
        "prices",
        "prices eie",
        "workloads",
        "networks",
        "data",
        "transformers",
        "patterns",
        "criteria",
        "named.npz",
    ],
    "run": [
        "eie layer.npz --check",
        "eie lenet-300-100 --inputs 2 --engine schedule --prices calibrated",
        "eie named.npz --check",
        "tensorcore layer.npz --set in_dtype=int8 --prices sparseloop",
        "tensorcore 4096x4096x4096",
        "pointacc lidar-0.2:submanifold-3x3x3",
    ],
    "explain": [
        "eie layer.npz --set n_pes=2 --column 1",
        "tensorcore layer.npz --row 1",
        "pointacc lidar-0.2:submanifold-3x3x3",
    ],
    "trace": [
        "eie layer.npz --set n_pes=2",
        "eie layer.npz --set n_pes=2 --steps --window 1:9",
        "eie lenet-300-100 --window 1:150 --units 2",
    ],
    "prune": ["named.npz --recipe r.toml --out p.npz --batch 1 --check"],
    "tradeoff": ["named.npz --patterns element,row,2:4 --batch 1"],
    "sensitivity": ["lenet-300-100-dense --densities 0.5,0.05 --inputs 20"],
    "adapt": [
        f"named.npz --machine eie --set n_pes=2 --budget {budgets} --method uniform --batch 1 --epochs 0 --check"
        for budgets in ("0.5", "1,0.5")
    ],
    "data": ["lenet-test"],
    "sweep": ["eie layer.npz --vary n_pes=2,4,8 --workers 1 --into s.db"],
    "search": [
        "eie layer.npz --vary n_pes=2,4,8 --workers 1 --into s.db",
        "eie layer.npz --vary n_pes=2,4,8 --workers 1 --into s.db --where area_mm2<=0.1",
    ],
    "rows": ["s.db"],
    "report": ["s.db --out r.html"],
    "compare": ["layer.npz named.npz", "lenet-300-100 --inputs 2 --machines eie,tensorcore:h100-sxm"],
    "llm": [
        "llama-3.1-8b --batch 16 --input 1024 --output 256",
        "llama-3.1-8b --input 128 --output 16 --compare ffn=13312,14336 sparsity=dense,2:4 weights=int4",
    ],
    "validate": ["pointacc"],
    "demo": [""],
    "completion": ["bash"],
}
FOR_PROGRAMS = ("completion",)  # its lines are another program's
AS_WIDE = ("trace",)  # what is drawn as wide as the terminal is


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a layer of awkward numbers, a network of layers of long names, and a recipe."""
    place, rng = tmp_path_factory.mktemp("w"), np.random.default_rng(0)
    few = np.float32([0, 0, 0.5, -0.25])
    np.savez(place / "layer.npz", weights=rng.choice(few, (24, 32)), activations=np.ones((2, 32), np.float32))
    names = ("branch.of.a.model.encoder.layers.10.attention.query", "branch.of.a.model.encoder.layers.11.output")
    np.savez(place / "named.npz", **{f"{name}.weight": rng.choice(few, (24, 24)) for name in names})
    (place / "r.toml").write_text('[[step]]\ndo = "prune"\npattern = "2:4"\n')
    return place


@pytest.fixture
def printed(folder, monkeypatch):
    """Return a function that runs a command and gives what it has printed: the calls of its Output, in their order."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(data, "fetch", lambda name, out: Path("."))
    monkeypatch.setattr(data, "describe", lambda: {"lenet-test": "60,000 images of 28 x 28 in 10 classes"})

    def command(verb, words):
        calls = []
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", io.StringIO())
            for name in ("line", "table", "verbatim", "command"):
                patch.setattr(Output, name, lambda self, *given, name=name: calls.append((name, given)))
            assert main([verb, *words, "--json", "told.json"]) in (0, 1)
        held("told.json")
        assert calls
        return calls

    return command


def played(calls) -> str:
    """Return the text that the calls of an Output print."""
    out = Output(None)
    out._text = io.StringIO()
    for name, given in calls:
        getattr(out, name)(*given)
    return out._text.getvalue()


def numbers(text) -> Counter:
    """Return how often each number stands in a text for itself."""
    words = (word.strip("()[],.;:=") for word in text.split())
    return Counter(word for word in words if NUMBER.fullmatch(word))


def too_long(text, width) -> list[str]:
    return [line for line in text.splitlines() if len(line.rstrip()) > width]


def test_every_verb_has_a_case():
    (verbs,) = (action.choices for action in parser()._actions if action.dest == "verb")
    assert list(verbs) == list(VERBS)
    assert set(verbs) == set(CASES)


@pytest.mark.parametrize(("verb", "asked"), [(verb, asked) for verb, cases in CASES.items() for asked in cases])
def test_no_line_is_too_long_and_every_number_is_whole(verb, asked, printed, monkeypatch):
    if verb == "demo":  # one machine's stands for all
        monkeypatch.setattr(machine, "all_installed", lambda: [machine.load("tensorcore")])
    calls = printed(verb, asked.split())
    plain = played(calls)
    for width in WIDTHS:
        monkeypatch.setattr(Output, "width", width)
        if verb in AS_WIDE:
            calls = printed(verb, asked.split())
        shown = played(calls)
        assert verb in FOR_PROGRAMS or not too_long(shown, width)
        cut = numbers(plain) - numbers(shown)
        assert verb in AS_WIDE or not cut


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("words", [[], *([verb] for verb in VERBS)], ids=" ".join)
def test_help_fits(words, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:
        main([*words, "--help"])
    assert not too_long(out.getvalue(), width)
