"""How results look: rich tables and progress bars on a terminal, plain text in a pipe; JSON whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from workloads.errors import BadInput

LONG_S = 2.0  # work expected to take longer says so first
BEAT_S = 10.0  # between two lines of progress where there is no terminal
LARGE_BYTES = 1e9  # and so does work expected to take more memory
GAP = 2  # between the columns of a table
NAME = 28  # letters in a line of the first column where a table is too wide for the terminal
TEXT = 16  # letters that a line of any other text has at least, and its longest word with a digit
# Of all that --json writes. The first number is raised when a field goes away or changes its name, type, unit or
# meaning, the second when one is added: cyclekit/command/schemas.
VERSION = "1.0"
DATABASE = b"SQLite format 3\0"  # how each of SQLite's begins


class Output:
    """Where one command writes: text for people, and JSON if it was asked for (then "-" sends the text to stderr)."""

    def __init__(self, json_path: str | None, command: str = ""):
        self._json_path, self._command = json_path, command
        self._text: TextIO = sys.stderr if json_path == "-" else sys.stdout
        if json_path not in (None, "-"):
            check_writable(Path(json_path), "--json")

    @property
    def width(self) -> int | None:
        """Return the columns of the terminal; None where the text goes elsewhere."""
        return width_of(self._text)

    def line(self, text: str = "") -> None:
        """Print a line, folded between words where a terminal is narrower."""
        print(folded(text, self.width), file=self._text, flush=True)

    def command(self, text: str) -> None:
        """Print a command line, folded so that it can be pasted into a shell."""
        lines = folded(f"  {text}", self.width and self.width - 2).split("\n")
        for line in (*(f"{line} \\" for line in lines[:-1]), lines[-1]):
            self.verbatim(line)

    def verbatim(self, text: str) -> None:
        """Print a line as it is: it is for another program."""
        print(text, file=self._text, flush=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; columns of numbers, where "-" stands for none, are set flush right."""
        right = [all(_is_number(row[i]) for row in rows) for i in range(len(columns))]
        if self.width is not None:
            self._fitted(title, columns, rows, right)
            return
        widths = [max(len(cell) for cell in cells) for cells in zip(columns, *rows, strict=True)]
        self.line(title)
        for row in (columns, *rows):
            cells = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True))
            self.line("  " + "  ".join(cells).rstrip())

    def _fitted(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
        """Print a table in as many blocks as the terminal's width asks for, with the first column in each."""
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text  # plain text: rich would take "[us]" in a string for a style

        console = Console(file=self._text, width=self.width)
        if title:
            self.line(title)
        for number, widths in enumerate(fitted(columns, rows, right, console.width)):
            table = Table(
                header_style="bold",
                box=box.SIMPLE_HEAD,
                show_edge=False,
                pad_edge=False,
                padding=(0, GAP - 1, 0, 0),
            )
            for i, width in widths.items():
                table.add_column(
                    Text(columns[i]), justify="right" if right[i] else "left", overflow="fold", width=width
                )
            for row in rows:
                table.add_row(*(Text(row[i]) for i in widths))
            if number:
                console.print()
            console.print(table)

    def result(self, value: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Write the result as JSON where it was asked for: an object, or a list of them.

        Each begins with the version of its schema and the command.
        """
        if self._json_path is None:
            return
        head = {"schema_version": VERSION, "command": self._command}
        told = {**head, **value} if isinstance(value, Mapping) else [{**head, **each} for each in value]
        text = json.dumps(told, indent=1, allow_nan=False) + "\n"
        if self._json_path == "-":
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        write_asked(Path(self._json_path), text.encode(), "--json")


def one_or_all(results: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
    """Return what a command writes of several like results: one alone as itself, others as a list."""
    return results[0] if len(results) == 1 else results


def fitted(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], width: int
) -> list[dict[int, int]]:
    """Return {column: its width} of each block of a table, so that every block has the first column and fits.

    Numbers stay in one piece, heads fold between words, text folds, and so does the first column where it must.
    """
    words = [max(map(len, column.split()), default=0) for column in columns]
    cells = [max((len(row[i]) for row in rows), default=0) for i in range(len(columns))]
    whole = [
        max((len(w) for row in rows for w in row[i].split() if any(map(str.isdigit, w))), default=0)
        for i in range(len(columns))
    ]
    least = [
        max(word, cell if is_number or not i else min(cell, max(TEXT, min(number, width - NAME - GAP))))
        for i, (word, cell, number, is_number) in enumerate(zip(words, cells, whole, right, strict=True))
    ]
    most = [max(len(column), cell) for column, cell in zip(columns, cells, strict=True)]
    room = width - sum(GAP + n for n in least[1:])
    if least[0] > room:
        least[0] = most[0] = min(least[0], max(room, NAME))
    blocks, taken = [{0: least[0]}], least[0]
    for i in range(1, len(columns)):
        if taken + GAP + least[i] > width and len(blocks[-1]) > 1:
            blocks.append({0: least[0]})
            taken = least[0]
        blocks[-1][i] = least[i]
        taken += GAP + least[i]
    for block in blocks:
        spare = width - sum(block.values()) - GAP * (len(block) - 1)
        for i in sorted(block, key=lambda i: most[i] - least[i]):  # heads in one line before long texts
            more = max(0, min(most[i] - least[i], spare))
            block[i] += more
            spare -= more
    return blocks


def width_of(stream: TextIO) -> int | None:
    """Return the columns of the terminal that a stream goes to; None where it goes elsewhere."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def folded(text: str, width: int | None) -> str:
    """Return a text in lines of at most so many columns (None: as it is), folded between words and set in by two."""
    return text if width is None else "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    margin = re.match(r" *", line)[0]
    return textwrap.fill(line, width, subsequent_indent=margin + "  ", break_long_words=False, break_on_hyphens=False)


def say(text: str) -> None:
    """Say on standard error what is no result."""
    print(folded(f"zeroskip: {text}", width_of(sys.stderr)), file=sys.stderr, flush=True)


@contextmanager
def progress(what: str) -> Iterator[Any]:
    """Show a bar with time left on a terminal, elsewhere a line every BEAT_S; yields a function (text, done, total)."""
    if not sys.stderr.isatty():
        yield _beat(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda text, done, total: bar.update(task, description=f"{what}: {text}", completed=done, total=total)


def _beat(what: str) -> Any:
    """Return a function (text, done, total) that says now and then how far the work is."""
    since = last = time.monotonic()

    def step(text: str, done: float, total: float | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= BEAT_S:
            last = now
            share = f", {100 * done / total:.0f}%" if total else ""
            say(f"{what}: {text}{share} after {now - since:,.0f} s")

    return step


def check_writable(path: Path, option: str) -> None:
    """Raise BadInput where the file that an option names could not be written, before any work is done for it."""
    if path.is_dir():
        raise BadInput(f"{option} must name a file, {str(path)!r} is a folder")
    if not path.parent.is_dir():
        raise BadInput(f"{option} must name a file in an existing folder, there is no folder {str(path.parent)!r}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise BadInput(f"{option} must name a file that can be written, {str(path)!r} cannot")
    _spare(path, option)


def check_apart(path: str, option: str, inputs: Iterable[str | Path]) -> None:
    """Raise BadInput where the file that an option names is one that is read: it would be replaced."""
    for name in inputs:
        if Path(path).resolve() == Path(name).resolve():
            raise BadInput(f"{option} must name another file than one that is read, got {path!r}")


def announce(seconds: float, n_bytes: float, purpose: str = "") -> None:
    """Say what work that is long or large is expected to take, before it starts. purpose: "to do this"."""
    if seconds > LONG_S or n_bytes > LARGE_BYTES:
        say(f"expecting about {seconds:,.0f} s and {n_bytes / 1e6:,.0f} MB {purpose}".rstrip())


def make_folder(path: Path, option: str = "--figures") -> None:
    """Make the folder that an option names, before any work is done for it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{option} must name a folder, {str(path)!r} cannot be one: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise BadInput(f"{option} must name a folder that can be written to, {str(path)!r} cannot")


def write_asked(path: Path, content: bytes, option: str) -> None:
    """Write the file that an option names, whole or not at all. Raises BadInput."""
    _spare(path, option)  # once more: a sweep has made its store since
    try:
        write_whole(path, content)
    except OSError as error:
        raise BadInput(f"{option} could not be written to {str(path)!r}: {error.strerror}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that at every moment it holds the old content or the new, never a part; a pipe as it comes."""
    if path.exists() and not path.is_file():  # a pipe or a device must stay what it is
        path.write_bytes(content)
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside a file, which becomes it if all goes well and else is removed."""
    path = path.resolve()  # so that a link stays a link
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".zeroskip-")
    os.close(handle)
    try:
        yield Path(name)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException as error:
        if isinstance(error, OSError):
            error.filename = str(path)  # and not the temporary one, if any
        with suppress(OSError):
            os.unlink(name)
        raise


def _spare(path: Path, option: str) -> None:
    """Raise BadInput where a file would replace a store, whose rows nothing else holds."""
    with suppress(OSError):
        if path.is_file():
            with open(path, "rb") as stream:
                if stream.read(len(DATABASE)) == DATABASE:
                    raise BadInput(f"{option} must name another file than a store or other database, got {str(path)!r}")


def _is_number(cell: str) -> bool:
    return cell in ("", "-") or cell[0].isdigit() or (cell[0] in "+-" and cell[1:2].isdigit())
