"""Do `zeroskip sweep` and `zeroskip rows` do what they say, stop cleanly, and refuse bad input in one line?"""

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import eie_sim
from cyclekit.sweep.store import Store

VARY = ("--vary", "n_pes=1,2,4", "--vary", "queue_depth=2:8:x2")


@pytest.fixture
def into(tmp_path):
    return tmp_path / "results.db"


def test_a_sweep_says_what_it_did(zeroskip, layer_npz, into):
    ended = zeroskip("sweep", "eie", layer_npz, *VARY, "--into", into, "--workers", 1)
    summary, rows_in, workload = ended.out.splitlines()
    assert ended.code == 0
    assert summary.startswith("9 points, 9 tasks: 9 computed in ")
    assert (rows_in, workload) == (f"  rows in {into}", f"  workload: file {layer_npz.name}")
    assert ended.err.startswith("zeroskip: 9 points, 9 tasks on 1 workers: expecting about 0 s and ")
    again = zeroskip("sweep", "eie", layer_npz, *VARY, "--into", into, "--workers", 1, "--json", "-")
    said = json.loads(again.out)
    assert {name: said[name] for name in ("n_points", "n_tasks", "n_computed", "n_stored_before", "n_infeasible")} == {
        "n_points": 9,
        "n_tasks": 9,
        "n_computed": 0,
        "n_stored_before": 9,
        "n_infeasible": 0,
    }


def test_a_file_does_what_the_options_do(zeroskip, layer_npz, into, tmp_path):
    (tmp_path / "sweep.toml").write_text(
        f'machine = "eie:silicon"\nworkloads = ["{layer_npz}"]\nworkers = 1\ninto = "{into}"\n'
        '[set]\nclock_mhz = 900\n[vary]\nn_pes = "1,2,4"\nqueue_depth = [2, 4, 8]\n'
    )
    assert zeroskip("sweep", tmp_path / "sweep.toml").code == 0
    words = ("--set", "clock_mhz=900", "--into", into, "--workers", 1, "--json", "-")
    assert json.loads(zeroskip("sweep", "eie:silicon", layer_npz, *VARY, *words).out)["n_stored_before"] == 9


def test_a_batch_is_an_option_and_a_key(zeroskip, into, tmp_path):
    words = ["tensorcore", "64x64x64", "--vary", "clock_mhz=1000,1410", "--workers", 1, "--into", into]
    assert zeroskip("sweep", *words, "--batch", 16).code == 0
    text = f'machine = "tensorcore"\nworkloads = ["64x64x64"]\nworkers = 1\nbatch = 16\ninto = "{into}"\n'
    (tmp_path / "s.toml").write_text(f'{text}[vary]\nclock_mhz = "1000,1410"\n')
    assert json.loads(zeroskip("sweep", tmp_path / "s.toml", "--json", "-").out)["n_stored_before"] == 2
    assert json.loads(zeroskip("sweep", tmp_path / "s.toml", "--batch", 8, "--json", "-").out)["n_computed"] == 2
    told = json.loads(zeroskip("rows", into, "--json", "-").out)
    assert [row["workload"] for row in told] == ["64x64x64 (batch 16)", "64x64x64 (batch 8)"]
    (tmp_path / "s.toml").write_text(text.replace("batch = 16", 'batch = "16"'))
    assert "batch must be a whole number in sweep file" in zeroskip("sweep", tmp_path / "s.toml").complaint()
    (tmp_path / "s.toml").write_text(f'{text.replace("batch = 16", "batch = 0")}[vary]\nclock_mhz = "1000"\n')
    assert zeroskip("sweep", tmp_path / "s.toml").complaint() == "batch must be at least 1, got 0"


def test_the_table_of_a_store(zeroskip, layer_npz, into, tmp_path):
    fields = ("--vary", "capacity=report,enforce", "--set", "spmat_bytes=1", "--set", "n_pes=1")
    path = tmp_path / "rows.csv"
    ended = zeroskip("sweep", "eie", layer_npz, *fields, "--into", into, "--workers", 1, "--out", path)
    assert "infeasible: 1, each a row with its reason" in ended.out
    with open(path, newline="") as stream:
        table = list(csv.DictReader(stream))
    with Store(into, write=False) as store:
        runs = [row.run() for row in store.rows()]
    assert [(row["spec.capacity"], row["spec.spmat_bytes"]) for row in table] == [("report", "1"), ("enforce", "1")]
    assert int(table[0]["cycles"]) == runs[0].cycles
    assert float(table[0]["time_us"]) == runs[0].time_us
    assert {f"actions.{name}": str(count) for name, count in runs[0].actions.items()}.items() <= table[0].items()
    assert int(table[0]["states.pe.weight"]) == runs[0].states["pe"]["weight"]
    assert tuple(json.loads(table[0]["notes"])) == runs[0].notes
    cost = eie_sim.MACHINE.price(runs[0])
    assert (table[0]["energy.prices"], float(table[0]["energy.pj"])) == (cost.prices, cost.total_pj)
    assert float(table[0]["energy.area_mm2"]) == cost.total_area_mm2
    assert json.loads(table[0]["energy.module_pj"]) == cost.module_pj
    assert table[1]["energy.pj"] == table[1]["energy.unpriced"] == ""
    assert table[1]["reason"].startswith("layer does not fit: Spmat SRAM")
    assert table[1]["cycles"] == ""
    assert zeroskip("rows", into, "--out", path, "--prices", "calibrated").code == 0
    with open(path, newline="") as stream:
        assert next(csv.DictReader(stream))["energy.prices"] == "calibrated"
    again = zeroskip("rows", into, "--json", "-")
    (told,) = json.loads(again.out)
    assert told == {
        "schema_version": "1.0",
        "command": "rows",
        "machine": "eie",
        "workload": "layer",
        "rows": 2,
        "infeasible": 1,
    }


