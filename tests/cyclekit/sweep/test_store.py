"""Does a store keep every row once, refuse what is no store, and lose nothing when the disk is full?"""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cyclekit.run import Run
from cyclekit.sweep.store import VERSION, Row, Store, check
from workloads import BadInput

RUN = Run(
    machine="toy",
    workload="layer",
    input=3,
    engine="events",
    spec={"n_pes": 2, "clock_mhz": 0.1, "capacity": "report", "batches": False},
    id="abc",
    cycles=10,
    time_us=0.1 + 0.2,
    load_balance=0.7,
    actions={"macs": 14, "reads": 0},
    states={"pe": {"busy": 14, "idle": 6}, "bus": {"busy": 10}},
    output_sha256="def",
    check={"passed": True, "max_error": 0.001},
    measures={"tile": "2x2", "speed_up": 1.5},
    notes=("one", "two"),
)


def row(task: str, part: int = 0) -> Row:
    return Row.of(task, part, "net", "1", RUN)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.db"


def tasks(path) -> list[tuple[str, int]]:
    with Store(path, write=False) as store:
        return [(row.task, row.part) for row in store.rows()]


def test_a_run_comes_back_as_it_was(path):
    bad = Row("b", 0, "net", "1", "toy", "layer", 1, "events", "{}", reason="does not fit")
    with Store(path) as store:
        store.add([row("a"), bad])
    with Store(path, write=False) as store:
        first, second = store.rows()
    assert first.run() == RUN
    assert (second.run(), second) == (None, bad)


def test_a_row_is_stored_once(path):
    with Store(path) as store:
        store.add([row("a"), row("a", 1)])
        store.add([row("b"), row("a")])
        store.add([row("b")])
        assert len(store) == 3
    assert tasks(path) == [("a", 0), ("a", 1), ("b", 0)]


def test_what_is_known(path):
    with Store(path) as store:
        store.add([row(f"{number}") for number in range(1200)])
        asked = [f"{number}" for number in range(600, 1800)]
        assert store.known(asked) == {f"{number}" for number in range(600, 1200)}


def test_the_rows_of_some_tasks(path):
    many = [f"t{number}" for number in range(1200)]  # more than are asked for at once
    with Store(path) as store:
        store.add([row(task, part) for task in many for part in (0, 1)])
        found = [(one.task, one.part) for one in store.of([*many[1:], "unknown"])]
        assert list(store.of([])) == []
    assert found == [(task, part) for task in many[1:] for part in (0, 1)]


def test_rows_come_all_or_none(path):
    with Store(path) as store:
        store.add([row("a")])
        with pytest.raises(BadInput, match="could not take the latest rows"):
            store.add([row("b"), row("c")._replace(machine=None)])
    assert tasks(path) == [("a", 0)]


def test_two_writers_at_once(path):
    with Store(path) as first, Store(path) as second:
        for number in range(20):
            first.add([row(f"{number}")])
            second.add([row(f"{number}"), row(f"{number + 1}")])
    assert sorted(tasks(path)) == sorted((f"{number}", 0) for number in range(21))


def test_many_processes_that_make_the_store_at_the_same_moment(path):
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}\nfrom cyclekit.sweep.store import Store; Store(sys.argv[1]).close()"
    )
    makers = [subprocess.Popen([sys.executable, "-c", program, path], stderr=subprocess.PIPE) for _ in range(4)]
    assert [maker.communicate()[1] for maker in makers] == [b""] * 4
    with Store(path) as store:
        assert len(store) == 0


# What is no store


def test_another_file(path):
    path.write_bytes(b"these are no rows, " * 100)
    with pytest.raises(BadInput) as refused:
        Store(path)
    assert str(refused.value) == f"{str(path)!r} is no store of zeroskip: name another file"
    assert path.read_bytes() == b"these are no rows, " * 100


