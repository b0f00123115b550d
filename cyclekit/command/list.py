"""The verb `list`: what there is to name in the other commands, and what is in a file of weights."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import fields
from typing import Any

from cyclekit import machine
from cyclekit.command.arguments import add_feed, feed_of
from cyclekit.command.model import layer_row
from cyclekit.command.show import or_dash
from cyclekit.command.subject import load
from cyclekit.comparison.runs import parts_of
from cyclekit.terminal import Output
from workloads import address, catalogue, tasks
from workloads.errors import BadInput, did_you_mean
from workloads.networks import data
from workloads.transformers import config

DESCRIBED = {
    "workloads": catalogue.describe,
    "networks": tasks.describe,
    "data": data.describe,
    "transformers": config.describe,
}
KNOWN = ("machines", "presets", *DESCRIBED)


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("what", metavar="WHAT", help=f"one of {', '.join(KNOWN)}; or a file of weights, or FILE:GLOB")
    add_feed(parser)


def run(options: Namespace) -> int:
    """Say what there is."""
    out = Output(options.json)
    if options.what not in KNOWN:
        return _list_layers(out, options)
    if options.what in DESCRIBED:
        rows = [{"name": name, "description": text} for name, text in DESCRIBED[options.what]().items()]
    elif options.what == "machines":
        rows = [{"name": m.name, "description": m.title, "engines": list(m.engines)} for m in machine.all_installed()]
    else:
        rows = [
            {
                "machine": m.name,
                "name": name,
                "description": m.preset_notes[name],
                "spec": spec.as_dict(),
                "idle": dict(m.idle(spec)),
            }
            for m in machine.all_installed()
            for name, spec in m.presets.items()
        ]
    columns = [column for column in ("machine", "name", "description", "engines") if any(column in row for row in rows)]
    out.table(options.what, columns, [[_cell(row[column]) for column in columns] for row in rows])
    if options.what == "presets":
        for chosen in machine.all_installed():
            _show_fields(out, chosen)
    out.result(rows)
    return 0


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


def _show_fields(out: Output, chosen: machine.Machine) -> None:
    """Print what can be set on a machine: every field with its default, where presets differ, meaning and source."""
    out.line()
    (default, first), *others = chosen.presets.items()
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
        rows.append([field.name, str(value), meaning, elsewhere, field.metadata["source"]])
    out.table(f"{chosen.name}: fields for --set", ["field", default, "meaning", "other presets", "source"], rows)
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, spec in chosen.presets.items():
        for field_name, why in chosen.idle(spec).items():
            reasons.setdefault((field_name, why), []).append(name)
    together: dict[tuple[str, str], list[str]] = {}
    for (field_name, why), names in reasons.items():
        together.setdefault((", ".join(names), why), []).append(field_name)
    for (names, why), field_names in together.items():
        out.line(f"  without effect in {names}: {', '.join(field_names)} ({why})")
