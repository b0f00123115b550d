"""Which small faults, put into a file one at a time, would no test of its wing see?

    python tests/campaign/mutate.py [--sample N] [--seed S] [FILE | FOLDER | FILE:LINE ...]

A mutant is run in a copy of the tree with `pytest -x`, the wing's own tests first and the quickest of them first. It is
killed by a test that fails, by a crash, by an import that fails and by a test that takes longer than TEST_S. One that
survives is printed, and exits with 1, unless equivalent.toml says why nobody could tell it from the original.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.campaign.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
TARGETS = ("eie_sim", "tensorcore_sim", "cyclekit/*.py", "workloads/pruning")
TEST_S = 60  # a test takes at most 12 s here, and a kernel as long again to compile
FILE_S = 40  # a file of tests that takes longer is left out, and named
MEMORY_BYTES = 6 * 2**30
PRELOADED = ("numpy", "numba", "scipy.sparse", "scipy.optimize", "simpy", "ml_dtypes", "rich", "pytest")


class Alarm:
    """A plugin of pytest: each test has TEST_S, then the process is killed, in whatever loop it is."""

    def pytest_collection(self):
        signal.alarm(TEST_S)

    def pytest_runtest_logstart(self):
        signal.alarm(TEST_S)


class Tree:
    """A copy of the tracked tree, with compiled kernels that stay valid for all but the mutated file."""

    def __init__(self, folder: Path):
        self.root, self.cache, self.warm = folder / "tree", folder / "cache", folder / "warm"
        git = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        os.environ |= {"NUMBA_CACHE_DIR": str(self.cache), "PYTHONPATH": str(self.root), "CI": "1"}  # CI: no dice
        self.kernel_files = [
            path for path in self.root.rglob("*.py") if re.search(r"^@kernel", path.read_text("utf-8"), re.M)
        ]

    def pytest(self, tests: list[str]) -> int:
        """Return the status of pytest on these files in a process of its own, as os.waitpid has it."""
        if child := os.fork():
            return os.waitpid(child, 0)[1]
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(self.root)
        sys.path[0] = str(self.root)
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        import pytest

        os._exit(pytest.main(["-x", "-p", "no:cacheprovider", *tests], plugins=[Alarm()]))

    def survives(self, mutant: Mutant, tests: list[str]) -> bool:
        path = self.root / mutant.file
        original, stat = path.read_bytes(), path.stat()
        module = mutant.file.removesuffix(".py").replace("/", ".")
        touched = [path for path in self.kernel_files if _imports(path.read_text("utf-8"), module)]
        times = [other.stat() for other in touched]
        compiled = touched or path in self.kernel_files or module == "cyclekit.jit"
        try:
            path.write_bytes(mutant.source)
            for other in touched:  # a kernel holds the constants of others as they were when it was compiled
                os.utime(other)
            if module == "cyclekit.jit":
                shutil.rmtree(self.cache)
            return self.pytest(tests) == 0
        finally:
            path.write_bytes(original)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            for other, before in zip(touched, times, strict=True):
                os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
            if compiled:
                shutil.rmtree(self.cache, ignore_errors=True)
                shutil.copytree(self.warm, self.cache)

    def durations(self, tests: list[str]) -> dict[str, float]:
        """Return how long each file of tests takes once all is compiled; exits where one fails as it is."""
        took = {}
        for test in tests:
            since = time.monotonic()
            if status := self.pytest([test]):
                sys.exit(f"{test} does not pass on the tree as it is (status {status}): there is nothing to compare to")
            took[test] = time.monotonic() - since
            if took[test] > FILE_S / 4:  # it may have compiled
                since = time.monotonic()
                self.pytest([test])
                took[test] = time.monotonic() - since
        return took


def _imports(text: str, module: str) -> bool:
    parent, _, name = module.rpartition(".")
    return bool(re.search(rf"from {re.escape(module)} import|from {re.escape(parent)} import .*\b{name}\b", text))


def tests_of(file: str) -> list[str]:
    """Return the files of tests to run for a file of the packages, in two groups: its wing's, then its package's."""
    package, *wings, _ = file.split("/")
    folder = ROOT / "tests" / package
    if package == "cyclekit" and not wings:
        return sorted(folder.glob("test_*.py")), []
    own = sorted(folder.joinpath(*wings).glob("test_*.py"))
    rest = [] if package == "workloads" else sorted(set(folder.rglob("test_*.py")) - set(own))
    return own, rest


def equivalents() -> set[tuple[str, str, str, str]]:
    stored = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text("utf-8"))
    return {(entry["file"], entry["function"], entry["was"], entry["is"]) for entry in stored["equivalent"]}


def chosen(places: list[str]) -> list[Mutant]:
    """Return the mutants of these files, folders and FILE:LINEs."""
    listed = []
    for place in places:
        name, _, line = place.partition(":")
        paths = sorted(ROOT.glob(name)) if not (ROOT / name).is_dir() else sorted((ROOT / name).rglob("*.py"))
        if not paths:
            sys.exit(f"no file {name}")
        for path in paths:
            of_file = mutants(path.relative_to(ROOT).as_posix(), path.read_bytes())
            listed += [mutant for mutant in of_file if not line or mutant.line == int(line)]
    return listed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("places", nargs="*", default=TARGETS, help=f"files, folders, FILE:LINE ({', '.join(TARGETS)})")
    parser.add_argument("--sample", type=int, help="so many of all mutants, drawn with --seed")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    everything = chosen(options.places)
    known = equivalents()
    files = {mutant.file for mutant in everything}
    if stale := [key for key in known if key[0] in files and key not in {m.key for m in chosen(sorted(files))}]:
        sys.exit(f"equivalent.toml names what is no mutant any more: {stale[0]}")
    sample = everything
    if options.sample and options.sample < len(everything):
        sample = random.Random(options.seed).sample(everything, options.sample)
    print(f"{len(sample)} of {len(everything)} mutants, seed {options.seed}", flush=True)
    n_equivalent = sum(mutant.key in known for mutant in sample)
    n_survived, n_of_package = 0, defaultdict(lambda: [0, 0])
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(Path(folder))
        for name in PRELOADED:
            __import__(name)
        names = {file: [[p.relative_to(ROOT).as_posix() for p in group] for group in tests_of(file)] for file in files}
        took = tree.durations(sorted({test for groups in names.values() for group in groups for test in group}))
        if slow := [test for test, seconds in took.items() if seconds > FILE_S]:
            print(f"left out, above {FILE_S} s: {', '.join(slow)}", flush=True)
        shutil.copytree(tree.cache, tree.warm)
        for mutant in sample:
            if mutant.key in known:
                continue
            tests = [t for group in names[mutant.file] for t in sorted(group, key=took.get) if took[t] <= FILE_S]
            since = time.monotonic()
            survived = tree.survives(mutant, tests)
            n_survived += survived
            counts = n_of_package[mutant.file.partition("/")[0]]
            counts[0] += not survived
            counts[1] += 1
            if survived:
                print(f"survived in {time.monotonic() - since:.0f} s: {mutant}", flush=True)
    for package, (n_killed, n) in sorted(n_of_package.items()):
        print(f"{package}: {n_killed} of {n} killed, {n_killed / n:.1%}")
    print(f"{n_equivalent} equivalent, {n_survived} survived")
    return bool(n_survived)


if __name__ == "__main__":
    sys.exit(main())
