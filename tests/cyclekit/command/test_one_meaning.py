"""Does an option mean the same on every verb that has it?"""

import argparse
import re
from collections import defaultdict
from importlib import import_module

import pytest

from cyclekit.command.arguments import FOLDERS, OUTPUTS
from cyclekit.command.cli import VERBS, parser

# {first alternative of a metavar: what kind of value that is}; of others, words that the verb knows
KINDS = {"N": "number", "D": "share", "FILE": "file", "PATH": "file", "STORE": "store", "DIR": "folder"}


def verbs():
    """Return the whole parser of every verb, by name."""
    top = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    for verb, found in top.choices.items():
        import_module(f"cyclekit.command.{verb}").add_arguments(found)
    return top.choices


def options():
    """Return (verb, option, its action) of all verbs."""
    return [
        (verb, name, action)
        for verb, found in verbs().items()
        for action in found._actions
        for name in action.option_strings
    ]


def kind(action) -> str:
    """Return what kind of value an option takes: of several alternatives, the first."""
    if action.nargs == 0:
        return "none"
    return KINDS.get(action.metavar.split("|")[0], "words")


def of_one_name(what) -> dict[str, dict]:
    """Return {option: {what it is: verbs}} of those that are not the same on all verbs."""
    found = defaultdict(lambda: defaultdict(list))
    for verb, name, action in options():
        found[name][what(action)].append(verb)
    return {name: dict(verbs) for name, verbs in found.items() if len(verbs) > 1}


def test_every_verb_is_asked():
    assert {verb for verb, _, _ in options()} == set(VERBS)


def test_options_of_one_name_take_one_kind_of_value():
    assert of_one_name(kind) == {}


def test_options_of_one_name_may_be_repeated_on_all_verbs_or_on_none():
    assert of_one_name(lambda action: type(action)) == {}


def test_only_figures_go_into_figures_and_one_file_into_out():
    kinds = {(name, kind(action)) for _, name, action in options()}
    assert {found for name, found in kinds if name == "--out"} == {"file"}
    assert {found for name, found in kinds if name == "--figures"} == {"folder"}
    drawn = {name for _, name, action in options() if kind(action) == "folder" and "draw" in action.help}
    assert drawn == {"--figures"} < {f"--{name}" for name in FOLDERS}
    assert "figures" not in OUTPUTS


# Whose help may differ, and why: each verb says what the file, the folder, the amount or the table is of.
OF_THE_VERB = {
    "--out": "write .* to this file",
    "--figures": "draw .* into this folder",
    "--folder": "keep the files in this folder",
    "--batch": "inputs that enter together|inputs of each matrix to time|sequences at once",
    "--prices": "the table of prices for energy|tables of prices, of which each machine takes the first",
}


def test_options_of_one_name_say_the_same_on_all_verbs():
    different = of_one_name(lambda action: action.help.partition(" (default")[0])
    assert different.keys() <= OF_THE_VERB.keys()
    assert [text for name, texts in different.items() for text in texts if not re.match(OF_THE_VERB[name], text)] == []


def test_every_verb_that_names_a_machine_takes_a_preset_with_it():
    named = [
        action
        for verb, found in verbs().items()
        for action in found._actions
        if action.dest in ("machine", "machines") and verb != "validate"  # which says what was published of presets
    ]
    assert len(named) >= 9
    assert all(":PRESET" in action.metavar for action in named)
    alone = {verb for verb, found in verbs().items() for action in found._actions if action.dest == "machine"}
    assert {verb for verb, name, _ in options() if name == "--preset"} == alone - {"validate"}


def test_a_whole_number_is_called_n():
    of_type = [(action.metavar, action.type) for _, _, action in options() if action.type is not None]
    assert {metavar.split("|")[0] for metavar, made in of_type if isinstance(made("1"), int)} == {"N"}


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("compare alex-7 --out f", "unrecognized arguments: --out f, did you mean '--figures'?; see 'zeroskip compare"),
        ("validate eie --out f", "unrecognized arguments: --out f, did you mean '--figures'?; see 'zeroskip validate"),
        ("tradeoff tiny --out f", "unrecognized arguments: --out f, did you mean '--figures'?; see 'zeroskip tradeoff"),
        ("sensitivity tiny --out=f", "unrecognized arguments: --out=f, did you mean '--figures'?; see 'zeroskip sens"),
        ("llm gpt2 --input 8 --out 9", "unrecognized arguments: --out 9, did you mean '--figures'?; see"),
        ("demo --out f", "unrecognized arguments: --out f, did you mean '--figures'?; see 'zeroskip demo --help'"),
        ("data digits --out f", "unrecognized arguments: --out f, did you mean '--folder'?; see 'zeroskip data"),
        (
            "trace eie nt-we --input 3",
            "unrecognized arguments: --input 3, did you mean '--inputs'?; see 'zeroskip trace",
        ),
        ("run eie nt-we --input 3", "unrecognized arguments: --input 3, did you mean '--inputs'?; see 'zeroskip run"),
        (
            "rows a.db --out e.csv --price fig9",
            "unrecognized arguments: --price fig9, did you mean '--prices'?; see",
        ),
        ("rows a.db b.db", "unrecognized arguments: b.db; see 'zeroskip rows --help'"),
        ("--vers", "the following arguments are required: COMMAND; see 'zeroskip --help'"),
    ],
)
def test_an_option_that_a_verb_does_not_have_is_refused_with_the_one_that_it_has(zeroskip, command, complaint):
    assert zeroskip(*command.split()).complaint().startswith(complaint)
