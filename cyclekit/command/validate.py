"""The verb `validate`: a machine held against published figures."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from cyclekit import machine
from cyclekit.command.arguments import add_figures
from cyclekit.command.show import show_validation
from cyclekit.terminal import Output, announce, make_folder, one_or_all, progress
from workloads.errors import BadInput

MODELS = "llm"


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("machine", metavar="MACHINE", help="or llm: whole language models on machines that run them")
    add_figures(parser)


def run(options: Namespace) -> int:
    """Hold a machine against published figures."""
    out = Output(options.json, options.verb)
    if options.machine == MODELS:
        return _validate_models(out, options)
    chosen = machine.load(options.machine)
    if ":" in options.machine:
        raise BadInput(
            f"validate runs the presets that were published: name {chosen.name} alone, got {options.machine!r}"
        )
    if options.figures is not None:
        make_folder(Path(options.figures))
    announce(*chosen.costs["validate"])
    with progress(f"validate {chosen.name}") as step:
        validation = chosen.validate(step)
    show_validation(out, validation)
    if options.figures is not None:
        for path in chosen.draw_validation(validation, Path(options.figures)):
            out.line(f"wrote {path}")
    out.result(validation.as_dict())
    return 0


def _validate_models(out: Output, options: Namespace) -> int:
    """Hold whole language models against measured ones, on every machine that runs them."""
    if options.figures is not None:
        make_folder(Path(options.figures))
    results = []
    for chosen in machine.all_installed():
        if chosen.validate_models is None:
            continue
        announce(*chosen.costs[f"validate {MODELS}"])
        with progress(f"validate {MODELS} on {chosen.name}") as step:
            validation = chosen.validate_models(step)
        show_validation(out, validation)
        results.append(validation.as_dict())
        if options.figures is not None:
            from cyclekit.figures.serving import draw_models  # late: matplotlib is slow to import

            path = draw_models(validation, Path(options.figures) / f"{chosen.name}_models.png")
            out.line(f"wrote {path}")
    out.result(one_or_all(results))
    return 0
