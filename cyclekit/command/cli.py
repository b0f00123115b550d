"""The command `zeroskip`: its verbs, and how it ends.

A verb is a file here, named as the verb, with `add_arguments(parser)` and `run(options)`, and a line of VERBS. A verb's
file is imported when its arguments are parsed, as most bring NumPy along: `--help` must answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from cyclekit.command.arguments import FOLDERS, at_preset, check_outputs
from cyclekit.command.verbs import VERBS

EPILOG = """examples:
  zeroskip list workloads
  zeroskip run eie alex-7 --check
  zeroskip run eie lenet-300-100 --inputs 10 --set n_pes=16 --engine schedule
  zeroskip run eie:silicon my_layer.npz --json run.json
  zeroskip explain eie lenet-300-100 --set n_pes=16 --row 132 --column 300
  zeroskip trace eie lenet-300-100 --set n_pes=8 --window 1:80 --chrome t.json
  zeroskip run tensorcore 4096x4096x4096 --set sparsity=2:4
  zeroskip prune lenet-300-100-dense --recipe recipe.toml --out pruned.npz
  zeroskip adapt lenet-300-100-dense --machine eie --budget 0.5 --out half.npz
  zeroskip tradeoff lenet-300-100-dense --density 0.25 --figures figures
  zeroskip sweep eie alex-7 --vary n_pes=1,2,4,...,256 --into results.db
  zeroskip rows results.db --out results.csv --prices calibrated
  zeroskip report results.db --out report.html
  zeroskip search eie alex-7 --vary n_pes=1:64 --where 'area_mm2<=9' --into s.db
  zeroskip compare alex-7 --machines eie,tensorcore:h100-sxm
  zeroskip llm llama-3.1-8b --machine tensorcore:h100-sxm --input 1024
  zeroskip validate eie --figures figures
  eval "$(zeroskip completion bash)"
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        from workloads.errors import BadInput

        raise BadInput(f"{message}; see '{self.prog} --help'")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            from workloads.errors import did_you_mean

            self.error(
                f"unknown {str(action.metavar or action.dest).lower()} {value!r}{did_you_mean(value, action.choices)}"
            )


class Version(argparse.Action):
    """Says the version of the distribution, which takes a while to look up and so is not looked up before."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Print it and end."""
        from importlib.metadata import version

        print(f"zeroskip {version('zeroskip')}")
        parser.exit()


class VerbParser(Parser):
    """The parser of one verb, which gets its arguments from the verb's file when it is first used."""

    def parse_known_args(self, args=None, namespace=None):
        """Parse as any parser does, after the verb's file has been imported. Raises BadInput for words left over."""
        if self.get_default("run") is None:
            verb = self.prog.rpartition(" ")[2]
            module = import_module(f"cyclekit.command.{verb}")
            module.add_arguments(self)
            self.set_defaults(run=module.run)
        unknown = [place for place, word in enumerate(args) if self._is_unknown(word)]
        first = args[unknown[0] : unknown[0] + 2] if unknown else []  # said before what is required and not there
        left = [word for place, word in enumerate(first) if not place or not word.startswith("-")]
        if not left:
            options, left = super().parse_known_args(args, namespace)
            if getattr(options, "preset", None) is not None:
                if sum(word.partition("=")[0] == "--preset" for word in args) > 1:  # argparse would take the last
                    self.error("--preset must be given once")
                options.machine = at_preset(options.machine, options.preset)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}{self._nearest(left)}")
        return options, left

    def _is_unknown(self, word: str) -> bool:
        return word.startswith("--") and word != "--" and word.partition("=")[0] not in self._option_string_actions

    def _nearest(self, left: Sequence[str]) -> str:
        """Return ", did you mean '--option'?" of the first word that looks like one, where the verb has one near."""
        from difflib import get_close_matches

        known = {name.strip("-"): name for action in self._actions for name in action.option_strings}
        for folder in (name for name in FOLDERS if name in known):
            known.setdefault("out", known[folder])  # a folder is no file, which --out names everywhere
        word = next((word.partition("=")[0].strip("-") for word in left if word.startswith("-")), "")
        longer = [name for name in known if word and name.startswith(word)]
        near = [name for name in longer if name == word] or longer or get_close_matches(word, known, n=1, cutoff=0.7)
        return f", did you mean {known[near[0]]!r}?" if near else ""


def parser() -> Parser:
    """Return the grammar of the command line."""
    top = Parser(
        prog="zeroskip",
        allow_abbrev=False,
        description="Cycle-level simulators of hardware that skips zeros.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", metavar="PATH|-", help="write the result as JSON to a file, or to standard output")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    top.add_argument("--version", action=Version, nargs=0, help="say which version this is")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND", parser_class=VerbParser)
    for verb, summary in VERBS.items():
        said = f"{summary[0].upper()}{summary[1:]}."
        verbs.add_parser(verb, parents=[common], help=summary, description=said, allow_abbrev=False)
    return top


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
        if not argv:
            parser().print_help()
            return 0
        options = parser().parse_args(argv)
        check_outputs(vars(options))
        from workloads.blas import one_thread  # late: it brings NumPy along

        with one_thread():
            return options.run(options)
    except KeyboardInterrupt:
        from cyclekit.terminal import say

        say("interrupted")
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; nothing is left to say, not even when Python flushes at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from cyclekit.terminal import say
        from workloads.errors import BadInput

        if debug or not isinstance(error, BadInput | OSError | MemoryError):
            raise
        say(f"error: {_line(error)}")
        return 2


def _line(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for this workload on this machine"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())
