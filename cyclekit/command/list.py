"""The verb `list`: what there is to name in the other commands, and what is in a file of weights."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from cyclekit import machine
from cyclekit.command.arguments import add_feed, feed_of
from cyclekit.command.model import layer_row
from cyclekit.command.schemas.commands import schema
from cyclekit.command.show import or_dash
from cyclekit.command.subject import load
from cyclekit.command.verbs import VERBS
from cyclekit.comparison.runs import parts_of
from cyclekit.terminal import VERSION, Output
from workloads import address, catalogue, tasks
from workloads.errors import BadInput, did_you_mean
from workloads.networks import data
from workloads.pruning import criteria, patterns
from workloads.transformers import config

DESCRIBED = {
    "workloads": catalogue.describe,
    "networks": tasks.describe,
    "data": data.describe,
    "transformers": config.describe,
    "patterns": patterns.describe,
    "criteria": criteria.describe,
}
SCHEMAS = "schemas"
TOPICS = {
    "machines": "what runs a workload",
    "presets": "designs of the machines, with every field that --set changes",
    "prices": "tables of prices for energy and area",
    "workloads": "layers and networks for run, explain, trace, compare, sweep and search",
    "networks": "networks for prune, tradeoff, sensitivity and adapt",
    "data": "real inputs for 'zeroskip data'",
    "transformers": "language models for llm",
    "patterns": "which weights are pruned together",
    "criteria": "by what weights are pruned",
    SCHEMAS: "of the JSON that each command writes",
}
KNOWN = tuple(TOPICS)
OF_MACHINES = ("presets", "prices")


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    said = f"one of {', '.join(KNOWN)}; or a file of weights, or FILE:GLOB (default: these lists)"
    parser.add_argument("what", metavar="WHAT", nargs="?", help=said)
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="of presets: a machine, PRESET or MACHINE:PRESET; of prices: a machine or a table; of schemas: a command",
    )
    add_feed(parser)


def run(options: Namespace) -> int:
    """Say what there is."""
    out = Output(options.json, options.verb)
    if options.what is None:
        rows = [{"name": topic, "description": text} for topic, text in TOPICS.items()]
        _show_rows(out, "lists", rows)
        out.result(rows)
        return 0
    if options.name is not None and options.what not in (*OF_MACHINES, SCHEMAS):
        named = f"{', '.join(OF_MACHINES)} and {SCHEMAS}"
        raise BadInput(f"only {named} are listed by NAME, got {options.what!r} {options.name!r}")
    if options.what not in KNOWN:
        return _list_layers(out, options)
    if options.what == SCHEMAS:
        return _list_schemas(out, options.name)
    if options.what in OF_MACHINES:
        return _list_of_machines(out, options.what, options.name)
    if options.what in DESCRIBED:
        rows = [{"name": name, "description": text} for name, text in DESCRIBED[options.what]().items()]
    else:
        rows = [{"name": m.name, "description": m.title, "engines": list(m.engines)} for m in machine.all_installed()]
    _show_rows(out, options.what, rows)
    out.result(rows)
    return 0


def _list_of_machines(out: Output, what: str, name: str | None) -> int:
    """Print presets or tables of prices: all machines', one machine's, or those of that name, with every field."""
    machines = machine.all_installed()
    if what == "presets" and name is not None and ":" in name:
        machines, name = [machine.load(name)], name.partition(":")[2]
    names = {m.name: dict(m.presets if what == "presets" else m.prices) for m in machines}
    known = dict.fromkeys([*names, *(own for of_machine in names.values() for own in of_machine)])
    if name is not None and name not in known:
        raise BadInput(f"unknown {'preset' if what == 'presets' else what} {name!r}{did_you_mean(name, known)}")
    rows = [
        {"machine": m.name, "name": own, "description": m.preset_notes[own] if what == "presets" else m.prices[own]}
        | ({"spec": spec.as_dict(), "idle": dict(m.idle(spec))} if what == "presets" else _default(m, own))
        for m in machines
        for own, spec in names[m.name].items()
        if name in (None, m.name, own)
    ]
    _show_rows(out, what, rows)
    if what == "presets":
        for chosen in machines:
            if name in (None, chosen.name):
                _show_fields(out, chosen)
            elif name in chosen.presets:
                _show_fields(out, chosen, name)
    out.result(rows)
    return 0


def _list_schemas(out: Output, command: str | None) -> int:
    """Print whose JSON has a schema, or one command's schema as it is, for a validator."""
    if command is not None and command not in VERBS:
        raise BadInput(f"unknown command {command!r}{did_you_mean(command, VERBS)}")
    rows = [
        {"name": verb, "description": summary} | ({"schema": schema(verb)} if command else {})
        for verb, summary in VERBS.items()
        if command in (None, verb)
    ]
    if command is None:
        _show_rows(out, f"{SCHEMAS}, version {VERSION}", rows)
    else:
        out.verbatim(json.dumps(rows[0]["schema"], indent=1))
    out.result(rows)
    return 0


