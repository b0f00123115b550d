"""The verb `rows`: what a store holds, written out; and the bar that the verbs show which fill one."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from cyclekit.machine import Progress
from cyclekit.sweep.export import check as check_export
from cyclekit.sweep.export import export
from cyclekit.sweep.store import Store
from cyclekit.terminal import Output, progress
from workloads.errors import BadInput


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("store", metavar="STORE")
    parser.add_argument("--export", metavar="FILE", help="write all rows to a .csv or .parquet file")
    parser.add_argument("--prices", metavar="T", help="the table of prices for that file (default: each machine's)")


def run(options: Namespace) -> int:
    """Write a store's rows out."""
    out = Output(options.json)
    if options.prices and not options.export:
        raise BadInput("--prices is for the file that --export names: name one")
    if options.export:
        check_export(options.export)
    with Store(options.store, write=False) as store:
        counts = store.counts()
    cells = [[machine, workload, f"{n:,}", f"{n_bad:,}"] for machine, workload, n, n_bad in counts]
    if cells:
        out.table(options.store, ["machine", "workload", "rows", "of them infeasible"], cells)
    else:
        out.line(f"{options.store}: no rows yet")
    if options.export:
        export_rows(out, options.store, options.export, options.prices)
    names = ("machine", "workload", "rows", "infeasible")
    out.result([dict(zip(names, count, strict=True)) for count in counts])
    return 0


def export_rows(out: Output, store_path: str, path: str, prices: str | None = None) -> None:
    """Write a store's rows to a file and say so."""
    since = time.monotonic()
    with Store(store_path, write=False) as store:
        n_rows = export(store, path, prices)
    out.line(f"  wrote {n_rows:,} rows to {path} in {time.monotonic() - since:,.1f} s")


@contextmanager
def progress_of_rows(what: str) -> Iterator[Progress]:
    """Show a bar from the first rows on, and say on Ctrl-C what becomes of them."""
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
            print("zeroskip: what is stored is whole; the same command goes on from there", file=sys.stderr)
            raise
