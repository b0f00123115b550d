"""The page's tables, which stand in the file itself: what the store holds, the best designs, the fronts, what fails."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from cyclekit import machine as machines
from cyclekit.figures.cuts import nearest_preset
from cyclekit.page.best import AREA, EDP, ENERGY, POWER, Front, evenly, grouped, least, varied_fields
from cyclekit.sweep.edges import at_the_ends
from cyclekit.sweep.presets import PRESET
from cyclekit.sweep.results import Result, is_apart, left_out
from cyclekit.views import TIME

IN_TABLES = (TIME, ENERGY, EDP, POWER, AREA)
MOST_NAMED = 3  # workloads, or presets of a machine, in the page's title
MOST_ROWS = 50  # of one front in the tables: the views and the full table have all of it
NUMBER = re.compile(r"\d[\d,.]*")


def summary(facts: Mapping[str, Sequence[str]]) -> str:
    """Return the head of the page: what is said of the store, one heading a fact."""
    items = "".join(
        f"<dt>{escape(what)}</dt>" + "".join(f"<dd>{escape(line)}</dd>" for line in lines)
        for what, lines in facts.items()
        if lines
    )
    return f'<dl class="facts">{items}</dl>'


def title(results: Sequence[Result]) -> str:
    """Return which workloads ran on which machines, with the preset where all designs are near one; "" of none."""
    works = list(dict.fromkeys(result.workload for result in results))
    named = works if len(works) <= MOST_NAMED else [*works[: MOST_NAMED - 1], f"{len(works) - MOST_NAMED + 1} others"]
    chips = []
    for name, of in grouped(results, lambda r: r.machine).items():
        presets = _presets_of(name, of)
        chips.append(f"{name} ({', '.join(presets)})" if 0 < len(presets) <= MOST_NAMED else name)
    return f"{_listed(named)} on {_listed(chips)}" if results else ""


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _presets_of(machine: str, results: Sequence[Result]) -> list[str]:
    """Return the presets that designs of a machine are called by, or else the one that they differ from least."""
    if named := dict.fromkeys(result.called[PRESET] for result in results if result.called):
        return list(named)
    preset, _ = nearest_preset(machines.find(machine), results[0], varied_fields(results))
    return [preset] if preset else []


def facts(
    results: Sequence[Result], fields: Mapping[str, Sequence[Any]], prices: str | None, n_rows: int, version: str
) -> dict[str, list[str]]:
    """Return {heading: lines} of what a store holds."""
    feasible = [result for result in results if result.reason is None]
    n_infeasible = len(results) - len(feasible) - sum(is_apart(result) for result in results)
    unpriced = grouped([result for result in feasible if result.unpriced], lambda r: (r.machine, r.unpriced))
    return {
        "rows": [f"{n_rows:,}, one a layer and input"],
        "results": [
            f"{len(results):,}, one a design and workload; {n_infeasible:,} infeasible",
            *left_out(results),
        ],
        "machines": [_machine_line(name) for name in dict.fromkeys(result.machine for result in results)],
        "designs from": _presets(results, fields),
        "workloads": [", ".join(dict.fromkeys(result.workload for result in results))],
        "varied": [f"{name}: {_some(values)}" for name, values in fields.items()] or ["nothing"],
        "prices": [
            *_price_lines(feasible, prices),
            *(f"{machine}: no energy of {len(of):,} results: {why}" for (machine, why), of in unpriced.items()),
        ],
        "made by": [f"zeroskip {version}"],
    }


def best(results: Sequence[Result]) -> str:
    """Return the designs that have the least time, energy, energy x time and area of each workload."""
    fields = {name: varied_fields(of) for name, of in grouped(results, lambda r: r.machine).items()}
    of_designs = grouped(least(results), lambda entry: (entry[0], id(entry[2])))  # one may be the best in several
    if not results:
        return "<p>None: no point of the store is feasible.</p>"
    quantities = [quantity for quantity in IN_TABLES if any(quantity.of(result) is not None for result in results)]
    rows = []
    for (workload, _), entries in of_designs.items():
        result = entries[0][2]
        known = [name for name in fields[result.machine] if name in result.design]
        design = " ".join(setting(name, result.design[name]) for name in known)
        numbers = [number(quantity.of(result)) for quantity in quantities]
        rows.append(
            [workload, ", ".join(quantity.label for _, quantity, _ in entries), result.machine, design, *numbers]
        )
    heads = ["workload", "least", "machine", "design", *(quantity.head for quantity in quantities)]
    return table("Best designs", heads, rows, n_texts=4, long=3)


def ends(results: Sequence[Result]) -> str:
    """Return which best designs lie at an end of what was tried, and what is known against a field that is varied."""
    lines = at_the_ends(results)
    for name, of_machine in grouped(results, lambda r: r.machine).items():
        machine = machines.find(name)
        for field in varied_fields(of_machine):
            if machine and field in machine.cautions:
                lines.append(f"{name}, {field}: {machine.cautions[field]}")
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def fronts(results: Sequence[Result], of_fronts: Sequence[Front]) -> str:
    """Return each workload's front on each machine, to be opened by a click."""
    fields = {name: varied_fields(of) for name, of in grouped(results, lambda r: r.machine).items()}
    return "\n".join(_front(front, fields[front.machine]) for front in of_fronts)


