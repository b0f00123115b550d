"""The verb `search`: the designs of a space that no other beats, as a table, and how they came about."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from itertools import groupby

from cyclekit.command.arguments import (
    WORKLOAD,
    add_into,
    add_machine,
    add_prices,
    add_seed,
    add_space,
    at_least,
    feed_of,
)
from cyclekit.command.show import progress_of_rows
from cyclekit.command.subject import announce_reading
from cyclekit.sweep.edges import QUANTITIES, SAME, ends, sentence
from cyclekit.sweep.objectives import OBJECTIVES
from cyclekit.sweep.points import changes_of, vary_of
from cyclekit.sweep.search import Design, Found, Search, prepare
from cyclekit.sweep.store import check
from cyclekit.terminal import Output, say

DESCRIPTION = """Find the designs of a space that meet the constraints and that no other tried beats in all
objectives. Quantities: cycles, time_us, energy_pj, power_mw, edp_nj_us, area_mm2, and as a constraint load_balance,
from 0 to 1. Over several workloads a design's cycles, time and energy are their sums. Exits with 1 where no design
tried meets the constraints."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.description = DESCRIPTION
    add_space(parser)
    add_machine(parser)
    parser.add_argument("workloads", metavar="WORKLOAD", nargs="+", help=WORKLOAD)
    parser.add_argument(
        "--minimise", metavar="Q,Q", default="time_us,energy_pj,area_mm2", help="the objectives (default: %(default)s)"
    )
    parser.add_argument(
        "--where",
        metavar="Q<=X",
        action="append",
        default=[],
        help="a bound, as area_mm2<=40 or load_balance>=0.8",
    )
    parser.add_argument(
        "--trials",
        metavar="N",
        type=at_least(1),
        default=200,
        help="designs to try (default: %(default)s); a space with no more points is tried whole",
    )
    add_prices(parser)
    add_seed(parser)
    add_into(parser, required=True)


def run(options: Namespace) -> int:
    """Try designs; 1 where none of them meets the constraints."""
    out = Output(options.json, options.verb)
    check(options.into)  # before the workloads are loaded
    announce_reading(*options.workloads)
    search = prepare(
        options.machine,
        options.workloads,
        vary=vary_of(options.vary),
        minimise=[name.strip() for name in options.minimise.split(",")],
        where=options.where,
        n_trials=options.trials,
        prices=options.prices,
        seed=options.seed,
        changes=changes_of(options.set),
        engine=options.engine,
        n_inputs=(feed := feed_of(options)).n,
        batch=options.batch,
        feed=feed,
        n_workers=options.workers,
    )
    outcome = _try(search, options.into)
    notes = [*search.sweep.said(changes_of(options.set)), *_ends(search, outcome)]
    _say(out, outcome, search.sweep.machine.balance)
    for line in search.sweep.provenance:
        out.line(f"  workload: {line}")
    for note in notes:
        out.line(f"  note: {note}")
    out.line(f"  rows in {options.into}")
    out.result(outcome.as_dict() | {"into": options.into, "workloads": list(search.sweep.provenance), "notes": notes})
    return 0 if outcome.front else 1


def _ends(search: Search, outcome: Found) -> list[str]:
    """Return at which ends of the space the designs lie that are best in an objective, in a line."""
    parts: dict[str, list[str]] = {}
    tried = {name: list(values) for name, values in search.sweep.points.values.items()}
    for label, quantity in (QUANTITIES | {"cycles": "cycles"}).items():
        if quantity in outcome.minimise and outcome.front:
            least = min(design.values[quantity] for design in outcome.front)
            best = [design.changes for design in outcome.front if design.values[quantity] <= least * SAME]
            for field, end in ends(best, tried, search.sweep.machine).items():
                parts.setdefault(f"{field} = {end}", []).append(label)
    return [sentence(parts)] if parts else []


def _try(search: Search, into: str) -> Found:
    seconds, n_bytes = search.estimate()
    n_points = len(search.sweep.points)
    what = "all of them" if search.whole else f"{search.n_trials:,} of them"
    say(
        f"{n_points:,} points, trying {what} on {search.sweep.n_workers} workers: expecting about "
        f"{seconds:,.0f} s and {n_bytes / 1e6:,.0f} MB"
    )
    with progress_of_rows(f"search {search.sweep.machine.name}") as step:
        return search.run(into, step)


def _say(out: Output, outcome: Found, balance: str) -> None:
    bounds = " and ".join(outcome.where)
    if outcome.front:
        other = "no other" if outcome.whole else "no other tried"
        title = f"{len(outcome.front):,} designs that {other} beats in {', '.join(outcome.minimise)}"
        title += f", of those with {bounds}" if bounds else ""
        _table(out, title, outcome.front, outcome.minimise, balance)
    elif outcome.nearest:
        title = f"no design tried has {bounds}: the nearest, {100 * outcome.nearest.excess:,.1f}% off"
        _table(out, title, [outcome.nearest], outcome.minimise, balance)
    else:
        out.line("no design tried is feasible and has a price")
    share = "the whole space" if outcome.whole else f"of {outcome.n_points:,}"
    out.line(
        f"{outcome.n_trials:,} designs tried, {share}, in {outcome.seconds:,.1f} s: of {outcome.n_tasks:,} tasks "
        f"{outcome.n_computed:,} computed, {outcome.n_stored_before:,} were stored before"
    )
    if outcome.n_infeasible:
        out.line(
            f"  infeasible: {outcome.n_infeasible:,}, each a row with its reason, such as: {outcome.why_infeasible}"
        )
    if outcome.n_unpriced:
        out.line(f"  without a price: {outcome.n_unpriced:,}, such as: {outcome.why_unpriced}")
    if outcome.where:
        out.line(f"  outside the constraints: {outcome.n_violating:,}")


def _table(out: Output, title: str, designs: Sequence[Design], minimise: Sequence[str], balance: str) -> None:
    """Print designs: the fields varied, the objectives, then whatever else is known; of equal ones the first."""
    known = [name for name in OBJECTIVES if name in designs[0].values and name not in minimise]
    names = [*minimise, *known]
    rows = []
    for _, equal in groupby(designs, lambda design: [design.values[name] for name in minimise]):
        design, *others = equal
        rows.append([*map(str, design.changes.values()), *(_number(design.values[name]) for name in names)])
        rows[-1] += [f"{100 * design.values['load_balance']:.1f}", f"{len(others)} more" if others else ""]
    out.table(title, [*designs[0].changes, *names, f"{balance} [%]", "equal in these"], rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
