"""A sweep killed with SIGKILL at 100 random moments: no stored row lost or doubled, the end as if nothing had been.

Each process is killed with all its workers, or it alone, at a moment drawn between its first import and the end of an
undisturbed sweep; then the next one takes the store over. Prints one line, exits with 1 where a row went wrong.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from cyclekit.sweep.store import Row, Store

N_KILLS = 100
SWEEP = (
    "sweep",
    "eie",
    "nt-lstm",
    "--vary",
    "n_pes=16,32,64",
    "--vary",
    "queue_depth=2:256",
    "--vary",
    "clock_mhz=1,2",
)
N_ROWS = 3 * 255 * 2


def start(path: Path) -> subprocess.Popen:
    program = [sys.executable, "-c", "import sys; from cyclekit.command.cli import main; sys.exit(main())"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen([*program, *SWEEP, "--into", path, "--workers", "2"], start_new_session=True, **quiet)


def rows(path: Path) -> dict[tuple[str, int], Row]:
    """Return the rows by identity; the assertion: no identity twice."""
    with Store(path, write=False) as store:
        stored = list(store.rows())
    by_identity = {(row.task, row.part): row for row in stored}
    assert len(by_identity) == len(stored)
    return by_identity


def undisturbed(path: Path) -> tuple[dict[tuple[str, int], Row], float]:
    """Return the rows of a sweep that is left alone, and how long it took."""
    since = time.monotonic()
    running = start(path)
    complaint = running.communicate()[1]
    assert running.returncode == 0, complaint
    return rows(path), time.monotonic() - since


def main() -> None:
    random_moment = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    with tempfile.TemporaryDirectory() as folder:
        undisturbed(Path(folder) / "first.db")  # which compiles the kernels
        whole, whole_s = undisturbed(Path(folder) / "whole.db")
        assert len(whole) == N_ROWS
        n_kills = n_rounds = n_stores = n_rows_seen = 0
        path, before = Path(folder) / "killed-0.db", 0
        while n_kills < N_KILLS:
            running = start(path)
            with suppress(subprocess.TimeoutExpired):
                running.wait(random_moment.uniform(0.3, 1.0) * whole_s)
            if finished := running.poll() is not None:
                complaint = running.communicate()[1]
            else:
                kill = os.killpg if random_moment.random() < 0.5 else os.kill
                kill(running.pid, signal.SIGKILL)
                running.communicate()  # until the workers have ended too: they hold the pipe
                n_kills += 1
            n_rounds += 1
            stored = {}
            if path.exists():
                Store(path).close()  # it may have been killed before the table was made
                stored = rows(path)
            assert stored.items() <= whole.items()
            assert len(stored) >= before
            n_rows_seen += len(stored) - before
            before = len(stored)
            if finished:
                assert running.returncode == 0, complaint
                assert stored == whole
                n_stores += 1
                path, before = Path(folder) / f"killed-{n_stores}.db", 0
        last = start(path)
        last.communicate()
        assert last.returncode == 0
        assert rows(path) == whole
    print(
        f"{n_kills} kills in {n_rounds} sweeps of {N_ROWS} rows, {n_stores + 1} stores completed: no row lost, doubled "
        "or different"
    )


if __name__ == "__main__":
    main()
