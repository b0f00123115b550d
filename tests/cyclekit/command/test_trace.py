"""Does `zeroskip trace` trace the run that was asked for, and refuse the rest in one line?"""

import json
import sys

import numpy as np
import pytest

import eie_sim
from cyclekit.trace import formats
from workloads import Model, Network, Workload, load
from workloads.records import with_activations

LENET = ("trace", "eie", "lenet-300-100", "--set", "n_pes=8", "--engine", "schedule")


def as_json(ended):
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def events(path) -> list[dict]:
    return [event for event in json.loads(path.read_text())["traceEvents"] if event["ph"] == "X"]


def test_the_diagram_of_a_small_layer(zeroskip, layer_npz):
    # Inputs 1, 4 and 5 of six, in rows of two lanes: (. x) is sent in 1, (. .) takes 2, (x x) is sent in 3 and 4.
    ended = zeroskip("trace", "eie", layer_npz, "--set", "n_pes=2")
    assert ended.code == 0
    assert "broadcaster  SMSS" in ended.out
    # PE 0 has rows 0 and 2: a weight of inputs 1 and 5, none of 4; PE 1 has rows 1 and 3: of 1 and 4. They pop in 2, 4
    # and 5, and wait in 3 for what the move in 2 kept back.
    assert "\nPE 0         AAWAbW" in ended.out
    assert "\nPE 1         AAWAWb" in ended.out


def test_both_engines_and_both_files_in_one_go(zeroskip, layer_npz, tmp_path):
    pytest.importorskip("vcd")
    written = {}
    for engine in ("events", "schedule"):
        files = [tmp_path / f"{engine}.json", tmp_path / f"{engine}.vcd"]
        words = ("--engine", engine, "--chrome", files[0], "--vcd", files[1])
        ended = zeroskip("trace", "eie", layer_npz, "--set", "n_pes=2", *words)
        assert ended.code == 0
        assert [f"wrote {path}" for path in files] == ended.out.splitlines()[-2:]
        written[engine] = [path.read_text().replace(engine, "") for path in files]
    assert written["events"] == written["schedule"]


def test_a_layer_inside_a_network_is_fed_by_those_before_it(zeroskip, tmp_path):
    file = tmp_path / "t.json"
    found = as_json(zeroskip(*LENET, "--layer", "ip2", "--index", "3", "--chrome", file, "--json", "-"))
    work = load("lenet-300-100")
    assert isinstance(work, Network)
    spec = eie_sim.Spec(n_pes=8)
    runs = eie_sim.simulate(eie_sim.encode(work, spec), work.inputs[3], spec, engine="schedule")
    assert with_activations(work).layers[1].name == "ip2"
    assert (found["workload"], found["input"], found["cycles"]) == (runs[1].workload, 3, runs[1].cycles)
    assert found["id"] == runs[1].id
    weights = sum(event["dur"] for event in events(file) if event["name"] == "weight")
    assert weights == runs[1].states["pe"]["weight"]
    assert found["files"] == {"chrome": str(file)}


def test_of_layers_that_run_apart_only_the_one_asked_for_runs(zeroskip, monkeypatch):
    apart = Model(
        name="two",
        operators=tuple(
            Workload(name=f"two/{name}", weights=np.ones((n, 2), np.float32), activations=np.ones((3, 2), np.float32))
            for name, n in (("a", 8), ("b", 16))
        ),
    )
    monkeypatch.setattr("workloads.load", lambda name, feed: apart)
    words = ("trace", "eie", "two", "--set", "n_pes=1", "--json", "-")
    # two columns of n entries, the first popped in cycle 2, and 6 cycles to drain
    assert [as_json(zeroskip(*words, "--layer", name))["cycles"] for name in ("a", "two/b")] == [2 + 16 + 6, 2 + 32 + 6]
    found = as_json(zeroskip(*words, "--index", "2"))
    assert (found["workload"], found["input"]) == ("two/a", 2)


