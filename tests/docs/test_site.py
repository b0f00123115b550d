"""Does the site build without a warning, every page and link of it checked?"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zeroskip

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the folder of the built site, and what the build said."""
    folder = tmp_path_factory.mktemp("site")
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ROOT / "mkdocs.yml", "-d", folder]
    ended = subprocess.run(
        argv, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return folder, ended.stderr


def test_nothing_is_warned_of(built):
    assert "WARNING" not in built[1]


def test_every_page_is_there(built):
    pages = sorted(path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md"))
    assert len(pages) > 25
    assert [page for page in pages if not (built[0] / page.with_suffix(".html")).exists()] == []


def test_the_reference_has_the_docstrings_of_the_face(built):
    text = (built[0] / "reference.html").read_text(encoding="utf-8")
    for name in zeroskip.__all__:
        assert f'id="zeroskip.{name}"' in text or f'id="workloads.errors.{name}"' in text, name


def test_a_page_loads_nothing_from_elsewhere(built):
    page = (built[0] / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(?:https?:)?//[^"]+"', page) == []
