"""Do the tests pass with the lowest versions that pyproject.toml declares, and on every other Python that is here?

    python tests/campaign/versions.py [--only lowest | 3.12]... [--folder F] [TEST ... | OPTION OF PYTEST ...]

Each environment is a new one. In `lowest`, of this Python, what is declared has the lowest version that pip knows and
the bound allows, and what that needs in turn has the newest; a deprecation of one by another is ignored there. An
environment of another Python, from the PATH or from pyenv, has the newest of everything. The end is 1 where one does
not install or a test fails.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PIP = ("-m", "pip", "--disable-pip-version-check")
IGNORED = ("-W", "ignore::DeprecationWarning", "-W", "ignore::PendingDeprecationWarning")
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "--continue-on-collection-errors")
LOWEST = "lowest"


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def declared() -> list[Requirement]:
    """Return what the packages and their tests need: no extra that dev leaves out, such as torch."""
    extras = PROJECT["optional-dependencies"]
    needed = {need.name: need for need in map(Requirement, PROJECT["dependencies"] + extras["dev"])}
    for need in (Requirement(text) for extra in extras.values() for text in extra):
        if need != needed.get(need.name, need):
            sys.exit(f"pyproject.toml declares both {need} and {needed[need.name]}")
    return list(needed.values())


def lowest(python: Path, need: Requirement) -> str:
    """Return what is needed with the lowest version of those that this Python can install."""
    listed = output(python, *PIP, "index", "versions", need.name)
    versions = re.search("Available versions: (.*)", listed)[1].split(", ")
    return f"{need.name}=={min(need.specifier.filter(versions), key=Version)}"


def pythons() -> dict[str, str]:
    """Return {"3.12": its program} of each other Python that is here, runs and is new enough."""
    programs = [shutil.which(f"python3.{minor}") for minor in range(30)]
    if shutil.which("pyenv"):
        programs += map(str, Path(output("pyenv", "root")).glob("versions/*/bin/python3"))
    here = {}
    for program in filter(None, programs):
        try:
            version = output(program, "-c", "import sys; print(*sys.version_info[:2], sep='.')")
        except subprocess.CalledProcessError:  # pyenv's shim of a Python that is not the chosen one
            continue
        if version in SpecifierSet(PROJECT["requires-python"]):
            here.setdefault(version, program)
    here.pop("{}.{}".format(*sys.version_info), None)
    return here


def trial(name: str, program: str, folder: Path, options: list[str]) -> list[str | int]:
    """Build an environment, run the tests in it, and return its row of the table."""
    subprocess.run([program, "-m", "venv", "--clear", folder], check=True)
    python = folder / "bin" / "python"
    row = [output(python, "--version").split()[1], LOWEST if name == LOWEST else "newest"]
    needs = [f"{ROOT}[dev]"]
    if name == LOWEST:
        needs += [lowest(python, need) for need in declared()]
        options = [*IGNORED, *options]
    print(name, *needs[1:], flush=True)
    if subprocess.run([python, *PIP, "install", "--quiet", "--editable", *needs], check=False).returncode:
        return [*row, "does not install"]
    results = folder / "results.xml"
    place = {"NUMBA_CACHE_DIR": str(folder / "kernels")}
    begin = time.monotonic()
    subprocess.run([python, *PYTEST, f"--junitxml={results}", *options], check=False, cwd=ROOT, env=os.environ | place)
    seconds = time.monotonic() - begin
    if not results.exists():
        return [*row, "does not run"]
    (suite,) = ElementTree.parse(results).getroot()
    n, n_failures, n_errors, n_skipped = (int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped"))
    return [*row, n - n_failures - n_errors - n_skipped, n_failures + n_errors, n_skipped, round(seconds)]


def main() -> int:
    environments = {LOWEST: sys.executable} | pythons()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", choices=environments, help="may be said again; all if not said")
    parser.add_argument("--folder", type=Path, help="where the environments stay")
    options, to_pytest = parser.parse_known_args()
    names = options.only or environments
    place = tempfile.TemporaryDirectory() if options.folder is None else nullcontext(options.folder.absolute())
    with place as folder:
        rows = [trial(name, environments[name], Path(folder) / name, to_pytest) for name in names]
    table = Table("Python", "versions", "passed", "failed", "skipped", "seconds")
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)
    return int(any(row[3:4] != [0] or not row[2] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
