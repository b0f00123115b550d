"""The verb `sensitivity`: which layer of a network bears how much pruning, each pruned alone."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from cyclekit.command.prune import task_of
from cyclekit.terminal import Output, make_folder
from workloads.errors import BadInput


def sensitivity(options: Namespace) -> int:
    """Prune each layer alone to several densities and measure the network, without tuning."""
    from workloads.pruning.ratios import sensitivity as scan
    from workloads.recipes.subjects import subject
    from workloads.records import Layer

    out = Output(options.json)
    densities = _densities(options.densities)
    if options.out is not None:
        make_folder(Path(options.out))
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

    kernels = [whole.kernels[layer.name] for layer in layers]
    rows = scan(quality, layers, densities, options.pattern, kernels=kernels)
    dense = task.quality(task.network)
    table = {layer.name: [row["value"] for row in rows if row["layer"] == layer.name] for layer in layers}
    heads = ["layer", *(f"{density:g} kept" for density in densities)]
    cells = [[name, *(f"{value:.4f}" for value in values)] for name, values in table.items()]
    out.table(f"{task.name}: {task.measure} with one layer pruned ({options.pattern}), not tuned", heads, cells)
    out.line(f"  {task.measure} of the dense network: {dense:.4f}")
    if options.out is not None:
        from cyclekit.figures.curves import lines

        path = Path(options.out) / f"sensitivity-{task.name}.png"
        shares = [100 * density for density in densities]
        lines(
            {name: (shares, values) for name, values in table.items()},
            path,
            title=f"{task.name}: one layer pruned alone ({options.pattern}), not tuned",
            x_label="weights kept in that layer [%]",
            y_label=task.measure,
            limit=("dense", dense),
        )
        out.line(f"wrote {path}")
    out.result(
        {"network": task.name, "measure": task.measure, "dense": dense, "pattern": options.pattern, "rows": rows}
    )
    return 0


def _densities(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(f"--densities must be numbers such as 0.5,0.3,0.1, got {text!r}") from None
