"""What a machine did step by step, with the values that it worked on: the record, its cells as text, its units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]

UNIT = "unit"  # the column that names the unit whose track a row belongs to
DOES = "does"  # that of the state, as the track has it
WIDTH = 80  # letters in a line of a table
LISTS = (80, 48, 32, 24, 16)  # letters of a list that a cell shows whole, as many as fit


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """One step: of most machines a cycle.

    begin, end: its ticks from the run's start, None for what has no time of its own. lines: what stands in no table.
    tables: {title: rows of {column: a plain value, or a list of them}}; None where there is nothing. In a step in time
    a row's `unit` names its track, which a table without one says nothing of. levels: {unit: {counter: how much it
    holds}} at the step's begin.
    """

    title: str
    begin: int | None = None
    end: int | None = None
    lines: Sequence[str] = ()
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    levels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def says(self, other: Step) -> bool:
        """Return whether it says the same as another."""
        return (self.lines, self.tables) == (other.lines, other.tables)

    def as_dict(self, ticks_per_cycle: int) -> dict[str, Any]:
        """Return plain values for JSON; begin and end in cycles."""
        begin, end = (None if at is None else at / ticks_per_cycle for at in (self.begin, self.end))
        tables = {title: [dict(row) for row in rows] for title, rows in self.tables.items()}
        levels = {unit: dict(of_unit) for unit, of_unit in self.levels.items()}
        own = {"title": self.title, "begin": begin, "end": end, "lines": list(self.lines)}
        return own | {"tables": tables, "levels": levels}


@dataclass(frozen=True, eq=False)
class Told:
    """What steps say of one unit: at which ticks, i64[n] ascending, and there its values and its levels."""

    begins: Sequence[int]
    ends: Sequence[int]
    values: Sequence[Row]
    levels: Sequence[Mapping[str, float]]


def by_unit(steps: Iterable[Step]) -> dict[str, Told]:
    """Return what the steps that have a time say of each unit; a unit's rows of one step are put together."""
    told: dict[str, Told] = {}
    for step in steps:
        if step.begin is None:
            continue
        values: dict[str, dict[str, Any]] = {unit: {} for unit in step.levels}
        for rows in step.tables.values():
            for row in (row for row in rows if UNIT in row):
                said = {name: value for name, value in row.items() if name not in (UNIT, DOES)}
                own = {name: value for name, value in said.items() if value is not None and value != []}
                values.setdefault(row[UNIT], {}).update(own)
        for unit, own in values.items():
            of_unit = told.setdefault(unit, Told([], [], [], []))
            for column, value in zip(
                (of_unit.begins, of_unit.ends, of_unit.values, of_unit.levels),
                (step.begin, step.end, own, step.levels.get(unit, {})),
                strict=True,
            ):
                column.append(value)
    return told


def cells(rows: Sequence[Row]) -> list[list[str]]:
    """Return a table's cells as text, lists whole where the table then fits WIDTH, else long ones by their ends."""
    for longest in LISTS:
        table = [[as_text(value, longest) for value in row.values()] for row in rows]
        if sum(2 + max(map(len, column)) for column in zip(rows[0], *table, strict=True)) <= WIDTH:
            break
    return table


def as_text(value: Any, longest: int) -> str:
    """Return a cell as text, a list in that many letters or by its ends and how long it is."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value + 0:.5g}"  # no negative zero
    if isinstance(value, list | tuple):
        words = [as_text(item, longest) for item in value]
        whole = " ".join(words) or "-"
        return whole if len(whole) <= longest else f"{words[0]} .. {words[-1]} ({len(words)})"
    return str(value)
