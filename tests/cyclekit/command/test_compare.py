"""Does `zeroskip compare` print what it computed, draw it, and refuse what it cannot compare?"""

import errno
import json
import os

import numpy as np
import pytest

from cyclekit.comparison.conditions import BATCHES
from workloads.networks import saved
from workloads.records import Workload


@pytest.fixture
def two_layers(tmp_path):
    """Return a function that writes a file of two layers, of batches of so many inputs."""

    def write(*batches):
        rng = np.random.default_rng(0)
        made = [
            Workload(
                name=f"fc{i}",
                weights=rng.integers(0, 3, (8, 12)).astype(np.float32),
                activations=rng.random((batch, 12), np.float32),
            )
            for i, batch in enumerate(batches)
        ]
        path = tmp_path / "two.npz"
        path.write_bytes(saved.to_bytes(made, "made up"))
        return path

    return write


def test_all_machines_side_by_side(zeroskip, layer_npz, tmp_path):
    file = tmp_path / "c.json"
    ended = zeroskip("compare", layer_npz, "--machines", "eie,tensorcore:h100-sxm", "--check", "--json", file)
    assert ended.code == 0, ended.err
    found = json.loads(file.read_text())
    labels = ["eie", "tensorcore:h100-sxm dense", "tensorcore:h100-sxm 2:4"]
    designs = {design["design"]: design for design in found["designs"]}
    assert list(designs) == labels
    assert [designs[label]["process"] for label in labels] == ["45 nm", "TSMC 4N", "TSMC 4N"]
    assert [designs[label]["clock_mhz"] for label in labels] == pytest.approx([800, 1830, 1830])
    assert designs[labels[1]]["area_mm2"] == 814
    assert designs["eie"]["area_from"] == "prices bottom-up"
    (comparison,) = found["comparisons"]
    assert comparison["batch"] == 1
    assert all(cost["checked"] for cost in comparison["layers"][0]["costs"].values())
    assert comparison["layers"][0]["density"] == pytest.approx(4 / 24)
    batch = comparison["ladders"][0]
    assert (batch["over"], batch["points"]) == ("batch", list(BATCHES))
    for label, cost in comparison["total"].items():
        assert batch["time_of_input_us"][label][0] == pytest.approx(cost["time_us"])
        assert f"  {label}  " in ended.out
        assert f"{cost['time_us']:,.3f}" in ended.out
    assert "values: 3 of 3 agree with the references" in ended.out
    # The one who wins, by the JSON, is the one whom the words name
    first = batch["fastest"][0]
    assert f"  fastest: {first['best'][0]} " in ended.out
    for a, b in zip(batch["fastest"], batch["fastest"][1:]):
        assert f"between {a['last']:,} and {b['first']:,}" in ended.out
    for design in designs.values():
        assert design["note"] in ended.out


def test_what_two_of_four_drops_is_printed(zeroskip, tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, weights=np.float32([[3, 4, 5, 0]]), activations=np.float32([1, 1, 0, 1]))
    ended = zeroskip("compare", path, "--machines", "tensorcore")
    row = next(line for line in ended.out.splitlines() if line.startswith("  tensorcore 2:4") and "TSMC" not in line)
    assert "tensorcore 2:4 drops [%]" in ended.out
    assert row.split()[-2:] == ["33.33", "42.86"]  # one of three weights, 3 / 7 of the output


def test_a_users_machine_stands_beside_the_others(zeroskip, toy, layer_npz):
    ended = zeroskip("compare", layer_npz, "--batch", "3", "--json", "-")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    cost = found["comparisons"][0]["total"]["toy"]
    assert (cost["batch"], cost["time_us"]) == (3, pytest.approx(3 * 24 / 100))
    design = next(design for design in found["designs"] if design["design"] == "toy")
    assert (design["process"], design["area_mm2"], design["area_from"]) == (None, None, "not in the model")
    assert "  toy: no energy: toy has no prices" in ended.err


def test_a_wrong_machine_fails_its_check(zeroskip, toy, layer_npz, monkeypatch):
    from cyclekit import machine

    chosen = machine.load("toy")
    monkeypatch.setitem(chosen.presets, "wrong", chosen.presets["slow"].replace(wrong=True))
    ended = zeroskip("compare", layer_npz, "--machines", "toy:wrong,eie", "--check")
    assert ended.code == 1
    assert "values: 1 of 2 agree" in ended.out


def test_several_workloads_layers_and_their_sum(zeroskip, layer_npz, two_layers):
    path = two_layers(2, 2)
    ended = zeroskip("compare", path, layer_npz, "--machines", "eie,tensorcore")
    assert ended.code == 0, ended.err
    for title in ("fc0: 8 x 12", "fc1: 8 x 12", f"{path}: all layers, batch 2", "layer: 4 x 6", "Who wins"):
        assert f"\n{title}" in ended.out
    assert ended.out.count("it changes between") + ended.out.count("on the whole ladder") == 2 * 2 * 3


