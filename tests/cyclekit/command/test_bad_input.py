"""Does bad input end with exit code 2 and one line that helps, and leave nothing behind?"""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from cyclekit import terminal

# The words on the command line


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("run ei FILE", "unknown machine 'ei', did you mean 'eie'?"),
        ("run eie alex6", "unknown workload 'alex6', did you mean 'alex-6'?; or name an .npz file"),
        ("run eie:silicn FILE", "unknown preset 'silicn' of eie, did you mean 'silicon'?"),
        ("run eie FILE --engine event", "unknown engine 'event' of eie, did you mean 'events'?"),
        ("run eie FILE --set n_pes=0", "n_pes must be at least 1, got 0"),
        ("run eie FILE --set queue_depth=1", "queue_depth must be at least 2, got 1"),
        ("run eie FILE --set n_pe=4", "unknown field 'n_pe', did you mean 'n_pes'?"),
        ("run eie FILE --set n_pes=four", "n_pes must be a whole number, got 'four'"),
        ("run eie FILE --set clock_mhz=nan", "clock_mhz must be a number, got 'nan'"),
        ("run eie FILE --set n_pes", "--set must look like field=value, got 'n_pes'"),
        ("run eie FILE --set =4", "--set must look like field=value, got '=4'"),
        ("run eie FILE --set n_pes=", "--set must look like field=value, got 'n_pes='"),
        ("run eie FILE --set queue_depth=100000000000000000000", "queue_depth must be at most "),
        ("run eie FILE --inputs 0", "inputs must be a whole number of at least 1, got 0"),
        (
            "run eie FILE --inputs two",
            "inputs must be a whole number, an .npz file of arrays by input name, or random:SEED, got 'two'",
        ),
        ("run eie FILE --preset silicon --preset isca2016", "--preset must be given once"),
        ("run eie FILE --preset silicon --preset=isca2016", "--preset must be given once"),
        ("list presets eie:nope", "unknown preset 'nope' of eie: one of isca2016, isca2016-28nm, silicon"),
        ("list presets silicn", "unknown preset 'silicn', did you mean 'silicon'?"),
        ("run eie FILE --frob", "unrecognized arguments: --frob; see 'zeroskip run --help'"),
        ("run eie", "the following arguments are required: WORKLOAD; see 'zeroskip run --help'"),
        ("explain eie FILE --row 4", "row must be from 0 to 3 in layer, got 4"),
        ("explain eie FILE --column 6", "column must be from 0 to 5 in layer, got 6"),
        ("explain eie FILE --row -1", "argument --row: must be a whole number of at least 0, got '-1'"),
        ("explain eie FILE --column x", "argument --column: must be a whole number of at least 0, got 'x'"),
        ("explain eie FILE --layer ip9", "unknown layer 'ip9': one of layer"),
        ("explain eie lenet-300-100 --layer ip22", "unknown layer 'ip22', did you mean 'ip2'?"),
        (
            "explain eie:silicon FILE --set n_pes=1 --set spmat_bytes=1 --set refills=no",
            "layer does not fit: ",
        ),
        ("explain tensorcore FILE --row 4", "row must be from 0 to 3 in layer, got 4"),
        ("explain tensorcore FILE --set in_dtype=e4m3", "in_dtype 'e4m3' has no mma.sp on a100"),
        (
            "explain tensorcore FULL --set sparsity=2:4",
            "weights of full: matrix must be 2:4 for f16: the group at row 0, columns 0 to 3 has 4 non-zeros: "
            "prune to 2:4 first, or run with sparsity=dense",
        ),
        ("rows results.db --prices calibrated", "--prices is for the file that --out names: name one"),
        ("list machine", "unknown list 'machine', did you mean 'machines'?; or name a file of weights"),
        ("rum eie FILE", "unknown command 'rum', did you mean 'run'?; see 'zeroskip --help'"),
        ("validate ei", "unknown machine 'ei', did you mean 'eie'?"),
        ("validate eie --figures FILE", "--figures must name a folder, 'FILE' cannot be one: File exists"),
        ("demo --figures FILE/figures", "--figures must name a folder, 'FILE/figures' cannot be one: Not a directory"),
    ],
)
def test_words_that_mean_nothing(refused, layer_npz, tmp_path, words, complaint):
    np.savez(tmp_path / "full.npz", weights=np.ones((2, 4)), activations=np.ones(4))
    argv = [word.replace("FILE", str(layer_npz)).replace("FULL", str(tmp_path / "full.npz")) for word in words.split()]
    assert refused(*argv).startswith(complaint.replace("FILE", str(layer_npz)))


