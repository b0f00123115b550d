"""Draw the pictures of the pages: what a tutorial's cells write, and what the commands in a caption's *Drawn by* do.

`python docs/draw_pictures.py` writes those of docs/pictures/*.svg that pages show.
"""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from cyclekit.command.cli import main  # noqa: E402
from tests.documented import PAGES, blocks, run  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
SHOWN = re.compile(r"!\[[^\]]*\]\([./\w]*pictures/([\w.-]+)\)")
DRAWN = re.compile(r"Drawn by ([^*]+)\*")
COMMAND = re.compile(r"`zeroskip ([^`]+)`")


def draw(page):
    """Write into the working directory what a page draws: its cells where one saves a figure, else its captions."""
    text = page.read_text(encoding="utf-8")
    if "savefig" in text:
        names = {"__name__": "page"}
        for cell in blocks(page):
            run(cell, names)
    for told in DRAWN.findall(text):
        for command in reversed(COMMAND.findall(told)):  # "A after B" is told from the last on
            assert main(shlex.split(command)) == 0, command


if __name__ == "__main__":
    shown = {name for page in PAGES for name in SHOWN.findall(page.read_text(encoding="utf-8"))}
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        for page in PAGES:
            draw(page)
        written = {path.name: path for path in Path(folder).rglob("*.svg")}
        for name in sorted(shown):
            shutil.copy(written[name], PICTURES / name)
        os.chdir(ROOT)
