"""Does a shell that has read the completion script offer the words that a verb takes?"""

import shutil
import subprocess

import pytest

from cyclekit import machine
from cyclekit.command.cli import VERBS
from workloads import catalogue

# {what is typed, up to the word that is completed: what is offered}
OFFERED = {
    "zeroskip se": {"sensitivity", "search"},
    "zeroskip run ei": {"eie", "eie:isca2016", "eie:silicon", "eie:isca2016-28nm"},
    "zeroskip run eie alex-7": {name for name in catalogue.describe() if name.startswith("alex-7")},
    "zeroskip run eie alex-7 --pri": {"--prices"},
    "zeroskip run eie : si": {"silicon"},
    "zeroskip run eie :": {name for chosen in machine.all_installed() for name in chosen.presets},
    "zeroskip run eie : nowhere": set(),
    "zeroskip run eie alex-7 --preset si": {"silicon"},
    "zeroskip run eie:si": {"eie:silicon"},
    "zeroskip adapt tiny --machine eie:si": {"eie:silicon"},
    "zeroskip sweep eie alex-7 --vary n_pe": {"n_pes="},
    "zeroskip list pre": {"presets"},
    "zeroskip llm llama-2-7b": {"llama-2-7b"},
    "zeroskip completion ": {"bash", "zsh"},
}
ASK = """{script}
COMP_WORDS=({words}); COMP_CWORD={place}
_zeroskip
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def script(zeroskip):
    return zeroskip("completion", "bash").out


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize("typed", OFFERED)
def test_bash_offers(typed, script):
    words = typed.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    text = ASK.format(script=script, words=quoted, place=len(words) - 1)
    ended = subprocess.run(["bash", "--norc", "-c", text], capture_output=True, text=True, check=True)
    offered = {word for word in ended.stdout.split() if not word.startswith("--") or words[-1]}
    assert (offered, ended.stderr) == (OFFERED[typed], "")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_zsh_reads_the_script(zeroskip):
    text = zeroskip("completion", "zsh").out + "whence -w _zeroskip"
    ended = subprocess.run(["zsh", "-f", "-c", text], capture_output=True, text=True, check=True)
    assert ended.stdout == "_zeroskip: function\n"


def test_every_verb_and_machine_is_in_the_script(script):
    for name in (*VERBS, *machine.installed()):
        assert f" {name} " in script.replace("'", " ").replace(")", " ")
