"""Does the command `zeroskip` do what its help says, on a terminal, in a pipe and as JSON?"""

import dataclasses
import json
import os
import pty
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from cyclekit.command.cli import VERBS, main
from cyclekit.machine import load

PROMISED = {
    "machine",
    "workload",
    "engine",
    "spec",
    "cycles",
    "time_us",
    "load_balance",
    "actions",
    "states",
    "output_sha256",
    "check",
}
ENGINES = ("events", "schedule")


def as_json(ended):
    """Return what a command wrote as JSON; its text, then, went to standard error."""
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


# zeroskip alone


def test_alone_it_shows_its_help(zeroskip):
    ended = zeroskip()
    assert ended.code == 0
    assert "usage: zeroskip" in ended.out
    assert all(verb in ended.out for verb in VERBS)


def test_it_knows_its_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"zeroskip {version('zeroskip')}\n"


# zeroskip list


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("machines", {"eie"}),
        ("workloads", {"alex-6", "nt-lstm", "alex-6-calibrated", "lenet-300-100"}),
        ("presets", {"isca2016", "silicon", "isca2016-28nm"}),
    ],
)
def test_list_names_and_describes_what_there_is(zeroskip, kind, names):
    text = zeroskip("list", kind).out
    rows = as_json(zeroskip("list", kind, "--json", "-"))
    assert names <= {row["name"] for row in rows}
    for row in rows:
        assert row["name"] in text
        assert row["description"] in text


def test_list_alone_lists_the_lists(zeroskip):
    rows = as_json(zeroskip("list", "--json", "-"))
    for row in rows:
        assert zeroskip("list", row["name"]).code == 0
    assert "networks      networks for prune, tradeoff, sensitivity and adapt\n" in zeroskip("list").out


def test_list_presets_tells_every_field_that_can_be_set(zeroskip):
    text = zeroskip("list", "presets").out
    for machine in ("eie", "tensorcore"):
        lines = text.partition(f"{machine}: fields for --set")[2].split("\n\n")[0].splitlines()
        for field in dataclasses.fields(load(machine).spec):
            (line,) = (line for line in lines if line.split()[:1] == [field.name])
            assert field.metadata["meaning"] in line
            assert field.metadata["source"] in line


# zeroskip run


@pytest.mark.parametrize("engine", ENGINES)
def test_run_gives_one_object_for_one_input(zeroskip, layer_npz, engine):
    run = as_json(zeroskip("run", "eie", layer_npz, "--engine", engine, "--json", "-"))
    assert run.keys() >= PROMISED
    assert (run["machine"], run["workload"], run["engine"], run["input"]) == ("eie", "layer", engine, 0)
    assert run["time_us"] == run["cycles"] / run["spec"]["clock_mhz"]
    assert sum(run["states"]["pe"].values()) == run["spec"]["n_pes"] * run["cycles"]
    assert run["actions"]["broadcasts"] == 3
    assert run["actions"]["macs"] == 4
    assert run["check"] is None


def test_the_engines_differ_in_nothing_but_their_name(zeroskip, layer_npz):
    runs = [as_json(zeroskip("run", "eie", layer_npz, "--engine", engine, "--json", "-")) for engine in ENGINES]
    assert {key for key in runs[0] if runs[0][key] != runs[1][key]} == {"engine"}


def test_simpy_plays_unless_told_otherwise(zeroskip, layer_npz):
    assert as_json(zeroskip("run", "eie", layer_npz, "--json", "-"))["engine"] == "events"


@pytest.mark.parametrize(("asked", "n_runs"), [((), 3), (("--inputs", "2"), 2), (("--inputs", "9"), 3)])
def test_run_gives_a_list_for_a_batch(zeroskip, layer, tmp_path, asked, n_runs):
    activations = np.stack([layer["activations"], 0 * layer["activations"], layer["activations"]])
    np.savez(tmp_path / "batch.npz", weights=layer["weights"], activations=activations)
    runs = as_json(zeroskip("run", "eie", tmp_path / "batch.npz", "--engine", "schedule", "--json", "-", *asked))
    assert [run["input"] for run in runs] == list(range(n_runs))
    assert [run["actions"]["broadcasts"] for run in runs] == [3, 0, 3][:n_runs]