def test_a_window_and_a_few_units(zeroskip, tmp_path):
    file = tmp_path / "t.json"
    found = as_json(zeroskip(*LENET, "--window", "101:160", "--units", 2, "--chrome", file, "--json", "-"))
    assert (found["begin"], found["end"]) == (100, 160)
    assert [track["name"] for track in found["tracks"]] == ["broadcaster", "PE 0", "PE 1"]
    assert all(sum(end - begin for _, begin, end in track["spans"]) == 60 for track in found["tracks"])
    assert min(event["ts"] for event in events(file)) == 100
    assert max(event["ts"] + event["dur"] for event in events(file)) == 160
    assert sorted({(event["tid"], event["cat"]) for event in events(file)}) == [
        (1000, "broadcaster"),
        (1001, "pe"),
        (1002, "pe"),
    ]


def test_the_diagram_says_that_there_are_more_units(zeroskip, tmp_path):
    words = (
        "trace",
        "eie",
        "lenet-300-100",
        "--engine",
        "schedule",
        "--window",
        "1:9",
        "--chrome",
        tmp_path / "t.json",
    )
    ended = zeroskip(*words)
    assert "\nPE 15 " in ended.out
    assert "\nPE 16 " not in ended.out
    assert "the first 16 units of a kind: --units N shows others" in ended.out
    assert len({event["tid"] for event in events(tmp_path / "t.json")}) == 64 + 1
    assert "--units N" not in zeroskip(*words, "--units", "3").out


def test_a_gemm_of_sizes_only(zeroskip, tmp_path):
    file = tmp_path / "t.json"
    found = as_json(zeroskip("trace", "tensorcore", "256x256x256", "--units", 4, "--chrome", file, "--json", "-"))
    assert [track["name"] for track in found["tracks"]] == ["SM 0", "SM 1", "SM 2", "SM 3"]
    assert found["end"] == found["cycles"]
    for track in found["tracks"]:
        assert (track["spans"][0][0], track["spans"][-1][0]) == ("launch", "wave")
    assert sum(event["dur"] for event in events(file)) == pytest.approx(4 * found["cycles"])


@pytest.mark.usefixtures("toy")
def test_a_user_s_own_machine(zeroskip, layer_npz):
    found = as_json(zeroskip("trace", "toy", layer_npz, "--json", "-"))
    assert found["tracks"] == [{"name": "the unit", "kind": "unit", "spans": [["busy", 0, 24]]}]
    assert "the unit  BBB" in zeroskip("trace", "toy", layer_npz).out


@pytest.mark.usefixtures("toy")
def test_a_machine_without_spans(refused, layer_npz, monkeypatch):
    from cyclekit.machine import load as load_machine

    monkeypatch.setitem(vars(load_machine("toy")), "spans", None)
    assert refused("trace", "toy", layer_npz) == "toy has no traces: its Machine says nothing of spans"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("FILE --window 5", "--window must be A:B, the first and the last cycle, from 1 on, got '5'"),
        ("FILE --window 0:5", "--window must be A:B, the first and the last cycle, from 1 on, got '0:5'"),
        ("FILE --window 7:5", "--window must be A:B, the first and the last cycle, from 1 on, got '7:5'"),
        ("FILE --window a:b", "--window must be A:B, the first and the last cycle, from 1 on, got 'a:b'"),
        ("FILE --window -3:5", "argument --window: expected one argument; see 'zeroskip trace --help'"),
        ("FILE --window 1:99999", "--window must end by cycle "),
        ("FILE --units 0", "argument --units: must be a whole number of at least 1, got '0'"),
        ("FILE --index 1", "--index must be from 0 to 0, layer has 1, got 1"),
        ("FILE --index -1", "argument --index: must be a whole number of at least 0, got '-1'"),
        ("lenet-300-100 --layer ip9", "unknown layer 'ip9', did you mean 'ip"),
        (
            "FILE --chrome nowhere/t.json",
            "--chrome must name a file in an existing folder, there is no folder 'nowhere'",
        ),
        ("FILE --vcd DIR", "--vcd must name a file, 'DIR' is a folder"),
        ("FILE --chrome DIR/t --vcd DIR/t", "--chrome and --vcd must name two files, got 'DIR/t' for both"),
        ("8x8x8", "workload '8x8x8' is a shape without values, which eie needs: name a layer"),
    ],
)
def test_what_cannot_be_traced(refused, layer_npz, tmp_path, words, complaint):
    words = words.replace("FILE", str(layer_npz)).replace("DIR", str(tmp_path)).split()
    assert refused("trace", "eie", *words).startswith(complaint.replace("DIR", str(tmp_path)))