@pytest.mark.parametrize(
    ("shape", "fields", "told"),
    [
        ((65, 1), "n_pes=1", ("destination register file", "needs 65", "has 64", "n_pes=2 or more")),
        ((8, 1), "n_pes=1 refills=no spmat_bytes=4", ("Spmat SRAM", "needs 8", "has 4", "refills=true")),
        ((1, 3), "n_pes=1 refills=no pointer_bytes=6", ("pointer SRAM", "needs 4", "has 3", "refills=true")),
    ],
)
def test_what_does_not_fit_the_silicon(refused, tmp_path, shape, fields, told):
    np.savez(tmp_path / "full.npz", weights=np.ones(shape), activations=np.ones(shape[1]))
    changes = [word for field in fields.split() for word in ("--set", field)]
    complaint = refused("run", "eie:silicon", tmp_path / "full.npz", *changes)
    for part in ("full does not fit: ", *told):
        assert part in complaint


# The output


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("no/such/run.json", "--json must name a file in an existing folder, there is no folder 'TMP/no/such'"),
        ("layer.npz/run.json", "--json must name a file in an existing folder, there is no folder 'TMP/layer.npz'"),
        ("folder", "--json must name a file, 'TMP/folder' is a folder"),
    ],
)
def test_json_where_no_file_can_be(refused, layer_npz, tmp_path, monkeypatch, place, complaint):
    monkeypatch.setattr(
        "cyclekit.command.run.announce", lambda *_: pytest.fail("work was done before the path was looked at")
    )
    (tmp_path / "folder").mkdir()
    (tmp_path / "layer.npz").write_bytes(layer_npz.read_bytes())
    found = refused("run", "eie", tmp_path / "layer.npz", "--json", tmp_path / place)
    assert found == complaint.replace("TMP", str(tmp_path))


@pytest.mark.parametrize("name", ["old.json", "new.json"])
def test_json_where_the_user_may_not_write(refused, layer_npz, tmp_path, monkeypatch, name):
    (tmp_path / "old.json").write_text("old")
    monkeypatch.setattr(terminal.os, "access", lambda path, mode: False)  # root may write anywhere
    path = tmp_path / name
    found = refused("run", "eie", layer_npz, "--json", path)
    assert found == f"--json must name a file that can be written, {str(path)!r} cannot"


def test_a_disk_that_fills_up_leaves_the_old_file_whole(installed_zeroskip, tmp_path):
    path, site = tmp_path / "list.json", tmp_path / "site"
    path.write_text("old")
    site.mkdir()
    # Python runs this file by itself when it starts: no file of that process can then grow beyond 100 bytes.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
    (site / "sitecustomize.py").write_text(limit)
    environment = {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = installed_zeroskip("list", "workloads", "--json", path, environment=environment)
    assert ended.complaint() == f"--json could not be written to {str(path)!r}: File too large"
    assert path.read_text() == "old"
    assert set(tmp_path.iterdir()) == {path, site}


def test_a_disk_that_is_full_at_the_last_moment_leaves_nothing(refused, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(terminal.os, "replace", full)
    path = tmp_path / "list.json"
    complaint = refused("list", "machines", "--json", path)
    assert complaint == f"--json could not be written to {str(path)!r}: No space left on device"


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs the device /dev/full")
@pytest.mark.parametrize("asked", [(), ("--json", "-")])
def test_a_full_standard_output(installed_zeroskip, asked):
    with open("/dev/full", "w") as full:
        ended = installed_zeroskip("list", "machines", *asked, stdout=full)
    lines = ended.err.splitlines()
    assert (ended.code, lines[-1]) == (2, "zeroskip: error: No space left on device")
    assert "Traceback" not in ended.err


def test_memory_that_runs_out(refused, layer_npz, monkeypatch):
    def exhaust(options):
        raise MemoryError

    monkeypatch.setattr("cyclekit.command.run.run", exhaust)
    assert refused("run", "eie", layer_npz) == "not enough memory for this workload on this machine"


def test_debug_shows_the_traceback(installed_zeroskip):
    ended = installed_zeroskip("run", "eie", "missing.npz", "--debug")
    assert ended.code != 0
    assert "Traceback (most recent call last)" in ended.err
    assert "BadInput: workload file 'missing.npz' does not exist" in ended.err


def test_what_is_said_twice_or_can_never_hold(refused, layer_npz, tmp_path):
    twice = ("run", "eie", layer_npz, "--set", "n_pes=64", "--set", "n_pes=32")
    assert refused(*twice) == "--set names n_pes twice: say it once"
    percent = ("search", "eie", layer_npz, "--vary", "n_pes=1,2", "--into", tmp_path / "s.db")
    complaint = "--where must bound load_balance by a share from 0 to 1, got 'load_balance>=80'"
    assert refused(*percent, "--where", "load_balance>=80") == complaint
