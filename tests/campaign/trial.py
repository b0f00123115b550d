"""A copy of the tree in which one file at a time is replaced and the tests that reach it are run."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.campaign.mutants import Mutant

ROOT = Path(__file__).parents[2]
TEST_S = 150  # the longest compares with all measured GEMMs in 45 s, and is watched
FILE_S = 240  # a file of tests that takes longer of the processor, watched, is left out and named
MEMORY_BYTES = 6 * 2**30
# What any test may rest on: the packages, and what tests share.
BELOW_ALL = re.compile(r"(workloads|cyclekit|\w+_sim|zeroskip)/|tests/(?!campaign/)(.*/)?(?!test_)[^/]*$")
JIT = "cyclekit/jit.py"


class Alarm:
    """A plugin of pytest: each test has TEST_S of the processor, then its process is killed, in whatever loop it is."""

    def pytest_collection(self):
        signal.setitimer(signal.ITIMER_PROF, TEST_S)
        signal.alarm(10 * TEST_S)  # for one that waits

    pytest_runtest_logstart = pytest_collection


class Reached:
    """A plugin of pytest: the files of which a function is called while tests run, written down at the end."""

    def __init__(self, to: Path):
        self.codes, self.to = set(), to

    def pytest_runtest_logstart(self):
        sys.setprofile(lambda frame, event, _: self.codes.add(frame.f_code) if event == "call" else None)

    def pytest_sessionfinish(self):
        sys.setprofile(None)
        root = os.getcwd() + "/"
        files = {code.co_filename for code in self.codes if code.co_name != "<module>"}
        self.to.write_text(json.dumps(sorted(name.removeprefix(root) for name in files if name.startswith(root))))


class Tree:
    """A copy of the tree, with compiled kernels that stay valid for all but the mutated file.

    In a folder that stays, what is known of the tests is not found out again until a file of a package changes.
    """

    def __init__(self, folder: Path):
        self.root, self.cache, self.warm, self.known = (folder / n for n in ("tree", "cache", "warm", "known.json"))
        self.reach = folder / "reach.json"
        self.cache.mkdir(parents=True, exist_ok=True)  # stays empty where no test compiles a kernel
        git = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        self.stamps, self.stored = {}, {}
        for name in filter(None, listed.split("\0")):
            source, target = ROOT / name, self.root / name
            if not source.is_file():
                target.unlink(missing_ok=True)
                continue
            self.stamps[name] = source.stat().st_mtime_ns
            if not target.exists() or target.stat().st_mtime_ns != self.stamps[name]:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        os.environ |= {"NUMBA_CACHE_DIR": str(self.cache), "PYTHONPATH": str(self.root), "CI": "1"}  # CI: no dice
        self.texts = {name: (self.root / name).read_text("utf-8") for name in self.stamps if name.endswith(".py")}
        self.kernel_files = [name for name, text in self.texts.items() if re.search(r"^@kernel", text, re.M)]

    def pytest(self, tests: list[str], *plugins) -> tuple[int, float]:
        """Run pytest on these files in a process of its own; return its status, as os.wait4 has it, and its seconds."""
        if child := os.fork():
            try:
                _, status, usage = os.wait4(child, 0)
            except KeyboardInterrupt:
                os.kill(child, signal.SIGKILL)
                raise
            return status, usage.ru_utime + usage.ru_stime
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.environ["PATH"] = str(Path(sys.executable).parent)  # without Chromium, which reserves more: its tests skip
        os.chdir(self.root)
        sys.path[0] = str(self.root)
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        import pytest

        os._exit(pytest.main(["-x", "-p", "no:cacheprovider", *tests], plugins=[Alarm(), *plugins]))

    def learn(self, tests: list[str]) -> dict[str, dict]:
        """Return {test file: {"seconds", "files" that it reaches}}; exits where one fails on the tree as it is."""
        if not self.stored:
            packages = {name: stamp for name, stamp in self.stamps.items() if BELOW_ALL.match(name)}
            self.stored = json.loads(self.known.read_text()) if self.known.exists() else {}
            if self.stored.get("packages") != packages:
                self.stored = {"packages": packages, "tests": {}}
        known = self.stored["tests"]
        for test in [test for test in tests if known.get(test, {}).get("stamp") != self.stamps[test]]:
            status, seconds = self.pytest([test], Reached(self.reach))
            if status:
                sys.exit(f"{test} does not pass on the tree as it is (status {status}): there is nothing to compare to")
            reached = json.loads(self.reach.read_text())
            known[test] = {"stamp": self.stamps[test], "seconds": seconds, "files": reached}
            self.known.write_text(json.dumps(self.stored))
            shutil.rmtree(self.warm, ignore_errors=True)
            if seconds > FILE_S:
                print(f"left out, above {FILE_S} s: {test}", flush=True)
        if not self.warm.exists():
            shutil.copytree(self.cache, self.warm)
        return known

    def tests_for(self, mutant: Mutant, tests: list[str]) -> list[str]:
        """Return those of the tests that can see the mutant, the quickest first: of what is run at import, all."""
        known = self.learn(tests)
        tests = sorted((test for test in tests if known[test]["seconds"] <= FILE_S), key=lambda t: known[t]["seconds"])
        if not mutant.in_function:
            return tests
        files = {mutant.file}
        if mutant.file in self.kernel_files:  # a compiled function is called without a trace
            files |= {name for name, text in self.texts.items() if imports(text, mutant.file)}
        return [test for test in tests if files & set(known[test]["files"])]

    def survives(self, mutant: Mutant, tests: list[str]) -> bool:
        """Tell whether all tests pass with the mutant in its file's place."""
        path = self.root / mutant.file
        original = path.read_bytes()
        # A kernel holds the constants of other files as they were when it was compiled.
        touched = [name for name in self.kernel_files if imports(self.texts[name], mutant.file)]
        compiled = touched or mutant.file in self.kernel_files or mutant.file == JIT
        try:
            path.write_bytes(mutant.source)
            for name in touched:
                os.utime(self.root / name)
            if mutant.file == JIT:
                shutil.rmtree(self.cache)
            return self.pytest(tests)[0] == 0
        finally:
            path.write_bytes(original)
            for name in (mutant.file, *touched):
                os.utime(self.root / name, ns=(self.stamps[name], self.stamps[name]))
            if compiled:
                shutil.rmtree(self.cache, ignore_errors=True)
                shutil.copytree(self.warm, self.cache)


def imports(text: str, file: str) -> bool:
    """Tell whether a source imports a file of the packages."""
    module = file.removesuffix(".py").replace("/", ".")
    parent, _, name = module.rpartition(".")
    return bool(re.search(rf"from {re.escape(module)} import|from {re.escape(parent)} import .*\b{name}\b", text))
