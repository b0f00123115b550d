"""The verbs `prune` and `tradeoff`: compress a network, and see what that is worth on every installed machine."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclekit import machine
from cyclekit.comparison import report
from cyclekit.terminal import Output, announce, check_writable, make_folder, progress, write_asked
from workloads.errors import BadInput

if TYPE_CHECKING:
    from workloads.recipes.recipe import Fitted
    from workloads.tasks import Task

TUNING_RATE = 5e-4
N_EPOCHS = 3
N_NOTES = 4  # of a machine that are printed
WHOLE = ("filter", "channel")  # patterns whose pruned rows or columns leave the matrix


def prune(options: Namespace) -> int:
    """Compress a network by a recipe, report its layers and write them; 1 where a check failed."""
    from workloads.networks import saved
    from workloads.pruning.prune import compacted
    from workloads.recipes.recipe import Recipe

    out = Output(options.json)
    path = Path(options.out)
    if path.suffix != ".npz":
        raise BadInput(f"--out must name an .npz file, got {options.out!r}")
    check_writable(path, "--out")
    recipe = Recipe.read(options.recipe)
    task = task_of(options)
    fitted = recipe.fit(task.network, task.inputs, task.labels)
    made, dense = _layers(task, fitted, options.batch)
    machines = machine.all_installed()
    announce(*report.expected(machines, [*made, *dense], options.check))
    layers = [report.figures(before, after) for before, after in zip(dense, made, strict=True)]
    made = [compacted(layer) for layer in made] if options.compact else made
    totals = {}
    for chosen in machines:
        with progress(chosen.name) as step:
            rows = report.costs(chosen, made, check=options.check, progress=step)
            times = report.dense_times(chosen, dense, step)
        for layer, row, dense_us in zip(layers, rows, times, strict=True):
            row["speed_up"] = None if dense_us is None else dense_us / row["time_us"]
            layer.setdefault("machines", {})[chosen.name] = row
        totals[chosen.name] = report.total(rows, times)
    result = {
        "network": task.name,
        "measure": task.measure,
        "quality_before": task.quality(task.network),
        "quality_after": task.quality(fitted.apply()),
        "batch": options.batch,
        "compact": options.compact,
        "steps": list(fitted.steps),
        "layers": layers,
        "totals": totals,
    }
    said = f"{task.provenance}; recipe {Path(options.recipe).name}"
    write_asked(path, saved.to_bytes(made, said), "--out")
    if task.inputs is None:
        out.line(task.provenance)  # what reaches a file's layers may be drawn
    _show_layers(out, result)
    out.line(f"wrote {path}")
    out.result(result)
    rows = [row for layer in layers for row in layer["machines"].values()]
    return 0 if all(row["checked"] is not False for row in rows) else 1


def tradeoff(options: Namespace) -> int:
    """Prune a network at one density by every pattern: flexibility, quality, bytes and cycles."""
    from workloads.recipes.granularity import flexibility, ladder, targets

    out = Output(options.json)
    if options.out is not None:
        make_folder(Path(options.out))
    task = task_of(options)
    n_epochs = options.tune
    if n_epochs is None:
        n_epochs = 0 if task.labels is None else N_EPOCHS
    patterns = ladder(task.network, options.density, options.patterns)
    names, left = targets(task.network, patterns)
    dense_us: dict[str, list[float | None]] = {}
    rows = []
    for pattern in patterns:
        row, made, dense = _one_pattern(task, pattern, names, options, n_epochs)
        row["flexibility"] = flexibility(task.network, pattern, options.density, names)
        row["machines"] = {}
        for chosen in machine.all_installed():
            if chosen.name not in dense_us:
                announce(*report.expected([chosen], [*made * len(patterns), *dense], False))
            with progress(f"{pattern}: {chosen.name}") as step:
                if chosen.name not in dense_us:
                    dense_us[chosen.name] = report.dense_times(chosen, dense, step)
                found = report.costs(chosen, made, progress=step)
            row["machines"][chosen.name] = report.total(found, dense_us[chosen.name])
        rows.append(row)
    result = {
        "network": task.name,
        "measure": task.measure,
        "quality_dense": task.quality(task.network),
        "density": options.density,
        "epochs": n_epochs,
        "batch": options.batch,
        "left_dense": left,
        "rows": rows,
    }
    _show_tradeoff(out, result)
    if options.out is not None:
        from cyclekit.figures.curves import tradeoff as draw

        path = Path(options.out) / f"tradeoff-{task.name}.png"
        draw(result, path)
        out.line(f"wrote {path}")
    out.result(result)
    return 0


def _one_pattern(
    task: Task, pattern: str, names: Sequence[str], options: Namespace, n_epochs: int
) -> tuple[dict[str, Any], list, list]:
    """Return the row of a pattern so far, and the layers that it makes and made them of."""
    from workloads.pruning.prune import compacted
    from workloads.recipes.recipe import Recipe
    from workloads.recipes.steps import Prune, Tune

    steps = [Prune(pattern=pattern, density=options.density, targets=tuple(names))]
    fitted = Recipe(steps=steps).fit(task.network, task.inputs, task.labels)
    row = {"pattern": pattern, "quality_pruned": task.quality(fitted.apply()), "quality_tuned": None}
    if n_epochs:
        steps.append(Tune(epochs=n_epochs, learning_rate=TUNING_RATE))
        fitted = Recipe(steps=steps).fit(task.network, task.inputs, task.labels)
        row["quality_tuned"] = task.quality(fitted.apply())
    made, dense = _layers(task, fitted, options.batch)
    if pattern in WHOLE:
        made = [compacted(layer) for layer in made]
    return row, made, dense


def task_of(options: Namespace) -> Task:
    """Return the network that the options name, with the inputs to calibrate on that they name."""
    from workloads import tasks

    task = tasks.load(options.network)
    return task.first(options.inputs) if options.calibration is None else task.calibrated(options.calibration)


def _layers(task: Task, fitted: Fitted, batch: int) -> tuple[list, list]:
    """Return the layers as they were made and as they were, with what reaches them of the first test inputs."""
    inputs = task.test_inputs if task.inputs is not None else None
    return fitted.workloads(inputs, batch, task.provenance), fitted.dense_workloads(inputs, batch, task.provenance)


def _show_layers(out: Output, result: dict[str, Any]) -> None:
    rows = [
        [
            layer["layer"],
            f"{layer['n_out']} x {layer['n_in']}",
            f"{layer['density']:.4f}",
            f"{layer['row_imbalance']:.2f}",
            f"{layer['column_imbalance']:.2f}",
            f"{layer['activation_density']:.3f}",
            _or_dash(layer["error"], ".4f"),
            f"{layer['bytes_f32']:,}",
            f"{layer['bytes_f16']:,}",
            _or_dash(layer["bytes_huffman"], ","),
        ]
        for layer in result["layers"]
    ]
    heads = ["layer", "out x in", "density", "row imb.", "column imb.", "act. density", "error"]
    heads += ["f32 [B]", "f16 [B]", "Huffman [B]"]
    out.table(f"{result['network']}: its layers", heads, rows)
    out.line()
    for name, whole in result["totals"].items():
        found = [(layer["layer"], layer["machines"][name]) for layer in result["layers"]]
        rows = [_cost_cells(layer, row, ", ".join(map(str, row["spec"].values()))) for layer, row in found]
        rows.append(_cost_cells("all", whole, ""))
        heads = ["layer", "bytes", "padding [%]", "cycles", "time [us]", "over dense [x]", "stored as"]
        out.table(f"{name}, {result['batch']} inputs to a layer", heads, rows)
        checked = [row["checked"] for _, row in found]
        if None not in checked:
            out.line(f"  values: {sum(checked)} of {len(checked)} layers agree with the references")
        notes = list(dict.fromkeys(note for _, row in found for note in row["notes"]))
        for note in notes[:N_NOTES]:
            out.line(f"  note: {note}")
        if len(notes) > N_NOTES:
            out.line(f"  and {len(notes) - N_NOTES} notes more, which --json tells")
        out.line()
    if result["measure"]:
        out.line(f"{result['measure']}: {result['quality_before']:.4f} before, {result['quality_after']:.4f} after")


def _cost_cells(layer: str, row: dict[str, Any], stored_as: str) -> list[str]:
    padding = 100 * row["padding_bytes"] / row["bytes"] if row["bytes"] else 0.0
    return [
        layer,
        f"{row['bytes']:,.0f}",
        f"{padding:.2f}",
        f"{row['cycles']:,}",
        f"{row['time_us']:,.3f}",
        _or_dash(row["speed_up"], ".2f"),
        stored_as,
    ]


def _show_tradeoff(out: Output, result: dict[str, Any]) -> None:
    names = list(result["rows"][0]["machines"])
    measure = result["measure"] or "quality"
    heads = ["pattern", "flexibility [bit/weight]", f"{measure} pruned", "tuned"]
    for name in names:
        heads += [f"{name} [B]", "cycles", "over dense [x]"]
    rows = []
    for row in result["rows"]:
        cells = [row["pattern"], f"{row['flexibility']:.4f}"]
        cells += [_or_dash(row[key], ".4f") for key in ("quality_pruned", "quality_tuned")]
        for name in names:
            found = row["machines"][name]
            cells += [f"{found['bytes']:,.0f}", f"{found['cycles']:,}", _or_dash(found["speed_up"], ".2f")]
        rows.append(cells)
    title = f"{result['network']}: {result['density']:g} of the weights kept, tuned for {result['epochs']} epochs"
    out.table(title, heads, rows)
    if result["measure"]:
        out.line(f"  {result['measure']} of the dense network: {result['quality_dense']:.4f}")
    out.line(f"  without the rows and columns that are empty: {', '.join(WHOLE)}")
    if result["left_dense"]:
        out.line(f"  left dense, as not every pattern fits: {', '.join(result['left_dense'])}")


def _or_dash(value: float | None, style: str) -> str:
    return "-" if value is None else format(value, style)
