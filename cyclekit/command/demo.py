"""The verb `demo`: a first look at every installed machine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from cyclekit import machine
from cyclekit.command.arguments import add_figures
from cyclekit.machine import Demo
from cyclekit.terminal import Output, announce, make_folder, progress
from workloads.errors import BadInput


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_figures(parser, default="zeroskip-demo")


def run(options: Namespace) -> int:
    """Show every installed machine at work: what was built, that it is right, what to remember, what to do next."""
    out = Output(options.json, options.verb)
    folder = Path(options.figures)
    make_folder(folder)
    shown: dict[str, Demo] = {}
    refused: dict[str, dict[str, str]] = {}
    machines = machine.all_installed()
    costs = [chosen.costs["demo"] for chosen in machines]
    announce(sum(seconds for seconds, _ in costs), max((n_bytes for _, n_bytes in costs), default=0))
    for chosen in machines:
        try:
            with progress(f"demo {chosen.name}") as step:
                shown[chosen.name] = chosen.demo(folder, progress=step)
        except BadInput as error:
            refused[chosen.name] = {"reason": str(error)}
            out.line(f"{chosen.name} cannot: {error}")
            continue
        _show(out, chosen.name, shown[chosen.name])
    if shown:
        out.line("Next:")
        for command in dict.fromkeys(command for demo in shown.values() for command in demo.further):
            out.command(command)
    out.result({name: demo.as_dict() for name, demo in shown.items()} | refused)
    return 0 if not refused and all(demo.passed for demo in shown.values()) else 1


def _show(out: Output, name: str, demo: Demo) -> None:
    out.line(f"{name}: {demo.built}")
    out.line(f"  {'checked' if demo.passed else 'WRONG'}: {demo.right}")
    for what, number in demo.remember.items():
        out.line(f"  {what}: {number}")
    if demo.figures:
        names = ", ".join(path.name for path in demo.figures)
        out.line(f"  drawn in {demo.figures[0].parent}: {names}")
    out.line()
