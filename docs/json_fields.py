"""Write the tables of docs/json.md from the schemas, so that a field is said once: python docs/json_fields.py."""

from __future__ import annotations

from pathlib import Path

from cyclekit.command.schemas.commands import FORMS, TOPS, named
from cyclekit.command.schemas.words import Schema

PAGE = Path(__file__).with_name("json.md")
MARK = "<!-- from here on: python docs/json_fields.py -->\n"


def tables() -> str:
    """Return a table of fields for each form of each command's result."""
    parts = []
    for command, forms in FORMS.items():
        for which, form in forms.items():
            name = named(command, which)
            parts.append(f"\n## {name}\n" + (f"\n{TOPS[name].capitalize()}.\n" if name in TOPS else ""))
            parts.append("| field | holds | |\n| --- | --- | --- |")
            for name, schema in form["properties"].items():
                shown = f"`{name}`" if name in form["required"] else f"*{name}*"
                parts.append(f"| {shown} | {_holds(schema)} | {schema['description']} |")
            if isinstance(values := form["additionalProperties"], dict):
                parts.append(f"| *each machine's name* | {_holds(values)} | {values['description']} |")
    return "\n".join(parts) + "\n"


def _holds(schema: Schema) -> str:
    """Return what a field holds, in words, with the names of the fields inside."""
    if "anyOf" in schema:
        return f"{_holds(schema['anyOf'][0])}, or null"
    if isinstance(schema["type"], list):
        return " or ".join(schema["type"])
    if schema["type"] == "array":
        return f"list: {_holds(schema['items'])}"
    if schema["type"] != "object":
        return schema["type"]
    if schema.get("properties"):
        return "record: " + ", ".join(f"`{name}`" for name in schema["properties"])
    values = schema.get("additionalProperties")
    return f"by name: {_holds(values)}" if values else "record"


def page(text: str) -> str:
    """Return the page with its tables as the schemas have them now."""
    return text.partition(MARK)[0] + MARK + tables()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
