"""What the verbs of the command line do; one function a verb."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from cyclekit import machine
from cyclekit.command import compare as compare_command
from cyclekit.command import prune as compression
from cyclekit.command import report as report_command
from cyclekit.command import search as search_command
from cyclekit.command import sensitivity
from cyclekit.command import sweep as sweep_command
from cyclekit.command import trace as trace_command
from cyclekit.energy import Energy
from cyclekit.run import Run
from cyclekit.sweep.points import changes_of
from cyclekit.terminal import Output, announce, make_folder, progress
from cyclekit.validation import Validation, mean_error, worst
from workloads.errors import BadInput


def show_list(options: Namespace) -> int:
    """Say what there is."""
    out = Output(options.json)
    if options.what == "workloads":
        from workloads.catalogue import describe

        rows = [{"name": name, "description": text} for name, text in describe().items()]
    elif options.what == "networks":
        from workloads.tasks import describe

        rows = [{"name": name, "description": text} for name, text in describe().items()]
    elif options.what == "data":
        from workloads.data import describe

        rows = [{"name": name, "description": text} for name, text in describe().items()]
    elif options.what == "machines":
        rows = [{"name": m.name, "description": m.title, "engines": list(m.engines)} for m in machine.all_installed()]
    else:
        rows = [
            {"machine": m.name, "name": name, "description": m.preset_notes[name], "spec": spec.as_dict()}
            for m in machine.all_installed()
            for name, spec in m.presets.items()
        ]
    columns = [column for column in ("machine", "name", "description", "engines") if any(column in row for row in rows)]
    out.table(options.what, columns, [[_cell(row[column]) for column in columns] for row in rows])
    if options.what == "presets":
        for found in machine.all_installed():
            _show_fields(out, found)
    out.result(rows)
    return 0


def run(options: Namespace) -> int:
    """Run a workload through a machine; 1 where a check failed."""
    import workloads

    out = Output(options.json)
    chosen = machine.load(options.machine)
    spec = chosen.design(options.preset, changes_of(options.set))
    engine = chosen.engine(options.engine)
    work = workloads.load(options.workload)
    # What runs apart from each other is encoded apart, too.
    works = work.layers if isinstance(work, workloads.Layers) else [work]
    parts = [chosen.layers_and_inputs(part, options.inputs) for part in works]
    how = {"engine": engine, "check": options.check}
    estimates = [chosen.estimate(layers, spec, **how) for layers, _ in parts]
    announce(sum(seconds for seconds, _ in estimates), max(n_bytes for _, n_bytes in estimates))
    runs = []
    with progress(f"{chosen.name} {engine}") as step:
        for layers, inputs in parts:
            images = chosen.encode(layers, spec)
            found = machine.run_through(chosen.simulate, images, inputs, spec, **how, progress=step)
            runs += [run.without_arrays() for run in found]
    runs, unpriced = _priced(chosen, runs, options.prices)
    preset = options.preset or next(iter(chosen.presets))
    out.line(", ".join([f"{chosen.name}, engine {engine}, preset {preset}", *options.set]))
    said = (layer.provenance for layers, _ in parts for layer in layers)
    for provenance in dict.fromkeys(filter(None, said)):
        out.line(f"  workload: {provenance}")
    _show(out, runs, chosen.balance)
    if unpriced:
        out.line(f"  note: no energy: {unpriced}")
    results = [found.as_dict() for found in runs]
    out.result(results[0] if len(results) == 1 else results)
    return 0 if all(found.check is None or found.check["passed"] for found in runs) else 1


def _priced(chosen: machine.Machine, runs: Sequence[Run], table: str | None) -> tuple[Sequence[Run], str]:
    """Return the runs with their energy, or, where no table was asked for, without it and why."""
    try:
        return [replace(found, energy=chosen.price(found, table)) for found in runs], ""
    except BadInput as error:
        if table is not None:
            raise
        return runs, str(error)


def explain(options: Namespace) -> int:
    """Show how a piece of the weights lies in a machine."""
    import workloads

    out = Output(options.json)
    chosen = machine.load(options.machine)
    spec = chosen.design(options.preset, changes_of(options.set))
    work = workloads.load(options.workload)
    if isinstance(work, workloads.Shape):
        raise BadInput(f"workload {work.name!r} is a shape without values: there are no weights to explain")
    layers = work.layers if isinstance(work, workloads.Layers) else machine.layers_and_inputs(work, 1)[0]
    found = chosen.explain(machine.layer_of(layers, options.layer), spec, options.row, options.column)
    _show_tables(out, found)
    for line in found.remarks:
        out.line(line)
    out.result(found.as_dict())
    return 0


def validate(options: Namespace) -> int:
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


def demo(options: Namespace) -> int:
    """Show every installed machine at work."""
    out = Output(options.json)
    folder = Path(options.out)
    make_folder(folder)
    results = {}
    for chosen in machine.all_installed():
        announce(*chosen.costs["demo --short" if options.short else "demo"])
        with progress(f"demo {chosen.name}") as step:
            results[chosen.name] = found = chosen.demo(folder, short=options.short, progress=step)
        _show_tables(out, found)
        if found.validation is not None:
            show_validation(out, found.validation)
        for line in (*found.remarks, *(f"wrote {path}" for path in found.figures)):
            out.line(line)
    out.result({name: found.as_dict() for name, found in results.items()})
    return 0 if all(found.passed for found in results.values()) else 1


def show_validation(out: Output, validation: Validation) -> None:
    """Print a validation: times layer by layer, figures by their mean and largest error, footnotes."""
    for source in dict.fromkeys(row.source for row in validation.comparisons if not row.setting):
        kinds = list(dict.fromkeys(row.kind for row in validation.select(source=source)))
        rows = []
        for quantity in dict.fromkeys(row.quantity for row in validation.select(source=source)):
            by_kind = [
                {p.layer: p for p in validation.select(source=source, quantity=quantity, kind=kind, setting="")}
                for kind in kinds
            ]
            for layer in dict.fromkeys(layer for points in by_kind for layer in points):
                cells = []
                for points in by_kind:
                    p = points.get(layer)
                    cells += [f"{p.simulated:.2f}", f"{p.error:+.1f}%"] if p else ["", ""]
                point = next(points[layer] for points in by_kind if layer in points)
                label = f"{quantity} [{point.unit}]"
                rows.append([layer, label, f"{point.published:g}", *cells, point.mark])
            if not any(by_kind):
                continue
            means = [("", f"{mean_error(points.values()):.1f}%" if points else "") for points in by_kind]
            rows.append(["mean size of error", quantity, "", *(part for mean in means for part in mean), ""])
        heads = [part for kind in kinds for part in (kind, "error")]
        out.table(
            f"{validation.machine}: {source}, published and simulated",
            ["layer", "quantity", "published", *heads, "mark"],
            rows,
        )
        out.line()
    rows = []
    kinds = list(dict.fromkeys(row.kind for row in validation.comparisons))
    for source, quantity in validation.groups():
        for kind in kinds:
            points = [p for p in validation.select(source=source, quantity=quantity, kind=kind) if p.setting]
            if points:
                bad, unit = worst(points), "points" if points[0].unit == "%" else "%"
                error = f"{bad.error:+.1f} {unit}"
                where = f"{bad.layer} at {bad.setting}: paper {bad.published:g}, here {bad.simulated:.1f}"
                mean = f"{mean_error(points):.2f} {unit}"
                rows.append([source, quantity, kind, str(len(points)), mean, error, where, bad.mark])
    if rows:
        columns = ["figure", "quantity", "kind", "values", "mean error", "largest error", "where", "mark"]
        out.table(f"{validation.machine}: figures, published and simulated", columns, rows)
    out.line("  mark, the confidence in a published value: A its own source, B careful secondary, C one secondary")
    for number, note in enumerate(validation.footnotes, 1):
        out.line(f"  [{number}] {note}")
    out.line()


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _show_fields(out: Output, chosen: machine.Machine) -> None:
    """Print what can be set on a machine: every field with its default, where presets differ, meaning and source."""
    out.line()
    (default, first), *others = chosen.presets.items()
    rows = []
    for field in fields(chosen.spec):
        value = getattr(first, field.name)
        differ: dict[str, list[str]] = {}
        for name, spec in others:
            if (other := getattr(spec, field.name)) != value:
                differ.setdefault(str(other), []).append(name)
        elsewhere = "; ".join(f"{other} in {', '.join(names)}" for other, names in differ.items())
        meaning = field.metadata["meaning"]
        if "options" in field.metadata:
            meaning += f" (one of {', '.join(field.metadata['options'])})"
        rows.append([field.name, str(value), meaning, elsewhere, field.metadata["source"]])
    out.table(f"{chosen.name}: fields for --set", ["field", default, "meaning", "other presets", "source"], rows)


def _show_tables(out: Output, found: machine.Explanation) -> None:
    for title, rows in found.tables.items():
        out.table(title, list(rows[0]), [list(row.values()) for row in rows])
        out.line()


def _show(out: Output, runs: Sequence[Run], balance: str) -> None:
    """Print the runs of each layer: one run in full, several by their mean and range."""
    first = runs[0]
    for name in dict.fromkeys(found.workload for found in runs):
        of_layer = [found for found in runs if found.workload == name]
        rows = [
            ["cycles", *_mean_and_range([found.cycles for found in of_layer], ",.0f")],
            ["time [us]", *_mean_and_range([found.time_us for found in of_layer], ",.3f")],
            [f"{balance} [%]", *_mean_and_range([100 * found.load_balance for found in of_layer], ".1f")],
        ]
        for label, value in of_layer[0].measures.items():
            if isinstance(value, str):
                rows.append([label.replace("_", " "), *([value] if len(of_layer) == 1 else [value, "", ""])])
                continue
            values = [found.measures[label] for found in of_layer]
            if any(abs(value) >= 5e-4 for value in values):  # what a table would print as zero it leaves out
                rows.append([label.replace("_", " "), *_mean_and_range(values, ",.3f")])
        for label, values, style in _energies([found.energy for found in of_layer if found.energy is not None]):
            rows.append([label, *_mean_and_range(values, style)])
        for action in first.actions:
            label = action.replace("_", " ")
            rows.append([label, *_mean_and_range([found.actions[action] for found in of_layer], ",.0f")])
        for kind, spent in of_layer[0].states.items():
            for state in spent:
                shares = [
                    100 * found.states[kind][state] / max(1, sum(found.states[kind].values())) for found in of_layer
                ]
                if any(shares):
                    rows.append([f"{kind} {state} [% of cycles]", *_mean_and_range(shares, ".2f")])
        columns = ["", "run"] if len(of_layer) == 1 else ["", f"mean of {len(of_layer)}", "least", "most"]
        out.table(name, columns, rows)
        if checked := [found.check for found in of_layer if found.check is not None]:
            passed = sum(check["passed"] for check in checked)
            measured = [name for name, value in checked[0].items() if not isinstance(value, bool)]
            worst_of = [f"{name.replace('_', ' ')} {max(check[name] for check in checked):.3g}" for name in measured]
            out.line("; ".join([f"  values: {passed} of {len(checked)} runs agree with the references", *worst_of]))
        costs = [found.energy for found in of_layer if found.energy is not None]
        for note in dict.fromkeys(f"prices {cost.prices}: {note}" for cost in costs for note in cost.notes):
            out.line(f"  note: {note}")
        for note in dict.fromkeys(note for found in of_layer for note in found.notes):
            out.line(f"  note: {note}")


def _energies(costs: Sequence[Energy]) -> Iterator[tuple[str, Sequence[float], str]]:
    """Yield (label, value of each run, style) of what a layer's runs cost, energy by module last."""
    if not costs:
        return
    unit, pj = ("uJ", 1e6) if max(cost.total_pj for cost in costs) >= 1e8 else ("nJ", 1e3)
    yield f"energy, {costs[0].prices} [{unit}]", [cost.total_pj / pj for cost in costs], ",.3f"
    yield "power [mW]", [cost.power_mw for cost in costs], ",.3f"
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


def fetch(options: Namespace) -> int:
    """Bring a real input to this machine, verified, and say where it lies."""
    from workloads import data

    out = Output(options.json)
    place = data.fetch(options.name, None if options.out is None else Path(options.out))
    files = sorted(path.name for path in place.iterdir())
    out.line(f"{data.describe()[options.name]}")
    for name in files:
        out.line(f"  {place / name}")
    out.result({"name": options.name, "folder": str(place), "files": files})
    return 0


VERBS = {
    "list": show_list,
    "run": run,
    "explain": explain,
    "validate": validate,
    "demo": demo,
    "data": fetch,
    "prune": compression.prune,
    "tradeoff": compression.tradeoff,
    "sensitivity": sensitivity.sensitivity,
    "trace": trace_command.trace,
    "sweep": sweep_command.sweep,
    "compare": compare_command.run,
    "rows": sweep_command.rows,
    "report": report_command.report,
    "search": search_command.search,
}
