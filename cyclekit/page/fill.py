"""How the page is put together: one file, whose scripts and styles a browser runs by their hash and no others."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from importlib.resources import files
from string import Template
from typing import Any

from cyclekit.page import best, tables
from cyclekit.page.columns import columns
from cyclekit.sweep.results import Result

SCRIPTS = (
    "data",
    "format",
    "scales",
    "filters",
    "designs",
    "scatter",
    "bars",
    "table",
    "saves",
    "main",
)  # in this order


@dataclass(frozen=True)
class Figure:
    """A figure as two SVG images, one for paper and a bright screen, one for a dark screen.

    name: of its files; numbers: what is drawn as CSV, "": it cannot be saved as that.
    """

    title: str
    caption: str
    svg: bytes
    svg_dark: bytes
    name: str = "figure"
    numbers: str = ""


def page(
    store: str,
    results: Sequence[Result],
    figures: Sequence[Figure],
    *,
    n_rows: int,
    prices: str | None = None,
    asked: Mapping[str, Sequence[str]] | None = None,
) -> bytes:
    """Return the page of a store's results, UTF-8.

    store: its name; n_rows: of the store; prices: the table that priced the results, None for each machine's default.
    asked: {workload: words of a command that ask for it}, where that is not its name.
    The same arguments give the same bytes.
    """
    fields = best.varied_values(results)
    feasible = [result for result in results if result.reason is None]
    of_fronts = best.fronts(feasible)
    shown = best.held(feasible, of_fronts)
    facts = tables.facts(results, fields, prices, n_rows, version("zeroskip"))
    style, script = asset("page.css"), "\n".join(asset(f"{name}.js") for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}\n}})();\n'
    filled = Template(asset("page.html")).substitute(
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        title=escape(tables.title(results) or store),
        summary=tables.summary({"store": [store], **facts}),
        best=tables.best(feasible),
        ends=tables.ends(results),
        fronts=tables.fronts(feasible, of_fronts),
        left_out=escape(_left_out(len(shown), len(feasible), of_fronts)),
        figures="\n".join(_figure(figure) for figure in figures) or "<p>None: the store has too little to draw.</p>",
        infeasible=tables.infeasible(results),
        data=_json(columns(shown, best.varied_values(shown), prices) | {"asked": asked or {}}),
        style=style,
        script=script,
    )
    return filled.encode("utf-8", "xmlcharrefreplace")


def _left_out(n_shown: int, n_feasible: int, of_fronts: Sequence[best.Front]) -> str:
    if not n_feasible:
        return "None: no point of the store is feasible."
    if n_shown == n_feasible:
        return f"All {n_feasible:,} feasible designs are in the views and in the full table."
    n_best = sum(len(front.results) for front in of_fronts)
    held = f"The views and the full table hold {n_shown:,} of {n_feasible:,} feasible designs"
    if n_best > n_shown:
        return f"{held}, evenly chosen ones of the {n_best:,} on the fronts above."
    return f"{held}: the {n_best:,} on the fronts above and {n_shown - n_best:,} evenly chosen others."


def _figure(figure: Figure) -> str:
    """Return a figure in both themes; as images, whose inner names cannot clash with another's."""
    words = escape(f"{figure.title}. {figure.caption}")
    images = "".join(
        f'<img class="{theme}" alt="{words}" src="data:image/svg+xml;base64,{base64.b64encode(svg).decode()}">'
        for theme, svg in (("bright", figure.svg), ("dark", figure.svg_dark))
    )
    numbers = f'<script type="application/json">{_json(figure.numbers)}</script>' if figure.numbers else ""
    return (
        f'<figure data-name="{escape(figure.name)}">{images}<figcaption>{escape(figure.caption)}</figcaption>{numbers}'
        "</figure>"
    )


def asset(name: str) -> str:
    """Return one of the files that the page is made of."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    """Return JSON that cannot end the script element that holds it: "<" stands in no other place than in a text."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
