"""JSON that a command wrote, held against the schema that its command declares."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from cyclekit.command.schemas.commands import schema


@cache
def validator(command: str) -> Draft202012Validator:
    """Return what validates a command's documents."""
    Draft202012Validator.check_schema(schema(command))
    return Draft202012Validator(schema(command))


def complaints(told: dict | list | str | Path) -> list[str]:
    """Return what is wrong with a document, its text or its file, each with the place; of a pipe nothing."""
    if isinstance(told, Path):
        if not told.is_file():
            return []
        told = told.read_text(encoding="utf-8")
    if isinstance(told, str):
        told = json.loads(told)
    inmost = [
        best_match([error])
        for error in validator((told[0] if isinstance(told, list) else told)["command"]).iter_errors(told)
    ]
    return [f"{error.json_path}: {error.message[-200:]}" for error in inmost]


def held(path: str | Path) -> Any:
    """Return what a file holds, which its schema allows."""
    assert complaints(Path(path)) == []
    return json.loads(Path(path).read_text(encoding="utf-8"))
