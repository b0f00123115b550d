"""The verb `completion`: a script with which bash and zsh complete verbs, options, machines, workloads and fields."""

from __future__ import annotations

import argparse
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import fields
from importlib import import_module

from cyclekit import machine
from cyclekit.command.list import KNOWN
from cyclekit.command.verbs import VERBS
from cyclekit.terminal import Output
from workloads import catalogue, tasks
from workloads.transformers import config

SHELLS = ("bash", "zsh")
# Where no word fits, names of files do; a field is followed by its value without a space.
SCRIPT = """_zeroskip() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb=${{COMP_WORDS[1]}} words
    [ "$word" = : ] && before=: word=  # bash parts MACHINE:PRESET at its colon, zsh does not
    if [ "$COMP_CWORD" = 1 ]; then
        words={verbs}
    else case "$before" in
{values}
    *) case "$verb" in
{by_verb}
        esac ;;
    esac fi
    COMPREPLY=( $(compgen -W "$words" -- "$word") )
    case "$before" in --set|--vary) compopt -o nospace 2>/dev/null ;; esac
}}
complete -o default -F _zeroskip zeroskip
"""
FOR_ZSH = "autoload -Uz +X compinit bashcompinit && compinit && bashcompinit\n"


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help='as eval "$(zeroskip completion bash)"')


def run(options: Namespace) -> int:
    """Print the script."""
    out = Output(options.json, options.verb)
    text = (FOR_ZSH if options.shell == "zsh" else "") + script()
    for line in text.splitlines():
        out.verbatim(line)
    out.result({"shell": options.shell, "script": text})
    return 0


def script() -> str:
    """Return what both shells take, made from the verbs' own arguments and the installed machines."""
    machines = machine.all_installed()
    designs = [name for m in machines for name in (m.name, *(f"{m.name}:{preset}" for preset in m.presets))]
    of_machines = {
        "--preset|:": [name for m in machines for name in m.presets],
        "--engine": [name for m in machines for name in m.engines],
        "--prices": [name for m in machines for name in m.prices],
        "--machine|--machines": designs,
        "--set|--vary": [f"{field.name}=" for m in machines for field in fields(m.spec)],
    }
    words = {
        "machine": designs,
        "workload": catalogue.describe(),
        "workloads": catalogue.describe(),
        "network": tasks.describe(),
        "config": config.describe(),
        "what": KNOWN,
    }
    return SCRIPT.format(
        verbs=_quoted(VERBS),
        values="\n".join(f"    {options}) words={_quoted(names)} ;;" for options, names in of_machines.items()),
        by_verb="\n".join(f"        {verb}) words={_quoted(_words(verb, words))} ;;" for verb in VERBS),
    )


def _words(verb: str, names: dict[str, Iterable[str]]) -> list[str]:
    """Return what can follow a verb: its options, and the names that its arguments take."""
    parser = ArgumentParser()
    import_module(f"cyclekit.command.{verb}").add_arguments(parser)
    taken: list[str] = ["--json", "--debug"]
    for action in parser._actions:
        taken += [option for option in action.option_strings if option.startswith("--")]
        if not action.option_strings and action.nargs != argparse.SUPPRESS:
            taken += map(str, action.choices or names.get(action.dest, ()))
    return taken


def _quoted(words: Iterable[str]) -> str:
    return shlex.quote(" ".join(dict.fromkeys(words)))
