"""Does the JSON of a command say its version, and hold the fields that its schema and its page declare, no others?"""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from cyclekit.command.cli import VERBS, main
from cyclekit.command.schemas.commands import FORMS, schema
from cyclekit.terminal import VERSION
from tests.schema_cases import complaints, held, validator

DOCS = Path(__file__).parents[2] / "docs"
ADAPT = "adapt layer.npz --machine eie --set n_pes=4 --budget 0.8 --method knapsack"
LLM = "llm llama-2-7b --machine tensorcore:h100-sxm --input 16 --output 2 --layers 1"
# {command and form: command lines}; those before others write what these read.
COMMANDS = {
    "list TOPIC": [f"list {topic}" for topic in ("machines", "presets", "prices eie", "patterns", "schemas run")],
    "list FILE": ["list layer.npz"],
    "run": ["run eie layer.npz --check", "run tensorcore 16x16x16", "run eie layer.npz --inputs 1"],
    "explain": ["explain eie layer.npz --row 3 --column 5"],
    "trace": ["trace eie layer.npz --window 1:9 --steps"],
    "sweep": ["sweep eie layer.npz --vary n_pes=2,4 --workers 1 --into s.db"],
    "rows": ["rows s.db"],
    "report": ["report s.db --out r.html"],
    "search": ["search eie layer.npz --vary n_pes=2,4 --workers 1 --into s.db"],
    "compare": ["compare layer.npz --machines eie"],
    "prune": ["prune layer.npz --recipe r.toml --out p.npz --machines eie"],
    "tradeoff": ["tradeoff layer.npz --patterns element,row --batch 1"],
    "sensitivity": ["sensitivity lenet-300-100-dense --densities 0.1 --inputs 20"],
    "adapt": [ADAPT, f"{ADAPT},uniform --check"],
    "llm": [LLM],
    "llm --compare": [f"{LLM} --compare ffn=5504,11008 hidden=64"],
    "completion": ["completion bash"],
}
ELSEWHERE = {  # held against their schemas where they are made for another question
    "run of a graph": "tests/cyclekit/command/test_every_verb.py",
    "sensitivity --blocks": "tests/cyclekit/command/test_sensitivity_blocks.py",
    **dict.fromkeys(("data", "demo", "validate"), "tests/cyclekit/command/test_every_width.py"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a small layer and a recipe."""
    rng = np.random.default_rng(0)
    place = tmp_path_factory.mktemp("json")
    weights = np.where(rng.random((24, 32)) < 0.5, rng.choice([-1.0, 0.5, 2.0], (24, 32)), 0).astype(np.float32)
    np.savez(place / "layer.npz", weights=weights, activations=np.abs(rng.standard_normal((2, 32))).astype(np.float32))
    (place / "r.toml").write_text('[[step]]\ndo = "prune"\ndensity = 0.25\n', encoding="utf-8")
    return place


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_command_writes_is_what_its_schema_allows(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    command, _, which = name.partition(" ")
    for line in COMMANDS[name]:
        assert main([*shlex.split(line), "--json", "out.json"]) == 0
        told = held("out.json")
        for each in told if isinstance(told, list) else [told]:
            assert (each["schema_version"], each["command"]) == (VERSION, command)
            assert each.keys() - {"schema_version", "command"} <= FORMS[command][which]["properties"].keys()


def test_every_form_of_every_verb_is_tested():
    forms = {f"{command} {which}".strip() for command, of in FORMS.items() for which in of}
    assert forms == COMMANDS.keys() | ELSEWHERE.keys()
    assert {name.partition(" ")[0] for name in forms} == set(VERBS)
    assert all(Path(__file__).parents[2].joinpath(path).exists() for path in ELSEWHERE.values())


@pytest.mark.parametrize("command", VERBS)
def test_a_schema_is_itself_valid_and_refuses_another_version(command):
    assert validator(command)
    assert complaints({"schema_version": "0.9", "command": command})


def promised(part, path=""):
    """Yield every place of a schema with the type that it promises there."""
    yield f"{path or '.'} {json.dumps(part.get('type', part.get('const')))}"
    for name, inner in part.get("properties", {}).items():
        yield from promised(inner, f"{path}.{name}{'' if name in part['required'] else '?'}")
    for inner in part.get("anyOf", ()):
        yield from promised(inner, f"{path}|")
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(part.get(key), dict):
            yield from promised(part[key], path + mark)


def test_what_version_1_0_promises_is_there_while_the_version_begins_with_1():
    # A field that went or changed asks for 2.0, and one that came for 1.1: a new file here, VERSION raised.
    forms = ((f"{command} {which}".strip(), form) for command, of in FORMS.items() for which, form in of.items())
    now = {f"{name}: {line}" for name, form in forms for line in promised(form)}
    promise = set((DOCS.parent / "tests" / "data" / "json-1.0.txt").read_text(encoding="utf-8").splitlines())
    first, second = map(int, VERSION.split("."))
    assert first > 1 or promise <= now
    assert (first, second) > (1, 0) or now == promise


@pytest.fixture(scope="module")
def a_run(folder):
    """Return what `run` wrote of one input."""
    path = folder / "one.json"
    assert main(["run", "eie", str(folder / "layer.npz"), "--inputs", "1", "--json", str(path)]) == 0
    return held(path)


@pytest.mark.parametrize("place", ["", "energy"])
def test_a_field_that_is_not_declared_is_refused_at_every_depth(place, a_run):
    told = json.loads(json.dumps(a_run))
    inside = {"": told, "energy": told["energy"]}[place]
    inside["n_surprises"] = 1
    (said,) = complaints(told)
    assert "n_surprises" in said


@pytest.mark.parametrize("name", ["cycles", "energy", "notes"])
def test_a_field_that_is_missing_or_of_another_kind_is_refused(name, a_run):
    less, other = (json.loads(json.dumps(a_run)) for _ in range(2))
    del less[name]
    other[name] = "much"
    assert complaints(less)
    assert complaints(other)


def test_the_page_has_the_fields_of_the_schemas():
    spec = importlib.util.spec_from_file_location("json_fields", DOCS / "json_fields.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    text = maker.PAGE.read_text(encoding="utf-8")
    assert text == maker.page(text), "run python docs/json_fields.py"


def test_a_schema_is_printed_for_a_validator_as_it_is(capsys):
    assert main(["list", "schemas", "run"]) == 0
    assert json.loads(capsys.readouterr().out) == schema("run")


def test_every_field_has_a_meaning_on_the_page():
    rows = re.findall(
        r"^\| [`*]\w+[`*] \| (.*) \| (.*) \|$", (DOCS / "json.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) > 100
    assert all(holds and meaning for holds, meaning in rows)
