"""Does a sweep that is killed, interrupted or run twice at once lose and double nothing, and resume to the same?"""

import dataclasses
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import pytest

import eie_sim
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import sweep
from tests.sweep_cases import VARY, rows, small
from workloads import BadInput


@pytest.fixture
def store(tmp_path):
    return tmp_path / "results.db"


PROGRAM = """
import sys
sys.path[:0] = {path!r}
import numpy as np
from cyclekit.sweep.sweep import sweep
from workloads import Workload
rng = np.random.default_rng(0)
work = Workload(name="w", weights=rng.random((200, 300)) < 0.1, activations=rng.random((2, 300)) < 0.5)
print("ready", flush=True)
sweep("eie", [work], vary={{"n_pes": "1,2,4,8", "queue_depth": "2:61"}}, into=sys.argv[1], n_workers=int(sys.argv[2]))
"""


def start(path, n_workers: int) -> subprocess.Popen:
    program = [sys.executable, "-c", PROGRAM.format(path=sys.path), str(path), str(n_workers)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def finish(process: subprocess.Popen) -> None:
    assert process.communicate()[1] == b""
    assert process.returncode == 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "whole.db"
    finish(start(path, 2))
    found = rows(path)
    assert len(found) == 480
    return found


def test_killed_at_any_moment_it_loses_nothing_and_resumes(store, undisturbed):
    stored = 0
    for delay_s in (0.0, 0.15, 0.3, 0.45):  # the whole takes about a second after "ready"
        killed = start(store, 2)
        killed.stdout.readline()
        time.sleep(delay_s)
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()  # its workers hold the pipes too: they have noticed, and ended
        if store.exists():
            with Store(store):  # it may have been killed before the table was there
                pass
            found = rows(store)
            assert found.items() <= undisturbed.items()
            assert len(found) >= stored
            stored = len(found)
    finish(start(store, 2))
    assert rows(store) == undisturbed


def test_two_at_once_on_the_same_store(store, undisturbed):
    for process in [start(store, 1), start(store, 1)]:
        finish(process)
    assert rows(store) == undisturbed


def test_a_killed_worker_is_replaced_by_the_others(store, undisturbed):
    running = start(store, 2)
    running.stdout.readline()
    children = []
    while len(children) < 2:
        with open(f"/proc/{running.pid}/task/{running.pid}/children") as stream:
            children = stream.read().split()
    os.kill(int(random.Random(0).choice(children)), signal.SIGKILL)
    finish(running)
    assert rows(store) == undisturbed


def test_all_workers_killed(store, monkeypatch):
    def die(*_, **__):
        os._exit(9)

    machine = dataclasses.replace(eie_sim.MACHINE, simulate=die)
    with pytest.raises(BadInput, match=r"every worker process was ended from outside \(the last with exit code 9\)"):
        sweep(machine, [small()], vary=VARY, into=store, n_workers=2)
    assert multiprocessing.active_children() == []


def test_what_a_worker_raises_is_raised(store):
    def fail(*_, **__):
        raise MemoryError

    machine = dataclasses.replace(eie_sim.MACHINE, encode=fail)
    with pytest.raises(MemoryError):
        sweep(machine, [small()], vary=VARY, into=store, n_workers=2)
    assert multiprocessing.active_children() == []


def test_what_was_stored_before_an_interruption_stays(store, monkeypatch):
    monkeypatch.setattr("cyclekit.sweep.tasks.SEND_S", 0.0)

    def stop(what, done, total):
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep("eie", [small()], vary=VARY, into=store, n_workers=1, progress=stop)
    assert len(rows(store)) == 10
    assert sweep("eie", [small()], vary=VARY, into=store, n_workers=1).n_computed == 62
