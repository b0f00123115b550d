"""Reading text: the CSV tables that come with a package, and a user's file whatever mark stands at its start."""

import codecs
import csv
from importlib.resources import files
from pathlib import Path


def read_table(package: str, name: str) -> list[dict[str, str]]:
    """Return the rows of data/NAME.csv of a package as {column: text}; lines that begin with # are comments."""
    text = files(package).joinpath(f"data/{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def read_text_bytes(path: Path) -> bytes:
    """Return the bytes of a text file without the byte order mark that some editors put first."""
    return path.read_bytes().removeprefix(codecs.BOM_UTF8)