def _front(front: Front, fields: Sequence[str]) -> str:
    quantities = [*front.costs, *([EDP] if ENERGY in front.costs else [])]
    shown = evenly(front.results, MOST_ROWS)
    costs = " and ".join(filter(None, [", ".join(cost.label for cost in front.costs[:-1]), front.costs[-1].label]))
    said = f"{front.workload} on {front.machine}: {len(front.results):,} of {front.n_designs:,} designs, by {costs}"
    if len(shown) < len(front.results):
        said += f"; here {len(shown)} of them, evenly chosen"
    if front.n_left_out:
        said += f"; {front.n_left_out:,} without a price are left out"
    rows = [
        [plain(result.design[name]) if name in result.design else "" for name in fields]
        + [number(quantity.of(result)) for quantity in quantities]
        for result in shown
    ]
    inner = table("", [*fields, *(quantity.head for quantity in quantities)], rows)
    return f"<details><summary>{escape(said)}</summary>{inner}</details>"


def infeasible(results: Sequence[Result]) -> str:
    """Return why points have no result, those together whose reasons differ in numbers only; nothing where none is."""
    failed = [result for result in results if result.reason is not None]
    if not failed:
        return "<p>None: every point of the store is feasible.</p>"
    groups = grouped(failed, lambda r: (r.machine, r.workload, NUMBER.sub("#", r.reason)))
    rows = [[machine, workload, f"{len(of):,}", of[0].reason] for (machine, workload, _), of in groups.items()]
    heads = ["machine", "workload", "points", "reason (of the first of them)"]
    return table("Points without a result, by reason", heads, rows, n_texts=2, long=3)


def table(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, n_texts: int = 0, long: int | None = None
) -> str:
    """Return an HTML table of text cells.

    n_texts: so many columns at the left are texts, as are those without numbers; long: one whose texts are broken.
    """
    kinds = ["text" if i < n_texts or not all(_is_number(row[i]) for row in rows) else "" for i in range(len(heads))]
    if long is not None:
        kinds[long] = "text long"
    classes = [f' class="{kind}"' if kind else "" for kind in kinds]
    head = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(heads, classes))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, classes)) + "</tr>\n"
        for row in rows
    )
    about = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption or "Table")}"><table>{about}'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def number(value: float | None) -> str:
    """Return a number to four digits, or all digits before its point."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def setting(name: str, value: Any) -> str:
    """Return a field's value with its name, and a preset by its own name."""
    return plain(value) if name == PRESET else f"{name}={plain(value)}"


def plain(value: Any) -> str:
    """Return a field's value as the command line takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _machine_line(name: str) -> str:
    machine = machines.find(name)
    return f"{name}: {machine.title if machine else 'not installed where this page was made'}"


def _presets(results: Sequence[Result], fields: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return, of each machine, the presets that its designs differ from least, and what they have in common apart."""
    lines = []
    for name, of in grouped(results, lambda r: r.machine).items():
        _, changes = nearest_preset(machines.find(name), of[0], tuple(fields))
        if presets := _presets_of(name, of):
            said = f"preset{'s' if len(presets) > 1 else ''} {', '.join(presets)}"
            lines.append(", ".join([f"{name}: {said}", *(f"{f}={plain(v)}" for f, v in changes.items())]))
    return lines


def _price_lines(results: Sequence[Result], prices: str | None) -> list[str]:
    """Return which table of prices each machine's energies are by, and what its machine says of it."""
    lines = []
    for name in dict.fromkeys(result.machine for result in results if result.energy_pj is not None):
        machine = machines.find(name)
        used = prices or (machine and machine.default_prices)
        said = machine.prices.get(used, "") if machine else ""
        lines.append(f"{name}: {used} (pJ an action, mW of standing power, um2 of area): {said}")
    return lines


def _some(values: Sequence[Any]) -> str:
    """Return values as a text: all of a few, else how many from where to where."""
    words = [plain(value) for value in values]
    return ", ".join(words) if len(words) <= 12 else f"{len(words):,} values from {words[0]} to {words[-1]}"


def _is_number(cell: str) -> bool:
    return cell == "" or cell.lstrip("+-")[:1].isdigit()