def _default(chosen: machine.Machine, table: str) -> dict[str, str]:
    return {"default": "yes" if chosen.default_prices == table else "no"}


def _show_rows(out: Output, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    heads = ("machine", "name", "default", "description", "engines")
    columns = [column for column in heads if any(column in row for row in rows)]
    out.table(title, columns, [[_cell(row[column]) for column in columns] for row in rows])


def _list_layers(out: Output, options: Namespace) -> int:
    """Print the layers of a file."""
    path, _ = address.split(options.what)
    if not address.names_a_file(options.what):
        raise BadInput(f"unknown list {options.what!r}{did_you_mean(options.what, KNOWN)}; or name a file of weights")
    feed = feed_of(options)
    if address.is_graph(path, feed):
        rows, remark = address.contents(options.what, feed)
    else:
        work = load(options.what, options)
        rows, remark = [layer_row(layer) for layer in parts_of(work)], work.provenance
    cells = [
        [
            row["layer"],
            row["kind"],
            f"{row['n_out']} x {row['n_in']}",
            f"{row['groups']:,}",
            or_dash(row["positions"], ","),
            f"{100 * row['density']:.1f}",
            or_dash(row["weight_bits"], "d"),
            or_dash(row["macs"], ","),
        ]
        for row in rows
    ]
    heads = ["layer", "kind", "out x in", "groups", "positions", "weights [%]", "bits", "MACs of an input"]
    n_weights = sum(row["n_out"] * row["n_in"] // row["groups"] for row in rows)
    out.table(f"{path.name}: {len(rows)} layers, {n_weights:,} weights", heads, cells)
    if remark:
        out.line(f"  {remark}")
    out.result({"file": str(path), "layers": rows, "remark": remark})
    return 0


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _show_fields(out: Output, chosen: machine.Machine, preset: str | None = None) -> None:
    """Print what can be set on a machine: every field with its default, where presets differ, meaning and source.

    preset: the only one whose values are shown (None: the first's, and where the others differ).
    """
    out.line()
    presets = chosen.presets if preset is None else {preset: chosen.presets[preset]}
    (default, first), *others = presets.items()
    rows = []
    for field in fields(chosen.spec):
        value = getattr(first, field.name)
        differ: dict[str, list[str]] = {}
        for name, spec in others:
            if (other := getattr(spec, field.name)) != value:
                differ.setdefault(str(other), []).append(name)
        elsewhere = "; ".join(f"{other} in {', '.join(names)}" for other, names in differ.items())
        meaning = field.metadata["meaning"]
        if "options" in field.metadata:
            meaning += f" (one of {', '.join(field.metadata['options'])})"
        cells = [field.name, str(value), meaning, *([elsewhere] if others else []), field.metadata["source"]]
        rows.append(cells)
    heads = ["field", default, "meaning", *(["other presets"] if others else []), "source"]
    out.table(f"{chosen.name}: fields for --set", heads, rows)
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, spec in presets.items():
        for field_name, why in chosen.idle(spec).items():
            reasons.setdefault((field_name, why), []).append(name)
    together: dict[tuple[str, str], list[str]] = {}
    for (field_name, why), names in reasons.items():
        together.setdefault((", ".join(names), why), []).append(field_name)
    for (names, why), field_names in together.items():
        out.line(f"  without effect in {names}: {', '.join(field_names)} ({why})")
