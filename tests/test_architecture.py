"""Is the picture of the house the house, and does docs/architecture.md send a newcomer to code that is there?"""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`(?:: `([^`]+)`)?", PAGE)
MOST_NAMES = {"cyclekit": 21, "workloads": 18, "tensorcore_sim": 20}


@pytest.fixture(scope="module")
def house():
    """Return docs/draw_house.py as a module."""
    spec = importlib.util.spec_from_file_location("draw_house", ROOT / "docs" / "draw_house.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_fresh(house):
    assert house.PICTURE.read_text(encoding="utf-8") == house.picture(), "run python docs/draw_house.py"


def test_a_circle_would_be_named(house, monkeypatch):
    monkeypatch.setattr(house, "arrows", lambda package: {"a": {"b"}, "b": {"c"}, "c": {"a"}})
    with pytest.raises(ValueError, match="a -> b -> c -> a"):
        house.floors("p")


def test_a_part_stands_just_above_what_it_imports(house, monkeypatch):
    monkeypatch.setattr(
        house, "arrows", lambda package: {"top": {"low", "mid"}, "mid": {"low"}, "low": set(), "x": set()}
    )
    assert house.floors("p") == [["low", "x"], ["mid"], ["top"]]


@pytest.mark.parametrize(("path", "code"), NAMED, ids=str)
def test_what_the_page_names_is_there(path, code):
    assert (ROOT / path).exists()
    if code:
        assert code in (ROOT / path).read_text(encoding="utf-8")


def test_the_page_names_enough_to_be_worth_testing():
    assert sum(bool(code) for _, code in NAMED) > 20


@pytest.mark.parametrize("package", MOST_NAMES)
def test_a_package_has_few_names_at_its_top(package):
    names = {path.name for path in (ROOT / package).iterdir()} - {"__pycache__", "py.typed"}
    assert len(names) <= MOST_NAMES[package]