def test_parquet_holds_what_csv_holds(zeroskip, layer_npz, into, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    zeroskip("sweep", "eie", layer_npz, *VARY, "--into", into, "--workers", 1)
    for suffix in ("csv", "parquet"):
        assert zeroskip("rows", into, "--out", tmp_path / f"rows.{suffix}").code == 0
    table = parquet.read_table(tmp_path / "rows.parquet")
    with open(tmp_path / "rows.csv", newline="") as stream:
        expected = list(csv.DictReader(stream))
    text = [{name: "" if value is None else str(value) for name, value in row.items()} for row in table.to_pylist()]
    assert text == expected
    kinds = {name: str(table.schema.field(name).type) for name in ("cycles", "spec.clock_mhz", "spec.batches", "id")}
    assert kinds == {"cycles": "int64", "spec.clock_mhz": "double", "spec.batches": "bool", "id": "string"}


def test_parquet_without_pyarrow(zeroskip, layer_npz, into, tmp_path, monkeypatch):
    zeroskip("sweep", "eie", layer_npz, *VARY, "--into", into, "--workers", 1)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    complaint = zeroskip("rows", into, "--out", tmp_path / "rows.parquet").complaint()
    assert complaint == "a .parquet file needs pyarrow: pip install '.[parquet]' in a checkout, or name a .csv file"
    assert {path.name for path in tmp_path.iterdir()} == {"results.db"}
    words = ("sweep", "eie", layer_npz, "--vary", "n_pes=16", "--into", into, "--out", tmp_path / "rows.parquet")
    assert zeroskip(*words).complaint() == complaint  # before it computes anything
    with Store(into, write=False) as store:
        assert len(store) == 9


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_name_that_is_no_utf8_is_stored(installed_zeroskip, layer_npz, into, tmp_path, locale):
    path = os.fsencode(tmp_path) + b"/caf\xc3\xa9-\xff.npz"
    shutil.copy(layer_npz, path)
    words = ("sweep", "eie", os.fsdecode(path), "--vary", "n_pes=1", "--into", into, "--workers", "1")
    assert installed_zeroskip(*words, environment=locale).code == 0
    with Store(into, write=False) as store:
        assert [row.workload for row in store.rows()] == ["café-\\xff"]


# Bad input


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("sweep eie FILE --into DB", "a sweep needs at least one --vary field=values, got none"),
        ("sweep eie --vary n_pes=1 --into DB", "a sweep needs at least one workload, got none"),
        ("sweep eie FILE --vary n_pes=1", "a sweep needs a file for its rows: --into results.db"),
        ("sweep ei FILE --vary n_pes=1 --into DB", "unknown machine 'ei', did you mean 'eie'?"),
        ("sweep eie alex6 --vary n_pes=1 --into DB", "unknown workload 'alex6', did you mean 'alex-6'?"),
        ("sweep eie FILE --vary n_pe=1 --into DB", "unknown field 'n_pe', did you mean 'n_pes'?"),
        ("sweep eie FILE --vary n_pes=8:2 --into DB", "range '8:2' of n_pes is empty: it begins above its end"),
        ("sweep eie FILE --vary n_pes --into DB", "--vary must look like field=values, got 'n_pes'"),
        ("sweep eie FILE --vary n_pes=1 --set n_pes=2 --into DB", "n_pes is both set and varied: do one of them"),
        (
            "sweep eie FILE --vary n_pes=1 --into TMP/no/a.db",
            "the store must be a file in an existing folder, there is",
        ),
        ("sweep eie FILE --vary n_pes=1 --into TMP", "the store must be a file, 'TMP' is a folder"),
        ("sweep eie FILE --vary n_pes=1 --into FILE", "'FILE' is no store of zeroskip: name another file"),
        ("sweep eie FILE --vary n_pes=1 --into DB --out a.txt", "--out must name a .csv or .parquet file, got"),
        (
            "sweep eie FILE --vary n_pes=1 --into DB --out no/a.csv",
            "--out must name a file in an existing folder",
        ),
        ("sweep eie FILE --vary n_pes=1 --into DB --workers 0", "argument --workers: must be a whole number of at "),
        ("sweep a.toml", "sweep file 'a.toml' cannot be read: No such file or directory"),
        ("sweep eie FILE FOLDER/layer.npz --vary n_pes=1 --into DB", "two workloads are called 'layer', and rows tell"),
        (
            "sweep eie FILE --vary n_pes=1 --into DB --out FOLDER/a.csv",
            "--out must name a file, 'FOLDER/a.csv' is",
        ),
        ("rows DB", "there is no store 'DB'"),
        ("rows FILE", "'FILE' is no store of zeroskip: name another file"),
    ],
)
def test_words_that_mean_nothing(refused, layer_npz, tmp_path, words, complaint):
    (tmp_path / "folder" / "a.csv").mkdir(parents=True)
    shutil.copy(layer_npz, tmp_path / "folder")
    names = {"FILE": layer_npz, "DB": tmp_path / "results.db", "TMP": tmp_path, "FOLDER": tmp_path / "folder"}
    for name, path in names.items():
        words, complaint = words.replace(name, str(path)), complaint.replace(name, str(path))
    assert refused(*words.split()).startswith(complaint)


