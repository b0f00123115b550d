"""The verb `tradeoff`: one density by every pattern, from the most flexible to the most regular."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclekit import machine
from cyclekit.command.arguments import add_figures, add_network, at_least
from cyclekit.command.show import or_dash
from cyclekit.command.subject import layers_of, said_of, task_of
from cyclekit.comparison import report
from cyclekit.terminal import Output, announce, make_folder, progress
from cyclekit.views import scale_of_all, style_of
from workloads.pruning.prune import compacted
from workloads.recipes.granularity import flexibility, ladder, targets
from workloads.recipes.recipe import Recipe
from workloads.recipes.repair import Tune
from workloads.recipes.steps import Prune
from workloads.records import Workload
from workloads.tasks import Task

WHOLE = ("filter", "channel")  # patterns whose pruned rows or columns leave the matrix


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_network(parser)
    parser.add_argument("--patterns", metavar="P,P", help="such as element,vector 1x4,2:4 (default: seven)")
    parser.add_argument("--density", metavar="D", type=float, default=0.5, help="share kept (default: %(default)s)")
    parser.add_argument(
        "--tune",
        metavar="N",
        type=at_least(0),
        help=f"most epochs of tuning (default: {Tune.epochs}; 0 without labels)",
    )
    add_figures(parser, "the figure")


def run(options: Namespace) -> int:
    """Prune a network at one density by every pattern: flexibility, quality, bytes and cycles."""
    out = Output(options.json, options.verb)
    if options.figures is not None:
        make_folder(Path(options.figures))
    task = task_of(options)
    n_epochs = options.tune
    if n_epochs is None:
        n_epochs = 0 if task.labels is None else Tune.epochs
    patterns = ladder(task.network, options.density, options.patterns)
    names, left = targets(task.network, patterns)
    dense_us: dict[str, list[float | None]] = {}
    rows, n_inputs = [], 0
    for pattern in patterns:
        row, pruned, dense = _one_pattern(task, pattern, names, options, n_epochs)
        n_inputs = max(n_inputs, *(layer.batch for layer in pruned))  # that there were, of those that --batch asks for
        row["flexibility"] = flexibility(task.network, pattern, options.density, names)
        row["machines"] = {}
        for chosen in machine.all_installed(Workload):
            if chosen.name not in dense_us:
                announce(*report.expected([chosen], [*pruned * len(patterns), *dense], False))
            with progress(f"{pattern}: {chosen.name}") as step:
                if chosen.name not in dense_us:
                    dense_us[chosen.name] = report.dense_times(chosen, dense, step)
                costs = report.costs(chosen, pruned, progress=step)
            row["machines"][chosen.name] = report.total(costs, dense_us[chosen.name])
        rows.append(row)
    result = {
        "network": task.name,
        "provenance": task.provenance,
        "measure": task.measure,
        "quality_dense": task.quality(task.network),
        "density": options.density,
        "epochs": n_epochs,
        "batch": n_inputs,
        "left_dense": left,
        "notes": said_of(task),
        "rows": rows,
    }
    _show(out, result)
    if options.figures is not None:
        from cyclekit.figures.curves import tradeoff as draw

        path = Path(options.figures) / f"tradeoff-{task.name}.png"
        draw(result, path, _about(result))
        out.line(f"wrote {path}")
    out.result(result)
    return 0


def _one_pattern(
    task: Task, pattern: str, names: Sequence[str], options: Namespace, n_epochs: int
) -> tuple[dict[str, Any], list, list]:
    """Return the row of a pattern so far, and the layers that it makes and made them of."""
    steps = [Prune(pattern=pattern, density=options.density, targets=tuple(names))]
    fitted = task.fit(Recipe(steps=steps))
    row = {"pattern": pattern, "quality_pruned": task.quality(fitted.apply()), "quality_tuned": None, "epoch": None}
    if n_epochs:
        steps.append(Tune(epochs=n_epochs))
        fitted = task.fit(Recipe(steps=steps))
        row |= {"quality_tuned": task.quality(fitted.apply()), "epoch": fitted.state.tuned.epoch}
    pruned, dense = layers_of(task, fitted, options.batch)
    if pattern in WHOLE:
        pruned = [compacted(layer) for layer in pruned]
    return row, pruned, dense


def _about(result: dict[str, Any]) -> str:
    """Return what the figure rests on: how the network was pruned and tuned, the designs, what was left dense."""
    presets = {chosen.name: chosen.preset for chosen in machine.all_installed(Workload)}
    tuned = f"tuned for up to {result['epochs']} epochs" if result["epochs"] else "not tuned"
    left = f"; left dense: {', '.join(result['left_dense'])}" if result["left_dense"] else ""
    designs = ", ".join(f"{name} preset {presets[name]}" for name in result["rows"][0]["machines"])
    return (
        f"{result['network']}: {result['density']:g} of the weights kept, by magnitude{left}, {tuned}. Time: of all "
        f"layers with {result['batch']} inputs, on {designs}; no prices. Network: {result['provenance']}."
    )


def _show(out: Output, result: dict[str, Any]) -> None:
    names = list(result["rows"][0]["machines"])
    measure = result["measure"] or "quality"
    heads = ["pattern", "flexibility [bit/weight]", f"{measure} pruned", "tuned", "epoch kept"]
    every = [row["machines"][name]["bytes"] for row in result["rows"] for name in names]
    unit, size = scale_of_all("B", every)
    for name in names:
        heads += [f"{name} [{unit}]", "cycles", "over dense [x]"]
    rows = []
    for row in result["rows"]:
        cells = [row["pattern"], f"{row['flexibility']:.4f}"]
        cells += [or_dash(row[key], ".4f") for key in ("quality_pruned", "quality_tuned")]
        cells.append(or_dash(row["epoch"], "d"))
        for name in names:
            cost = row["machines"][name]
            cells += [
                or_dash(cost["bytes"] and cost["bytes"] / size, style_of(unit)),
                or_dash(cost["cycles"], ","),
                or_dash(cost["speed_up"], ".2f"),
            ]
        rows.append(cells)
    for line in result["notes"]:
        out.line(line)
    title = f"{result['network']}: {result['density']:g} of the weights kept, tuned for up to {result['epochs']} epochs"
    out.table(title, heads, rows)
    if result["measure"]:
        out.line(f"  {result['measure']} of the dense network: {result['quality_dense']:.4f}")
    out.line(f"  without the rows and columns that are empty: {', '.join(WHOLE)}")
    reasons = {
        (name, reason) for row in result["rows"] for name in names for reason in row["machines"][name]["reasons"]
    }
    for name, reason in sorted(reasons):
        out.line(f"  {name} cannot: {reason}")
    if result["left_dense"]:
        out.line(f"  left dense, as not every pattern fits: {', '.join(result['left_dense'])}")