def test_a_design_that_cannot_take_the_layer_says_why_and_the_others_go_on(zeroskip, tmp_path):
    path = tmp_path / "tall.npz"
    np.savez(path, weights=np.eye(5000, 8, dtype=np.float32), activations=np.ones(8, np.float32))
    ended = zeroskip("compare", path, "--machines", "eie,eie:silicon")
    assert ended.code == 0, ended.err
    assert "  eie:silicon cannot: " in ended.out
    assert "fastest: eie from 1 to 1,024, on the whole ladder" in ended.out


def test_a_layer_without_weights(zeroskip, tmp_path):
    path = tmp_path / "zero.npz"
    np.savez(path, weights=np.zeros((8, 8), np.float32), activations=np.ones(8, np.float32))
    ended = zeroskip("compare", path, "--machines", "eie,tensorcore", "--check")
    assert ended.code == 0, ended.err
    assert "values: 3 of 3 agree" in ended.out
    assert "drops" not in ended.out


def test_the_figures(zeroskip, layer_npz, tmp_path):
    ended = zeroskip("compare", layer_npz, "--figures", tmp_path / "figures")
    assert ended.code == 0, ended.err
    written = sorted(path.name for path in (tmp_path / "figures").iterdir())
    names = [f"compare-layer.npz-{quantity}.{kind}" for quantity in ("energy", "time") for kind in ("png", "svg")]
    assert written == names
    many = "eie,eie:silicon,eie:isca2016-28nm,tensorcore,tensorcore:h100-sxm"
    assert (
        "at most 6 designs, got 7"
        in zeroskip("compare", layer_npz, "--machines", many, "--figures", tmp_path).complaint()
    )


@pytest.mark.usefixtures("toy")
def test_files_whose_names_are_drawn_alike_have_figures_of_their_own(zeroskip, layer_npz, tmp_path):
    files = [tmp_path / name for name in ("a b.npz", "a-b.npz")]
    for file in files:
        file.write_bytes(layer_npz.read_bytes())
    assert zeroskip("compare", *files, "--machines", "toy", "--figures", tmp_path / "figures").code == 0
    names = {path.name for path in (tmp_path / "figures").glob("*.png")}
    assert names == {"compare-a-b.npz-time.png", "compare-a-b.npz-2-time.png"}


def test_a_design_that_a_card_cannot_be_gets_dashes_and_its_reason(zeroskip, layer_npz, tmp_path):
    words = ("compare", layer_npz, "--machines", "eie,tensorcore:rtx-2080-ti", "--json", tmp_path / "r.json")
    ended = zeroskip(*words)
    assert ended.code == 0
    why = "sparsity must be dense on t4, which has no mma.sp, got '2:4'"
    assert f"tensorcore:rtx-2080-ti 2:4 cannot: {why}\n" in ended.out
    (row,) = (
        line
        for line in ended.out.splitlines()
        if line.startswith("  tensorcore:rtx-2080-ti 2:4  ") and " - " in line[40:60]
    )
    assert set(row.split()[2:]) == {"-"}
    total = json.loads((tmp_path / "r.json").read_text())["comparisons"][0]["total"]
    assert [cost["reason"] for cost in total.values()] == ["", "", why]
    assert total["tensorcore:rtx-2080-ti dense"]["cycles"] > 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["64x2x64"], "workload '64x2x64' is a shape without values"),
        (["alex-77"], "unknown workload 'alex-77', did you mean"),
        (["alex-7", "--machines", "eie:h100"], "unknown preset 'h100' of eie"),
        (["alex-7", "--machines", "eie,eie"], "--machines must name each design once"),
        (["alex-7", "--prices", "tpu"], "unknown prices 'tpu'"),
        (["alex-7", "--batch", "0"], "--batch: must be a whole number of at least 1, got '0'"),
        (["alex-7", "--batch", "99999999999"], "--batch must be at most 16,777,216, got 99,999,999,999"),
        ([], "required: WORKLOAD"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(refused, words, complaint):
    assert complaint in refused("compare", *words)


def test_layers_of_different_batches_are_refused_until_one_is_named(zeroskip, two_layers):
    path = two_layers(2, 3)
    assert "--batch must be given for" in zeroskip("compare", path).complaint()
    assert zeroskip("compare", path, "--batch", "2").code == 0


def test_a_long_comparison_says_so_first(zeroskip, toy, layer_npz, monkeypatch):
    from cyclekit import machine

    chosen = machine.load("toy")
    monkeypatch.setitem(chosen.presets, "long", chosen.presets["slow"].replace(expected_s=100.0))
    ended = zeroskip("compare", layer_npz, "--machines", "toy:long")
    assert ended.err.startswith("zeroskip: expecting about ")


def test_a_figure_that_cannot_be_written_is_named(zeroskip, toy, layer_npz, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    complaint = zeroskip("compare", layer_npz, "--machines", "toy", "--figures", tmp_path).complaint()
    assert complaint == f"No space left on device: {tmp_path / 'compare-layer.npz-time.png'}"
    assert list(tmp_path.glob("*zeroskip*")) == []
