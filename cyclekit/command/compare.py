"""The verb `compare`: the same layers on every machine, side by side, and the conditions under which each wins."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from cyclekit.command.arguments import WORKLOAD, add_batch, add_check, add_feed, add_figures, add_machines, feed_of
from cyclekit.command.model import ABOUT, about, layer_row, of_model, show_notes, show_others
from cyclekit.command.show import or_dash
from cyclekit.command.subject import load
from cyclekit.comparison.compare import Cost, Entrant, entrants, layers_of
from cyclekit.comparison.conditions import (
    ENERGY,
    SHARE,
    TIME,
    Comparison,
    Ladder,
    Reign,
    batch_of,
    compare,
    expected,
    reigns,
)
from cyclekit.terminal import Output, announce, make_folder, progress
from cyclekit.views import scale_of_all
from workloads.address import readable
from workloads.errors import BadInput
from workloads.points import networks as cloud_networks
from workloads.points.convolution import SparseConvolution
from workloads.records import Model, Workload

MOST_LINES = 6  # that a figure has colours for
MOST_TABLES = 4  # of single layers that are printed; more go into one
N_NOTES = 4  # of a design that are printed
BEST = {TIME: "fastest", ENERGY: "least energy"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("workloads", metavar="WORKLOAD", nargs="+", help=WORKLOAD)
    add_machines(parser)
    add_feed(parser)
    add_batch(parser)
    parser.add_argument(
        "--prices", metavar="T,T", help="tables of prices, of which each machine takes the first that it has"
    )
    add_check(parser)
    add_figures(parser, "time and energy over the batch")


def run(options: Namespace) -> int:
    """Compare, and say where which design wins; 1 where a check failed."""
    out = Output(options.json, options.verb)
    is_cloud = any(cloud_networks.split(name) for name in options.workloads)
    chosen = entrants(options.machines, options.prices, SparseConvolution if is_cloud else Workload)
    if options.figures is not None:
        if len(chosen) > MOST_LINES:
            raise BadInput(
                f"--figures can draw at most {MOST_LINES} designs, got {len(chosen)}: name fewer in --machines"
            )
        make_folder(Path(options.figures))
    names = dict.fromkeys(options.workloads)
    n_inputs = feed_of(options).n
    works = {readable(name): load(name, options) for name in names}
    layers_of_work = {name: layers_of(work, n_inputs) for name, work in works.items()}
    batches = {name: batch_of(name, layers, options.batch) for name, layers in layers_of_work.items()}
    announce(*expected([(layers, batches[name]) for name, layers in layers_of_work.items()], chosen, options.check))
    comparisons = []
    with progress("compare") as step:
        for name, layers in layers_of_work.items():
            comparisons.append(compare(name, layers, chosen, batch=batches[name], check=options.check, progress=step))
    designs = [_design(entrant, [comparison.total[entrant.label] for comparison in comparisons]) for entrant in chosen]
    _show_designs(out, chosen, designs)
    for comparison in comparisons:
        _show(out, comparison, designs, works[comparison.workload])
    if len(comparisons) > 1:
        _show_winners(out, comparisons)
    if options.figures is not None:
        from cyclekit.comparison.figures import draw  # late: matplotlib is slow to import

        of_works = {name: _provenances(work, layers_of_work[name]) for name, work in works.items()}
        for path in draw(comparisons, designs, of_works, Path(options.figures)):
            out.line(f"wrote {path}")
    told = [comparison.as_dict() | of_model(works[comparison.workload]) for comparison in comparisons]
    out.result({"designs": designs, "comparisons": told})
    checks = [cost.checked for comparison in comparisons for costs in comparison.costs for cost in costs.values()]
    return 1 if False in checks else 0


def _design(entrant: Entrant, costs: Sequence[Cost]) -> dict[str, Any]:
    """Return what a design is, as far as that does not hang on the layer."""
    chosen = entrant.machine
    cost = next((cost for cost in costs if not cost.reason), costs[0])
    chip = chosen.chip and chosen.chip(entrant.spec)
    area, source = (chip.area_mm2, chip.source) if chip else (None, "")
    if area is None:
        area, source = cost.area_mm2, "not in the model"
        if area is not None:
            source = f"prices {cost.prices}"
        elif cost.reason:
            source = "not known: it takes no layer"
    return {
        "design": entrant.label,
        "machine": chosen.name,
        "preset": entrant.preset,
        "changes": dict(entrant.changes),
        "process": chip.process if chip else None,
        "clock_mhz": cost.cycles / cost.time_us if cost.time_us else None,
        "area_mm2": area,
        "area_from": source,
        "prices": cost.prices or None,
        "unpriced": cost.unpriced or None,
        "utilisation_is": chosen.balance,
        "note": chip.note if chip else "",
    }


def _show_designs(out: Output, chosen: Sequence[Entrant], designs: Sequence[Mapping[str, Any]]) -> None:
    heads = ["design", "preset", "process", "clock [MHz]", "area [mm2]", "area from", "energy by", "utilised is"]
    rows = [
        [
            design["design"],
            design["preset"],
            design["process"] or "-",
            or_dash(design["clock_mhz"], ",.0f"),
            or_dash(design["area_mm2"], ",.1f"),
            design["area_from"],
            design["prices"] or "-",
            design["utilisation_is"],
        ]
        for design in designs
    ]
    out.table("Designs", heads, rows)
    said = [(design["machine"], design["note"]) for design in designs]
    for entrant, design in zip(chosen, designs, strict=True):
        if design["prices"]:
            said.append((f"prices {design['prices']}", entrant.machine.prices.get(design["prices"], "")))
        elif design["unpriced"]:
            said.append((design["design"], f"no energy: {design['unpriced']}"))
    for label, note in dict.fromkeys(said):
        if note:
            out.line(f"  {label}: {note}")
    out.line()


def _show(out: Output, comparison: Comparison, designs: Sequence[Mapping[str, Any]], work: Any) -> None:
    """Print one workload: its layers, their sum, the ladders and what they say."""
    batch, layers = comparison.batch, comparison.layers
    rows = [layer_row(layer) for layer in layers]
    if len(layers) > MOST_TABLES:
        of_layers = [[cost.time_of_input_us for cost in costs.values()] for costs in comparison.costs]
        unit, us = scale_of_all("us", [time for times in of_layers for time in times])
        cells = [
            [layer.name, *about(row), *(or_dash(time and time / us, ",.2f") for time in times)]
            for layer, row, times in zip(layers, rows, of_layers, strict=True)
        ]
        out.table(f"{comparison.workload}: time of an input [{unit}]", ["layer", *ABOUT, *comparison.total], cells)
    else:
        for row, costs in zip(rows, comparison.costs, strict=True):
            sizes, positions, weights, active, _ = about(row)
            at = "" if positions == "1" else f", {positions} positions"
            title = f"{row['layer']}: {sizes}{at}, {weights}% of the weights and {active}% of the activations not zero"
            out.table(f"{title}, batch {batch:,}", *_cells(costs, designs))
    if len(layers) > 1:
        out.table(f"{comparison.workload}: all layers, batch {batch:,}", *_cells(comparison.total, designs))
    checked = [cost.checked for costs in comparison.costs for cost in costs.values()]
    if known := [value for value in checked if value is not None]:
        out.line(f"  values: {sum(known)} of {len(known)} agree with the references")
    for label, cost in comparison.total.items():
        if cost.reason:
            out.line(f"  {label} cannot: {cost.reason}")
        said = [("", note) for note in cost.notes]
        if len(layers) > 1 and not cost.reason:
            of_layers = zip(layers, comparison.costs, strict=True)
            said = [(layer.name, note) for layer, costs in of_layers for note in costs[label].notes]
        show_notes(out, label, said, N_NOTES)
    if isinstance(work, Model):
        show_others(out, work)
        show_notes(out, "note", [("", note) for note in work.notes], N_NOTES)
    for provenance in _provenances(work, layers):
        out.line(f"  workload: {provenance}")
    out.line()
    for ladder in comparison.ladders:
        if len(ladder.points) > 1:
            _show_ladder(out, comparison, ladder)


def _provenances(work: Any, layers: Sequence[Workload]) -> list[str]:
    """Return where a graph, or else each of the layers, comes from; each once."""
    is_graph = isinstance(work, Model) and work.is_graph
    every = [work.provenance] if is_graph else [layer.provenance for layer in layers]
    return list(dict.fromkeys(filter(None, every)))


def _cells(
    costs: Mapping[str, Cost], designs: Sequence[Mapping[str, Any]]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the head and the rows of a table of costs, a design a row."""
    unit, pj = scale_of_all("pJ", [cost.energy_of_input_pj for cost in costs.values()])
    took = [cost for cost in costs.values() if not cost.reason]
    (of_batch, batch_us), (of_input, us) = (
        scale_of_all("us", [getattr(cost, name) for cost in took]) for name in ("time_us", "time_of_input_us")
    )
    area = {design["design"]: design["area_mm2"] for design in designs}
    heads = ["design", f"batch [{of_batch}]", f"input [{of_input}]", "over best", f"input [{unit}]", "over best"]
    heads += ["inputs/s/mm2", "weights [kB]", "off chip, input [kB]", "utilised [%]", "dropped [%]", "error [%]"]
    least = {name: min((v for c in costs.values() if (v := getattr(c, name))), default=None) for name in BEST}
    rows = []
    for label, cost in costs.items():
        if cost.reason:
            rows.append([label, *["-"] * (len(heads) - 1)])
            continue
        time, energy = cost.time_of_input_us, cost.energy_of_input_pj
        moved = cost.off_chip_bytes
        rows.append(
            [
                label,
                f"{cost.time_us / batch_us:,.2f}",
                f"{time / us:,.3f}",
                or_dash(least[TIME] and time / least[TIME], ",.2f"),
                or_dash(None if energy is None else energy / pj, ",.2f"),
                or_dash(energy and least[ENERGY] and energy / least[ENERGY], ",.2f"),
                or_dash(1e6 / time / area[label] if time and area[label] else None, ",.1f"),
                f"{cost.n_bytes / 1e3:,.1f}",
                or_dash(None if moved is None else moved / cost.batch / 1e3, ",.1f"),
                f"{100 * cost.utilisation:.2f}",
                f"{_dropped(cost):.2f}",
                or_dash(None if cost.error is None else 100 * cost.error, ".2f"),
            ]
        )
    return heads, rows


