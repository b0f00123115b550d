"""The verb `adapt`: a network brought within a budget of simulated time, cycles or energy, layer by layer."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from cyclekit import machine
from cyclekit.budgets.adapt import METHODS, Adapted, adapt, check_method, knob_of
from cyclekit.budgets.budget import ENERGY, Budget
from cyclekit.budgets.knob import Knob
from cyclekit.command.arguments import (
    add_budget,
    add_check,
    add_figures,
    add_into,
    add_machine,
    add_network,
    add_out,
    add_seed,
    add_set,
    add_workers,
    at_least,
)
from cyclekit.command.show import or_dash, progress_of_rows
from cyclekit.command.subject import said_of, task_of
from cyclekit.comparison import report
from cyclekit.machine import Progress
from cyclekit.sweep.points import changes_of
from cyclekit.sweep.store import check
from cyclekit.terminal import LONG_S, Output, check_writable, make_folder, one_or_all, say, write_asked
from cyclekit.views import scale_of_all, style_of
from workloads.errors import BadInput
from workloads.networks import saved
from workloads.networks.sequential import Sequential

N_NOTES = 6  # of a knob that are printed


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_network(parser)
    add_machine(parser, "--machine", "M[:PRESET]", required=True)
    add_set(parser)
    add_budget(parser, "B,B", required=True)
    parser.add_argument("--method", metavar="M,M", default="netadapt", help=f"{', '.join(METHODS)} (default: netadapt)")
    parser.add_argument(
        "--analysis", metavar="FILE", help="of method sensitivity: keep what each layer alone loses, or read it"
    )
    parser.add_argument(
        "--knob", metavar="K", help="of a machine that multiplies whole matrices: width (the default), 2:4 or both"
    )
    parser.add_argument(
        "--epochs", metavar="N", type=at_least(0), default=3, help="of the last tuning (default: 3; 0: none)"
    )
    add_seed(parser)
    add_into(parser)
    add_workers(parser)
    add_out(parser, "the layers as .npz, or the network as .onnx,")
    add_figures(parser, "the table's stairs, which layers gave what, and accuracy against cost")
    add_check(parser)


def run(options: Namespace) -> int:
    """Bring a network within each budget by each method; 1 where a check failed."""
    out = Output(options.json, options.verb)
    budgets = [Budget.of(text) for text in options.budget.split(",")]
    methods = [name.strip() for name in options.method.split(",")]
    for name in methods:
        check_method(name)
    if len({budget.metric for budget in budgets}) > 1:
        raise BadInput(f"--budget must be in one unit, got {options.budget!r}")
    if options.out is not None:
        if len(budgets) * len(methods) > 1:
            raise BadInput("--out takes one budget and one method: it holds one network")
        if Path(options.out).suffix not in (".npz", ".onnx"):
            raise BadInput(f"--out must name a file of .npz or .onnx, got {options.out!r}")
        check_writable(Path(options.out), "--out")
    if options.figures is not None:
        make_folder(Path(options.figures))
    analysis = None if options.analysis is None else Path(options.analysis)
    if analysis is not None:
        if "sensitivity" not in methods:
            raise BadInput(f"--analysis belongs to --method sensitivity, got {options.method!r}")
        if not analysis.exists():
            check_writable(analysis, "--analysis")
    if options.into is not None:
        check(options.into)  # before the network is loaded
    chosen = machine.load(options.machine)
    spec = chosen.design(None, changes_of(options.set))
    task = task_of(options)
    is_onnx = options.out is not None and Path(options.out).suffix == ".onnx"
    if is_onnx and task.graph is None and not isinstance(task.network, Sequential):
        raise BadInput(f"--out must name an .npz file: {task.name} is no network that an .onnx file could hold")
    knob = knob_of(
        task,
        chosen,
        spec,
        metric=budgets[0].metric,
        batch=options.batch,
        seed=options.seed,
        epochs=options.epochs,
        analysis=analysis,
        turned=options.knob,
        into=options.into,
        n_workers=options.workers,
        watch=partial(_watched, options.into),
    )
    dense = knob.table().cost(knob.table().whole)
    amounts = [budget.absolute(dense) for budget in budgets]
    results = [adapt(knob, amount, method, _tried) for amount in amounts for method in methods]
    _show(out, knob, results, options.machine)
    counts = knob.costs.counts
    out.line(f"  costs of layers: {counts['computed']:,} tasks computed, {counts['stored']:,} were stored before")
    if options.into is not None:
        out.line(f"  rows in {options.into}")
    checks = [_checked(knob, result) for result in results] if options.check else []
    if checks:
        out.line(f"  values: {sum(checks)} of {len(checks)} networks agree with the references")
    if options.out is not None:
        provenance = f"{task.provenance}; adapt to {options.budget} on {options.machine} by {options.method}"
        if is_onnx:
            content = knob.as_onnx(results[0].network).SerializeToString()
        else:
            content = saved.to_bytes(knob.workloads(results[0].network), provenance)
        write_asked(Path(options.out), content, "--out")
        out.line(f"wrote {options.out}")
    if options.figures is not None:
        from cyclekit.figures import budgets as figures  # late: matplotlib is slow to import

        folder, title, about = (
            Path(options.figures),
            f"{task.name} on {options.machine}",
            _about(knob, results, options),
        )
        for path in (
            figures.draw_costs(knob.table(), knob.metric, knob.unit, folder / "adapt_costs.png", title, about),
            figures.draw_layers(results, knob.metric, knob.unit, folder / "adapt_layers.png", title, about),
            figures.draw_tradeoff(
                results, knob.metric, task.measure or "quality", folder / "adapt_tradeoff.png", title, about
            ),
        ):
            out.line(f"wrote {path}")
    told = [_as_dict(knob, result) for result in results]
    verdicts = checks or [None] * len(told)
    out.result(one_or_all([row | {"checked": right} for row, right in zip(told, verdicts, strict=True)]))
    return 0 if all(checks) else 1


@contextmanager
def _watched(into: str | None, n_tasks: int, n_workers: int, seconds: float) -> Iterator[Progress]:
    """Say what the costs of layers will take, and show a bar."""
    if seconds > LONG_S:
        say(f"{n_tasks:,} tasks on {n_workers} workers: expecting about {seconds:,.0f} s")
    with progress_of_rows("adapt: costs", kept=into is not None) as step:
        yield step


def _tried(method: str) -> AbstractContextManager[Progress]:
    """Show a bar of what a method tried so far."""
    return progress_of_rows(f"adapt: {method}", kept=False)


def _checked(knob: Knob, result: Adapted) -> bool:
    """Tell whether a network's own layers, values and all, run as the references do."""
    rows = []
    for layer in knob.workloads(result.network):
        _, runs = report.played(knob.chosen, layer, knob.chosen.suited(layer, knob.spec), check=True)
        rows += [run.check["passed"] for run in runs]
    return all(rows)


