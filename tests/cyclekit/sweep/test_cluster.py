"""Is a sweep on a dask cluster the one at home, with a worker killed, and what if the scheduler goes away?"""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.sweep_cases import rows
from workloads import BadInput

pytestmark = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs the extra dask")

ZEROSKIP = "import sys; from cyclekit.command.cli import main; sys.exit(main())"
PROGRESS = "zeroskip: sweep eie: "  # how the lines begin that come every ten seconds
VARY = ("--vary", "n_pes=1,2,4", "--vary", "queue_depth=2:2001")
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("layer") / "w.npz"
    rng = np.random.default_rng(0)
    np.savez(path, weights=rng.random((200, 300)) < 0.1, activations=rng.random(300) < 0.5)
    return path


@pytest.fixture(scope="module")
def at_home(file, tmp_path_factory):
    path = tmp_path_factory.mktemp("home") / "home.db"
    running = start_sweep(file, path, "--workers", "1")
    assert len(complaints(running)) == 1  # how long it will take
    return rows(path)


@pytest.fixture
def started():
    """Return a function that starts a process, and end those that are left."""
    with contextlib.ExitStack() as left:

        def start(*words: str, **options) -> subprocess.Popen:
            running = subprocess.Popen([sys.executable, *words], env=ENVIRONMENT, text=True, **options)
            left.callback(end, running)
            return running

        yield start


def end(running: subprocess.Popen) -> None:
    running.kill()
    running.communicate()


@pytest.fixture
def scheduler(started):
    """Return a scheduler's process and its address."""
    words = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    running = started("-m", "distributed.cli.dask_scheduler", *words, stderr=subprocess.PIPE)
    for line in running.stderr:
        if found := re.search(r"Scheduler at:\s+(tcp://\S+)", line):
            return running, found[1]
    pytest.fail("the scheduler did not start")


@pytest.fixture
def a_worker(scheduler, started, tmp_path):
    """Return a function that starts a worker."""
    words = ("--nthreads", "1", "--no-dashboard", "--no-nanny", "--local-directory", str(tmp_path / "dask"))
    return lambda: started("-m", "distributed.cli.dask_worker", scheduler[1], *words, stderr=subprocess.DEVNULL)


@pytest.fixture
def workers(a_worker):
    return [a_worker() for _ in range(2)]


def start_sweep(file: Path, into: Path, *words: str) -> subprocess.Popen:
    command = ["sweep", "eie", str(file), *VARY, "--into", str(into), *words]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", ZEROSKIP, *command], env=ENVIRONMENT, text=True, **streams)


@pytest.fixture
def sweep_there(file, scheduler):
    """Return a function that starts a sweep on the cluster as soon as it has workers."""
    with contextlib.ExitStack() as left:

        def start(into: Path) -> subprocess.Popen:
            for _ in range(50):
                running = start_sweep(file, into, "--dask", scheduler[1])
                left.callback(end, running)
                if "has no workers" not in running.stderr.readline():
                    return running
                time.sleep(0.2)
            pytest.fail("no worker came")

        yield start


def complaints(running: subprocess.Popen) -> list[str]:
    """Return what a sweep says on standard error to its end, but for its progress, of which a slow one tells."""
    return [line for line in running.communicate()[1].splitlines() if not line.startswith(PROGRESS)]


def wait_for_rows(into: Path, running: subprocess.Popen) -> None:
    while not (into.exists() and into.with_name(f"{into.name}-wal").exists() and rows(into)):
        assert running.poll() is None
        time.sleep(0.05)


def test_a_worker_killed_in_the_middle(at_home, tmp_path, workers, sweep_there):
    into = tmp_path / "there.db"
    running = sweep_there(into)
    wait_for_rows(into, running)
    workers[0].send_signal(signal.SIGKILL)
    assert len(rows(into)) < len(at_home)
    assert complaints(running) == []
    assert running.returncode == 0
    assert rows(into) == at_home


def test_the_only_worker_at_the_start_is_lost_before_another_comes(at_home, tmp_path, a_worker, sweep_there):
    into = tmp_path / "there.db"
    first = a_worker()
    running = sweep_there(into)
    wait_for_rows(into, running)
    first.send_signal(signal.SIGKILL)
    time.sleep(7)  # longer than a scheduler waits by itself for somebody who takes what is sent
    a_worker()
    assert complaints(running) == []
    assert running.returncode == 0
    assert rows(into) == at_home


@pytest.mark.usefixtures("workers")
def test_the_scheduler_goes_away(at_home, tmp_path, scheduler, sweep_there):
    into = tmp_path / "there.db"
    running = sweep_there(into)
    wait_for_rows(into, running)
    scheduler[0].send_signal(signal.SIGKILL)
    (said,) = complaints(running)
    assert running.returncode == 2
    assert said.endswith("has gone away; what is stored is whole")
    stored = rows(into)
    assert 0 < len(stored) < len(at_home)
    assert stored.items() <= at_home.items()


def test_a_scheduler_that_is_not_there(file, tmp_path):
    running = start_sweep(file, tmp_path / "there.db", "--dask", "tcp://127.0.0.1:1")
    (said,) = complaints(running)
    assert running.returncode == 2
    assert said.startswith("zeroskip: error: no dask scheduler answers at 'tcp://127.0.0.1:1': ")


def test_the_scheduler_goes_away_while_rows_are_on_their_way():
    from distributed.comm.core import CommClosedError

    from cyclekit.sweep.cluster import Cluster

    class Finished:
        status = "finished"

        def __init__(self, error):
            self.error = error

        def result(self):
            raise self.error

    class Client:
        def __init__(self, status):
            self.status = status

        def nthreads(self):
            return {"tcp://somebody:2": 1}

    cluster = object.__new__(Cluster)
    cluster.address = "tcp://nobody:1"
    for error in (CommClosedError("in <TCP (closed)>"), ConnectionResetError(104, "reset"), TimeoutError()):
        cluster._client = Client("closed")
        with pytest.raises(BadInput, match="'tcp://nobody:1' has gone away; what is stored is whole"):
            cluster._rows(Finished(error))
        cluster._client = Client("running")  # it was a worker that has gone, with its rows
        assert cluster._rows(Finished(error)) is None
    with pytest.raises(ZeroDivisionError):  # what a task itself raises stays what it is
        cluster._rows(Finished(ZeroDivisionError()))
