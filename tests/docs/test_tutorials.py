"""Can each tutorial be followed from an empty folder, by its text alone, as a page and as a notebook?"""

import dataclasses
import json
import re
import runpy
from pathlib import Path

import pytest

from cyclekit.budgets.adapt import METHODS
from cyclekit.command.verbs import VERBS
from cyclekit.machine import all_installed, installed
from tests.documented import blocks, run
from workloads import tasks
from workloads.pruning.criteria import CRITERIA
from workloads.pruning.patterns import pattern
from workloads.recipes.steps import STEPS

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
PICTURES = ROOT / "docs" / "pictures"
DRAWER = runpy.run_path(str(ROOT / "docs" / "draw_pictures.py"))
WRITER = runpy.run_path(str(ROOT / "docs" / "notebooks.py"))


def words(svg):
    """Return the texts of a picture."""
    found = [text.strip() for text in re.findall(r"<text[^>]*>([^<]+)</text>", svg.read_text(encoding="utf-8"))]
    assert found
    return found


def test_there_is_one_for_each_of_three_users():
    assert [page.stem for page in TUTORIALS] == ["architect", "engineer", "student"]


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_it_can_be_followed(page, tmp_path, monkeypatch):
    if page.stem == "engineer":
        pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    cells, names = blocks(page), {"__name__": "notebook"}
    assert not any(cell.reason for cell in cells)
    assert sum(cell.language in ("python", "sh") for cell in cells) >= 8
    for cell in cells:
        run(cell, names)
    text = page.read_text(encoding="utf-8")
    shown = DRAWER["SHOWN"].findall(text)
    assert shown
    for name in shown:  # it is what the cells write, or else its caption says what does
        written = list(tmp_path.rglob(name))
        assert written or DRAWER["DRAWN"].search(text)
        assert all(words(path) == words(PICTURES / name) for path in written), "python docs/draw_pictures.py"
        assert (PICTURES / name).stat().st_size < 100_000


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_its_notebook_has_the_same_cells_and_no_outputs(page):
    text = page.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert text == WRITER["written"](page.read_text(encoding="utf-8")), "python docs/notebooks.py"
    cells = json.loads(text)["cells"]
    code = ["".join(cell["source"]).removeprefix("%%sh\n") for cell in cells if cell["cell_type"] == "code"]
    assert code == [cell.text.strip("\n") for cell in blocks(page) if cell.language in ("python", "sh")]
    assert not any(cell.get("outputs") for cell in cells)


def test_the_lecture_s_table_shows_every_idea_or_says_why_not():
    page = (ROOT / "docs" / "tutorials" / "student.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+?) \| (.+) \|$", page, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 37
    prose = re.sub(r"^```.*?^```$", "", page[: page.index("| 1 |")], flags=re.MULTILINE | re.DOTALL)
    told = re.findall(r"^## (.+)$|\*\*([^*]+)\*\*", prose, re.MULTILINE)
    headings = {(a or b).rstrip(".,:").partition(":")[0] for a, b in told}
    for number, _, shown in rows:
        named = re.findall(r"\*\*([^*]+)\*\*", shown)
        assert named or "`" in shown or ".md" in shown, number
        assert [name for name in named if name not in headings] == [], number


def test_what_the_lecture_s_table_names_is_there_to_be_named():
    page = (ROOT / "docs" / "tutorials" / "student.md").read_text(encoding="utf-8")
    named = {
        word for row in re.findall(r"^\| \d+ \| .+$", page, re.MULTILINE) for word in re.findall(r"`([^`]+)`", row)
    }
    fields = {field.name: field for chosen in all_installed() for field in dataclasses.fields(chosen.spec)}
    steps = {field.name for step in STEPS.values() for field in dataclasses.fields(step)}
    known = {*fields, *CRITERIA, *METHODS, *STEPS, *steps, *tasks.describe()}
    for word in named:
        command = re.match(r"zeroskip (\w+)(?: (.+))?$", word)
        setting = re.match(r"--set (\w+)=(.+)$", word)
        if command:
            assert command[1] in VERBS, word
            assert command[2] in (None, *known, *installed()), word
        elif setting:
            assert setting[2] in fields[setting[1]].metadata["options"], word
        else:
            name = word.removeprefix('method="').rstrip('"')
            assert name in known or pattern(name), word
