"""Is the version the same wherever it is said, and has it its heading in the changelog?"""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_version_is_said_alike_everywhere():
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)[1]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert (cited, version("zeroskip"), headings[:2]) == (said, said, ["Unreleased", said])


def test_every_extra_that_a_document_names_can_be_installed():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = {
        name
        for path in texts
        for group in re.findall(r"pip install '\.\[([\w,]+)\]'", path.read_text(encoding="utf-8"))
        for name in group.split(",")
    }
    assert len(named) > 5
    assert named - extras.keys() == set()
    assert not [path for path in texts if "'zeroskip[" in path.read_text(encoding="utf-8")]  # no index has it yet