def test_run_gives_one_object_for_one_input_of_a_batch(zeroskip, layer, tmp_path):
    np.savez(tmp_path / "batch.npz", weights=layer["weights"], activations=np.ones((3, 6)))
    run = as_json(zeroskip("run", "eie", tmp_path / "batch.npz", "--inputs", "1", "--json", "-"))
    assert run["actions"]["broadcasts"] == 6


def test_run_gives_a_list_for_a_network_layer_after_layer(zeroskip):
    asked = ("--inputs", "2", "--engine", "schedule", "--check")
    runs = as_json(zeroskip("run", "eie", "lenet-300-100", "--json", "-", *asked))
    layers = [run["workload"] for run in runs[:3]]
    assert len(set(layers)) == 3
    assert [(run["workload"], run["input"]) for run in runs] == [(name, i) for i in (0, 1) for name in layers]
    assert all(run["check"]["passed"] for run in runs)


def test_set_and_preset_make_the_design(zeroskip, layer_npz):
    asked = ("--set", "n_pes=4", "--set", "clock_mhz = 1e2", "--set", "load_phase=yes")
    spec = as_json(zeroskip("run", "eie:silicon", layer_npz, "--json", "-", *asked))["spec"]
    changed = {"n_pes": 4, "clock_mhz": 100.0, "load_phase": True, "capacity": "enforce"}
    assert spec.items() >= changed.items()


def test_the_text_tells_cycles_states_and_the_check(zeroskip, layer_npz):
    ended = zeroskip("run", "eie", layer_npz, "--check")
    for told in ("eie, engine events", "preset isca2016", "cycles", "load balance [%]", "pe drain [% of cycles]"):
        assert told in ended.out
    assert "values: 1 of 1 runs agree with the references" in ended.out
    assert (ended.code, ended.err) == (0, "")


def test_weights_of_many_values_are_shared_and_the_run_says_so(zeroskip, tmp_path):
    weights = np.linspace(-1, 1, 40).reshape(8, 5)
    np.savez(tmp_path / "many.npz", weights=weights, activations=np.ones(5))
    notes = as_json(zeroskip("run", "eie", tmp_path / "many.npz", "--json", "-"))["notes"]
    assert any("more than 15 distinct non-zero values: shared by exact k-means in 15" in note for note in notes), notes


# zeroskip explain


@pytest.mark.parametrize("name", ["eie", "tensorcore"])
def test_explain_shows_the_tables_that_its_json_holds(zeroskip, layer_npz, name):
    asked = ("explain", name, layer_npz, "--row", "3", "--column", "4")
    found = as_json(zeroskip(*asked, "--json", "-"))
    lines = zeroskip(*asked).out.splitlines()
    for title, rows in found["tables"].items():
        start = lines.index(title)
        assert lines[start + 1].split() == " ".join(rows[0]).split()
        for line, row in zip(lines[start + 2 :], rows, strict=False):
            assert line.split() == " ".join(row.values()).split()
    assert lines[-len(found["remarks"]) :] == found["remarks"]


@pytest.mark.parametrize(
    ("asked", "name"), [((), "ip1"), (("--layer", "ip2"), "ip2"), (("--layer", "lenet-300-100/ip3"), "ip3")]
)
def test_explain_takes_a_layer_of_a_network(zeroskip, asked, name):
    titles = as_json(zeroskip("explain", "eie", "lenet-300-100", "--json", "-", *asked))["tables"]
    assert all(title.startswith(f"lenet-300-100/{name}: ") for title in titles)


# JSON


def test_json_to_a_file_is_what_would_go_to_standard_output(zeroskip, layer_npz, tmp_path):
    path = tmp_path / "run.json"
    ended = zeroskip("run", "eie", layer_npz, "--json", path)
    assert "cycles" in ended.out
    assert path.read_text() == zeroskip("run", "eie", layer_npz, "--json", "-").out
    assert list(tmp_path.iterdir()) == [path]


def test_json_to_standard_output_sends_the_text_to_standard_error(zeroskip, layer_npz):
    ended = zeroskip("run", "eie", layer_npz, "--json", "-")
    assert json.loads(ended.out)
    assert "load balance" in ended.err


def test_json_replaces_the_file_that_a_link_points_to(zeroskip, tmp_path):
    old, link = tmp_path / "old.json", tmp_path / "link.json"
    old.write_text("old")
    link.symlink_to(old)
    assert zeroskip("list", "machines", "--json", link).code == 0
    assert link.is_symlink()
    assert json.loads(old.read_text())[0]["name"] == "eie"


