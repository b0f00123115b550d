"""The verbs `sweep`, which computes a design space into a store, and `rows`, which writes a store's rows out."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from typing import Any

from cyclekit.machine import Progress
from cyclekit.sweep.export import check as check_export
from cyclekit.sweep.export import export
from cyclekit.sweep.points import changes_of, read_file, vary_of
from cyclekit.sweep.store import Store, check
from cyclekit.sweep.sweep import Summary, Sweep, prepare
from cyclekit.terminal import Output, progress
from workloads.errors import BadInput


def sweep(options: Namespace) -> int:
    """Compute what is not stored yet."""
    out = Output(options.json)
    asked = _asked(options)
    into, address = asked.pop("into"), asked.pop("dask", None)
    if export_to := asked.pop("export", None):
        check_export(export_to)
    check(into)  # before the workloads are loaded
    with _cluster(address) as cluster:
        if cluster is not None:
            asked.setdefault("n_workers", cluster.n_threads)
        made = prepare(**asked)
        summary = _run(made, into, cluster)
    _say(out, summary, into)
    if export_to:
        _export(out, into, export_to)
    out.result(summary.as_dict() | {"into": str(into)})
    return 0


def _run(made: Sweep, into: str, cluster: Any) -> Summary:
    seconds, n_bytes = made.estimate()
    print(
        f"zeroskip: {len(made.points):,} points, {made.n_tasks:,} tasks on {made.n_workers} workers: expecting "
        f"about {seconds:,.0f} s and {n_bytes / 1e6:,.0f} MB",
        file=sys.stderr,
    )
    with progress_of_rows(f"sweep {made.machine.name}") as step:
        return made.run(into, step, pool=cluster and cluster.pool)


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


def rows(options: Namespace) -> int:
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
        _export(out, options.store, options.export, options.prices)
    names = ("machine", "workload", "rows", "infeasible")
    out.result([dict(zip(names, count, strict=True)) for count in counts])
    return 0


def _asked(options: Namespace) -> dict[str, Any]:
    """Return the arguments of `prepare`, and into, export and dask: of a TOML file, then of the command's options."""
    changes = changes_of(options.set)
    given = {
        "preset": options.preset,
        "engine": options.engine,
        "n_inputs": options.inputs,
        "n_workers": options.workers,
        "maps": options.maps or None,
        "into": options.into,
        "export": options.export,
        "dask": options.dask,
    }
    asked: dict[str, Any] = {"machine": options.machine, "workloads": options.workloads, "vary": {}, "changes": {}}
    if options.machine.endswith(".toml"):
        in_file = read_file(options.machine)
        if "machine" not in in_file:
            raise BadInput(f"sweep file {options.machine!r} must name a machine")
        names = {"set": "changes", "inputs": "n_inputs", "workers": "n_workers"}
        asked["workloads"] = []
        asked |= {names.get(key, key): value for key, value in in_file.items()}
        asked["workloads"] = [*asked["workloads"], *options.workloads]
    asked |= {name: value for name, value in given.items() if value is not None}
    asked["vary"] = {**asked["vary"], **vary_of(options.vary)}
    asked["changes"] = {**asked["changes"], **changes}
    if not asked["workloads"]:
        raise BadInput("a sweep needs at least one workload, got none")
    if not asked["vary"]:
        raise BadInput("a sweep needs at least one --vary field=values, got none")
    if "into" not in asked:
        raise BadInput("a sweep needs a file for its rows: --into results.db")
    return asked


def _cluster(address: str | None):
    if address is None:
        return nullcontext()
    from cyclekit.sweep.cluster import Cluster

    return Cluster(address)


def _say(out: Output, summary: Summary, into: str) -> None:
    rate = summary.n_computed / max(1e-9, summary.seconds)
    out.line(
        f"{summary.n_points:,} points, {summary.n_tasks:,} tasks: {summary.n_computed:,} computed in "
        f"{summary.seconds:,.1f} s ({rate:,.0f} a second), {summary.n_stored_before:,} were stored before"
    )
    if summary.n_infeasible:
        out.line(f"  infeasible: {summary.n_infeasible:,}, each a row with its reason")
    out.line(f"  rows in {into}")


def _export(out: Output, store_path: str, path: str, prices: str | None = None) -> None:
    since = time.monotonic()
    with Store(store_path, write=False) as store:
        n_rows = export(store, path, prices)
    out.line(f"  wrote {n_rows:,} rows to {path} in {time.monotonic() - since:,.1f} s")
