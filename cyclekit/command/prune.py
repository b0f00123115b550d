"""The verb `prune`: compress a network by a recipe, write it, and see what that is worth on every installed machine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclekit import machine
from cyclekit.budgets.step import MachineAllocator
from cyclekit.command.arguments import add_check, add_machines, add_network, add_out
from cyclekit.command.model import show_notes
from cyclekit.command.show import or_dash
from cyclekit.command.subject import given_of, layers_of, said_of, task_of
from cyclekit.comparison import report
from cyclekit.terminal import Output, announce, check_writable, progress, write_asked
from cyclekit.views import scale_of_all, style_of
from workloads import address
from workloads.errors import BadInput
from workloads.graphs import rewrite
from workloads.networks import saved
from workloads.pruning.prune import compacted
from workloads.readers import put_back, safetensors
from workloads.readers.state_dict import few
from workloads.recipes.recipe import Fitted, Recipe
from workloads.records import Workload
from workloads.tasks import Task

N_NOTES = 4  # of a machine that are printed
# {suffix of a file: what it is written of}
WRITTEN = {".npz": "any network", ".onnx": "an ONNX model", ".safetensors": "a file of weights"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_network(parser)
    parser.add_argument("--recipe", metavar="FILE", required=True, help="the steps, in TOML (docs/pruning.md)")
    add_out(parser, "the layers as .npz, an ONNX model as .onnx, a file of weights as .safetensors", required=True)
    add_machines(parser, "|none")
    parser.add_argument("--compact", action="store_true", help="drop rows and columns that hold no weight")
    add_check(parser)


def run(options: Namespace) -> int:
    """Compress a network by a recipe, report its layers and write them; 1 where a check failed."""
    out = Output(options.json, options.verb)
    path = Path(options.out)
    if path.suffix not in WRITTEN:
        raise BadInput(f"--out must name a file of {', '.join(WRITTEN)}, got {options.out!r}")
    check_writable(path, "--out")
    machines = machine.named(options.machines)
    recipe = Recipe.read(options.recipe)
    task = task_of(options)
    sources = {".onnx": task.graph, ".safetensors": task.arrays}
    if path.suffix in sources and (options.compact or sources[path.suffix] is None):
        why = "--compact takes rows out of it" if options.compact else f"{task.name} is none"
        raise BadInput(f"--out must name an .npz file: {path.suffix} is written of {WRITTEN[path.suffix]}, and {why}")
    fitted = task.fit(recipe, MachineAllocator(task))
    pruned, dense = layers_of(task, fitted, options.batch)
    given = given_of(task, fitted, options.batch, dense)
    content, told = _put_back(path, task, fitted, {layer.name: layer for layer in pruned}, options.network)
    if machines:
        announce(*report.expected(list(machines.values()), [*pruned, *given], options.check))
    layers = [report.figures(*pair) | {"machines": {}} for pair in zip(dense, pruned, strict=True)]
    pruned = [compacted(layer) for layer in pruned] if options.compact else pruned
    totals = {}
    for name, chosen in machines.items():
        with progress(name) as step:
            rows = report.costs(chosen, pruned, check=options.check, progress=step)
            times = report.dense_times(chosen, given, step)
        given_us = dict(zip((layer.name for layer in given), times, strict=True))
        for layer, row in zip(layers, rows, strict=True):
            dense_us = given_us[layer["layer"]]
            row["speed_up"] = dense_us / row["time_us"] if dense_us and row["time_us"] else None
            layer["machines"][name] = row
        totals[name] = report.total(rows, times)
    measure = task.measure if task.graph is None else None  # a graph's outputs are told one by one
    result = {
        "network": task.name,
        "provenance": task.provenance,
        "measure": measure,
        "quality_before": task.quality(task.network) if measure else None,
        "quality_after": task.quality(fitted.apply()) if measure else None,
        "batch": max(layer.batch for layer in pruned),  # that there were, of those that --batch asks for
        "compact": options.compact,
        "steps": list(fitted.steps),
        "layers": layers,
        "totals": totals,
        "notes": [*said_of(task), *fitted.notes],
        **told,
    }
    provenance = f"{task.provenance}; recipe {Path(options.recipe).name}"
    write_asked(path, saved.to_bytes(pruned, provenance) if content is None else content, "--out")
    for line in (*said_of(task), *fitted.notes):
        out.line(line)
    _show(out, result)
    out.line(f"wrote {path}")
    out.result(result)
    rows = [row for layer in layers for row in layer["machines"].values()]
    return 0 if all(row["checked"] is not False for row in rows) else 1


def _put_back(
    path: Path, task: Task, fitted: Fitted, layers: Mapping[str, Workload], source: str
) -> tuple[bytes | None, dict[str, Any]]:
    """Return the file with the layers in their places, None for the .npz of the layers alone, and what to say of it.

    Of an ONNX model that is how its outputs change, whatever is written. Raises BadInput.
    """
    if path.suffix == ".safetensors":
        whole = fitted.apply().stored() if fitted.is_cut else None
        arrays, rounded = put_back.with_layers(task.arrays, layers) if whole is None else (whole, [])
        content = safetensors.to_bytes(arrays, put_back.metadata(address.split(source)[0]))
        return content, {"rounded": rounded}
    if task.graph is None:
        return None, {}
    try:
        changed = rewrite.with_weights(task.graph, layers)
        told = {"outputs": rewrite.compared(task.graph, changed)}
    except BadInput as error:
        if path.suffix == ".onnx":
            raise
        return None, {"outputs_unknown": str(error)}
    return changed.SerializeToString() if path.suffix == ".onnx" else None, told


def _show(out: Output, result: dict[str, Any]) -> None:
    kinds = ("bytes_f32", "bytes_f16", "bytes_huffman")
    unit, size = scale_of_all("B", [layer[kind] for layer in result["layers"] for kind in kinds])
    rows = [
        [
            layer["layer"],
            f"{layer['n_out']} x {layer['n_in']}",
            f"{layer['density']:.4f}",
            f"{layer['row_imbalance']:.2f}",
            f"{layer['column_imbalance']:.2f}",
            f"{layer['activation_density']:.3f}",
            or_dash(layer["error"], ".4f"),
            "-" if layer["centroids"] is None else "{} of {}".format(*layer["centroids"]),
            *(or_dash(layer[kind] and layer[kind] / size, style_of(unit)) for kind in kinds),
        ]
        for layer in result["layers"]
    ]
    heads = ["layer", "out x in", "density", "row imb.", "column imb.", "act. density", "error", "centroids"]
    heads += [f"f32 [{unit}]", f"f16 [{unit}]", f"Huffman [{unit}]"]
    out.table(f"{result['network']}: its layers", heads, rows)
    out.line()
    for name, whole in result["totals"].items():
        rows_of = [(layer["layer"], layer["machines"][name]) for layer in result["layers"]]
        own = [row for _, row in rows_of]
        (unit, size), (time, us) = scale_of_all("B", _of(own, "bytes")), scale_of_all("us", _of(own, "time_us"))
        scales = {"bytes": (size, style_of(unit)), "time_us": (us, style_of(time))}
        rows = [_cost_cells(layer, row, ", ".join(map(str, row["spec"].values())), scales) for layer, row in rows_of]
        rows.append(_cost_cells("all", whole, "", scales))
        heads = ["layer", f"weights [{unit}]", "padding [%]", "cycles", f"time [{time}]", "over dense [x]", "stored as"]
        out.table(f"{name}, {result['batch']} inputs to a layer", heads, rows)
        for reason in whole["reasons"]:
            out.line(f"  {name} cannot: {reason}")
        checked = [row["checked"] for _, row in rows_of if row["checked"] is not None]
        if checked:
            out.line(f"  values: {sum(checked)} of {len(checked)} layers agree with the references")
        show_notes(out, "note", [(layer, note) for layer, row in rows_of for note in row["notes"]], N_NOTES)
        out.line()
    if "outputs" in result:
        cells = [
            [
                row["output"],
                or_dash(row["relative_error"], ".4f"),
                or_dash(row["cosine"], ".6f"),
                or_dash(row["top_1"], ".4f"),
                "-" if row["accuracy"] is None else "{:.4f}, {:.4f}".format(*row["accuracy"]),
            ]
            for row in result["outputs"]
        ]
        heads = ["output", "relative error", "cosine", "top-1 alike", "accuracy before, after"]
        out.table("outputs of the graph, before and after, on the inputs calibrated on", heads, cells)
    if result.get("rounded"):
        out.line(f"  note: new values are rounded to the file's own types: {few(result['rounded'])}")
    if "outputs_unknown" in result:
        out.line(f"  note: no outputs to compare: {result['outputs_unknown']}")
    if result["measure"]:
        out.line(f"{result['measure']}: {result['quality_before']:.4f} before, {result['quality_after']:.4f} after")


def _of(rows: Sequence[Mapping[str, Any]], name: str) -> list[float | None]:
    return [row[name] for row in rows]


def _cost_cells(layer: str, row: dict[str, Any], stored_as: str, scales: Mapping[str, tuple[float, str]]) -> list[str]:
    """Return the cells of what a layer costs; scales: of bytes and time, the size of their unit and their style."""
    if row["cycles"] is None:
        return [layer, *["-"] * 5, stored_as]
    texts = {name: format(row[name] / size, style) for name, (size, style) in scales.items()}
    padding = 100 * row["padding_bytes"] / row["bytes"] if row["bytes"] else 0.0
    return [
        layer,
        texts["bytes"],
        f"{padding:.2f}",
        f"{row['cycles']:,}",
        texts["time_us"],
        or_dash(row["speed_up"], ".2f"),
        stored_as,
    ]
