"""Does the command line know every command that the README, the pages and its own help show?"""

import re
import shlex
from pathlib import Path

import pytest

from cyclekit.command.cli import EPILOG, parser
from workloads.errors import BadInput

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(text):
    """Return the lines of a text that call zeroskip, those that go on joined."""
    lines = (line.strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line.startswith("zeroskip ")]


SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
BLOCKS = [(page.name, block) for page in PAGES for block in SHELL.findall(page.read_text("utf-8"))]
SHOWN = [(where, line) for where, text in [*BLOCKS, ("zeroskip --help", EPILOG)] for line in commands(text)]


@pytest.mark.parametrize(("where", "line"), SHOWN, ids=str)
def test_a_command_that_is_shown_is_understood(where, line):
    assert parser().parse_args(shlex.split(line, comments=True)[1:]).verb == line.split()[1]


def test_a_command_that_does_not_exist_would_be_found():
    (line,) = commands("$ ls\nzeroskip run eie alex-7 \\\n  --frob\n")
    with pytest.raises(BadInput, match="--frob"):
        parser().parse_args(shlex.split(line)[1:])
