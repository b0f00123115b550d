"""The verb `run`: a workload through a machine, with what it took, where the cycles went and what it cost."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from statistics import fmean

from cyclekit import machine
from cyclekit.command.arguments import add_batch, add_check, add_design, add_engine, add_feed, add_prices, feed_of
from cyclekit.command.model import N_NOTES, show_model, show_notes, show_others, summary
from cyclekit.command.subject import load
from cyclekit.comparison.runs import Plan
from cyclekit.comparison.verdict import RELATIVE_ERROR
from cyclekit.energy import Energy
from cyclekit.run import Run
from cyclekit.sweep.points import changes_of
from cyclekit.terminal import Output, announce, one_or_all, progress
from cyclekit.views import scale_of_all
from workloads.records import Model


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_design(parser)
    add_engine(parser)
    add_feed(parser)
    add_batch(parser)
    add_prices(parser)
    add_check(parser)


def run(options: Namespace) -> int:
    """Run a workload through a machine; 1 where a check failed."""
    out = Output(options.json, options.verb)
    chosen = machine.load(options.machine)
    changes = changes_of(options.set)
    spec = chosen.design(None, changes)
    chosen.engine(options.engine)  # before the workload is loaded
    work, n_inputs = load(options.workload, options), feed_of(options).n
    plan = Plan(chosen, spec, work, engine=options.engine, n_inputs=n_inputs, batch=options.batch, check=options.check)
    announce(*plan.expected)
    with progress(f"{chosen.name} {plan.engine}") as step:
        played = plan.play(options.prices, step, chosen.idle_note(changes, [spec]))
    runs, unpriced = played.runs, played.unpriced
    out.line(", ".join([f"{chosen.name}, engine {plan.engine}, preset {chosen.preset}", *options.set]))
    told = summary(work, played.parts, runs) if isinstance(work, Model) else {}
    if isinstance(work, Model) and len(work.layers) > 1:
        out.line(f"  workload: {work.provenance}")
        show_model(out, work, played.parts, runs, told, chosen.balance)
    else:
        provenances = (layer.provenance for layers, _ in plan.parts for layer in layers)
        for provenance in dict.fromkeys(filter(None, provenances)):
            out.line(f"  workload: {provenance}")
        _show(out, runs, chosen.balance)
        if isinstance(work, Model):
            show_others(out, work)
            show_notes(out, "note", [("", note) for note in work.notes], N_NOTES)
    if unpriced:
        out.line(f"  note: no energy: {unpriced}")
    is_whole = isinstance(work, Model) and work.is_graph
    each = [run.as_dict() for run in runs]
    out.result(told | {"runs": each} if is_whole else one_or_all(each))
    return 0 if all(run.check is None or run.check["passed"] for run in runs) else 1


def _show(out: Output, runs: Sequence[Run], balance: str) -> None:
    """Print the runs of each layer: one run in full, several by their mean and range."""
    first = runs[0]
    for name in dict.fromkeys(run.workload for run in runs):
        of_layer = [run for run in runs if run.workload == name]
        time, us = scale_of_all("us", [run.time_us for run in of_layer])
        rows = [
            ["cycles", *_mean_and_range([run.cycles for run in of_layer], ",.0f")],
            [f"time [{time}]", *_mean_and_range([run.time_us / us for run in of_layer], ",.3f")],
            [f"{balance} [%]", *_mean_and_range([100 * run.load_balance for run in of_layer], ".1f")],
        ]
        for label, value in of_layer[0].measures.items():
            if label == RELATIVE_ERROR:
                continue
            if isinstance(value, str):
                rows.append([label.replace("_", " "), *([value] if len(of_layer) == 1 else [value, "", ""])])
                continue
            values = [run.measures[label] for run in of_layer]
            if any(abs(value) >= 5e-4 for value in values):  # what a table would print as zero it leaves out
                rows.append([label.replace("_", " "), *_mean_and_range(values, ",.3f")])
        for label, values, style in _energies([run.energy for run in of_layer if run.energy is not None]):
            rows.append([label, *_mean_and_range(values, style)])
        for action in first.actions:
            label = action.replace("_", " ")
            rows.append([label, *_mean_and_range([run.actions[action] for run in of_layer], ",.0f")])
        for kind, spent in of_layer[0].states.items():
            for state in spent:
                shares = [100 * run.states[kind][state] / max(1, sum(run.states[kind].values())) for run in of_layer]
                if any(shares):
                    rows.append([f"{kind} {state} [% of cycles]", *_mean_and_range(shares, ".2f")])
        columns = ["", "run"] if len(of_layer) == 1 else ["", f"mean of {len(of_layer)}", "least", "most"]
        out.table(name, columns, rows)
        if values := _values(of_layer):
            out.line(f"  values: {values}")
        costs = [run.energy for run in of_layer if run.energy is not None]
        for note in dict.fromkeys(f"prices {cost.prices}: {note}" for cost in costs for note in cost.notes):
            out.line(f"  note: {note}")
        for note in dict.fromkeys(note for run in of_layer for note in run.notes):
            out.line(f"  note: {note}")


def _values(of_layer: Sequence[Run]) -> str:
    """Return what is known of the values of a layer's runs: the verdict of their checks, and their relative errors."""
    parts = []
    if checked := [run.check for run in of_layer if run.check is not None]:
        parts.append(f"{sum(check['passed'] for check in checked)} of {len(checked)} runs agree with the references")
        measured = [name for name, value in checked[0].items() if not isinstance(value, bool)]
        parts += [f"{name.replace('_', ' ')} {max(check[name] for check in checked):.3g}" for name in measured]
    if errors := [run.measures[RELATIVE_ERROR] for run in of_layer if RELATIVE_ERROR in run.measures]:
        spread = f", at most {max(errors):.3g}%" if len(errors) > 1 else ""
        parts.append(f"relative error of the outputs {fmean(errors):.3g}%{spread}")
    return "; ".join(parts)


def _energies(costs: Sequence[Energy]) -> Iterator[tuple[str, Sequence[float], str]]:
    """Yield (label, value of each run, style) of what a layer's runs cost, energy by module last."""
    if not costs:
        return
    unit, pj = scale_of_all("pJ", [cost.total_pj for cost in costs])
    power, mw = scale_of_all("mW", [cost.power_mw for cost in costs])
    yield f"energy, {costs[0].prices} [{unit}]", [cost.total_pj / pj for cost in costs], ",.3f"
    yield f"power [{power}]", [cost.power_mw / mw for cost in costs], ",.3f"
    if costs[0].area_um2:
        yield "area [mm2]", [cost.total_area_mm2 for cost in costs], ",.3f"
    yield f"energy x time [{unit} us]", [cost.edp_nj_us * 1e3 / pj for cost in costs], ",.3f"
    yield "energy of a useful MAC [pJ]", [cost.pj_per_mac for cost in costs], ",.3f"
    modules = {module: [cost.module_pj[module] / pj for cost in costs] for module in costs[0].pj}
    for module, values in sorted(modules.items(), key=lambda item: -sum(item[1])):
        if any(values):
            yield f"energy of {module} [{unit}]", values, ",.3f"


def _mean_and_range(values: Sequence[float], style: str) -> Sequence[str]:
    if len(values) == 1:
        return [format(values[0], style)]
    return [format(number, style) for number in (fmean(values), min(values), max(values))]