def test_json_goes_through_a_named_pipe_and_leaves_it_a_pipe(zeroskip, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert zeroskip("list", "machines", "--json", pipe).code == 0
        assert json.loads(os.read(reader, 1 << 16))[0]["name"] == "eie"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


# How it looks, how it ends


def test_in_a_pipe_there_are_no_escape_codes(installed_zeroskip, layer_npz):
    ended = installed_zeroskip("run", "eie", layer_npz, "--check", environment={"FORCE_COLOR": "1", "TERM": "xterm"})
    assert ended.code == 0
    assert "load balance" in ended.out
    assert "\x1b" not in ended.out + ended.err


def test_on_a_terminal_there_are_and_units_in_brackets_stay(installed_zeroskip, toy_site, layer_npz):
    environment = {"TERM": "xterm", "PYTHONPATH": str(toy_site)}
    screen, terminal = pty.openpty()
    try:
        ended = installed_zeroskip("run", "toy", layer_npz, stdout=terminal, stderr=terminal, environment=environment)
        shown = os.read(screen, 1 << 16).decode()
    finally:
        os.close(terminal)
        os.close(screen)
    assert ended.code == 0
    assert "\x1b[" in shown
    assert "time [us]" in shown


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(("seconds", "announced"), [(1, ""), (90, "zeroskip: expecting about 90 s and 5 MB\n")])
def test_a_long_run_first_says_its_expected_time_and_memory(zeroskip, layer_npz, seconds, announced):
    assert zeroskip("run", "toy", layer_npz, "--set", f"expected_s={seconds}").err == announced


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(("wrong", "code", "passed"), [("no", 0, 1), ("yes", 1, 0)])
def test_a_failed_check_ends_with_1(zeroskip, layer_npz, tmp_path, wrong, code, passed):
    ended = zeroskip("run", "toy", layer_npz, "--check", "--set", f"wrong={wrong}", "--json", tmp_path / "run.json")
    assert ended.code == code
    assert f"values: {passed} of 1 runs agree with the references; error 0.5" in ended.out
    assert json.loads((tmp_path / "run.json").read_text())["check"]["passed"] is bool(passed)


def test_an_interrupted_command_ends_with_130(zeroskip, layer_npz, monkeypatch):
    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("cyclekit.command.run.run", interrupt)
    ended = zeroskip("run", "eie", layer_npz)
    assert (ended.code, ended.out, ended.err) == (130, "", "zeroskip: interrupted\n")


def test_a_reader_that_goes_away_is_no_error(installed_zeroskip):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = installed_zeroskip("list", "workloads", stdout=writing)
    finally:
        os.close(writing)
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_error(layer_npz, closed):
    program = Path(sys.executable).with_name("zeroskip")
    ended = subprocess.run(["sh", "-c", f'"$0" run eie "$1" {closed}', program, layer_npz], capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_name_that_the_terminal_cannot_show_is_no_error(installed_zeroskip, layer_npz, tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xc3\xa9-\xff.npz"
    Path(os.fsdecode(path)).write_bytes(layer_npz.read_bytes())
    ended = installed_zeroskip("run", "eie", path, environment={"PYTHONIOENCODING": "ascii:strict"})
    assert (ended.code, ended.err) == (0, "")
    assert r"caf\xe9-\xff" in ended.out


# The help


def test_help_answers_in_half_a_second(installed_zeroskip):
    walls = []
    for _ in range(3):
        start = time.perf_counter()
        assert installed_zeroskip("--help").code == 0
        walls.append(time.perf_counter() - start)
    assert min(walls) < 0.5


def test_help_imports_nothing_heavy():
    code = (
        "import sys, cyclekit.command.cli as c\ntry: c.main(['--help'])\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    )
    assert "cyclekit.command.cli" in loaded
    assert not loaded & {"numpy", "scipy", "numba", "matplotlib", "simpy", "rich", "eie_sim"}


@pytest.mark.parametrize("verb", ["list", "run", "explain", "prune", "tradeoff", "data", "validate", "demo"])
def test_every_verb_has_help(installed_zeroskip, verb):
    ended = installed_zeroskip(verb, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"usage: zeroskip {verb}")
    assert "--json" in ended.out
