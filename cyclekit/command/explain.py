"""The verb `explain`: how a piece of the weights lies in a machine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import workloads
from cyclekit import machine
from cyclekit.command.arguments import add_design, add_feed, add_layer, at_least
from cyclekit.command.show import show_tables
from cyclekit.command.subject import load
from cyclekit.sweep.points import changes_of
from cyclekit.terminal import Output
from workloads.errors import BadInput


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_design(parser)
    add_feed(parser)
    add_layer(parser)
    parser.add_argument("--row", metavar="N", type=at_least(0), default=0, help="of the weights (default: 0)")
    parser.add_argument("--column", metavar="N", type=at_least(0), default=0, help="of the weights (default: 0)")


def run(options: Namespace) -> int:
    """Show how a piece of the weights lies in a machine."""
    out = Output(options.json, options.verb)
    chosen = machine.load(options.machine)
    spec = chosen.design(None, changes_of(options.set))
    work = load(options.workload, options)
    if isinstance(work, workloads.Shape):
        raise BadInput(f"workload {work.name!r} is a shape without values: there are no weights to explain")
    layers = work.layers if isinstance(work, workloads.Model) else machine.layers_and_inputs(work, 1)[0]
    layer = machine.layer_of(layers, options.layer)
    chosen.check_takes(layer)
    explanation = chosen.explain(layer, spec, options.row, options.column)
    show_tables(out, explanation)
    for line in explanation.remarks:
        out.line(line)
    out.result(explanation.as_dict())
    return 0
