"""The verb `search`: the designs of a space that no other beats, as a table, and how they were found."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from itertools import groupby

from cyclekit.command.sweep import progress_of_rows
from cyclekit.sweep.objectives import OBJECTIVES
from cyclekit.sweep.points import changes_of, vary_of
from cyclekit.sweep.search import Design, Found, Search, prepare
from cyclekit.sweep.store import check
from cyclekit.terminal import Output


def search(options: Namespace) -> int:
    """Try designs; 1 where none of them meets the constraints."""
    out = Output(options.json)
    check(options.into)  # before the workloads are loaded
    made = prepare(
        options.machine,
        options.workloads,
        vary=vary_of(options.vary),
        minimise=[name.strip() for name in options.minimise.split(",")],
        where=options.where,
        n_trials=options.trials,
        prices=options.prices,
        seed=options.seed,
        preset=options.preset,
        changes=changes_of(options.set),
        engine=options.engine,
        n_inputs=options.inputs,
        n_workers=options.workers,
    )
    found = _run(made, options.into)
    _say(out, found, made.sweep.machine.balance)
    out.line(f"  rows in {options.into}")
    out.result(found.as_dict() | {"into": options.into})
    return 0 if found.front else 1


def _run(made: Search, into: str) -> Found:
    seconds, n_bytes = made.estimate()
    n_points = len(made.sweep.points)
    what = "all of them" if made.whole else f"{made.n_trials:,} of them"
    print(
        f"zeroskip: {n_points:,} points, trying {what} on {made.sweep.n_workers} workers: expecting about "
        f"{seconds:,.0f} s and {n_bytes / 1e6:,.0f} MB",
        file=sys.stderr,
    )
    with progress_of_rows(f"search {made.sweep.machine.name}") as step:
        return made.run(into, step)


def _say(out: Output, found: Found, balance: str) -> None:
    bounds = " and ".join(found.where)
    if found.front:
        other = "no other" if found.whole else "no other tried"
        title = f"{len(found.front):,} designs that {other} beats in {', '.join(found.minimise)}"
        title += f", of those with {bounds}" if bounds else ""
        _table(out, title, found.front, found.minimise, balance)
    elif found.nearest:
        title = f"no design tried has {bounds}: the nearest, {100 * found.nearest.excess:,.1f}% off"
        _table(out, title, [found.nearest], found.minimise, balance)
    else:
        out.line("no design tried is feasible and has a price")
    share = "the whole space" if found.whole else f"of {found.n_points:,}"
    out.line(
        f"{found.n_trials:,} designs tried, {share}, in {found.seconds:,.1f} s: of {found.n_tasks:,} tasks "
        f"{found.n_computed:,} computed, {found.n_stored_before:,} were stored before"
    )
    if found.n_infeasible:
        out.line(f"  infeasible: {found.n_infeasible:,}, each a row with its reason, such as: {found.why_infeasible}")
    if found.n_unpriced:
        out.line(f"  without a price: {found.n_unpriced:,}, such as: {found.why_unpriced}")
    if found.where:
        out.line(f"  outside the constraints: {found.n_violating:,}")


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
