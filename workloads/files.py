"""Reading the CSV tables that come with a package."""

import csv
from importlib.resources import files


def read_table(package: str, name: str) -> list[dict[str, str]]:
    """Return the rows of data/NAME.csv of a package as {column: text}; lines that begin with # are comments."""
    text = files(package).joinpath(f"data/{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
