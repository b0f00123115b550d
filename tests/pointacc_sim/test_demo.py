"""Does PointAcc's demo tell the time and the bytes of its runs, and is a demo whose engines differ no success?"""

from dataclasses import replace

import numpy as np
import pytest

from pointacc_sim import demo
from pointacc_sim.simulate import encode, simulate
from pointacc_sim.spec import PRESETS
from tests.pointacc_cases import voxels
from workloads.points.chain import Chain
from workloads.points.clouds import Cloud

CHANNELS = 64  # one tile of the server's array, 128 bytes a point; the edge design has 16 tiles


@pytest.fixture(scope="module")
def model():
    chain = Chain(Cloud(name="tiny", coordinates=voxels(1000, 0, side=12)), channels=CHANNELS)
    chain.convolution("second", chain.convolution("first", chain.input, CHANNELS), CHANNELS)
    return chain.model("two layers")


@pytest.fixture
def drawn(monkeypatch, model):
    """Return {name: arguments} of what is to be drawn."""
    monkeypatch.setattr(demo.networks, "load", lambda _: model)
    calls = {}
    for name in ("draw_sizes", "draw_groups", "draw_states", "draw_bytes"):

        def draw(*arguments, name=name, **_):
            calls[name] = arguments
            return name

        monkeypatch.setattr(demo.figures, name, draw)
    return calls


def test_bytes_are_the_closed_forms_and_times_the_runs(drawn, model, tmp_path):
    steps = []
    shown = demo.demo(tmp_path, progress=lambda *step: steps.append(step))
    assert [(done, of) for _, done, of in steps] == [(0, 3), (1, 3), (2, 3)]
    assert shown.passed
    assert shown.right == "maps and values of 2 of 2 layers are the reference's; both engines give the same cycles"

    moved, _ = drawn["draw_bytes"]
    sizes = model.layers[0].map.sizes
    n, entries, present = model.layers[0].positions, int(sizes.sum()), np.count_nonzero(sizes)
    apart = entries - n  # of all offsets but the centre, which needs no map
    weights, point = 2 * CHANNELS * CHANNELS, 2 * CHANNELS
    # Rows read, written gathered and read again, or in the centre read; sums written, read and added, or written.
    gathered = {
        "coordinate": 8 * n,  # of the first layer, whose map the second takes
        "map": (8 + 2 * 16) * apart,  # written once by the first; of each layer read to gather by and to scatter by
        "weight": 2 * weights * present,  # no offset has more entries than the accumulators hold outputs
        "feature": 2 * point * (3 * apart + n),
        "output": 2 * point * (3 * apart + n),
    }
    assert moved["gather, scatter"] == pytest.approx({part: of / 1e6 for part, of in gathered.items()})
    assert moved["without the cache"]["feature"] == pytest.approx(2 * point * entries / 1e6)
    assert {of["output"] for of in moved.values()} > {2 * point * n / 1e6}

    server = PRESETS["server"]
    runs = {
        name: simulate(encode(model, server.replace(**changes)), None, server.replace(**changes))
        for name, changes in demo.DESIGNS.items()
    }
    base, other = (sum(run.measures["dram_bytes"] for run in runs[name]) / 1e6 for name in (*demo.DESIGNS,)[::2])
    assert other == pytest.approx(sum(gathered.values()) / 1e6)
    us = {name: sum(run.cycles for run in of) / server.clock_mhz for name, of in runs.items()}
    edge = sum(run.time_us for run in simulate(encode(model, PRESETS["edge"]), None, PRESETS["edge"]))
    assert list(shown.remember.items()) == [
        ("the sweep on the server design", f"{us['fetch on demand']:.4g} us"),
        ("the sweep on the edge design", f"{edge:.4g} us"),
        ("DRAM, fetched on demand", f"{base:.1f} MB, of {other:.1f} MB by gather and scatter"),
    ]
    spent, _, times, _ = drawn["draw_states"]
    for name, of_design in runs.items():
        assert sum(spent[name].values()) == sum(run.cycles for run in of_design)  # each cycle has one state
        assert times[name] == pytest.approx(us[name])
    assert drawn["draw_sizes"][0].tolist() == drawn["draw_groups"][0].tolist() == sizes.tolist()
    assert shown.figures == ["draw_sizes", "draw_groups", "draw_states", "draw_bytes"]


@pytest.mark.parametrize("fault", ["other cycles", "a check that fails"])
@pytest.mark.usefixtures("drawn")
def test_a_fault_is_told_and_is_no_success(fault, tmp_path, monkeypatch):
    honest = demo.simulate

    def faulty(*arguments, engine="schedule", **keywords):
        runs = honest(*arguments, engine=engine, **keywords)
        if fault == "other cycles" and engine == "events":
            last = runs[-1].timeline
            return [*runs[:-1], replace(runs[-1], timeline=replace(last, computed=last.computed + 1))]
        if fault == "a check that fails" and keywords.get("check"):
            return [*runs[:-1], replace(runs[-1], check={"passed": False})]
        return runs

    monkeypatch.setattr(demo, "simulate", faulty)
    shown = demo.demo(tmp_path, progress=lambda *_: None)
    assert not shown.passed
    n_right, cycles = (2, "OTHER") if fault == "other cycles" else (1, "the same")
    assert shown.right.startswith(f"maps and values of {n_right} of 2 layers")
    assert shown.right.endswith(f"both engines give {cycles} cycles")
