"""Arguments that several verbs take, each said once, and how their values are checked.

An option means the same on every verb: --out FILE is the one file that a verb is for, --figures DIR the folder for its
figures; M[:PRESET] is a machine's design; N is a whole number. tests/cyclekit/command/test_one_meaning.py holds
every verb to that.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workloads.graphs.feed import Feed

# What an option or argument of any verb reads, and what one writes. Whoever opens a store checks it.
INPUTS = ("workload", "workloads", "network", "machine", "what")  # names of files among other names
ALWAYS_FILES = ("recipe", "calibration", "analysis", "scores")
DATA = "inputs"  # a file where it is no number
OUTPUTS = ("json", "out", "chrome", "vcd")  # files
FOLDERS = ("figures", "folder")  # only written to
MACHINE = "a machine, at its first preset, or MACHINE:PRESET (zeroskip list presets)"
WORKLOAD = """a name (zeroskip list workloads); a file of weights, such as .onnx, .safetensors or .npz, or FILE:LAYER or
FILE:GLOB of its layers; or, where no values are needed, sizes as MxNxK, or C*MxNxK for C of them in a kernel"""


def at_least(least: int) -> Callable[[str], int]:
    """Return the type of an option that takes whole numbers from `least` on."""

    def whole(text: str) -> int:
        with contextlib.suppress(ValueError):
            if (number := int(text)) >= least:
                return number
        raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")

    return whole


def add_design(parser: argparse.ArgumentParser) -> None:
    """Add a machine, a workload, and changes of the design that it starts from."""
    add_machine(parser)
    parser.add_argument("workload", metavar="WORKLOAD", help=WORKLOAD)
    add_set(parser)


def add_machine(
    parser: argparse.ArgumentParser, name: str = "machine", metavar: str = "MACHINE[:PRESET]", more: str = "", **options
) -> None:
    """Add the choice of one machine, and its preset, which can stand in either place."""
    parser.add_argument(name, metavar=metavar, help=f"{MACHINE}{more}", **options)
    parser.add_argument(
        "--preset", metavar="PRESET", help="the machine's preset, where it is not said as MACHINE:PRESET"
    )


def at_preset(machine: str | None, preset: str) -> str:
    """Return MACHINE:PRESET, of no machine :PRESET. Raises BadInput where the machine's word says the design."""
    if machine is not None and (":" in machine or machine.endswith(".toml")):
        from workloads.errors import BadInput

        raise BadInput(f"--preset must be left out where {machine!r} says the design, got {preset!r}")
    return f"{machine or ''}:{preset}"


def add_set(parser: argparse.ArgumentParser) -> None:
    """Add changes of a design."""
    parser.add_argument(
        "--set", metavar="FIELD=VALUE", action="append", default=[], help="change a field of the design"
    )


def add_engine(parser: argparse.ArgumentParser, default: str = "the machine's, schedule for positions") -> None:
    """Add the choice of an engine."""
    parser.add_argument(
        "--engine",
        metavar="E",
        help=f"events (SimPy) or schedule (jitted): the same cycles (default: {default})",
    )


