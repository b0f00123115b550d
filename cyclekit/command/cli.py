"""The command `zeroskip`: what it accepts, and how it ends.

The work is in commands.py. All that brings NumPy along is imported when it is needed: `--help` must answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

EPILOG = """examples:
  zeroskip list workloads
  zeroskip run eie alex-7 --check
  zeroskip run eie lenet-300-100 --inputs 10 --set n_pes=16 --engine schedule
  zeroskip run eie my_layer.npz --preset silicon --json run.json
  zeroskip explain eie lenet-300-100 --set n_pes=16 --row 132 --column 300
  zeroskip trace eie lenet-300-100 --set n_pes=8 --window 1:80 --chrome trace.json
  zeroskip run tensorcore 4096x4096x4096 --set sparsity=2:4
  zeroskip prune lenet-300-100-dense --recipe recipe.toml --out pruned.npz
  zeroskip tradeoff lenet-300-100-dense --density 0.25 --out figures
  zeroskip sweep eie alex-7 --vary n_pes=1,2,4,...,256 --vary queue_depth=2:256:x2 --into results.db
  zeroskip rows results.db --export results.csv --prices calibrated
  zeroskip report results.db --out report.html
  zeroskip search eie alex-7 --vary n_pes=1:256 --vary queue_depth=2:256 --where 'area_mm2<=40' --into results.db
  zeroskip compare alex-7 --machines eie,tensorcore:h100-sxm
  zeroskip validate eie --out figures
"""
WORKLOAD = """a name of the catalogue; an .npz file with weights f32[out,in], activations f32[in] or f32[batch,in], and
perhaps bias f32[out], or one that 'prune' wrote; FILE:LAYER of another file of weights; or, where no values are
needed, sizes as MxNxK"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        from workloads.errors import BadInput

        raise BadInput(f"{message}; see '{self.prog} --help'")


