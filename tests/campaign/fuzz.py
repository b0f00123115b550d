"""Is every file and every setting, damaged at random, either read or refused in one line?

    python tests/campaign/fuzz.py [--cases N] [--seed S] [--only NAME] [--case I]

A case is a valid sample with some bytes, numbers or lines changed, or noise. Each runs with a limit of LIMIT_S and of
MEMORY_BYTES in a process that the parent watches; --case I runs one alone, with its traceback. A fault is a traceback,
a complaint of more than one line, a crash, a limit that is reached, and a file left behind by what was refused.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from cyclekit.command.cli import main as zeroskip
from cyclekit.sweep.sweep import Sweep
from cyclekit.sweep.sweep import sweep as compute
from tests.campaign.samples import CONFIG, INDEX, RECIPE, REFUSED, SETTINGS, SWEEP, VARIED, clouds
from tests.reader_samples import NET_SHAPES, SAMPLES
from tests.sweep_cases import small
from workloads import BadInput
from workloads.catalogue import load
from workloads.readers import deep_compression
from workloads.transformers import config

LIMIT_S = 10  # of the processor, and six times that by the clock
NOT_RUN = "as far as the first point"
MEMORY_BYTES = 4 * 2**30
NUMBERS = (b"0", b"1", b"-1", b"3", b"65536", b"999999999999", b"18446744073709551616", b"9" * 5000, b"1e9", b"1e999")
NUMBERS += (b"0x" + b"F" * 5000, b"nan", b"inf", b"0x10", b"1_0", b"-0.0", b"1e-400", b"", b"true", "\u0663".encode())
TOKENS = (b"=", b":", b",", b"...", b"x2", b"+", b"[", b"]" * 40, b"[" * 20000, b"{", b'"', b"\0", b"\n", b"\xff", b" ")


def damaged(dice: random.Random, samples: tuple[bytes, ...]) -> bytes:
    """Return a sample with one to three changes, or noise in its place."""
    content = bytearray(dice.choice(samples))
    if dice.random() < 0.05:
        return dice.randbytes(dice.randrange(200))
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        place = dice.randrange(len(content) + 1)
        end = min(len(content), place + dice.choice((1, 2, 4, 8, 32)))
        change = dice.randrange(8)
        if change == 0:
            content[place:end] = dice.randbytes(end - place)
        elif change == 1:
            del content[place:end]
        elif change == 2:
            content[place:place] = content[place:end]
        elif change == 3:
            del content[place:]
        elif change == 4:
            content[place:place] = dice.choice(TOKENS)
        elif change == 5 and (spots := [found.span() for found in re.finditer(rb"\d+", content)]):
            begin, stop = dice.choice(spots)
            content[begin:stop] = dice.choice(NUMBERS)
        elif change == 6:
            lines = content.split(b"\n")
            lines.insert(dice.randrange(len(lines)), dice.choice(dice.choice(samples).split(b"\n")))
            content = bytearray(b"\n").join(lines)
        elif place < len(content):
            content[place] ^= 1 << dice.randrange(8)
    return bytes(content)


def command(*arguments: str) -> str:
    """Return "read" or "refused", from the command's status, in the folder in which it runs."""
    before = set(os.listdir())
    complaint = io.StringIO()
    with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
        status = zeroskip(arguments)
    if status == 2:
        lines = [line for line in complaint.getvalue().splitlines() if "expecting about" not in line]
        assert len(lines) == 1, complaint.getvalue()
        assert lines[0].startswith("zeroskip: error: "), lines[0]
        assert set(os.listdir()) == before, set(os.listdir()) - before
        return "read" if lines[0].endswith(NOT_RUN) else "refused"
    assert status in (0, 1), status
    return "read"


def file_of(name: str, read: Callable[[str], object]) -> Callable[[bytes], str]:
    """Return what writes a file of that name and reads it."""

    def run(content: bytes) -> str:
        Path(name).write_bytes(content)
        try:
            read(name)
        except BadInput as complaint:
            return "refused" if "\n" not in str(complaint) else f"fault: {complaint}"
        return "read"

    return run


def weights_of(name: str) -> object:
    return deep_compression.read(Path(name), NET_SHAPES) if name.endswith(".net") else load(Path(name))


def points_of(name: str) -> object:
    """Read a cloud with a layer on it; how many points it may have is for the limit of memory."""
    return load(f"{name}:submanifold-3x3x3{'' if name.endswith('.npz') else '@0.5'}")


def sweep_file(content: bytes) -> str:
    Path("s.toml").write_bytes(content)
    return command("sweep", "s.toml")


def recipe(content: bytes) -> str:
    Path("r.toml").write_bytes(content)
    return command("prune", "layer.npz", "--recipe", "r.toml", "--out", "pruned.npz", "--batch", "1")


def vary(content: bytes) -> str:
    arguments = [argument for word in content.split(b"|") for argument in ("--vary", word.decode(errors="replace"))]
    return command("sweep", "eie", "layer.npz", *arguments, "--into", "rows.db")


def settings(content: bytes) -> str:
    arguments = [argument for word in content.split(b"|") for argument in ("--set", word.decode(errors="replace"))]
    return command("run", "eie", "layer.npz", *arguments, "--engine", "schedule")


def store(content: bytes) -> str:
    Path("damaged.db").write_bytes(content)
    return command("rows", "damaged.db", "--out", "rows.csv")


def report(content: bytes) -> str:
    Path("damaged.db").write_bytes(content)
    return command("report", "damaged.db", "--out", "page.html")


