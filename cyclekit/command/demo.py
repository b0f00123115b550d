"""The verb `demo`: a first look at every installed machine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from cyclekit import machine
from cyclekit.command.show import show_tables, show_validation
from cyclekit.terminal import Output, announce, make_folder, progress
from workloads.errors import BadInput


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument(
        "--out", metavar="DIR", default="zeroskip-demo", help="folder for the figures (default: %(default)s)"
    )
    parser.add_argument("--short", action="store_true", help="a few inputs and no validation: under 30 seconds")


def run(options: Namespace) -> int:
    """Show every installed machine at work."""
    out = Output(options.json)
    folder = Path(options.out)
    make_folder(folder)
    results: dict[str, machine.Demo] = {}
    refused: dict[str, dict[str, str]] = {}
    for chosen in machine.all_installed():
        announce(*chosen.costs["demo --short" if options.short else "demo"])
        try:
            with progress(f"demo {chosen.name}") as step:
                results[chosen.name] = shown = chosen.demo(folder, short=options.short, progress=step)
        except BadInput as error:
            refused[chosen.name] = {"reason": str(error)}
            out.line(f"{chosen.name} cannot: {error}")
            continue
        show_tables(out, shown)
        if shown.validation is not None:
            show_validation(out, shown.validation)
        for line in (*shown.remarks, *(f"wrote {path}" for path in shown.figures)):
            out.line(line)
    out.result({name: shown.as_dict() for name, shown in results.items()} | refused)
    return 0 if not refused and all(shown.passed for shown in results.values()) else 1
