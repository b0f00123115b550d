"""Is what is left of a command that is killed or interrupted at a random moment whole, and does it go on as if not?

    python tests/campaign/kills.py [--kills N] [--seed S] [--only VERB]

A command gets SIGKILL, it alone or with all its workers, or SIGINT, as from Ctrl-C, at a moment drawn between its
start and the end of an undisturbed one. A store then holds rows of the undisturbed space only, none of those from
before lost and none twice, and the same command goes on until it is through. A file is the undisturbed one or is not
there; beside it lies nothing but, after SIGKILL, a hidden temporary file. After SIGINT the command says so in one line.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from cyclekit.sweep.store import Store
from tests.sweep_cases import rows

SPACE = ("eie", "nt-lstm", "--workers", "2", "--vary", "n_pes=16,32,64", "--vary", "queue_depth=2:256")
SWEEP = ("sweep", *SPACE, "--vary", "clock_mhz=1,2", "--into", "rows.db")
N_ROWS = 3 * 255 * 2
RECIPE = '[[step]]\ndo = "prune"\ndensity = 0.3\n[[step]]\ndo = "share"\n'
PROGRAM = "import sys; from cyclekit.command.cli import main; sys.exit(main())"
HIDDEN = ".zeroskip-"


@dataclass
class Verb:
    """A command, what its folder holds before it runs, and how many of 100 kills it gets."""

    arguments: tuple[str, ...]
    share: int
    store: bool = False  # what it leaves is a store, which the next one goes on with
    files: dict[str, bytes] = field(default_factory=dict)


def start(verb: Verb, folder: Path) -> subprocess.Popen:
    for name, content in verb.files.items():
        (folder / name).write_bytes(content)
    program = [sys.executable, "-c", PROGRAM, *verb.arguments]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(program, cwd=folder, env=environment, start_new_session=True, **quiet)


def outputs(verb: Verb, folder: Path) -> dict[str, bytes]:
    """Return {name: content} of the files in a folder and below that the command wrote, hidden ones left out."""
    written = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in sorted(written.items())
        if not path.name.startswith((HIDDEN, *verb.files))  # a store that is read may have its WAL beside it
    }


def undisturbed(verb: Verb) -> tuple[dict, float]:
    """Return what a command leaves that is left alone, rows or files, and how long it took; run twice, the same."""
    left = []
    for _ in range(2):  # the first compiles the kernels
        with tempfile.TemporaryDirectory() as folder:
            since = time.monotonic()
            running = start(verb, Path(folder))
            complaint = running.communicate()[1]
            seconds = time.monotonic() - since
            assert running.returncode == 0, complaint
            left.append(rows(Path(folder) / "rows.db") if verb.store else outputs(verb, Path(folder)))
    assert left[0] == left[1], "two undisturbed runs differ: there is nothing to compare to"
    return left[0], seconds


def stop(running: subprocess.Popen, dice: random.Random, moment_s: float) -> tuple[str | None, str]:
    """End a command after a while; return how, or None where it was through before, and what it said."""
    with suppress(subprocess.TimeoutExpired):
        running.wait(moment_s)
    if running.poll() is not None:
        return None, running.communicate()[1]
    name = dice.choice(("kill all", "kill it", "interrupt all"))
    end = os.kill if name == "kill it" else os.killpg
    end(running.pid, signal.SIGINT if name == "interrupt all" else signal.SIGKILL)
    said = running.communicate()[1]  # until its workers have ended too: they hold the pipe
    return name, said


def check_interrupted(running: subprocess.Popen, said: str) -> None:
    """Assert that one line said it, or that Python itself had not got as far as to hear it, or that all was done."""
    if running.returncode == 130:
        assert said.splitlines()[-1] == "zeroskip: interrupted", said
        assert "Traceback" not in said, said
    else:
        assert running.returncode in (0, -signal.SIGINT), (running.returncode, said)


def on_a_store(verb: Verb, space: dict, whole_s: float, n_kills: int, dice: random.Random) -> str:
    """Kill a command that fills a store again and again, until it is through; then begin another store."""
    n_killed = n_runs = n_through = 0
    while n_killed < n_kills:
        with tempfile.TemporaryDirectory() as name:
            path, before, through = Path(name) / "rows.db", {}, False
            while not through:
                running = start(verb, Path(name))
                last = n_killed >= n_kills
                how_ended, said = stop(running, dice, 1e6 if last else dice.uniform(0.1, 1.0) * whole_s)
                n_runs += 1
                n_killed += how_ended is not None
                through = running.returncode == 0
                if how_ended == "interrupt all":
                    check_interrupted(running, said)
                else:
                    assert through or how_ended, said
                stored = {}
                if path.exists():
                    Store(path).close()
                    stored = rows(path)
                assert stored.items() <= space.items(), "a row differs"
                assert before.items() <= stored.items(), "a row is lost"
                strangers = {p.name for p in Path(name).iterdir()} - {"rows.db", "rows.db-wal", "rows.db-shm"}
                assert all(stranger.startswith(HIDDEN) for stranger in strangers), strangers
                before = stored
            assert len(stored) == len(space) or verb.arguments[0] == "search"
            n_through += 1
    return f"{n_killed} kills in {n_runs} runs, {n_through} stores completed: no row lost, doubled or different"


def on_files(verb: Verb, whole: dict[str, bytes], whole_s: float, n_kills: int, dice: random.Random) -> str:
    """Kill a command that writes files, each time in a folder of its own."""
    n_killed = n_whole = n_hidden = 0
    while n_killed < n_kills:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            running = start(verb, folder)
            how_ended, said = stop(running, dice, dice.uniform(0.1, 1.0) * whole_s)
            n_killed += how_ended is not None
            left = outputs(verb, folder)
            assert left.items() <= whole.items(), [n for n in left if left[n] != whole.get(n)]
            hidden = list(folder.rglob(f"{HIDDEN}*"))
            if how_ended == "interrupt all":
                check_interrupted(running, said)
                assert not hidden, hidden
            elif how_ended is None:
                assert (running.returncode, left) == (0, whole), said
            n_whole += left == whole
            n_hidden += len(hidden)
    return f"{n_killed} kills, all files there {n_whole} times; no file in part, {n_hidden} hidden temporary ones left"


def verbs() -> dict[str, Verb]:
    """Return the commands; what they read is computed first."""
    recipe = {"recipe.toml": RECIPE.encode()}
    prune = ("prune", "lenet-300-100-dense", "--recipe", "recipe.toml", "--inputs", "64", "--batch", "2")
    search = ("search", *SPACE, "--trials", "150", "--into", "rows.db")
    report = ("report", "few.db", "--out", "page.html", "--figures", "figures")
    with tempfile.TemporaryDirectory() as folder:
        few = ("sweep", "eie", "nt-we", "--vary", "n_pes=16,32", "--vary", "queue_depth=2,8", "--into", "few.db")
        running = start(Verb(few, 0), Path(folder))
        assert running.wait() == 0, running.communicate()[1]
        store = {"few.db": (Path(folder) / "few.db").read_bytes()}
    return {
        "sweep": Verb(SWEEP, 40, store=True),
        "search": Verb(search, 20, store=True),
        "prune": Verb((*prune, "--out", "pruned.npz", "--json", "pruned.json"), 20, files=recipe),
        "report": Verb(report, 20, files=store),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("sweep", "search", "prune", "report"))
    options = parser.parse_args()
    for name, verb in verbs().items():
        if options.only not in (None, name):
            continue
        n_kills = options.kills if options.only else -(-options.kills * verb.share // 100)
        dice = random.Random(options.seed)
        if name == "search":  # what it stores is of the space, whichever points it tries
            space, whole_s = undisturbed(Verb(("sweep", *SPACE, "--into", "rows.db"), 0, store=True))
        else:
            space, whole_s = undisturbed(verb)
        assert name != "sweep" or len(space) == N_ROWS
        result = (on_a_store if verb.store else on_files)(verb, space, whole_s, n_kills, dice)
        print(f"{name}: {result}", flush=True)


if __name__ == "__main__":
    main()