def _about(knob: Knob, results: Sequence[Adapted], options: Namespace) -> str:
    """Return what the figures rest on: the design, the batch, what prices, how it was chosen and tuned, the network."""
    design = ", ".join([f"preset {knob.chosen.preset}", *options.set])
    priced = f" by the prices {knob.chosen.default_prices}" if knob.metric == ENERGY else ", no prices"
    methods = ", ".join(dict.fromkeys(result.method for result in results))
    tuned = f"tuned for {knob.epochs} epoch{'s' * (knob.epochs != 1)}" if knob.can_tune else "not tuned"
    measured = f"; {knob.task.measure} on inputs held out" if knob.task.measure else ""
    notes = (*knob.notes, *dict.fromkeys(note for result in results for note in result.notes))
    said = [
        f"{knob.chosen.name}, {design}: cost in {knob.metric} of all layers, batch {knob.batch:,}{priced}.",
        f"{knob.unit.capitalize()} of each layer by {methods}, seed {knob.seed}, {tuned}{measured}.",
        *(f"{note[0].upper()}{note[1:]}." for note in notes),
        f"Network: {knob.task.provenance}.",
    ]
    return " ".join(said)


def _show(out: Output, knob: Knob, results: Sequence[Adapted], name: str) -> None:
    if len(results) == 1:
        (result,) = results
        unit, size = scale_of_all(knob.metric, [cost for pair in result.costs.values() for cost in pair])
        cells = [
            [
                layer,
                *(f"{level:g}" if knob.unit == "width" else f"{level:.4f}" for level in result.levels[layer]),
                *([] if knob.is_even else [result.patterns.get(layer, "-")]),
                *(format(cost / size, style_of(unit)) for cost in result.costs[layer]),
            ]
            for layer in result.levels
        ]
        pattern = [] if knob.is_even else ["pattern"]
        heads = ["layer", f"{knob.unit} before", "after", *pattern, f"before [{unit}]", f"after [{unit}]"]
        out.table(f"{knob.task.name} on {name}, {result.method}", heads, cells)
        out.line()
    unit, size = scale_of_all(knob.metric, [each for result in results for each in (result.budget, result.cost)])
    cells = [
        [
            result.method,
            format(result.budget / size, style_of(unit)),
            format(result.cost / size, style_of(unit)),
            f"{100 * result.cost / result.dense_cost:.1f}",
            *(or_dash(value, ".4f") for value in result.values),
        ]
        for result in results
    ]
    measure = knob.task.measure or "quality"
    heads = ["method", f"budget [{unit}]", f"cost [{unit}]", "of dense [%]", f"{measure} dense", "cut", "tuned"]
    out.table(f"{knob.task.name} on {name}", heads, cells)
    for line in said_of(knob.task) or [f"network: {knob.task.provenance}"]:
        out.line(f"  {line}")
    for line in knob.notes[:N_NOTES]:
        out.line(f"  note: {line}")
    if len(knob.notes) > N_NOTES:
        out.line(f"  note: and {len(knob.notes) - N_NOTES} more such, which --json tells")
    if not knob.can_tune:
        out.line("  note: nothing was tuned: the network does not learn here, or --epochs is 0")
    for method, notes in {result.method: result.notes for result in results}.items():
        for note in notes:
            out.line(f"  note: {method}: {note}")


def _as_dict(knob: Knob, result: Adapted) -> dict[str, Any]:
    dense, cut, tuned = result.values
    return {
        "network": knob.task.name,
        "provenance": knob.task.provenance,
        "notes": [*said_of(knob.task), *knob.notes, *result.notes],
        "machine": knob.chosen.name,
        "spec": knob.spec.as_dict(),
        "method": result.method,
        "metric": knob.metric,
        "budget": result.budget,
        "cost_before": result.dense_cost,
        "cost_after": result.cost,
        "measure": knob.task.measure,
        "quality_before": dense,
        "quality_cut": cut,
        "quality_after": tuned,
        "tuned": knob.can_tune,
        "batch": knob.batch,
        "tasks_computed": knob.costs.counts["computed"],
        "tasks_stored_before": knob.costs.counts["stored"],
        "layers": [
            {
                "layer": layer,
                knob.unit: result.levels[layer][1],
                f"{knob.unit}_before": result.levels[layer][0],
                "pattern": result.patterns.get(layer),
                "cost_before": result.costs[layer][0],
                "cost_after": result.costs[layer][1],
            }
            for layer in result.levels
        ],
        "log": result.log,
    }
