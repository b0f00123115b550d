"""Can a user add a machine as a package of their own, without any change in cyclekit?"""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cyclekit
from cyclekit.command import cli
from cyclekit.machine import Demo, all_installed, installed, layers_and_inputs, named, run_through
from tests.cyclekit import toy_sim
from workloads import BadInput, Layer, Network, Shape, Workload


@pytest.fixture
def with_toy(toy_site, installed_zeroskip):
    """Return a function that runs the command where the toy machine is installed beside the others; its JSON."""

    def command(*argv):
        ended = installed_zeroskip(*argv, "--json", "-", environment={"PYTHONPATH": str(toy_site)}, cwd=toy_site)
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    return command


def test_an_installed_package_is_listed_beside_the_others(with_toy):
    listed = [row["name"] for row in with_toy("list", "machines")]
    assert listed == sorted([*installed(), "toy"])


def test_an_installed_package_runs(with_toy, layer, layer_npz):
    run = with_toy("run", "toy:fast", layer_npz, "--set", "clock_mhz=50")
    assert (run["machine"], run["engine"]) == ("toy", "only")
    assert run["cycles"] == layer["weights"].size
    assert run["time_us"] == layer["weights"].size / 50


@pytest.mark.usefixtures("toy")
def test_an_installed_package_lists_its_presets(zeroskip):
    rows = [row for row in json.loads(zeroskip("list", "presets", "--json", "-").out) if row["machine"] == "toy"]
    assert [(row["name"], row["spec"]["clock_mhz"]) for row in rows] == [("slow", 100), ("fast", 200)]


def test_an_installed_package_explains(with_toy, layer_npz):
    found = with_toy("explain", "toy:fast", layer_npz, "--row", "3", "--column", "4")
    assert found["tables"] == {"One weight of layer": [{"row": "3", "column": "4", "weight": "0.25"}]}
    assert found["remarks"] == ["at 200 MHz"]


@pytest.mark.usefixtures("toy")
def test_an_installed_package_is_validated(zeroskip, tmp_path):
    ended = zeroskip("validate", "toy", "--json", tmp_path / "toy.json", "--figures", tmp_path / "figures")
    assert ended.code == 0
    assert re.search(r"one +time \[us\] +2 +3.00 +\+50.0%", ended.out)
    assert "[1] a footnote" in ended.out
    assert json.loads((tmp_path / "toy.json").read_text())["comparisons"][0]["error"] == 50
    assert (tmp_path / "figures" / "toy.txt").read_text() == "toy"


def test_a_package_that_cannot_be_imported_is_an_error_that_names_it(toy_site, monkeypatch, zeroskip, layer_npz):
    monkeypatch.syspath_prepend(toy_site)
    entry_points = next(toy_site.glob("*.dist-info")) / "entry_points.txt"
    entry_points.write_text("[zeroskip.machines]\ngone = nowhere_sim:MACHINE\n")
    ended = zeroskip("run", "gone", layer_npz)
    assert ended.code == 2
    assert ended.err.startswith("zeroskip: error: machine 'gone' is announced as nowhere_sim:MACHINE but ")


