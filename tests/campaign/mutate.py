"""Which small faults, put into a file one at a time, would no test see?

    python tests/campaign/mutate.py [--sample N] [--seed S] [--minutes M] [--folder F] [FILE | FOLDER | FILE:LINE ...]

A mutant is run in a copy of the tree with `pytest -x`: the tests of its package that reach its file, its own wing's
first and the quickest of them first. It is killed by a test that fails, by a crash, by an import that fails and by a
test that takes 150 s. One that survives is printed, and the end is 1, unless equivalent.toml says why nobody could
tell it from the original.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import tomllib
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.campaign.mutants import Mutant, mutants
from tests.campaign.trial import ROOT, Tree

TARGETS = (
    "eie_sim",
    "pointacc_sim",
    "tensorcore_sim",
    "cyclekit/*.py",
    "cyclekit/trace",
    "workloads/pruning",
    "workloads/points",
)
PRELOADED = ("numpy", "numba", "scipy.sparse", "scipy.optimize", "simpy", "ml_dtypes", "rich", "pytest")


def tests_of(file: str) -> tuple[list[str], list[str]]:
    """Return the files of tests for a file of the packages: its own wing's, and the rest of its package's.

    The wings of workloads and of cyclekit know little of each other: the rest are the tests of none of them.
    """
    package, *wings, _ = file.split("/")
    folder = ROOT / "tests" / package
    own = folder.joinpath(*wings).glob("test_*.py")
    rest = folder.glob("test_*.py") if package in ("workloads", "cyclekit") else folder.rglob("test_*.py")
    own = {path.relative_to(ROOT).as_posix() for path in own}
    return sorted(own), sorted({path.relative_to(ROOT).as_posix() for path in rest} - own)


def equivalents() -> set[tuple[str, str, str, str]]:
    """Return the keys of the mutants that equivalent.toml lists; an entry may list several of one line."""
    stored = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text("utf-8"))
    keys = set()
    for entry in stored["equivalent"]:
        lines = [entry["is"]] if isinstance(entry["is"], str) else entry["is"]
        keys |= {(entry["file"], entry["function"], entry["was"], line) for line in lines}
    return keys


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
    parser.add_argument("--minutes", type=float, help="then report on what was done until then, as after Ctrl-C")
    parser.add_argument("--folder", help="where the copy stays, so that the next run begins sooner")
    options = parser.parse_args()
    everything = chosen(options.places)
    files = {mutant.file for mutant in everything}
    known = {key for key in equivalents() if key[0] in files}
    if stale := known - {mutant.key for mutant in chosen(sorted(files))}:
        sys.exit(f"equivalent.toml names what is no mutant any more: {min(stale)}")
    # Shuffled, so that what is done when time is up is a sample, too.
    sample = random.Random(options.seed).sample(everything, min(options.sample or len(everything), len(everything)))
    print(f"{len(sample)} of {len(everything)} mutants, seed {options.seed}", flush=True)
    n_equivalent = 0
    scores = defaultdict(lambda: [0, 0])  # package -> killed, run
    place = tempfile.TemporaryDirectory() if options.folder is None else nullcontext(options.folder)
    with place as folder:
        tree = Tree(Path(folder))
        for name in PRELOADED:
            __import__(name)
        groups = {file: tests_of(file) for file in files}  # as they are now, like the tree
        begin = time.monotonic()
        try:
            for mutant in sample:
                if options.minutes and time.monotonic() - begin > 60 * options.minutes:
                    print("time is up", flush=True)
                    break
                if mutant.key in known:
                    n_equivalent += 1
                    continue
                since, n_files, survived = time.monotonic(), 0, True
                for group in groups[mutant.file]:
                    reaching = tree.tests_for(mutant, group)
                    n_files += len(reaching)
                    if reaching and not tree.survives(mutant, reaching):
                        survived = False
                        break
                score = scores[mutant.file.partition("/")[0]]
                score[0] += not survived
                score[1] += 1
                if survived:
                    print(f"survived {n_files} files, {time.monotonic() - since:.0f} s: {mutant}", flush=True)
        except KeyboardInterrupt:  # what was done until then is a sample, too
            print("interrupted", flush=True)
    for package, (n_killed, n) in sorted(scores.items()):
        print(f"{package}: {n_killed} of {n} killed, {n_killed / n:.1%}")
    n_survived = sum(n - n_killed for n_killed, n in scores.values())
    print(f"{n_equivalent} equivalent, {n_survived} survived")
    return bool(n_survived)


if __name__ == "__main__":
    sys.exit(main())