@pytest.mark.parametrize("words", ["rows DB --json DB", "rows DB --out DB", "report PAGE.html --out DB --json DB"])
def test_no_file_that_is_written_replaces_a_store(zeroskip, layer_npz, tmp_path, words):
    into, page = tmp_path / "results.csv", tmp_path / "page"
    for path in (into, page.with_suffix(".html")):
        zeroskip("sweep", "eie", layer_npz, "--vary", "n_pes=1,2", "--into", path, "--workers", 1)
    complaint = zeroskip(*words.replace("DB", str(into)).replace("PAGE", str(page)).split()).complaint()
    assert complaint.endswith(f" must name another file than a store or other database, got {str(into)!r}")
    with Store(into, write=False) as store:
        assert len(store) == 2


def test_nor_does_it_replace_the_store_that_is_being_made(zeroskip, layer_npz, tmp_path):
    into = tmp_path / "results.csv"
    words = ("sweep", "eie", layer_npz, "--vary", "n_pes=1,2", "--into", into, "--workers", 1)
    for option in ("--out", "--json"):
        into.unlink(missing_ok=True)
        assert zeroskip(*words, option, into).code == 2
        with Store(into, write=False) as store:
            assert len(store) == 2


def test_prices_are_checked_where_no_design_is_feasible(zeroskip, layer_npz, into, tmp_path):
    infeasible = ("--set", "capacity=enforce", "--set", "spmat_bytes=1", "--vary", "n_pes=1")
    zeroskip("sweep", "eie", layer_npz, *infeasible, "--into", into, "--workers", 1)
    complaint = zeroskip("rows", into, "--out", tmp_path / "rows.csv", "--prices", "gold").complaint()
    assert complaint == "unknown prices 'gold': one of bottom-up, calibrated, fig9"


def test_a_store_of_another_version(zeroskip, layer_npz, into):
    assert zeroskip("sweep", "eie", layer_npz, *VARY, "--into", into, "--workers", 1).code == 0
    with closing(sqlite3.connect(into)) as connection, connection:  # which commits, and does not close
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    for words in (("sweep", "eie", layer_npz, *VARY, "--into", into), ("rows", into)):
        assert "is a store of version 99, this zeroskip writes version 2" in zeroskip(*words).complaint()


def test_a_full_disk(installed_zeroskip, zeroskip, layer_npz, into, tmp_path):
    assert zeroskip("sweep", "eie", layer_npz, *VARY, "--into", into, "--workers", 1).code == 0
    site = tmp_path / "site"
    site.mkdir()
    # Python runs this file by itself when it starts: no file of that process can then grow beyond these bytes.
    (site / "sitecustomize.py").write_text("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))")
    environment = {"PYTHONPATH": f"{site}{os.pathsep}{Path.cwd()}", "PYTHONDONTWRITEBYTECODE": "1"}
    more = ("--vary", "queue_depth=2:200", "--into", str(into), "--workers", "2")
    ended = installed_zeroskip("sweep", "eie", layer_npz, *more, environment=environment)
    expected, complaint = ended.err.splitlines()
    assert expected.startswith("zeroskip: 199 points")
    assert complaint.startswith("zeroskip: error: store ")
    assert "could not take the latest rows (those stored before are whole): " in complaint
    assert ended.code == 2
    assert 9 <= n_rows(into) < 202
    again = zeroskip("sweep", "eie", layer_npz, *map(str, more), "--json", "-")
    assert json.loads(again.out)["n_stored_before"] + json.loads(again.out)["n_computed"] == 199


def test_ctrl_c_stops_cleanly(layer_npz, into):
    program = [sys.executable, "-c", "import sys; from cyclekit.command.cli import main; sys.exit(main())"]
    words = ("sweep", "eie", layer_npz, "--vary", "queue_depth=2:60001", "--into", into, "--workers", "2")
    running = subprocess.Popen(
        [*program, *words],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell starts what it has in the background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (into.exists() and n_rows(into)):
        assert running.poll() is None
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the workers too
    said = running.communicate()[1].splitlines()
    assert running.returncode == 130
    assert said[1:] == [
        "zeroskip: what is stored is whole; the same command goes on from there",
        "zeroskip: interrupted",
    ]
    assert 0 < n_rows(into) < 60_000


def n_rows(path) -> int:
    with Store(path) as store:
        return len(store)