def parser() -> Parser:
    """Return the grammar of the command line."""
    top = Parser(
        prog="zeroskip",
        description="Cycle-level simulators of hardware that skips zeros.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", metavar="PATH|-", help="write the result as JSON to a file, or to standard output")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND", parser_class=Parser)

    found = verbs.add_parser("list", parents=[common], help="say what there is to name in the other commands")
    found.add_argument("what", choices=("machines", "workloads", "presets", "networks", "data"))

    design = argparse.ArgumentParser(add_help=False)
    design.add_argument("machine", metavar="MACHINE")
    design.add_argument("workload", metavar="WORKLOAD", help=WORKLOAD)
    design.add_argument("--preset", metavar="P", help="the design to start from (default: the machine's first)")
    design.add_argument("--set", metavar="FIELD=VALUE", action="append", default=[], help="change a field of it")

    run = verbs.add_parser("run", parents=[common, design], help="run a workload through a machine")
    run.add_argument("--engine", metavar="E", help="events (SimPy) or schedule (jitted): the same cycles")
    run.add_argument("--inputs", metavar="N", type=_at_least(1), help="run only the first N inputs of the batch")
    run.add_argument("--prices", metavar="T", help="the table of prices for energy (default: the machine's, if any)")
    run.add_argument("--check", action="store_true", help="compare the values with the references")

    explain = verbs.add_parser("explain", parents=[common, design], help="show how weights lie in a machine")
    explain.add_argument("--layer", metavar="L", help="the layer of a network (default: its first)")
    explain.add_argument("--row", metavar="R", type=_at_least(0), default=0, help="of the weights (default: 0)")
    explain.add_argument("--column", metavar="C", type=_at_least(0), default=0, help="of the weights (default: 0)")

    trace = verbs.add_parser(
        "trace", parents=[common, design], help="what each unit does in each cycle: a diagram, Chrome traces, VCD"
    )
    trace.add_argument("--engine", metavar="E", help="events (SimPy) or schedule (jitted): the same cycles")
    trace.add_argument("--layer", metavar="L", help="the layer of a network (default: its first)")
    trace.add_argument("--input", metavar="N", type=_at_least(0), default=0, help="of the batch (default: 0)")
    trace.add_argument("--window", metavar="A:B", help="cycles A to B, which count from 1 (default: all of them)")
    trace.add_argument("--units", metavar="N", type=_at_least(1), help="the first N units of each kind")
    trace.add_argument("--chrome", metavar="FILE", help="write a Chrome trace (JSON), which Perfetto opens")
    trace.add_argument("--vcd", metavar="FILE", help="write a value change dump, which GTKWave opens")

    subject = argparse.ArgumentParser(add_help=False)
    subject.add_argument("network", metavar="NETWORK", help="see 'zeroskip list networks'; or FILE:LAYERS of weights")
    amount = subject.add_mutually_exclusive_group()
    amount.add_argument("--inputs", metavar="N", type=_at_least(1), help="calibrate on the first N inputs only")
    amount.add_argument("--calibration", metavar="FILE", help="on those of an .npz file: inputs, and perhaps labels")
    subject.add_argument(
        "--batch", metavar="N", type=_at_least(1), default=16, help="inputs of each matrix to time (default: 16)"
    )

    prune = verbs.add_parser("prune", parents=[common, subject], help="compress a network; its cost on every machine")
    prune.add_argument("--recipe", metavar="FILE", required=True, help="the steps, in TOML (docs/pruning.md)")
    prune.add_argument("--out", metavar="FILE", required=True, help="the .npz to write, which 'zeroskip run' reads")
    prune.add_argument("--compact", action="store_true", help="drop rows and columns that hold no weight")
    prune.add_argument("--check", action="store_true", help="compare the machines' values with the references")

    tradeoff = verbs.add_parser(
        "tradeoff", parents=[common, subject], help="accuracy, bytes and cycles of every granularity"
    )
    tradeoff.add_argument("--patterns", metavar="P,P", help="such as element,vector 1x4,2:4 (default: seven)")
    tradeoff.add_argument("--density", metavar="D", type=float, default=0.5, help="share kept (default: %(default)s)")
    tradeoff.add_argument(
        "--tune", metavar="N", type=_at_least(0), help="epochs after pruning (default: 3 where there are labels)"
    )
    tradeoff.add_argument("--out", metavar="DIR", help="draw the figure into this folder")

    sensitivity = verbs.add_parser(
        "sensitivity", parents=[common, subject], help="accuracy with each layer pruned alone"
    )
    sensitivity.add_argument(
        "--densities", metavar="D,D", default="0.5,0.3,0.2,0.1,0.05", help="shares kept (default: %(default)s)"
    )
    sensitivity.add_argument(
        "--pattern", metavar="P", default="element", help="such as 2:4 or block 4x4 (default: %(default)s)"
    )
    sensitivity.add_argument("--out", metavar="DIR", help="draw the figure into this folder")

    data = verbs.add_parser("data", parents=[common], help="fetch a real input, verified: 'zeroskip list data'")
    data.add_argument("name", metavar="NAME")
    data.add_argument("--out", metavar="DIR", help="the folder to keep it in (default: the user's cache)")
    _add_sweep(verbs, common)
    _add_report(verbs, common)
    _add_search(verbs, common)
    _add_compare(verbs, common)

    validate = verbs.add_parser("validate", parents=[common], help="hold a machine against published figures")
    validate.add_argument("machine", metavar="MACHINE")
    validate.add_argument("--out", metavar="DIR", help="draw the figures into this folder")

    demo = verbs.add_parser("demo", parents=[common], help="a first look at every installed machine, with figures")
    demo.add_argument(
        "--out", metavar="DIR", default="zeroskip-demo", help="folder for the figures (default: %(default)s)"
    )
    demo.add_argument("--short", action="store_true", help="a few inputs and no validation: under 30 seconds")
    return top


def _space() -> argparse.ArgumentParser:
    """Return the options that say which points there are and how they run."""
    space = argparse.ArgumentParser(add_help=False)
    space.add_argument(
        "--vary",
        metavar="FIELD=VALUES",
        action="append",
        default=[],
        help="values as 1,2,5 or 1,2,4,...,256 or 2:256:x2 or 8:64:+8; the field named last changes fastest",
    )
    space.add_argument("--preset", metavar="P", help="the design to start from (default: the machine's first)")
    space.add_argument("--set", metavar="FIELD=VALUE", action="append", default=[], help="change a field of all points")
    space.add_argument("--engine", metavar="E", help="the engine (default: the machine's for sweeps)")
    space.add_argument("--inputs", metavar="N", type=_at_least(1), help="run only the first N inputs of a batch")
    space.add_argument("--workers", metavar="N", type=_at_least(1), help="processes (default: one a core)")
    return space


