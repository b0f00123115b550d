"""Which stored results one figure shows: those along one field, with all others fixed or told apart as lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cyclekit.machine import Machine
from cyclekit.sweep.presets import PRESET
from cyclekit.sweep.results import Result, UnitMap, value, varied
from cyclekit.views import View, field_label

MOST_LINES = 9

Value = Any  # of a field: a number, a word, true or false
Point = tuple[Value, Result]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The results along a view's x, {line: points in the order of x}, none of them infeasible.

    lines_by: the field that the lines differ in ("": there is one line). lines_label: what it is called. fixed: what is
    held fixed of the fields that vary among the results. n_infeasible: the results that would stand here, too.
    n_lines_left_out: of the lines that have a single point, or are beyond MOST_LINES.
    """

    view: View
    lines_by: str
    lines_label: str
    lines: Mapping[str, Sequence[Point]]
    fixed: Mapping[str, Value]
    n_infeasible: int
    n_lines_left_out: int

    @property
    def results(self) -> list[Result]:
        return [result for points in self.lines.values() for _, result in points]

    @property
    def xs(self) -> list[Value]:
        """All x of the lines, each once."""
        xs = dict.fromkeys(x for points in self.lines.values() for x, _ in points)
        return in_order(xs)


def in_order(values: Sequence[Value] | Mapping[Value, Any]) -> list[Value]:
    """Return numbers in their order, and words in the order in which they come."""
    return sorted(values) if all(is_number(item) for item in values) else list(values)


def is_number(item: Value) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool)


def cut(results: Sequence[Result], view: View, machine: Machine | None) -> Cut | None:
    """Return the results of one machine that a view shows; None where they do not vary along it.

    The fields that are neither x nor lines are held at values of which there is something to show: at those nearest to
    the machine's default preset, of several such at those that the most results have, and else at the first stored.
    """
    x_of = _x_of(view)
    others = [name for name in varied(results) if name != view.over]
    if not isinstance(view.over, str) and "workload" in others:
        others.remove("workload")  # it is what changes x
    lines_by = _lines_by(results, view, others)
    held = [name for name in others if name != lines_by]
    groups: dict[tuple[Value, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(tuple(value(result, name) for name in held), []).append(result)
    first, spec = next(iter(machine.presets.items())) if machine else ("", None)
    default = {PRESET: first, **spec.as_dict()} if spec else {}
    least = 1 if view.over == "workload" else 2  # a single design has bars, too
    candidates = []
    for values, group in groups.items():
        lines = _lines(group, x_of, lines_by)
        whole = {label: points for label, points in lines.items() if len({x for x, _ in points}) >= least}
        usual = sum(default.get(name) == of_name for name, of_name in zip(held, values, strict=True))
        n_points = sum(map(len, whole.values()))
        candidates.append(((n_points > 0, usual, n_points), values, group, lines, whole))
    (is_shown, *_), values, group, all_lines, whole = max(candidates, key=lambda each: each[0])  # the first of equals
    if not is_shown:
        return None
    labels = in_order(whole)[:MOST_LINES]
    fixed = dict(zip(held, values, strict=True))
    if lone := len(labels) == 1:  # it has no name in the figure, but one in the caption
        fixed = ({lines_by: labels[0]} if lines_by else {}) | fixed
    return Cut(
        view=view,
        lines_by="" if lone else lines_by,
        lines_label=field_label(lines_by, machine.views if machine else ()),
        lines={"" if lone else str(label): whole[label] for label in labels},
        fixed=fixed,
        n_infeasible=sum(result.reason is not None for result in group),
        n_lines_left_out=len(all_lines) - len(labels),
    )


def nearest_preset(
    machine: Machine | None, result: Result | UnitMap, without: Sequence[Any]
) -> tuple[str, dict[str, Value]]:
    """Return the preset that differs from a design in the fewest fields, and the fields that differ.

    A design that is called by a preset has that one. without: fields that do not count. Without a machine: "" and
    nothing.
    """
    candidates = []
    called = isinstance(result, Result) and result.called
    for name, preset in (machine.presets if machine else {}).items():
        if called and called[PRESET] != name:
            continue
        own = preset.as_dict()
        changes = {field: of_field for field, of_field in result.spec.items() if own.get(field) != of_field}
        candidates.append((name, {field: of_field for field, of_field in changes.items() if field not in without}))
    return min(candidates, key=lambda each: len(each[1]), default=("", {}))


def _x_of(view: View) -> Callable[[Result], Value]:
    over = view.over
    return (lambda result: value(result, over)) if isinstance(over, str) else over.of


def _lines_by(results: Sequence[Result], view: View, others: Sequence[str]) -> str:
    """Return what lines differ in: the view's own field, else the workload, else a second field that varies."""
    if view.lines is not None:
        return next((name for name in (view.lines, PRESET) if name in others), "")
    if "workload" in others:
        return "workload"
    few = (name for name in others if len({value(result, name) for result in results}) <= MOST_LINES)
    return next(few, "")


def _lines(group: Sequence[Result], x_of: Callable[[Result], Value], lines_by: str) -> dict[Value, list[Point]]:
    lines: dict[Value, list[Point]] = {}
    for result in group:
        if result.reason is None and (x := x_of(result)) is not None:
            lines.setdefault(value(result, lines_by) if lines_by else "", []).append((x, result))
    for points in lines.values():
        if all(is_number(x) for x, _ in points):
            points.sort(key=lambda point: point[0])
    return lines