def _show_ladder(out: Output, comparison: Comparison, ladder: Ladder) -> None:
    """Print a ladder as a table, time and energy of an input by design, and what it says in words."""
    times, energies = ladder.values(TIME), ladder.values(ENERGY)
    time, us = scale_of_all("us", [value for values in times.values() for value in values])
    unit, pj = scale_of_all("pJ", [value for values in energies.values() for value in values])
    energies = {label: values for label, values in energies.items() if any(value is not None for value in values)}
    heads = [ladder.over, *(f"{label} [{time}]" for label in times), *(f"{label} [{unit}]" for label in energies)]
    drops = {}
    if ladder.over == SHARE:
        drops = {label: costs for label, costs in ladder.costs.items() if any(cost.n_dropped for cost in costs)}
        heads += [f"{label} drops [%]" for label in drops]
    rows = [
        [
            _point(ladder, point),
            *(or_dash(values[place] and values[place] / us, ",.3f") for values in times.values()),
            *(or_dash(values[place] and values[place] / pj, ",.2f") for values in energies.values()),
            *(f"{_dropped(costs[place]):.2f}" for costs in drops.values()),
        ]
        for place, point in enumerate(ladder.points)
    ]
    at = "" if ladder.over == "batch" else f", batch {comparison.batch:,}"
    out.table(f"{comparison.workload}: an input's time and energy over the {ladder.over}{at}", heads, rows)
    for quantity, name in BEST.items():
        out.line(f"  {name}: {_sentence(ladder, ladder.reigns(quantity))}")
    out.line()