def targets(samples: Path) -> dict[str, tuple[Callable[[bytes], str], tuple[bytes, ...], int]]:
    """Return {name: (what runs it, samples, how many of 100 cases)}; puts the files beside them into the folder."""
    np.savez(samples / "layer.npz", weights=small().weights, activations=small().activations, bias=small().bias)
    compute("eie", [small()], vary={"n_pes": (1, 2), "queue_depth": (2, 8)}, into=samples / "rows.db", n_workers=1)
    rows = (samples / "rows.db").read_bytes()
    (samples / "rows.db").unlink()
    weights = {}
    for name, sample in SAMPLES.items():
        try:
            weights[name] = file_of(name, weights_of), (sample(),), 8
        except pytest.skip.Exception as missing:
            print(f"left out, {name}: {missing}", flush=True)
    (samples / "shard.safetensors").write_bytes(SAMPLES["a.safetensors"]())
    weights |= {name: (file_of(name, weights_of), (sample,), 2) for name, sample in REFUSED.items()}
    points = {name: (file_of(name, points_of), (sample,), 4) for name, sample in clouds().items()}
    if not importlib.util.find_spec("laspy"):
        points = {name: target for name, target in points.items() if not name.endswith(".las")}
        print("left out, .las: no laspy", flush=True)
    return {
        **weights,
        **points,
        "config.json": (file_of("config.json", config.load), (CONFIG,), 4),
        "a.safetensors.index.json": (file_of("a.safetensors.index.json", weights_of), (INDEX,), 4),
        "sweep": (sweep_file, (SWEEP,), 12),
        "recipe": (recipe, (RECIPE,), 6),
        "vary": (vary, (*VARIED, b"|".join(VARIED[1:3])), 12),
        "set": (settings, (*SETTINGS, b"|".join(SETTINGS)), 8),
        "store": (store, (rows,), 5),
        "report": (report, (rows,), 1),
    }


def run_one(name: str, target, dice: random.Random, samples: Path) -> str:
    """Return what became of one case, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(samples, folder, dirs_exist_ok=True)
        os.chdir(folder)
        try:
            return target[0](damaged(dice, target[1]))
        finally:
            os.chdir(samples)


def child(cases: range, told: int, named: list[str], all_targets, seed: int, samples: Path) -> None:
    """Run cases one after the other, telling the parent each one's beginning and end."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for case in cases:
        os.write(told, f"{case}\n".encode())
        signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
        signal.alarm(6 * LIMIT_S)
        name = named[case % len(named)]
        try:
            outcome = run_one(name, all_targets[name], random.Random(f"{seed} {case}"), samples)
        except BaseException:
            outcome = "fault: " + traceback.format_exc().replace("\n", "\r")
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        os.write(told, f"{outcome[:4000]}\n".encode(errors="replace"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="what to damage (default: everything)")
    parser.add_argument("--case", type=int, help="run this one alone, with its traceback")
    options = parser.parse_args()
    os.environ["PATH"] = ""  # nothing that is read may start a program
    outcomes: dict[str, Counter] = {}
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder)
        all_targets = targets(samples)
        Sweep.run = refuse_to_run
        named = [name for name, target in all_targets.items() for _ in range(target[2])]
        random.Random(0).shuffle(named)
        named = [options.only] if options.only else named
        for name in dict.fromkeys(named):  # compiles, and shows that the samples are sound
            sound = [run_sample(all_targets[name][0], sample, samples) for sample in all_targets[name][1]]
            if set(sound) != {"refused" if name in REFUSED else "read"}:
                sys.exit(f"the samples of {name} are not sound: {sound}")
        if options.case is not None:
            name = named[options.case % len(named)]
            print(name, run_one(name, all_targets[name], random.Random(f"{options.seed} {options.case}"), samples))
            return 0
        case = 0
        while case < options.cases:
            told, tells = os.pipe()
            pid = os.fork()
            if not pid:
                os.close(told)
                child(range(case, options.cases), tells, named, all_targets, options.seed, samples)
                os._exit(0)
            os.close(tells)
            with open(told, encoding="utf-8", errors="replace", newline="\n") as lines:
                for line in lines:
                    case = int(line)
                    name = named[case % len(named)]
                    outcome = lines.readline().rstrip("\n")
                    if not outcome:  # it has ended without a word
                        outcome = f"fault: ended by {signal.Signals(os.waitpid(pid, 0)[1] & 127).name}"
                    outcomes.setdefault(name, Counter())[outcome.partition(":")[0]] += 1
                    if outcome.startswith("fault"):
                        faults.append(case)
                        text = outcome.replace("\r", "\n")
                        print(f"case {case}, seed {options.seed}, {name}: {text}", flush=True)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
            case += 1
    for name, counts in outcomes.items():
        print(f"{name}: " + ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())))
    print(f"{sum(c.total() for c in outcomes.values())} cases, seed {options.seed}, {len(faults)} faults")
    return bool(faults)


def run_sample(target: Callable[[bytes], str], sample: bytes, samples: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(samples, folder, dirs_exist_ok=True)
        os.chdir(folder)
        try:
            return target(sample)
        finally:
            os.chdir(samples)


def refuse_to_run(self, into, step, pool=None):
    """Stand in for the points of a sweep, of which a damaged file may have millions."""
    self.estimate()
    raise BadInput(NOT_RUN)


if __name__ == "__main__":
    sys.exit(main())
