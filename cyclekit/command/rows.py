"""The verb `rows`: what a store holds, written out."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from cyclekit.command.arguments import add_out, add_prices
from cyclekit.command.show import export_rows
from cyclekit.sweep.export import check as check_export
from cyclekit.sweep.store import Store
from cyclekit.terminal import Output
from workloads.errors import BadInput


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("store", metavar="STORE")
    add_out(parser, "all rows as .csv or .parquet")
    add_prices(parser)


def run(options: Namespace) -> int:
    """Write a store's rows out."""
    out = Output(options.json, options.verb)
    if options.prices and not options.out:
        raise BadInput("--prices is for the file that --out names: name one")
    if options.out:
        check_export(options.out)
    with Store(options.store, write=False) as store:
        counts = store.counts()
    cells = [[machine, workload, f"{n:,}", f"{n_bad:,}"] for machine, workload, n, n_bad in counts]
    if cells:
        out.table(options.store, ["machine", "workload", "rows", "of them infeasible"], cells)
    else:
        out.line(f"{options.store}: no rows yet")
    if options.out:
        export_rows(out, options.store, options.out, options.prices)
    names = ("machine", "workload", "rows", "infeasible")
    out.result([dict(zip(names, count, strict=True)) for count in counts])
    return 0