def _sentence(ladder: Ladder, in_turn: Sequence[Reign]) -> str:
    """Return who wins where, by how much, and between which points of the ladder that changes."""
    if not in_turn:
        return "not known of any design"
    parts = []
    for reign in in_turn:
        leads = dict.fromkeys(f"{lead:.2f}" for lead in (reign.least_lead, reign.most_lead) if lead != inf)
        ahead = f" (the next takes {' to '.join(leads)} times as much)" if leads else ""
        parts.append(_stretch(ladder, reign) + ahead)
    changes = [f"{_point(ladder, a.last)} and {_point(ladder, b.first)}" for a, b in zip(in_turn, in_turn[1:])]
    said = f"; it changes between {', between '.join(changes)}" if changes else ", on the whole ladder"
    return "; ".join(parts) + said


def _stretch(ladder: Ladder, reign: Reign) -> str:
    first, last = _point(ladder, reign.first), _point(ladder, reign.last)
    return f"{' and '.join(reign.best)} {f'at {first}' if first == last else f'from {first} to {last}'}"


def _show_winners(out: Output, comparisons: Sequence[Comparison]) -> None:
    rows = []
    for comparison in comparisons:
        cells = [comparison.workload, f"{comparison.batch:,}"]
        ladder = comparison.ladders[0]
        for quantity in BEST:
            here = reigns(
                [comparison.batch], {label: [getattr(cost, quantity)] for label, cost in comparison.total.items()}
            )
            cells.append(" and ".join(here[0].best) if here else "-")
            cells.append("; ".join(_stretch(ladder, reign) for reign in ladder.reigns(quantity)) or "-")
        rows.append(cells)
    heads = ["workload", "batch", "fastest", "over the batch", "least energy", "over the batch"]
    out.table("Who wins", heads, rows)


def _dropped(cost: Cost) -> float:
    return 100 * cost.n_dropped / max(1, cost.n_weights)


def _point(ladder: Ladder, point: float) -> str:
    return f"{100 * point:.3g}%" if ladder.over == SHARE else f"{point:,}"
