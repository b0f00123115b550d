"""The verb `trace`: what every unit of a machine did in a run, as a file for a viewer and as a diagram."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from cyclekit import machine
from cyclekit.command.arguments import add_batch, add_design, add_engine, add_feed, add_layer, at_least, feed_of
from cyclekit.command.show import show_steps
from cyclekit.command.subject import load
from cyclekit.positions import first_row
from cyclekit.run import Run
from cyclekit.sweep.points import changes_of
from cyclekit.terminal import Output, announce, check_writable, progress, write_asked
from cyclekit.trace import formats
from cyclekit.trace.steps import Step
from cyclekit.trace.tracks import Trace, limited
from cyclekit.views import amount
from workloads.errors import BadInput
from workloads.records import Model

STEPS = 40  # that are shown, where --window does not say
ROWS = 16  # units of a kind in the diagram, where --units does not say


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_design(parser)
    add_engine(parser)
    add_feed(parser)
    add_batch(parser)
    add_layer(parser)
    parser.add_argument("--index", metavar="N", type=at_least(0), default=0, help="which of the inputs (default: 0)")
    parser.add_argument("--window", metavar="A:B", help="cycles A to B, which count from 1 (default: all of them)")
    parser.add_argument("--units", metavar="N", type=at_least(1), help="the first N units of each kind")
    parser.add_argument("--steps", action="store_true", help="show what the units work on, step by step, with values")
    parser.add_argument("--chrome", metavar="FILE", help="write a Chrome trace (JSON), which Perfetto opens")
    parser.add_argument("--vcd", metavar="FILE", help="write a value change dump, which GTKWave opens")


def run(options: Namespace) -> int:
    """Run one layer on one input and tell what every unit did, cycle by cycle."""
    out = Output(options.json, options.verb)
    chosen = machine.load(options.machine)
    changes = changes_of(options.set)
    spec = chosen.design(None, changes)
    engine = chosen.engine(options.engine)
    if chosen.spans is None:
        raise BadInput(f"{chosen.name} has no traces: its Machine says nothing of spans")
    if options.steps and chosen.steps is None:
        raise BadInput(f"{chosen.name} has no --steps to show: its Machine says nothing of them")
    window = None if options.window is None else _window(options.window)
    files = {"--chrome": options.chrome, "--vcd": options.vcd}
    files = {option: Path(name) for option, name in files.items() if name is not None}
    for option, path in files.items():
        check_writable(path, option)
    if "--vcd" in files:
        formats.check_vcd()
    amounts = feed_of(options).n, options.batch
    work = load(options.workload, options)
    ran, image, entered = _run_layer(chosen, work, spec, engine, options.layer, options.index, *amounts)
    if not ran.cycles:
        raise BadInput(f"{ran.workload} takes no cycle: there is nothing to trace")
    first, last = window or (1, ran.cycles)
    if last > ran.cycles:
        raise BadInput(f"--window must end by cycle {ran.cycles}, the run's last, got {options.window!r}")
    ticks = chosen.ticks_per_cycle

    def spans(n_units: int | None) -> Trace:
        begin, end = (first - 1) * ticks, last * ticks
        return Trace(
            title=f"{chosen.name}, engine {engine}: {ran.workload}, input {ran.input}",
            cycle_us=ran.time_us / ran.cycles,
            ticks_per_cycle=ticks,
            begin=begin,
            end=end,
            tracks=limited(chosen.spans(ran, image, spec, begin=begin, end=end, n_units=n_units)),
        )

    def steps(n_units: int | None) -> Iterable[Step]:
        if not options.steps:
            return ()
        window_of_steps = {"begin": (first - 1) * ticks, "end": last * ticks}
        return chosen.steps(ran, image, entered, spec, **window_of_steps, n_units=n_units)

    shown = spans(options.units or ROWS)
    rest = iter(steps(options.units or ROWS))
    some = list(islice(rest, STEPS if window is None else None))
    out.line(f"{shown.title}: {ran.cycles:,} cycles, {amount(ran.time_us, 'us')}")
    for line in formats.diagram(shown, out.width):
        out.line(line)
    if options.units is None and max(sum(spent.values()) for spent in ran.states.values()) > ROWS * ran.cycles:
        out.line(f"  the first {ROWS} units of a kind: --units N shows others")
    show_steps(out, some)
    if next(rest, None) is not None:
        out.line(f"  the first {STEPS} steps: --window A:B shows others")
    for note in filter(None, (*chosen.rests_on(spec, ()), chosen.idle_note(changes, [spec]))):
        out.line(f"  note: {note}")
    if files:
        whole = spans(options.units)
        write = {"--chrome": lambda: formats.chrome(whole, steps(options.units)), "--vcd": lambda: formats.vcd(whole)}
        contents = {option: write[option]() for option in files}  # all of them, before the first is written
        for option, content in contents.items():
            write_asked(files[option], content, option)
            out.line(f"wrote {files[option]}")
    names = ("machine", "workload", "input", "engine", "id", "cycles", "time_us")
    files_written = {option.removeprefix("--"): str(path) for option, path in files.items()}
    told = {"steps": [step.as_dict(ticks) for step in some]} if options.steps else {}
    out.result({name: getattr(ran, name) for name in names} | {"files": files_written} | shown.as_dict() | told)
    return 0


def _window(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d{1,18})\s*:\s*(\d{1,18})\s*", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise BadInput(f"--window must be A:B, the first and the last cycle, from 1 on, got {text!r}")
    return int(match[1]), int(match[2])


def _run_layer(
    chosen: machine.Machine,
    work: Any,
    spec: Any,
    engine: str,
    layer: str | None,
    index: int,
    n_inputs: int | None,
    batch: int | None,
) -> tuple[Run, Any, Any]:
    """Return the run of one layer on one input, its image, and what entered; the layers before it run to feed it."""
    if isinstance(work, Model):  # they run apart from each other
        work = machine.layer_of(work.layers, layer)
    layers, inputs = chosen.layers_and_inputs(work, n_inputs if chosen.batched else index + 1, batch)
    place = next(i for i, candidate in enumerate(layers) if candidate is machine.layer_of(layers, layer))
    if index >= len(inputs):
        taken = "takes the whole batch at a time" if chosen.batched else f"has {len(inputs)}"
        raise BadInput(f"--index must be from 0 to {len(inputs) - 1}, {work.name} {taken}, got {index}")
    announce(*chosen.estimate(layers[: place + 1], spec, engine=engine, check=False))
    images = chosen.encode(layers, spec)
    signal = inputs[index]
    with progress(f"{chosen.name} {engine}") as step:
        for done, image in enumerate(images[: place + 1]):

            def within(share: float, done: int = done) -> None:
                step(f"layer {done + 1}", done + share, place + 1)

            entered = first_row(signal)
            signal = chosen.simulate(image, entered, spec, engine=engine, check=False, index=index, progress=within)
    return signal, images[place], entered