def _add_search(verbs, common: argparse.ArgumentParser) -> None:
    search = verbs.add_parser(
        "search",
        parents=[common, _space()],
        help="find the designs of a space that no other beats, from a share of its points",
        description="""Find the designs of a space that meet the constraints and that no other tried beats in all
        objectives. Quantities: cycles, time_us, energy_pj, power_mw, edp_nj_us, area_mm2, and as a constraint
        load_balance, from 0 to 1. Over several workloads a design's cycles, time and energy are their sums. Exits
        with 1 where no design tried meets the constraints.""",
    )
    search.add_argument("machine", metavar="MACHINE")
    search.add_argument("workloads", metavar="WORKLOAD", nargs="+", help=WORKLOAD)
    search.add_argument(
        "--minimise", metavar="Q,Q", default="time_us,energy_pj,area_mm2", help="the objectives (default: %(default)s)"
    )
    search.add_argument(
        "--where",
        metavar="Q<=X",
        action="append",
        default=[],
        help="a bound, as area_mm2<=40 or load_balance>=0.8",
    )
    search.add_argument(
        "--trials",
        metavar="N",
        type=_at_least(1),
        default=200,
        help="designs to try (default: %(default)s); a space with no more points is tried whole",
    )
    search.add_argument("--prices", metavar="T", help="the table of prices (default: the machine's, if any)")
    search.add_argument("--seed", metavar="S", type=_at_least(0), default=0, help="of the proposals (default: 0)")
    search.add_argument(
        "--into", metavar="STORE", required=True, help="the SQLite file for the rows; what it has is not computed again"
    )


def _add_sweep(verbs, common: argparse.ArgumentParser) -> None:
    sweep = verbs.add_parser(
        "sweep", parents=[common, _space()], help="compute a design space into a store, once and for all"
    )
    sweep.add_argument("machine", metavar="MACHINE|FILE.toml", help="a machine, or a file that says all of this")
    sweep.add_argument("workloads", metavar="WORKLOAD", nargs="*", help=WORKLOAD)
    sweep.add_argument("--maps", action="store_true", help="store what each unit did over time, too, for heat maps")
    sweep.add_argument("--dask", metavar="ADDRESS", help="run on the cluster of this scheduler, as tcp://host:port")
    sweep.add_argument(
        "--into", metavar="STORE", help="the SQLite file for the rows; what it has is not computed again"
    )
    sweep.add_argument("--export", metavar="FILE", help="then write all rows to a .csv or .parquet file")

    rows = verbs.add_parser("rows", parents=[common], help="say what a store holds, write it out")
    rows.add_argument("store", metavar="STORE")
    rows.add_argument("--export", metavar="FILE", help="write all rows to a .csv or .parquet file")
    rows.add_argument("--prices", metavar="T", help="the table of prices for that file (default: each machine's)")


def _add_report(verbs, common: argparse.ArgumentParser) -> None:
    report = verbs.add_parser("report", parents=[common], help="a store's rows as one page: tables, figures and views")
    report.add_argument("store", metavar="STORE")
    report.add_argument("--out", metavar="FILE", required=True, help="the .html file to write")
    report.add_argument("--figures", metavar="DIR", help="write every figure as PNG and SVG into this folder, too")
    report.add_argument(
        "--prices", metavar="T", help="the table of prices for energy (default: each machine's, if any)"
    )


def _add_compare(verbs, common: argparse.ArgumentParser) -> None:
    compare = verbs.add_parser(
        "compare", parents=[common], help="the same layers on every machine side by side, and where which one wins"
    )
    compare.add_argument("workloads", metavar="WORKLOAD", nargs="+", help=WORKLOAD)
    compare.add_argument(
        "--machines", metavar="M,M:PRESET", help="each with a preset or its first (default: all installed)"
    )
    compare.add_argument("--batch", metavar="N", type=_at_least(1), help="inputs at a time (default: the workload's)")
    compare.add_argument("--prices", metavar="T,T", help="tables of prices; each machine takes the first that it has")
    compare.add_argument("--check", action="store_true", help="compare the values with the references")
    compare.add_argument("--out", metavar="DIR", help="draw time and energy over the batch into this folder")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 where a check failed, 2 for bad input, 130 when interrupted."""
    argv = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in argv
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by >&-
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (for as long as the process lives)
    with contextlib.suppress(AttributeError):  # a stream that a notebook or a test put in its place
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error
    try:
        options = parser().parse_args(argv)
        if options.verb in ("sweep", "search"):  # before NumPy comes: processes must not each start BLAS threads
            for library in ("OPENBLAS", "MKL", "OMP"):
                os.environ.setdefault(f"{library}_NUM_THREADS", "1")
        from cyclekit.command import commands

        return commands.VERBS[options.verb](options)
    except KeyboardInterrupt:
        print("zeroskip: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; nothing is left to say, not even when Python flushes at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from workloads.errors import BadInput

        if debug or not isinstance(error, BadInput | OSError | MemoryError):
            raise
        print(f"zeroskip: error: {_line(error)}", file=sys.stderr)
        return 2


def _at_least(least: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        with contextlib.suppress(ValueError):
            if (number := int(text)) >= least:
                return number
        raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")

    return whole


def _line(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for this workload on this machine"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())
