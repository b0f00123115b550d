"""The verb `sensitivity`: which layer of a network bears how much pruning, or which block what variant, each alone."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from cyclekit.command.arguments import add_figures, add_folder, add_network
from cyclekit.command.show import or_dash
from cyclekit.command.subject import said_of, task_of
from cyclekit.terminal import Output, make_folder, write_whole
from workloads.errors import BadInput
from workloads.networks.decoder import Decoder
from workloads.pruning.ratios import sensitivity
from workloads.recipes import variants
from workloads.recipes.evidence import N_COLUMNS
from workloads.recipes.subjects import subject
from workloads.records import Layer

if TYPE_CHECKING:
    from workloads.tasks import Task


DENSITIES, PATTERN = "0.5,0.3,0.2,0.1,0.05", "element"


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_network(parser)
    parser.add_argument("--densities", metavar="D,D", default=DENSITIES, help="shares kept (default: %(default)s)")
    parser.add_argument(
        "--pattern", metavar="P", default=PATTERN, help="such as 2:4 or block 4x4 (default: %(default)s)"
    )
    parser.add_argument(
        "--blocks",
        action="store_true",
        help="of a decoder: each block with fewer heads of keys and values, fewer neurons, or without a part of it, "
        "which --folder keeps as scores.csv and config.json",
    )
    add_folder(parser)
    add_figures(parser, "the figure")


def run(options: Namespace) -> int:
    """Prune each layer alone to several densities and measure the network, without tuning."""
    out = Output(options.json, options.verb)
    densities = _densities(options.densities)
    if options.blocks and (options.densities, options.pattern) != (DENSITIES, PATTERN):
        raise BadInput("--blocks cuts blocks as they are: leave --densities and --pattern out")
    if options.blocks and options.figures is not None:
        raise BadInput("--blocks draws nothing: leave --figures out")
    if options.folder is not None and not options.blocks:
        raise BadInput("--folder is for what --blocks measures: leave it out, or say --blocks")
    for option in ("figures", "folder"):
        if (folder := getattr(options, option)) is not None:
            make_folder(Path(folder), f"--{option}")
    task = task_of(options)
    if options.blocks:
        return _blocks(out, task, options.folder)
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
            about=(
                f"{task.measure.capitalize()} of {task.name}{_measured_on(task)} with one layer pruned by magnitude to "
                f"the pattern {options.pattern}, the others as they are, nothing tuned. No machine runs and nothing is "
                f"priced. Network: {task.provenance}."
            ),
            limit=("dense", dense),
        )
        out.line(f"wrote {path}")
    told = {"network": task.name, "provenance": task.provenance, "measure": task.measure, "dense": dense}
    out.result(told | {"pattern": options.pattern, "notes": said_of(task), "rows": rows})
    return 0


def _blocks(out: Output, task: Task, folder: str | None) -> int:
    """Measure a decoder with one variant of one block in place, each in turn, and write what `zeroskip llm` takes."""
    from cyclekit.budgets.blocks import named, write_scores  # late: the solver is slow to import

    network = task.network
    if not isinstance(network, Decoder):
        raise BadInput(f"--blocks takes a decoder, such as docstrings-decoder, got {task.name!r}")
    samples = network.first(task.inputs, N_COLUMNS)
    rows = variants.scores(network, samples)
    for line in said_of(task):
        out.line(line)
    names = [named(*variant) for variant in variants.variants(network)]
    n = len(names)
    cells = [[str(rows[at][0]), *(f"{loss:.4f}" for *_, loss in rows[at : at + n])] for at in range(0, len(rows), n)]
    out.table(f"{task.name}: what the loss rises by with one block changed [nats]", ["block", *names], cells)
    dense = network.loss(samples)
    out.line(f"  the loss of the whole on these {samples.shape[0] * (samples.shape[1] - 1):,} tokens: {dense:.4f}")
    if folder is not None:
        scores, config = Path(folder) / "scores.csv", Path(folder) / "config.json"
        write_scores(scores, rows)
        write_whole(config, (json.dumps(variants.config_of(network), indent=2) + "\n").encode())
        for path in (scores, config):
            out.line(f"wrote {path}")
    told = [
        dict(zip(("block", "variant", "loss"), (block, named(*of), loss), strict=True)) for block, *of, loss in rows
    ]
    out.result({"network": task.name, "provenance": task.provenance, "dense_loss": dense, "rows": told})
    return 0


def _measured_on(task: Task) -> str:
    return "" if task.test_labels is None else f" on {len(task.test_labels):,} test inputs"


def _densities(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(f"--densities must be numbers such as 0.5,0.3,0.1, got {text!r}") from None
