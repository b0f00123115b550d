"""The verb `sensitivity`: which layer of a network bears how much pruning, each pruned alone."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from cyclekit.command.arguments import add_figures, add_network
from cyclekit.command.show import or_dash
from cyclekit.command.subject import said_of, task_of
from cyclekit.terminal import Output, make_folder
from workloads.errors import BadInput
from workloads.pruning.ratios import sensitivity
from workloads.recipes.subjects import subject
from workloads.records import Layer


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_network(parser)
    parser.add_argument(
        "--densities", metavar="D,D", default="0.5,0.3,0.2,0.1,0.05", help="shares kept (default: %(default)s)"
    )
    parser.add_argument(
        "--pattern", metavar="P", default="element", help="such as 2:4 or block 4x4 (default: %(default)s)"
    )
    add_figures(parser, "the figure")


def run(options: Namespace) -> int:
    """Prune each layer alone to several densities and measure the network, without tuning."""
    out = Output(options.json)
    densities = _densities(options.densities)
    if options.figures is not None:
        make_folder(Path(options.figures))
    task = task_of(options)
    if task.measure is None:
        raise BadInput(f"network {task.name!r} has no labels to be right or wrong about: there is nothing to measure")
    whole = subject(task.network)
    layers = [
        Layer(name=name, weights=weights, bias=whole.biases[name], relu=False)
        for name, weights in whole.matrices.items()
    ]

    def quality(changed: tuple[Layer, ...]) -> float:
        parameters = {layer.name: (layer.weights, layer.bias) for layer in changed}
        return task.quality(whole.with_parameters(parameters).network)

    kernels, blocks = ([of[layer.name] for layer in layers] for of in (whole.kernels, whole.groups))
    rows = sensitivity(quality, layers, densities, options.pattern, kernels=kernels, blocks=blocks)
    dense = task.quality(task.network)
    for line in said_of(task):
        out.line(line)
    table = {layer.name: [row["value"] for row in rows if row["layer"] == layer.name] for layer in layers}
    heads = ["layer", *(f"{density:g} kept" for density in densities)]
    cells = [[name, *(or_dash(value, ".4f") for value in values)] for name, values in table.items()]
    if task.inputs is None:
        out.line(task.provenance)  # what reaches a file's layers may be drawn
    out.table(f"{task.name}: {task.measure} with one layer pruned ({options.pattern}), not tuned", heads, cells)
    out.line(f"  {task.measure} of the dense network: {dense:.4f}")
    for name, reason in dict.fromkeys((row["layer"], row["reason"]) for row in rows if row["reason"]):
        out.line(f"  {name} cannot: {reason}")
    if options.figures is not None:
        from cyclekit.figures.curves import lines

        path = Path(options.figures) / f"sensitivity-{task.name}.png"
        shares = [100 * density for density in densities]
        lines(
            {name: (shares, values) for name, values in table.items() if any(v is not None for v in values)},
            path,
            title=f"{task.name}: one layer pruned alone ({options.pattern}), not tuned",
            x_label="weights kept in that layer [%]",
            y_label=task.measure,
            limit=("dense", dense),
        )
        out.line(f"wrote {path}")
    told = {"network": task.name, "provenance": task.provenance, "measure": task.measure, "dense": dense}
    out.result(told | {"pattern": options.pattern, "notes": said_of(task), "rows": rows})
    return 0


def _densities(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(f"--densities must be numbers such as 0.5,0.3,0.1, got {text!r}") from None
