"""The code blocks of the documents, and what runs them: shell lines by the command itself, Python in one namespace."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclekit.command.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:^ *<!-- not run([^\n]*?) -->\n+)?^( *)```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
REASON = re.compile(r'(?:, (".+"))?: (.+)')
SETTING_UP = re.compile(r"(pip install|make|\.|cd|git|sudo|apt) ")  # CI has done it, or it is the reader's own


@dataclass(frozen=True)
class Block:
    """A block of a page. reason: why it, or those of its lines that start with one of `excused`, is not run."""

    page: str
    line: int
    language: str
    text: str
    reason: str = ""
    excused: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Whether any of it is run."""
        return not self.reason or bool(self.excused)

    def commands(self) -> Iterator[str]:
        """Yield the lines of a shell block that are run, those that go on joined, without comments."""
        for line in self.text.replace("\\\n", " ").splitlines():
            command = shlex.join(shlex.split(line, comments=True))
            if command and not SETTING_UP.match(command) and not command.startswith(self.excused or "\n"):
                yield command


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order; `<!-- not run: why -->` or `not run, "line": why` goes before one."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in BLOCK.finditer(text):
        excused, reason = REASON.fullmatch(match[1]).groups() if match[1] else ("", "")
        lines = "".join(line.removeprefix(match[2]) for line in match[4].splitlines(keepends=True))
        place = text.count("\n", 0, match.start(3)) + 1
        starts = tuple(re.findall(r'"([^"]+)"', excused or ""))
        found.append(Block(str(page.relative_to(ROOT)), place, match[3], lines, reason, starts))
    return found


def run(block: Block, names: dict[str, Any]) -> None:
    """Run a block in the working directory: a shell block's commands, or Python in `names`, which it may add to."""
    if block.language == "sh":
        for command in block.commands():
            verb, *argv = shlex.split(command)
            assert verb == "zeroskip", f"{block}: {command} is no command of this project: mark it with its reason"
            assert main(argv) == 0, f"{block}: {command}"
    elif block.language == "python":
        exec(compile("\n" * block.line + block.text, block.page, "exec"), names)
