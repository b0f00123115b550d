"""The verb `report`: a store's rows as one page of tables, figures and views; nothing is simulated again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from cyclekit.command.arguments import add_figures, add_out, add_prices
from cyclekit.figures.charts import Chart, charts, write
from cyclekit.figures.numbers import as_csv
from cyclekit.machine import Progress
from cyclekit.page import Figure, page
from cyclekit.sweep import results
from cyclekit.sweep.store import Store
from cyclekit.terminal import Output, announce, check_writable, make_folder, progress, write_asked
from workloads.errors import BadInput

ROW_S = 1.4e-3  # to read a row, price it and put it on the page
FILE_S = 0.25  # to draw a figure into one file
ROW_BYTES = 10_000  # of a result in memory


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("store", metavar="STORE")
    add_out(parser, "the page as .html", required=True)
    add_figures(parser, "every figure as PNG and SVG, and its numbers as CSV,")
    add_prices(parser)


def run(options: Namespace) -> int:
    """Write a store's page, and its figures where a folder is named for them."""
    out = Output(options.json, options.verb)
    path = Path(options.out)
    if path.suffix.lower() not in (".html", ".htm"):
        raise BadInput(f"--out must name a .html file, got {options.out!r}")
    check_writable(path, "--out")
    with Store(options.store, write=False) as store:
        n_rows, words_of = len(store), store.asked()
        if not n_rows:
            raise BadInput(f"store {options.store!r} has no rows yet: there is nothing to report")
        if options.figures is not None:
            make_folder(Path(options.figures))
        announce(n_rows * ROW_S, n_rows * ROW_BYTES)
        with progress("report") as step:
            step("reading rows", 0, 1)
            stored = results.read(store, options.prices)
            drawn = charts(stored, results.maps(store))
            announce(len(drawn) * FILE_S * (2 if options.figures is None else 6), n_rows * ROW_BYTES)
            figures, files = _figures(drawn, options.figures, step)
    html = page(Path(options.store).name, stored, figures, n_rows=n_rows, prices=options.prices, asked=words_of)
    write_asked(path, html, "--out")
    out.line(f"{n_rows:,} rows, {len(stored):,} results, {len(figures)} figures: {len(html) / 1e6:,.1f} MB in {path}")
    if files:
        out.line(f"  wrote {len(files)} files into {options.figures}")
    out.result(
        {
            "out": str(path),
            "bytes": len(html),
            "rows": n_rows,
            "results": len(stored),
            "figures": [str(f) for f in files],
        }
    )
    return 0


def _figures(drawn: Sequence[Chart], folder: str | None, step: Progress) -> tuple[list[Figure], list[Path]]:
    """Return the page's figures, and the files written to the folder; without one there are none."""
    figures, files = [], []
    with TemporaryDirectory() as place:
        for n_done, chart in enumerate(drawn):
            step("drawing figures", n_done, len(drawn))
            svg, svg_dark = (Path(place) / f"{chart.name}{end}.svg" for end in ("", "-dark"))
            for path, theme in ((svg, "print"), (svg_dark, "dark")):
                write(chart, path, theme, captioned=False)  # the page has it beside the picture
            drawings = svg.read_bytes(), svg_dark.read_bytes()
            figures.append(Figure(chart.title, chart.caption, *drawings, chart.name, as_csv(chart.data)))
            if folder is not None:
                names = {".svg": "print", "-dark.svg": "dark", ".png": "print", "-dark.png": "dark", ".csv": "print"}
                themes = {Path(folder) / f"{chart.name}{end}": theme for end, theme in names.items()}
                files += themes
                for path, theme in themes.items():
                    write(chart, path, theme)
    return figures, files
