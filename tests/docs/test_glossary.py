"""Has every state that a table can show its line among the concepts?"""

import inspect
import re
from enum import IntEnum
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "concepts.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("machine", "heading"), [("eie_sim", "EIE"), ("tensorcore_sim", "A card"), ("pointacc_sim", "PointAcc")]
)
def test_every_state_of_a_machine_is_explained(machine, heading):
    section = re.split(r"^##+ ", PAGE.partition(f"### {heading}\n")[2], flags=re.MULTILINE)[0]
    said = {name for row in re.findall(r"^\| (.+?) \| ", section, re.MULTILINE) for name in re.split(r", ", row)}
    actions = import_module(f"{machine}.actions")
    states = [kind for _, kind in inspect.getmembers(actions, inspect.isclass) if kind.__name__.endswith("State")]
    assert states
    assert all(issubclass(kind, IntEnum) for kind in states)
    assert {state.name.lower() for kind in states for state in kind} - said == set()
