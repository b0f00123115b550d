"""The verb `data`: a real input, fetched and verified."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from cyclekit.command.arguments import add_folder
from cyclekit.terminal import Output
from workloads.networks import data


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("name", metavar="NAME")
    add_folder(parser, "the user's cache")


def run(options: Namespace) -> int:
    """Bring a real input to this machine, verified, and say where it lies."""
    out = Output(options.json, options.verb)
    place = data.fetch(options.name, None if options.folder is None else Path(options.folder))
    files = sorted(path.name for path in place.iterdir())
    out.line(f"{data.describe()[options.name]}")
    for name in files:
        out.line(f"  {place / name}")
    out.result({"name": options.name, "folder": str(place), "files": files})
    return 0
