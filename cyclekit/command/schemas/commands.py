"""The schema of what each command writes with --json: one form of it or several, each with all its fields."""

from __future__ import annotations

from collections.abc import Mapping

from cyclekit.command.schemas.records import NOTES, OTHERS, PROVENANCE, QUALITY, RUN, SERVING, SUM_ON_A_MACHINE
from cyclekit.command.schemas.rows import (
    ADAPTED,
    ALL,
    ALONE,
    BLOCK_LOSS,
    COMPARISON,
    COMPUTED,
    DEMO,
    DESIGN,
    LISTED,
    MEASURED_LAYER,
    OUTPUT,
    PATTERN,
    POINT,
    PRUNED_LAYER,
    RUNS,
    SEARCHED,
    STEP,
    STEP_DONE,
    STORED_LAYER,
    SUBNET,
    TRACK,
    VALIDATION,
    measured,
    quality,
)
from cyclekit.command.schemas.words import Schema, by, flag, many, number, record, share, table, text, texts, whole
from cyclekit.terminal import VERSION

DRAFT = "https://json-schema.org/draft/2020-12/schema"
ENVELOPE = {
    "schema_version": {"const": VERSION, "description": "of this schema"},
    "command": text("the verb that wrote it"),
}

# {command: {which form of its result: its schema}}
FORMS: Mapping[str, Mapping[str, Schema]] = {
    "list": {
        "TOPIC": LISTED,
        "FILE": record(
            "",
            {
                "file": text("its path"),
                "layers": many(STORED_LAYER, "in the order of the file"),
                "remark": text("what was passed over, or not known"),
            },
        ),
    },
    "run": {
        "": RUN,
        "of a graph": record(
            "",
            {
                "model": text("its name"),
                "provenance": PROVENANCE,
                "layers": many(MEASURED_LAYER, "means over the runs"),
                "total": ALL,
                "others": OTHERS,
                "notes": NOTES,
                "runs": RUNS,
            },
        ),
    },
    "explain": {"": record("", {"tables": by(table("rows"), "by title"), "remarks": texts("on them")})},
    "trace": {
        "": record(
            "",
            {
                **{
                    name: RUN["properties"][name]
                    for name in ("machine", "workload", "input", "engine", "id", "cycles", "time_us")
                },
                "files": by({"type": "string"}, "written, by format"),
                "begin": number("of the window, in cycles from the run's start"),
                "end": number("of the window"),
                "tracks": many(TRACK, "a unit each"),
            },
            {"steps": many(STEP, "with --steps")},
        )
    },
    "prune": {
        "": record(
            "",
            measured(
                quality_before=quality("as given"),
                quality_after=quality("as made"),
                batch=whole("inputs that were timed"),
                compact=flag("whether empty rows and columns were dropped"),
                steps=many(STEP_DONE, "of the recipe"),
                layers=many(PRUNED_LAYER, "layer by layer"),
                totals=by(SUM_ON_A_MACHINE, "by machine"),
                notes=NOTES,
            ),
            {
                "outputs": many(OUTPUT, "of an ONNX model"),
                "outputs_unknown": text("why an ONNX model's are not"),
                "rounded": texts("arrays whose new values are rounded to the file's types"),
            },
        )
    },
    "tradeoff": {
        "": record(
            "",
            measured(
                quality_dense=quality("dense"),
                density=share("kept"),
                epochs=whole("of tuning at most"),
                batch=whole("inputs that were timed"),
                left_dense=texts("layers that not every pattern fits"),
                notes=NOTES,
                rows=many(PATTERN, "from the most flexible to the most regular"),
            ),
        )
    },
    "sensitivity": {
        "": record(
            "",
            measured(
                dense=number(f"{QUALITY}, dense"),
                pattern=text("of the pruning"),
                notes=NOTES,
                rows=many(ALONE, "a layer and density each"),
            ),
        ),
        "--blocks": record(
            "",
            {
                "network": text("its name"),
                "provenance": PROVENANCE,
                "dense_loss": number("nats a token"),
                "rows": many(BLOCK_LOSS, "a block and variant each"),
            },
        ),
    },
    "adapt": {"": ADAPTED},
    "data": {"": record("", {"name": text("its own"), "folder": text("where it lies"), "files": texts("their names")})},
    "sweep": {"": record("", COMPUTED)},
    "rows": {
        "": record(
            "",
            {
                "machine": text("its name"),
                "workload": text("its name"),
                "rows": whole("of both"),
                "infeasible": whole("of them"),
            },
        )
    },
    "report": {
        "": record(
            "",
            {
                "out": text("the page"),
                "bytes": whole("of the page"),
                "rows": whole("in the store"),
                "results": whole("on the page"),
                "figures": texts("files written"),
            },
        )
    },
    "search": {"": record("", {**SEARCHED, **COMPUTED})},
    "compare": {
        "": record("", {"designs": many(DESIGN, "one each"), "comparisons": many(COMPARISON, "one a workload")})
    },
    "llm": {
        "": record("", SERVING, SUBNET),
        "--compare": record(
            "", {"base": record("the model as given", SERVING), "points": many(POINT, "the base first")}
        ),
    },
    "validate": {"": VALIDATION},
    "demo": {"": record("", {}) | {"additionalProperties": DEMO}},
    "completion": {"": record("", {"shell": text("bash or zsh"), "script": text("for its eval")})},
}

ONE, ONE_OR_LIST, LIST = "an object", "an object, or a list of them where there are several", "a list of objects"
# What stands at the top: {command and form: which}, of all others one object
TOPS = {
    "list TOPIC": LIST,
    "run": ONE_OR_LIST,  # a layer and input each, or a layer and batch
    "adapt": ONE_OR_LIST,  # a budget and method each
    "rows": LIST,  # a machine and workload each
    "validate": ONE_OR_LIST,  # a machine each
}


def named(command: str, which: str) -> str:
    """Return what a form of a command's result is called."""
    return f"{command} {which}".strip()


def schema(command: str) -> Schema:
    """Return the JSON Schema (draft 2020-12) of what a command writes."""
    own = {**ENVELOPE, "command": {"const": command, "description": ENVELOPE["command"]["description"]}}
    forms, tops = {}, []
    for which, form in FORMS[command].items():
        name = named(command, which)
        forms[name] = form | {"properties": own | form["properties"], "required": [*own, *form["required"]]}
        alone, top = {"$ref": f"#/$defs/{name.replace(' ', '%20')}"}, TOPS.get(name, ONE)
        tops += [alone] if top != LIST else []
        tops += [{"type": "array", "items": alone, "minItems": 0 if top == LIST else 2}] if top != ONE else []
    head = {"$schema": DRAFT, "title": f"zeroskip {command} --json, version {VERSION}"}
    return head | (tops[0] if len(tops) == 1 else {"oneOf": tops}) | {"$defs": forms}
