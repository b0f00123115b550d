"""The store of a sweep: one SQLite file of rows, each there once, whoever writes and whenever they are killed.

A task's rows are written in one transaction, so a task is stored wholly or not at all. The file is in WAL mode: readers
do not wait, writers wait for each other. WAL needs a local disk, not a network's.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self, get_type_hints

from cyclekit.run import Run
from workloads.errors import BadInput

APPLICATION_ID = 0x7A736B70  # "zskp": SQLite keeps it in the file's header, file(1) shows it
VERSION = 2  # of the tables below
WAIT_S = 60.0  # for another writer
N_ASKED = 500  # identities asked for in one query
WRITTEN_AS_JSON = ("spec", "actions", "states", "check", "measures", "notes")
OF_THE_ROW = ("task", "part", "work", "content", "reason", "unit_map")  # and not of the run


class Row(NamedTuple):
    """One run as it is stored, or the reason why there is none; `part` counts the runs of a task.

    work: the workload that was asked for; content: the hash of it and of the machine's model; workload: the one of its
    layers that ran. Mappings are JSON texts. Where a point is infeasible, what was found is None and `reason` says why.
    Energy is not stored: it is counts times prices.
    """

    task: str
    part: int
    work: str
    content: str
    machine: str
    workload: str
    input: int
    engine: str
    spec: str
    reason: str | None = None
    id: str | None = None
    cycles: int | None = None
    time_us: float | None = None
    load_balance: float | None = None
    actions: str | None = None
    states: str | None = None
    output_sha256: str | None = None
    check: str | None = None
    measures: str | None = None
    notes: str | None = None
    unit_map: bytes | None = None  # of unit_map.UnitMaps; None: not asked for

    @classmethod
    def of(cls, task: str, part: int, work: str, content: str, run: Run) -> Self:
        """Return a run as a row."""
        stored = run.as_dict()
        for name in WRITTEN_AS_JSON:
            stored[name] = json.dumps(stored[name], separators=(",", ":"))
        del stored["energy"]
        return cls(task=task, part=part, work=work, content=content, **stored)

    def run(self) -> Run | None:
        """Return the run that the row was made of; None where the point was infeasible. Raises BadInput if damaged."""
        if self.reason is not None:
            return None
        stored = {name: value for name, value in self._asdict().items() if name not in OF_THE_ROW}
        with self.if_sound():
            fields = {name: json.loads(stored[name]) for name in WRITTEN_AS_JSON}
            return Run.from_dict(stored | fields | {"energy": None})

    def design(self) -> dict[str, Any]:
        """Return the fields of the design. Raises BadInput if damaged."""
        with self.if_sound():
            return dict(json.loads(self.spec).items())

    @contextmanager
    def if_sound(self) -> Iterator[None]:
        """Raise BadInput where what is done with the row fails, as a flipped bit may have it."""
        try:
            yield
        except (ValueError, TypeError, AttributeError, LookupError, zlib.error) as error:
            what = f"task {self.task[:12]}, input {self.input} of {self.work!r}"
            raise BadInput(f"a row of the store is damaged ({what}): compute it again into another store") from error


_KINDS = get_type_hints(Row)
_NAMES = ", ".join(f'"{name}"' for name in Row._fields if name != "unit_map")
_TABLE = """CREATE TABLE rows (
  number INTEGER PRIMARY KEY, task TEXT NOT NULL, part INTEGER NOT NULL, work TEXT NOT NULL, content TEXT NOT NULL,
  machine TEXT NOT NULL, workload TEXT NOT NULL, input INTEGER NOT NULL, engine TEXT NOT NULL, spec TEXT NOT NULL,
  reason TEXT, id TEXT, cycles INTEGER, time_us REAL, load_balance REAL, actions TEXT, states TEXT,
  output_sha256 TEXT, "check" TEXT, measures TEXT, notes TEXT, unit_map BLOB,
  UNIQUE (task, part))"""


def check(path: str | Path) -> None:
    """Raise BadInput for a path that cannot be a store to write to; a file that is not there is not made."""
    path = Path(path)
    if "\0" in str(path) or path.exists():
        Store(path).close()
    elif not path.parent.is_dir():
        raise BadInput(f"the store must be a file in an existing folder, there is no folder {str(path.parent)!r}")
    elif not os.access(path.parent, os.W_OK):
        raise BadInput(f"the store must be a file that can be written, {str(path)!r} cannot")


class Store:
    """An open store; a context manager. To a reader it stays as it was when it was opened.

    Raises BadInput for whatever is no store of this version or cannot be one.
    """

    def __init__(self, path: str | Path, *, write: bool = True):
        if "\0" in str(path):
            raise BadInput(f"the store must be a file, {str(path)!r} is no name of one")
        self.path = Path(path)
        if not write and not self.path.is_file():
            raise BadInput(f"there is no store {str(self.path)!r}")
        if self.path.is_dir():
            raise BadInput(f"the store must be a file, {str(self.path)!r} is a folder")
        if not self.path.exists():
            self._create()
        with self._complaints("cannot be opened"):
            self._connection = sqlite3.connect(self._address(write), uri=True, timeout=WAIT_S, isolation_level=None)
            try:
                self._begin(write)
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Store rows, all of them or none; those that are there already stay, and take a unit map if they have none."""
        marks = ", ".join("?" * len(Row._fields))
        with self._complaints("could not take the latest rows (those stored before are whole)"), self._transaction():
            self._connection.executemany(
                f"""INSERT INTO rows ({_NAMES}, unit_map) VALUES ({marks}) ON CONFLICT (task, part)
                DO UPDATE SET unit_map = excluded.unit_map WHERE unit_map IS NULL""",
                rows,
            )

    def tell(self, asked: Mapping[str, Sequence[str]]) -> None:
        """Keep {workload: the words of a command line that ask for it}; what was told before of one is replaced."""
        if not asked:
            return
        told = [(work, json.dumps(list(words))) for work, words in asked.items()]
        with self._complaints("could not take what was asked for"), self._transaction():
            self._connection.execute("CREATE TABLE IF NOT EXISTS asked (work TEXT PRIMARY KEY, words TEXT NOT NULL)")
            self._connection.executemany("INSERT OR REPLACE INTO asked VALUES (?, ?)", told)

    def asked(self) -> dict[str, list[str]]:
        """Return what was told: {workload: words}; nothing of a store that is older than that."""
        with self._complaints("could not be read"):
            if not self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'asked'").fetchone():
                return {}
            told = self._connection.execute("SELECT work, words FROM asked").fetchall()
        try:
            return {work: [str(word) for word in json.loads(words)] for work, words in told}
        except (TypeError, ValueError):
            raise BadInput(f"store {str(self.path)!r} is damaged: what was asked for is no list of words") from None

    def known(self, tasks: Sequence[str], *, mapped: bool = False) -> set[str]:
        """Return those of the tasks that are stored; mapped: and have a unit map, unless they are infeasible."""
        also = "AND (unit_map IS NOT NULL OR reason IS NOT NULL)" if mapped else ""
        stored: set[str] = set()
        with self._complaints("could not be read"):
            for start in range(0, len(tasks), N_ASKED):
                some = tasks[start : start + N_ASKED]
                marks = ", ".join("?" * len(some))
                cursor = self._connection.execute(
                    f"SELECT task FROM rows WHERE part = 0 AND task IN ({marks}) {also}", some
                )
                stored.update(task for (task,) in cursor)
        return stored

    def rows(self) -> Iterator[Row]:
        """Yield all rows in the order in which they were stored, without their unit maps."""
        return self._rows("NULL", "")

    def mapped(self) -> Iterator[Row]:
        """Yield those rows that have a unit map, with it."""
        return self._rows("unit_map", "WHERE unit_map IS NOT NULL")

    def of(self, tasks: Sequence[str]) -> Iterator[Row]:
        """Yield the rows of those of the tasks that are stored, a task's together, without their unit maps."""
        for start in range(0, len(tasks), N_ASKED):
            some = tasks[start : start + N_ASKED]
            yield from self._rows("NULL", f"WHERE task IN ({', '.join('?' * len(some))})", some)

    def _rows(self, unit_map: str, which: str, values: Sequence[str] = ()) -> Iterator[Row]:
        with self._complaints("could not be read"):
            query = f"SELECT {_NAMES}, {unit_map} FROM rows {which} ORDER BY number"
            yield from map(self._row, self._connection.execute(query, values))

    def _row(self, values: Sequence[Any]) -> Row:
        """Return a row; SQLite itself keeps to no type."""
        for (name, kind), value in zip(_KINDS.items(), values, strict=True):
            if not isinstance(value, kind):
                raise BadInput(f"store {str(self.path)!r} is damaged: {name} of a row is {value!r:.50}")
        return Row._make(values)

    def kinds(self, column: str) -> list[tuple[str, str]]:
        """Return the (key, its JSON type) of the mappings in a column, in order of first appearance."""
        with self._complaints("could not be read"):
            query = f"""SELECT key, type FROM rows, json_each(rows."{column}") GROUP BY key, type
                ORDER BY MIN(number), MIN(json_each.id)"""
            return self._connection.execute(query).fetchall()

    def states(self) -> list[tuple[str, str]]:
        """Return the (unit kind, state) that the rows have, in order of first appearance."""
        with self._complaints("could not be read"):
            query = """SELECT kind.key, state.key
                FROM rows, json_each(rows.states) AS kind, json_each(kind.value) AS state
                GROUP BY kind.key, state.key ORDER BY MIN(number), MIN(kind.id), MIN(state.id)"""
            return self._connection.execute(query).fetchall()

    def counts(self) -> list[tuple[str, str, int, int]]:
        """Return (machine, workload asked for, rows, infeasible ones among them), in order of first appearance."""
        with self._complaints("could not be read"):
            query = """SELECT machine, work, COUNT(*), COUNT(reason) FROM rows GROUP BY machine, work
                ORDER BY MIN(number)"""
            counts = self._connection.execute(query).fetchall()
        for machine, work, *_ in counts:
            if not isinstance(machine, str) or not isinstance(work, str):
                raise BadInput(f"store {str(self.path)!r} is damaged: a row is of {work!r:.50} on {machine!r:.50}")
        return counts

    def __len__(self) -> int:
        with self._complaints("could not be read"):
            return self._connection.execute("SELECT COUNT(*) FROM rows").fetchone()[0]

    def _create(self) -> None:
        """Make the store whole before it bears its name, so that nobody finds half of one.

        Where that cannot be, opening it makes it or says why not.
        """
        with (
            suppress(OSError, BadInput),
            tempfile.TemporaryDirectory(prefix=".zeroskip-", dir=self.path.parent) as folder,
        ):
            temporary = Path(folder) / self.path.name
            temporary.touch()
            Store(temporary).close()
            os.link(temporary, self.path)  # unlike a rename it replaces nothing: another process may have been faster

    def _address(self, write: bool) -> str:
        uri = self.path.absolute().as_uri()
        if write:
            return uri
        # Even a reader writes the WAL's index, and tidies it up if it may, unless nobody can change the file.
        may_write = os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)
        return f"{uri}?mode=rw" if may_write else f"{uri}?immutable=1"

    def _begin(self, write: bool) -> None:
        """Make sure that the file is a store, and make it one if it is empty; nothing else's file is changed."""
        if not write:
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("BEGIN")  # all that is read is of one moment, whoever writes meanwhile
            self._check()
            return
        if not self._is_empty():
            self._check()
        self._patiently("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")  # what is committed outlives even a power cut
        with self._transaction():
            if self._is_empty():  # still: nobody else was faster
                self._connection.execute(_TABLE)
                self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {VERSION}")
        self._check()

    def _is_empty(self) -> bool:
        return (
            not self._read("application_id") and not self._connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        )

    def _check(self) -> None:
        if self._read("application_id") != APPLICATION_ID:
            raise BadInput(f"{str(self.path)!r} is a database, but no store of zeroskip: name another file")
        if (version := self._read("user_version")) != VERSION:
            raise BadInput(
                f"{str(self.path)!r} is a store of version {version}, this zeroskip writes version {VERSION}: "
                "name another file"
            )

    def _read(self, pragma: str) -> int:
        return self._connection.execute(f"PRAGMA {pragma}").fetchone()[0]

    def _patiently(self, statement: str) -> None:
        """Execute a statement for which SQLite itself does not wait while another process is at it."""
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                self._connection.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _complaints(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # what SQLite quotes of a damaged file may be no text
            if "not a database" in str(error):
                raise BadInput(f"{str(self.path)!r} is no store of zeroskip: name another file") from error
            raise BadInput(f"store {str(self.path)!r} {what}: {error}") from error
