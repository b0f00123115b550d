"""Do the verbs take a cloud with a network, and does each machine say what it does not take?"""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from cyclekit.command.cli import main
from tests.pointacc_cases import voxels


@pytest.fixture(autouse=True)
def _announced(tmp_path_factory, monkeypatch):
    """Announce the machine as pyproject.toml does, where this checkout is not installed."""
    site = tmp_path_factory.mktemp("site")
    folder = site / "pointacc_here-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: pointacc-here\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[zeroskip.machines]\npointacc = pointacc_sim:MACHINE\n")
    monkeypatch.syspath_prepend(site)


@pytest.fixture
def cloud(tmp_path):
    np.savez(tmp_path / "cloud.npz", coordinates=voxels(80, 0, side=8))
    return tmp_path / "cloud.npz"


@pytest.fixture
def told(capsys):
    """Return a function that runs the command; its JSON."""

    def command(*argv):
        assert main([*map(str, argv), "--json", "-"]) == 0
        return json.loads(capsys.readouterr().out)

    return command


@pytest.fixture
def complaint(capsys):
    """Return a function that runs the command, which must refuse; what it says."""

    def command(*argv):
        assert main([*map(str, argv)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    return command


def test_a_layer_runs_and_says_its_maps(told, cloud):
    run = told("run", "pointacc", f"{cloud}:submanifold-3x3x3", "--check")["runs"][0]
    assert run["check"]["passed"]
    sizes = [int(size) for size in run["measures"]["map_sizes"].split(",")]
    assert (len(sizes), sum(sizes)) == (27, run["measures"]["n_maps"])
    assert run["measures"]["n_voxels"] == sizes[13]


def test_a_network_runs_by_both_engines(told, cloud):
    command = "run", "pointacc:edge", f"{cloud}:minkunet-0.5", "--engine"
    runs = [told(*command, engine) for engine in ("events", "schedule")]
    assert [run["cycles"] for run in runs[0]["runs"]] == [run["cycles"] for run in runs[1]["runs"]]
    assert len(runs[0]["layers"]) == 50
    assert {other["kind"] for other in runs[0]["others"]} == {"Add", "Concat"}


def test_a_sweep_stores_rows(told, cloud, tmp_path):
    space = ("--vary", "merger_width=16,64", "--vary", "cache_block_points=1,4", "--workers", "1")
    summary = told("sweep", "pointacc", f"{cloud}:submanifold-3x3x3", *space, "--into", tmp_path / "rows.db")
    assert (summary["n_points"], summary["n_infeasible"]) == (4, 0)
    said = "; ".join(summary["notes"])
    assert "unverified" in said
    assert "n_rows=64" in said
    assert "merger_width" not in said  # which is the user's
    with closing(sqlite3.connect(tmp_path / "rows.db")) as store:
        assert len({cycles for (cycles,) in store.execute("SELECT cycles FROM rows")}) == 4


def test_a_cloud_is_compared_on_the_machines_that_take_it(told, cloud):
    machines = ("--machines", "pointacc,pointacc:edge,tensorcore:rtx-3090,eie")
    compared = told("compare", f"{cloud}:submanifold-3x3x3", *machines, "--check")
    (costs,) = [layer["costs"] for layer in compared["comparisons"][0]["layers"]]
    labels = ("pointacc", "pointacc:edge", "tensorcore:rtx-3090 dense")
    assert [costs[label]["checked"] for label in labels] == [True] * 3
    assert costs["pointacc"]["time_us"] < costs["pointacc:edge"]["time_us"]
    assert "dense, for the sparse convolution" in costs["tensorcore:rtx-3090 2:4"]["reason"]
    assert "eie takes no sparse convolution" in costs["eie"]["reason"]
    own = told("compare", f"{cloud}:submanifold-3x3x3")  # without names those that take clouds
    assert {design["machine"] for design in own["designs"]} == {"pointacc", "tensorcore"}


def test_groups_are_swept_on_a_card(told, cloud, tmp_path):
    space = ("--vary", "grouping=separate,symmetric,adaptive", "--workers", "1")
    summary = told(
        "sweep", "tensorcore:rtx-2080-ti", f"{cloud}:submanifold-3x3x3", *space, "--into", tmp_path / "rows.db"
    )
    assert (summary["n_points"], summary["n_infeasible"]) == (3, 0)


def test_a_seed_draws_other_features(told, cloud):
    command = "run", "pointacc", f"{cloud}:submanifold-3x3x3"
    runs = [told(*command, *seed)["runs"][0] for seed in ((), ("--inputs", "random:1"))]
    assert runs[0]["output_sha256"] != runs[1]["output_sha256"]
    assert runs[0]["cycles"] == runs[1]["cycles"]


def test_explain_shows_the_merge(told, cloud):
    shown = told("explain", "pointacc", f"{cloud}:submanifold-3x3x3", "--set", "merger_width=8", "--row", "12")
    (table,) = shown["tables"].values()
    assert table[0]["takes a block of"] in ("shifted input", "output")
    assert any("=" in row["entries"] for row in table)


def test_a_trace_fills_its_window(told, cloud):
    trace = told("trace", "pointacc", f"{cloud}:submanifold-3x3x3")
    assert [track["name"] for track in trace["tracks"]] == ["mapping", "memory", "matrix", "dram"]
    assert all(track["spans"][-1][2] == trace["cycles"] for track in trace["tracks"])


def test_other_machines_refuse_a_cloud_and_this_one_a_matrix(complaint, cloud):
    assert "eie takes no sparse convolution" in complaint("run", "eie", f"{cloud}:submanifold-3x3x3")
    assert "pointacc takes clouds, as lidar-0.1:minkunet-0.5, which" in complaint("run", "pointacc", "nt-we")
    assert "takes clouds" in complaint("run", "pointacc", "16x4x16")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("run", "pointacc", "none.npz:minkunet-0.5"), "does not exist"),
        (("run", "pointacc", "lidar-0.2:submanifold-3x3x3", "--set", "merger_width=48"), "a power of two, got 48"),
        (("run", "pointacc", "lidar-0.2:submanifold-3x3x3", "--inputs", "2"), "is one cloud"),
        (("run", "pointacc", "lidar-0.2:submanifold-3x3x3", "--batch", "2"), "takes one input at a time"),
        (("compare", "lidar-0.2:submanifold-3x3x3", "--batch", "2"), "which is one cloud"),
        (("explain", "tensorcore", "lidar-0.2:submanifold-3x3x3"), "tensorcore explains matrices"),
        (("explain", "pointacc", "lidar-0.2:submanifold-3x3x3", "--row", "27"), "row must be an offset, from 0 to 26"),
        (("explain", "pointacc", "lidar-0.2:submanifold-3x3x3", "--column", "99999"), "a step of the merge"),
    ],
)
def test_bad_input_is_one_line(complaint, argv, said):
    assert said in complaint(*argv)


def test_a_cloud_is_listed(told, cloud):
    listed = told("list", f"{cloud}:submanifold-3x3x3")
    assert listed["layers"][0]["kind"] == "submanifold"
    names = [row["name"] for row in told("list", "workloads")]
    assert "lidar-0.1:minkunet-0.5" in names
