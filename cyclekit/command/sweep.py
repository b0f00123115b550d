"""The verb `sweep`: a design space, computed into a store."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import nullcontext
from typing import Any

from cyclekit.command.arguments import WORKLOAD, add_into, add_machine, add_out, add_space, check_outputs
from cyclekit.command.show import export_rows, progress_of_rows
from cyclekit.command.subject import announce_reading
from cyclekit.sweep.edges import at_the_ends
from cyclekit.sweep.export import check as check_export
from cyclekit.sweep.points import changes_of, read_file, vary_of
from cyclekit.sweep.results import left_out, read
from cyclekit.sweep.store import Store, check
from cyclekit.sweep.sweep import Summary, Sweep, prepare
from cyclekit.terminal import Output, say
from workloads.errors import BadInput
from workloads.graphs.feed import Feed

MOST_READ = 5000  # rows of a store: about three seconds


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    add_space(parser)
    add_machine(parser, metavar="MACHINE[:PRESET]|FILE.toml", more="; or a file that says all of this")
    parser.add_argument("workloads", metavar="WORKLOAD", nargs="*", help=WORKLOAD)
    parser.add_argument("--maps", action="store_true", help="store what each unit did over time, too, for heat maps")
    parser.add_argument("--dask", metavar="ADDRESS", help="run on the cluster of this scheduler, as tcp://host:port")
    add_into(parser)
    add_out(parser, "all rows as .csv or .parquet")


def run(options: Namespace) -> int:
    """Compute what is not stored yet."""
    out = Output(options.json, options.verb)
    arguments = _arguments(options)
    check_outputs(vars(options) | arguments | {"machine": options.machine})  # with those that a file of the sweep names
    into, address = arguments.pop("into"), arguments.pop("dask", None)
    if export_to := arguments.pop("out", None):
        check_export(export_to)
    check(into)  # before the workloads are loaded
    with _cluster(address) as cluster:
        if cluster is not None:
            arguments.setdefault("n_workers", cluster.n_threads)
        announce_reading(*arguments["workloads"])
        sweep = prepare(**arguments)
        summary = _compute(sweep, into, cluster)
    _say(out, summary, into)
    notes = [*sweep.said(arguments["changes"]), *_ends(into, sweep)]
    for line in sweep.provenance:
        out.line(f"  workload: {line}")
    for note in notes:
        out.line(f"  note: {note}")
    if export_to:
        export_rows(out, into, export_to)
    out.result(summary.as_dict() | {"into": str(into), "workloads": list(sweep.provenance), "notes": notes})
    return 0


def _compute(sweep: Sweep, into: str, cluster: Any) -> Summary:
    seconds, n_bytes = sweep.estimate()
    say(
        f"{len(sweep.points):,} points, {sweep.n_tasks:,} tasks on {sweep.n_workers} workers: expecting "
        f"about {seconds:,.0f} s and {n_bytes / 1e6:,.0f} MB"
    )
    with progress_of_rows(f"sweep {sweep.machine.name}") as step:
        return sweep.run(into, step, pool=cluster and cluster.pool)


def _ends(into: str, sweep: Sweep) -> list[str]:
    """Return which inputs stored of the sweep's workloads are in no mean, and where their best lie at an end of all."""
    with Store(into, write=False) as store:
        if len(store) > MOST_READ:
            return [f"{into} is large: zeroskip report says which best designs lie at an end of what was tried"]
        names = {work.name for work in sweep.works}
        own_results = [r for r in read(store) if r.machine == sweep.machine.name and r.workload in names]
    return [*left_out(own_results), *at_the_ends(own_results)]


def _arguments(options: Namespace) -> dict[str, Any]:
    """Return the arguments of `prepare`, and into, out and dask: of a TOML file, then of the command's options."""
    changes = changes_of(options.set)
    given = {
        "engine": options.engine,
        "batch": options.batch,
        "n_workers": options.workers,
        "maps": options.maps or None,
        "into": options.into,
        "out": options.out,
        "dask": options.dask,
    }
    arguments: dict[str, Any] = {"machine": options.machine, "workloads": options.workloads, "vary": {}, "changes": {}}
    if options.machine.endswith(".toml"):
        in_file = read_file(options.machine)
        if "machine" not in in_file:
            raise BadInput(f"sweep file {options.machine!r} must name a machine")
        names = {"set": "changes", "workers": "n_workers"}
        arguments["workloads"] = []
        arguments |= {names.get(key, key): value for key, value in in_file.items()}
        arguments["workloads"] = [*arguments["workloads"], *options.workloads]
    said = {name: arguments.pop(name, None) for name in ("inputs", "activation_density", "positions", "architecture")}
    feed = Feed.of(**{name: said[name] if (own := getattr(options, name)) is None else own for name in said})
    arguments |= {"feed": feed, "n_inputs": feed.n}
    arguments |= {name: value for name, value in given.items() if value is not None}
    arguments["vary"] = {**arguments["vary"], **vary_of(options.vary)}
    arguments["changes"] = {**arguments["changes"], **changes}
    if not arguments["workloads"]:
        raise BadInput("a sweep needs at least one workload, got none")
    if not arguments["vary"]:
        raise BadInput("a sweep needs at least one --vary field=values, got none")
    if "into" not in arguments:
        raise BadInput("a sweep needs a file for its rows: --into results.db")
    return arguments


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
