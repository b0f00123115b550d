"""The verb `validate`: a machine held against published figures."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from cyclekit import machine
from cyclekit.command.show import show_validation
from cyclekit.terminal import Output, announce, make_folder, progress


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("machine", metavar="MACHINE")
    parser.add_argument("--out", metavar="DIR", help="draw the figures into this folder")


def run(options: Namespace) -> int:
    """Hold a machine against published figures."""
    out = Output(options.json)
    chosen = machine.load(options.machine)
    if options.out is not None:
        make_folder(Path(options.out))
    announce(*chosen.costs["validate"])
    with progress(f"validate {chosen.name}") as step:
        validation = chosen.validate(step)
    show_validation(out, validation)
    if options.out is not None:
        for path in chosen.draw_validation(validation, Path(options.out)):
            out.line(f"wrote {path}")
    out.result(validation.as_dict())
    return 0
