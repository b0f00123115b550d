"""Files: the CSV tables that come with a package, what users bring as text and as TOML, and arrays written whole."""

import codecs
import csv
import os
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from workloads.errors import BadInput


def read_table(package: str, name: str) -> list[dict[str, str]]:
    """Return the rows of data/NAME.csv of a package as {column: text}; lines that begin with # are comments."""
    text = files(package).joinpath(f"data/{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def write_arrays(out: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz file whole or not at all: a temporary file beside `out`, then os.replace."""
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def read_text_bytes(path: Path) -> bytes:
    """Return the bytes of a text file without the byte order mark that some editors put first."""
    return path.read_bytes().removeprefix(codecs.BOM_UTF8)


def parse_toml(text: str) -> dict[str, Any]:
    """Return what TOML text holds; raises BadInput for all else, and for whole numbers of more than 64 bits."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError, and no TOMLDecodeError
        raise BadInput(f"no TOML: {error}") from None
    values: list[Any] = [table]
    while values:
        value = values.pop()
        if isinstance(value, dict | list):
            values += value.values() if isinstance(value, dict) else value
        elif isinstance(value, int) and value.bit_length() > 63:
            raise BadInput("no TOML: a whole number must fit 64 bits")
    return table