def test_a_card_takes_its_batch_at_once(refused):
    complaint = refused("trace", "tensorcore", "64x64x64", "--index", "1")
    assert complaint == "--index must be from 0 to 0, 64x64x64 takes the whole batch at a time, got 1"


def test_a_trace_that_is_too_long_leaves_no_file(refused, tmp_path, monkeypatch):
    monkeypatch.setattr("cyclekit.trace.tracks.MOST_SPANS", 100)
    complaint = refused(*LENET, "--window", "1:100", "--chrome", tmp_path / "t.json")
    assert complaint.startswith("a trace must hold at most 100 spans, got ")
    assert complaint.endswith(": ask for a smaller --window or --units")


def test_without_pyvcd_one_line_says_how_to_get_it(refused, layer_npz, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vcd", None)
    complaint = refused("trace", "eie", layer_npz, "--chrome", tmp_path / "t.json", "--vcd", tmp_path / "t.vcd")
    assert complaint == "--vcd needs pyvcd: pip install '.[trace]' in a checkout"


def test_files_are_written_whole_or_not_at_all(zeroskip, layer_npz, tmp_path, monkeypatch):
    file = tmp_path / "t.json"
    file.write_text("old")

    def breaks(trace, steps):
        raise MemoryError

    monkeypatch.setattr(formats, "chrome", breaks)
    assert "memory" in zeroskip("trace", "eie", layer_npz, "--chrome", file).complaint()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


# Steps


def test_steps_are_printed_cycle_by_cycle_and_the_same_as_records(zeroskip):
    words = ("trace", "eie", "lecture-eie", "--set", "n_pes=4", "--steps")
    text = zeroskip(*words).out
    assert "\ncycle 4\n  LNZD and broadcast\n" in text
    assert "\n  PE 0  3      3     6    0    0.75    0       3   5.25\n" in text  # w0,3 a3 behind w0,1 a1
    assert "  the same: cycle 7 to cycle 11\n" in text
    found = as_json(zeroskip(*words, "--json", "-"))
    titles = [step["title"] for step in found["steps"]]
    assert titles == ["numbers", *(f"cycle {cycle}" for cycle in range(1, 12)), "after cycle 11"]
    assert found["steps"][4]["tables"]["entries, weights and accumulators"][0]["after"] == 5.25
    assert "steps" not in as_json(zeroskip(*words[:-1], "--json", "-"))


def test_no_step_is_wider_than_80_columns_in_a_pipe(zeroskip):
    for words in (
        ("trace", "eie", "lenet-300-100", "--engine", "schedule", "--steps", "--window", "200:204"),
        ("trace", "tensorcore", "lecture-2:4", "--set", "sparsity=2:4", "--steps"),
    ):
        text = zeroskip(*words).out
        steps = text[text.index("numbers\n" if words[1] == "eie" else "A of mma.sp") :]
        assert max(map(len, steps.splitlines())) <= 80


def test_a_window_and_units_cut_steps_and_without_one_the_first_are_shown(zeroskip, tmp_path):
    words = (*LENET, "--steps", "--units", "2")
    found = as_json(zeroskip(*words, "--window", "101:103", "--json", "-"))
    assert [step["title"] for step in found["steps"]] == ["numbers", "cycle 101", "cycle 102", "cycle 103"]
    assert [row["unit"] for row in found["steps"][1]["tables"]["queues and pointers"]] == ["PE 0", "PE 1"]
    ended = zeroskip(*words, "--chrome", tmp_path / "t.json")
    assert "the first 40 steps: --window A:B shows others" in ended.out
    events_of_all = events(tmp_path / "t.json")
    assert max(event["ts"] + event["dur"] for event in events_of_all if "args" in event) > 100


def test_a_machine_without_steps_says_so(zeroskip, toy):
    assert "toy has no --steps to show" in zeroskip("trace", "toy", "lecture-eie", "--steps").complaint()