def add_machines(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Add the choice of several machines."""
    parser.add_argument(
        "--machines",
        metavar=f"M,M:PRESET{more}",
        help="each at its first preset or at the one named (default: all that are installed)",
    )


def add_prices(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a table of prices."""
    parser.add_argument(
        "--prices", metavar="T", help="the table of prices for energy (default: each machine's, if any)"
    )


def add_check(parser: argparse.ArgumentParser) -> None:
    """Add whether values are checked."""
    parser.add_argument("--check", action="store_true", help="compare the values with the references")


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add where chance starts."""
    parser.add_argument("--seed", metavar="N", type=at_least(0), default=0, help="of all that is drawn (default: 0)")


def add_into(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Add the store."""
    parser.add_argument(
        "--into",
        metavar="STORE",
        required=required,
        help="the SQLite file for what is computed; what it has is not computed again",
    )


def add_out(parser: argparse.ArgumentParser, what: str, required: bool = False) -> None:
    """Add the one file that a verb is for."""
    parser.add_argument("--out", metavar="FILE", required=required, help=f"write {what} to this file")


def add_folder(parser: argparse.ArgumentParser, default: str = "") -> None:
    """Add the folder for files that are no figures."""
    said = f" (default: {default})" if default else ""
    parser.add_argument("--folder", metavar="DIR", help=f"keep the files in this folder{said}")


def add_budget(parser: argparse.ArgumentParser, metavar: str, required: bool = False) -> None:
    """Add what may be spent."""
    said = "a share of the time, as 0.5, or an amount with its unit, as 900ms"
    parser.add_argument("--budget", metavar=metavar, required=required, help=said)


def add_feed(parser: argparse.ArgumentParser) -> None:
    """Add what reaches the workload: inputs, densities to draw at, positions to run."""
    parser.add_argument(
        "--inputs",
        metavar="N|FILE|random:SEED",
        help="only the first N inputs, or N drawn ones; or an .npz of arrays by input name; or drawn by that seed",
    )
    parser.add_argument(
        "--activation-density",
        metavar="D|GLOB=D,...",
        help="draw what reaches the layers, with that share of it not zero (0 to 1)",
    )
    parser.add_argument(
        "--positions",
        metavar="N",
        type=at_least(1),
        help="run N drawn positions of each layer and scale (default: all)",
    )
    parser.add_argument("--architecture", metavar="A", help="what network a file without a graph is of: squeezenet-1.0")


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Add how many inputs enter together."""
    parser.add_argument(
        "--batch", metavar="N", type=at_least(1), help="inputs that enter together (default: all, or one at a time)"
    )


def feed_of(options: argparse.Namespace) -> Feed:
    """Return what the options of `add_feed` say. Raises BadInput."""
    from workloads.graphs.feed import Feed  # late: `--help` must answer at once

    return Feed.of(options.inputs, options.activation_density, options.positions, options.architecture)


def add_layer(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a layer."""
    parser.add_argument("--layer", metavar="L", help="the layer of a network (default: its first)")


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add a network to compress, and what it is calibrated on."""
    parser.add_argument("network", metavar="NETWORK", help="see 'zeroskip list networks'; or FILE:LAYERS of weights")
    add_feed(parser)
    parser.add_argument(
        "--calibration", metavar="FILE", help="a named network's: an .npz file of inputs, and perhaps labels"
    )
    parser.add_argument(
        "--batch", metavar="N", type=at_least(1), default=16, help="inputs of each matrix to time (default: 16)"
    )


def add_figures(parser: argparse.ArgumentParser, what: str = "the figures", default: str | None = None) -> None:
    """Add the folder for figures, which `cyclekit.terminal.make_folder` makes."""
    said = f"draw {what} into this folder" + ("" if default is None else " (default: %(default)s)")
    parser.add_argument("--figures", metavar="DIR", default=default, help=said)


def add_space(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which points a space has and how they run."""
    parser.add_argument(
        "--vary",
        metavar="FIELD=VALUES",
        action="append",
        default=[],
        help="values as 1,2,5 or 1,2,4,...,256 or 2:256:x2 or 8:64:+8; the field named last changes fastest",
    )
    add_set(parser)
    add_engine(parser, "the machine's for sweeps")
    add_feed(parser)
    add_batch(parser)
    add_workers(parser)


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add how many processes compute."""
    parser.add_argument("--workers", metavar="N", type=at_least(1), help="processes (default: one a core)")


def check_outputs(values: Mapping[str, Any]) -> None:
    """Raise BadInput where a file that would be written is read, or written twice, by a verb with these options."""
    outputs = {name: str(values[name]) for name in OUTPUTS if values.get(name) not in (None, "-")}
    if not outputs:
        return
    from cyclekit.terminal import check_apart, check_writable  # late: `--help` must answer at once
    from workloads.address import SUFFIXES, split
    from workloads.errors import BadInput
    from workloads.points import networks as cloud_networks

    given = [values[name] for name in INPUTS if values.get(name) is not None]
    names = [name for value in given for name in ([value] if isinstance(value, str) else value)]
    files = [path for name in names if (path := split(name)[0]).suffix.lower() in (*SUFFIXES, ".toml")]
    files += [cloud[0] for name in names if (cloud := cloud_networks.split(name))]
    if (config := values.get("config")) is not None:
        files += [Path(config), Path(config) / "config.json"]  # a name, too, is a file where there is one
    files += [values[name] for name in ALWAYS_FILES if values.get(name) is not None]
    if str(values.get(DATA)).endswith(".npz"):
        files.append(values[DATA])
    options: dict[Path, str] = {}
    for option, path in outputs.items():
        check_apart(path, f"--{option}", files)
        place = Path(path).resolve()
        if place in options and (place.is_file() or not place.exists()):  # no device or pipe
            check_writable(Path(path), f"--{option}")  # a store is refused as that
            raise BadInput(f"--{options[place]} and --{option} must name two files, got {path!r} for both")
        options[place] = option
    for option in FOLDERS:
        path = values.get(option)
        if path is not None and (place := Path(path).resolve()) in options and not place.is_dir():
            raise BadInput(f"--{options[place]} must name a file and --{option} a folder, got {path!r} for both")
