"""Arguments that several verbs take, each said once: `parents` of a verb's parser, and how their values are checked."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

# What an option or argument of any verb reads, and what one writes. A store is safe, whatever is to be written over it.
INPUTS = ("workload", "workloads", "network", "machine")  # names of files among other names
ALWAYS_FILES = ("recipe", "calibration")
OUTPUTS = ("json", "out", "into", "export", "chrome", "vcd")
WORKLOAD = """a name of the catalogue; an .npz file with weights f32[out,in], activations f32[in] or f32[batch,in], and
perhaps bias f32[out], or one that 'prune' wrote; FILE:LAYER of another file of weights; or, where no values are
needed, sizes as MxNxK"""


def at_least(least: int) -> Callable[[str], int]:
    """Return the type of an option that takes whole numbers from `least` on."""

    def whole(text: str) -> int:
        with contextlib.suppress(ValueError):
            if (number := int(text)) >= least:
                return number
        raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")

    return whole


def add_design(parser: argparse.ArgumentParser) -> None:
    """Add a machine, a workload, and the design that it starts from."""
    parser.add_argument("machine", metavar="MACHINE")
    parser.add_argument("workload", metavar="WORKLOAD", help=WORKLOAD)
    parser.add_argument("--preset", metavar="P", help="the design to start from (default: the machine's first)")
    parser.add_argument("--set", metavar="FIELD=VALUE", action="append", default=[], help="change a field of it")


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the choice of an engine."""
    parser.add_argument("--engine", metavar="E", help="events (SimPy) or schedule (jitted): the same cycles")


def add_layer(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a layer."""
    parser.add_argument("--layer", metavar="L", help="the layer of a network (default: its first)")


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add a network to compress, and what it is calibrated on."""
    parser.add_argument("network", metavar="NETWORK", help="see 'zeroskip list networks'; or FILE:LAYERS of weights")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--inputs", metavar="N", type=at_least(1), help="calibrate on the first N inputs only")
    amount.add_argument("--calibration", metavar="FILE", help="on those of an .npz file: inputs, and perhaps labels")
    parser.add_argument(
        "--batch", metavar="N", type=at_least(1), default=16, help="inputs of each matrix to time (default: 16)"
    )


def add_space(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which points a space has and how they run."""
    parser.add_argument(
        "--vary",
        metavar="FIELD=VALUES",
        action="append",
        default=[],
        help="values as 1,2,5 or 1,2,4,...,256 or 2:256:x2 or 8:64:+8; the field named last changes fastest",
    )
    parser.add_argument("--preset", metavar="P", help="the design to start from (default: the machine's first)")
    parser.add_argument(
        "--set", metavar="FIELD=VALUE", action="append", default=[], help="change a field of all points"
    )
    parser.add_argument("--engine", metavar="E", help="the engine (default: the machine's for sweeps)")
    parser.add_argument("--inputs", metavar="N", type=at_least(1), help="run only the first N inputs of a batch")
    parser.add_argument("--workers", metavar="N", type=at_least(1), help="processes (default: one a core)")


def check_outputs(values: Mapping[str, Any]) -> None:
    """Raise BadInput where a file that would be written is one that is read, of a verb's options and arguments."""
    outputs = {name: str(values[name]) for name in OUTPUTS if values.get(name) not in (None, "-")}
    if not outputs:
        return
    from cyclekit.terminal import check_apart  # late: `--help` must answer at once
    from workloads.address import split
    from workloads.readers import READERS

    given = [values[name] for name in INPUTS if values.get(name) is not None]
    names = [name for value in given for name in ([value] if isinstance(value, str) else value)]
    files = [path for name in names if (path := split(name)[0]).suffix.lower() in (*READERS, ".toml")]
    files += [values[name] for name in ALWAYS_FILES if values.get(name) is not None]
    for option, path in outputs.items():
        check_apart(path, f"--{option}", files)
