"""The words that schemas are made of: JSON Schema (draft 2020-12) of a number, a text, a record, a list of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]
PLAIN = ["number", "string", "boolean", "null"]


def number(meaning: str, **bounds: float) -> Schema:
    """Return the schema of a number."""
    return {"type": "number", "description": meaning, **bounds}


def whole(meaning: str, least: int = 0) -> Schema:
    """Return the schema of a whole number."""
    return {"type": "integer", "description": meaning, "minimum": least}


def share(meaning: str) -> Schema:
    """Return the schema of a number from 0 to 1."""
    return number(meaning, minimum=0, maximum=1)


def text(meaning: str) -> Schema:
    """Return the schema of a text."""
    return {"type": "string", "description": meaning}


def flag(meaning: str) -> Schema:
    """Return the schema of true or false."""
    return {"type": "boolean", "description": meaning}


def plain(meaning: str) -> Schema:
    """Return the schema of any value that is no list and no record."""
    return {"type": PLAIN, "description": meaning}


def or_null(schema: Schema, why: str = "") -> Schema:
    """Return the schema of a value or null, and when it is that."""
    said = schema["description"] + (f"; null: {why}" if why else "")
    if isinstance(schema["type"], str) and schema["type"] != "object":
        return schema | {"type": [schema["type"], "null"], "description": said}
    return {"anyOf": [schema, {"type": "null"}], "description": said}


def many(items: Schema, meaning: str, n: int | None = None) -> Schema:
    """Return the schema of a list, of exactly n where that is given."""
    sized = {} if n is None else {"minItems": n, "maxItems": n}
    return {"type": "array", "description": meaning, "items": items, **sized}


def texts(meaning: str) -> Schema:
    """Return the schema of a list of texts."""
    return many({"type": "string"}, meaning)


def by(values: Schema, meaning: str) -> Schema:
    """Return the schema of a record whose names are not known before, and all its values alike."""
    return {"type": "object", "description": meaning, "additionalProperties": values}


def record(meaning: str, fields: Mapping[str, Schema], sometimes: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of a record that has all these fields, perhaps some of the others, and nothing else."""
    return {
        "type": "object",
        **({"description": meaning} if meaning else {}),
        "properties": {**fields, **(sometimes or {})},
        "required": list(fields),
        "additionalProperties": False,
    }


def table(meaning: str) -> Schema:
    """Return the schema of the rows of a printed table: cells by the heads of its columns."""
    return many(by(plain("a cell"), "a row"), meaning)
