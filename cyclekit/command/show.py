"""What several verbs print: an explanation's tables, a validation, rows as they come and are written, a dash."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from cyclekit import machine
from cyclekit.machine import Explanation
from cyclekit.sweep.export import export
from cyclekit.sweep.store import Store
from cyclekit.terminal import Output, progress, say
from cyclekit.trace.steps import WIDTH, Step, cells
from cyclekit.validation import Comparison, Validation, mean_error, worst


def or_dash(value: float | None, style: str) -> str:
    """Return a number in a style, a dash for none."""
    return "-" if value is None else format(value, style)


def show_tables(out: Output, explanation: Explanation) -> None:
    """Print an explanation's tables."""
    for title, rows in explanation.tables.items():
        out.table(title, list(rows[0]), [list(row.values()) for row in rows])
        out.line()


def show_steps(out: Output, steps: Sequence[Step]) -> None:
    """Print steps, each by its title, lines and tables; those that say the same as the one before only by name."""
    alike: list[list[Step]] = []
    for step in steps:
        if alike and alike[-1][0].says(step):
            alike[-1].append(step)
        else:
            alike.append([step])
    for step, *same in alike:
        out.line(step.title)
        for line in step.lines:
            out.line(textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    "))
        for title, rows in step.tables.items():
            out.table(f"  {title}", list(rows[0]), cells(rows))
        if same:
            out.line(f"  the same: {same[0].title}" + (f" to {same[-1].title}" if len(same) > 1 else ""))
        out.line()


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
                    cells += [f"{p.simulated:.2f}", _with_unit(f"{p.error:+.1f}", p)] if p else ["", ""]
                point = next(points[layer] for points in by_kind if layer in points)
                label = f"{quantity} [{point.unit}]"
                rows.append([layer, label, f"{point.published:g}", *cells, point.mark])
            if not any(by_kind):
                continue
            means = [
                ("", _with_unit(f"{mean_error(points.values()):.1f}", next(iter(points.values()))) if points else "")
                for points in by_kind
            ]
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
                bad, unit = worst(points), points[0].error_unit
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


def _with_unit(error: str, of: Comparison) -> str:
    return f"{error}%" if of.error_unit == "%" else f"{error} {of.error_unit}"


def export_rows(out: Output, store_path: str, path: str, prices: str | None = None) -> None:
    """Write a store's rows to a file and say so."""
    since = time.monotonic()
    with Store(store_path, write=False) as store:
        n_rows = export(store, path, prices)
    out.line(f"  wrote {n_rows:,} rows to {path} in {time.monotonic() - since:,.1f} s")


@contextmanager
def progress_of_rows(what: str, kept: bool = True) -> Iterator[machine.Progress]:
    """Show a bar from the first rows on, and say on Ctrl-C what becomes of them where they are kept."""
    with ExitStack() as bar:

        @cache
        def shown() -> Any:  # not before the first rows: a bar is a thread, and no process must be forked beside one
            return bar.enter_context(progress(what))

        def step(text: str, done: float, total: float) -> None:
            shown()(text, done, total)

        try:
            yield step
        except KeyboardInterrupt:
            bar.close()
            if kept:
                say("what is stored is whole; the same command goes on from there")
            raise