def test_the_kit_names_no_machine_but_in_the_examples_of_its_help():
    names = "|".join(word for name, found in installed().items() for word in (rf"\b{name}\b", found.module))
    for path in Path(cyclekit.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8").replace(cli.EPILOG, "")
        assert not re.search(names, source, re.IGNORECASE), path.name


def test_the_kit_imports_no_machine():
    code = "import sys; from cyclekit import command, figures; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {found.module for found in installed().values()} & set(loaded)


# What the kit does for every machine: a network becomes layers with the activations that reach them


def test_each_layer_of_a_network_gets_what_leaves_the_one_before():
    first = Layer(name="a", weights=[[1, -1], [2, 0], [0, 3]], bias=[0, -5, 0])
    second = Workload(name="b", weights=[[1, 1, 1]], activations=[[9, 9, 9]], relu=False, provenance="its own")
    network = Network(name="net", layers=(first, second), inputs=[[1, 2], [3, 1], [0, 0]], provenance="the network's")
    layers, inputs = layers_and_inputs(network, 2)
    assert inputs.tolist() == [[1, 2], [3, 1]]
    assert [layer.name for layer in layers] == ["net/a", "net/b"]
    assert [layer.provenance for layer in layers] == ["the network's", "its own"]
    assert layers[0].activations.tolist() == [[1, 2], [3, 1]]
    # relu([1 - 2, 2 - 5, 6]) and relu([3 - 1, 6 - 5, 3])
    assert layers[1].activations.tolist() == [[0, 0, 6], [2, 1, 3]]


@pytest.mark.parametrize(("asked", "expected"), [(None, 3), (1, 1), (2, 2), (9, 3)])
def test_a_workload_runs_the_asked_number_of_its_inputs(asked, expected):
    work = Workload(name="w", weights=np.ones((2, 2)), activations=np.arange(6).reshape(3, 2))
    (layer,), inputs = layers_and_inputs(work, asked)
    assert inputs.tolist() == layer.activations.tolist() == [[0, 1], [2, 3], [4, 5]][:expected]


@pytest.mark.parametrize(("batch", "sizes"), [(None, [6]), (1, [2, 2, 2]), (2, [4, 2])])
def test_a_batched_machine_takes_the_rows_of_its_inputs_at_once(batch, sizes):
    work = Workload(name="w", weights=np.ones((2, 2)), activations=np.ones((6, 2)), positions=2)
    layers, inputs = replace(toy_sim.MACHINE, batched=True).layers_and_inputs(work, batch=batch)
    assert (len(layers), [len(rows) for rows in inputs]) == (1, sizes)
    _, inputs = toy_sim.MACHINE.layers_and_inputs(work)
    assert [signal.rows.shape for signal in inputs] == [(2, 2)] * 3


def test_a_batch_of_a_network_is_of_its_inputs():
    layer = Layer(name="a", weights=np.ones((2, 2)), bias=[0, 0])
    network = Network(name="net", layers=(layer,), inputs=np.ones((3, 2)))
    machine = replace(toy_sim.MACHINE, batched=True)
    assert [len(rows) for rows in machine.layers_and_inputs(network, batch=2)[1]] == [2, 1]
    assert [len(rows) for rows in toy_sim.MACHINE.layers_and_inputs(network)[1]] == [2, 2, 2]


def test_the_machines_that_are_named():
    assert list(named(None)) == [m.name for m in all_installed() if Workload in m.takes]
    assert named("none") == {}
    assert [(name, m.name) for name, m in named("tensorcore, eie").items()] == [
        (name, name) for name in ("tensorcore", "eie")
    ]
    both = named("eie,eie:silicon")
    assert {name: (m.name, m.preset) for name, m in both.items()} == {
        "eie": ("eie", "isca2016"),
        "eie:silicon": ("eie", "silicon"),
    }
    assert both["eie:silicon"].design(None, {}) == both["eie"].design("silicon", {})
    with pytest.raises(BadInput, match="must name each machine once, got 'eie' twice"):
        named("eie,tensorcore,eie")


def test_how_far_a_run_is_within_a_layer_is_told():
    def simulate(*arguments, progress, **options):
        progress(0.5)
        return toy_sim.simulate(*arguments, progress=progress, **options)

    work = Workload(name="w", weights=np.ones((2, 2)), activations=np.ones((2, 2)))
    said = []
    runs = run_through(
        simulate, [work], work.activations, toy_sim.Spec(), engine="only", progress=lambda *all_of: said.append(all_of)
    )
    assert [run.cycles for run in runs] == [4, 4]
    assert said == [
        ("input 1 of 2", 0.5, 2),
        ("input 1 of 2", 1, 2),
        ("input 2 of 2", 1.5, 2),
        ("input 2 of 2", 2, 2),
    ]


def test_a_field_is_said_to_change_nothing_where_it_does_so_on_every_design():
    def idle(spec):
        return {"expected_s": f"of {spec.clock_mhz:g} MHz"} | (
            {"wrong": "too fast to be"} if spec.clock_mhz > 150 else {}
        )

    machine = replace(toy_sim.MACHINE, idle=idle)
    slow, fast = machine.presets.values()
    note = "expected_s changes nothing here: of 200 MHz"
    assert machine.idle_note(["expected_s", "clock_mhz", "expected_s"], [fast]) == note
    assert machine.idle_note(["wrong", "expected_s"], [fast]) == f"wrong changes nothing here: too fast to be; {note}"
    assert machine.idle_note(["wrong"], [fast, slow]) == machine.idle_note(["wrong"], [slow, fast]) == ""
    assert machine.idle_note(["expected_s"], [fast, slow]) == note
    assert machine.idle_note(["clock_mhz"], [fast]) == machine.idle_note(["expected_s"], []) == ""


def test_a_demo_tells_what_it_shows_and_what_it_checked():
    lines = {"built": "a toy", "right": "all of it", "remember": {"time": "1 us"}}
    demo = Demo(**lines, further=("zeroskip list machines",), figures=[Path("a.png")], passed=True)
    rest = {"further": ["zeroskip list machines"], "figures": ["a.png"], "passed": True}
    assert demo.as_dict() == lines | rest
    assert replace(demo, passed=False).as_dict()["passed"] is False


def test_what_a_machine_is_unless_it_says_otherwise():
    machine = toy_sim.MACHINE  # which says none of this
    with pytest.raises(BadInput, match="workload 's' is a shape without values, which toy needs: name a layer"):
        machine.layers_and_inputs(Shape(name="s", n_out=2, n_in=2, batch=1))
    work = Workload(name="w", weights=np.ones((2, 2)), activations=np.ones((3, 2)))
    assert len(machine.layers_and_inputs(work)[1]) == 3  # one at a time
    with pytest.raises(BadInput, match="--batch must be 1 for toy, which takes one input at a time, got 2"):
        machine.layers_and_inputs(work, batch=2)
    assert (machine.balance, machine.ticks_per_cycle, machine.model_version) == ("load balance", 1, 1)
    assert (machine.idle(toy_sim.Spec()), machine.pattern(toy_sim.Spec())) == ({}, None)