def test_another_programs_database(path):
    with closing(sqlite3.connect(path)) as connection, connection:  # which commits, and does not close
        connection.execute("CREATE TABLE songs (title)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(BadInput, match=r"is a database, but no store of zeroskip: name another file"):
        Store(path)
    assert path.read_bytes() == before


def test_a_store_of_another_version(path):
    Store(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:  # which commits, and does not close
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    for write in (True, False):
        with pytest.raises(
            BadInput, match=f"is a store of version {VERSION + 1}, this zeroskip writes version {VERSION}"
        ):
            Store(path, write=write)


def test_an_empty_file_becomes_a_store(path):
    path.touch()
    Store(path).close()
    assert tasks(path) == []


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("no/such/results.db", "the store must be a file in an existing folder, there is no folder 'TMP/no/such'"),
        ("folder", "the store must be a file, 'TMP/folder' is a folder"),
    ],
)
def test_where_no_store_can_be(tmp_path, name, complaint):
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadInput) as refused:
        check(tmp_path / name)
    assert str(refused.value) == complaint.replace("TMP", str(tmp_path))


def test_checking_makes_no_file(path):
    check(path)
    assert not path.exists()


def test_reading_what_is_not_there(path):
    with pytest.raises(BadInput, match="there is no store"):
        Store(path, write=False)
    assert not path.exists()


def test_a_reader_writes_nothing(path):
    with Store(path) as store:
        store.add([row("a")])
    with Store(path, write=False) as store, pytest.raises(BadInput, match="could not take"):
        store.add([row("b")])
    assert tasks(path) == [("a", 0)]
    assert [left.name for left in path.parent.iterdir()] == [path.name]


def test_a_reader_sees_one_moment(path):
    with Store(path) as writer:
        writer.add([row("a")])
        with Store(path, write=False) as reader:
            writer.add([row("b")])
            assert (len(reader), [one.task for one in reader.rows()]) == (1, ["a"])
    assert tasks(path) == [("a", 0), ("b", 0)]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_file(path, share):
    with Store(path) as store:
        store.add([row(f"{number}") for number in range(200)])
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadInput, match=r"malformed|no store"), Store(path) as store:
        list(store.rows())


# A full disk


def test_a_full_disk_keeps_the_rows(path):
    with Store(path) as store:
        store.add([row("a")])
        store._connection.execute("PRAGMA max_page_count = 8")
        with pytest.raises(BadInput) as refused:
            store.add([row(f"{number}") for number in range(200)])
        said = f"store {str(path)!r} could not take the latest rows (those stored before are whole): "
        assert str(refused.value) == said + "database or disk is full"
    assert tasks(path) == [("a", 0)]


def add_one_by_one(store: Store, n_rows: int) -> None:
    for number in range(n_rows):
        store.add([row(f"{number}")])


def test_a_file_that_may_not_grow_keeps_the_rows(path):
    with Store(path) as store:
        store.add([row("a")])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
        with Store(path) as store, pytest.raises(BadInput, match="could not take the latest rows"):
            add_one_by_one(store, 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    found = [int(task) for task, _ in tasks(path)[1:]]
    assert found == list(range(len(found)))
    assert 0 < len(found) < 200
    with Store(path) as store:  # and there is room again
        store.add([row("b")])
    assert len(tasks(path)) == len(found) + 2


def test_a_store_is_whole_when_it_bears_its_name(path, monkeypatch):
    seen = []

    def link(made, name, real=os.link):
        assert not Path(name).exists()
        with Store(made, write=False) as whole:
            seen.append(len(whole))
        real(made, name)

    monkeypatch.setattr(os, "link", link)
    Store(path).close()
    assert seen == [0]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_store_that_somebody_else_made_first_is_the_one(path, monkeypatch):
    def link(made, name, real=os.link):
        monkeypatch.setattr(os, "link", real)
        with Store(path) as faster:
            faster.add([row("a")])
        real(made, name)

    monkeypatch.setattr(os, "link", link)
    with Store(path) as slower:
        slower.add([row("b")])
    assert tasks(path) == [("a", 0), ("b", 0)]


def test_where_there_are_no_links_a_store_is_made_all_the_same(path, monkeypatch):
    def link(made, name):
        raise PermissionError("no links on this file system")

    monkeypatch.setattr(os, "link", link)
    with Store(path) as store:
        store.add([row("a")])
    assert tasks(path) == [("a", 0)]


def test_a_name_that_no_file_can_have():
    for use in (Store, check):
        with pytest.raises(BadInput, match="is no name of one"):
            use("a\0b.db")
