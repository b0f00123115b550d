"""Do the functions give what the command gives, in one shape: rows, text, HTML, a frame, a picture?"""

import json
import re
import sys
from base64 import b64decode

import numpy as np
import pytest

import zeroskip
from cyclekit.command.cli import main

LAYER = "48x4x64"


@pytest.fixture
def layer(tmp_path):
    """Return the file of a small layer with two inputs."""
    rng = np.random.default_rng(0)
    weights = np.where(rng.random((24, 32)) < 0.3, rng.choice([-1.0, 0.5, 2.0], (24, 32)), 0).astype(np.float32)
    path = tmp_path / "layer.npz"
    np.savez(path, weights=weights, activations=np.abs(rng.standard_normal((2, 32))).astype(np.float32))
    return path


def test_run_gives_the_rows_that_the_command_gives(layer, tmp_path):
    result = zeroskip.run("eie", layer, n_pes=4, check=True)
    told = tmp_path / "r.json"
    assert main(["run", "eie", str(layer), "--set", "n_pes=4", "--check", "--json", str(told)]) == 0
    runs = json.loads(told.read_text(encoding="utf-8"))
    assert [(row["cycles"], row["time_us"], row["checked"]) for row in result.rows] == [
        (run["cycles"], run["time_us"], run["check"]["passed"]) for run in runs
    ]
    assert [row["energy_pj"] for row in result.rows] == [run["energy"]["total_pj"] for run in runs]
    assert all(sum(v for k, v in row.items() if k.startswith("state.pe.")) == pytest.approx(1) for row in result.rows)


def test_a_result_is_short_text_html_and_a_picture(layer):
    result = zeroskip.run("eie", layer, n_pes=4)
    lines = repr(result).splitlines()
    assert len(lines) == 3  # a title and two inputs
    assert "cycles" in lines[1]
    shown = result._repr_html_()
    assert "<table>" in shown
    picture = b64decode(re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', shown)[1]).decode()
    assert "weight" in picture  # a state of the legend
    assert "&lt;" not in repr(result)
    figure = result.plot()
    assert len(figure.axes[0].patches) >= 2


def test_html_says_what_a_name_holds_and_runs_none_of_it():
    result = zeroskip.Result(title="<b>", rows=[{"workload": "<script>", "time_us": 1.0}], detail=None)
    assert "<script>" not in result._repr_html_()


def test_many_rows_are_shown_in_part():
    rows = [{"workload": str(i), "time_us": float(i)} for i in range(40)]
    assert "and 28 more" in repr(zeroskip.Result(title="t", rows=rows, detail=None))


def test_a_frame_is_pandas_own_or_a_line_that_says_what_would_do(monkeypatch):
    result = zeroskip.Result(title="t", rows=[{"a": 1}], detail=None)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(zeroskip.BadInput, match="a frame takes pandas: pip install pandas"):
        result.frame()


def test_a_frame_has_every_row_and_column(layer):
    pytest.importorskip("pandas")
    result = zeroskip.sweep("eie", layer, {"n_pes": [2, 4]})
    frame = result.frame()
    assert list(frame["cycles"]) == [row["cycles"] for row in result.rows]
    assert {"time_us", "energy_pj", "area_mm2", "power_mw", "edp_nj_us", "state.pe.weight"} <= set(frame.columns)


def test_nothing_to_draw_is_said():
    with pytest.raises(zeroskip.BadInput, match="nothing to draw: no row has a time_us"):
        zeroskip.Result(title="t", rows=[{"workload": "a", "time_us": None}], detail=None).plot()


def test_sweep_has_a_row_a_design_and_keeps_a_store_only_where_one_is_named(layer, tmp_path):
    store = tmp_path / "s.db"
    result = zeroskip.sweep("eie", layer, {"n_pes": [2, 4, 8]}, into=store)
    assert sorted(row["n_pes"] for row in result.rows) == [2, 4, 8]
    assert store.exists()
    again = zeroskip.sweep("eie", layer, {"n_pes": [2, 4, 8]})
    assert [row["cycles"] for row in again.rows] == [row["cycles"] for row in result.rows]
    by_n_pes = {row["n_pes"]: row["cycles"] for row in result.rows}
    assert by_n_pes[2] > by_n_pes[4] > by_n_pes[8]


def test_compare_puts_machines_side_by_side(layer):
    result = zeroskip.compare(layer, "eie,tensorcore")
    assert [row["design"] for row in result.rows][:1] == ["eie"]
    assert len(result.rows) == 3  # the card dense and 2:4
    assert all(row["time_us"] > 0 for row in result.rows)


def test_compare_has_all_that_run_has(layer):
    frame_of = zeroskip.compare(layer, "eie", batch=1).rows[0]
    (run,) = zeroskip.run("eie", layer, inputs=1).rows
    names = ("cycles", "time_us", "energy_pj", "area_mm2", "power_mw", "edp_nj_us")
    assert [frame_of[name] for name in names] == pytest.approx([run[name] for name in names])
    states = {name: share for name, share in run.items() if name.startswith("state.")}
    assert {name: share for name, share in frame_of.items() if name.startswith("state.")} == pytest.approx(states)


def test_a_machine_is_named_with_its_preset(layer):
    (chip, *_) = zeroskip.run("eie:silicon", layer, n_pes=4).detail
    assert (chip.spec["capacity"], chip.spec["n_pes"]) == ("enforce", 4)
    with pytest.raises(zeroskip.BadInput, match="a preset is named with its machine, as eie:silicon"):
        zeroskip.run("eie", layer, preset="silicon")


@pytest.mark.parametrize(
    ("rows", "called"),
    [
        ([{"name": "a", "phase": "x"}, {"name": "b", "phase": "x"}], ["a", "b"]),
        ([{"name": "a", "phase": "x"}, {"name": "a", "phase": "y"}], ["x a", "y a"]),
        ([{"name": "a", "phase": "x"}, {"name": "a", "phase": "x"}], ["a #0", "a #1"]),
    ],
)
def test_bars_are_told_apart_by_words_where_there_are_any(rows, called):
    rows = [row | {"time_us": 1.0} for row in rows]
    figure = zeroskip.Result(title="t", rows=rows, detail=None, label="name").plot()
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == called


def test_prune_tells_each_layer_and_gives_the_network(tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('[[step]]\ndo = "prune"\ndensity = 0.25\n', encoding="utf-8")
    result = zeroskip.prune("digits-mlp", recipe, machines=["eie"], batch=2)
    assert [row["density"] for row in result.rows] == pytest.approx([0.25] * 3, abs=1e-3)
    assert all(row["eie.cycles"] > 0 and row["eie.energy_pj"] > 0 for row in result.rows)
    masks = {name: module.weights != 0 for name, module in result.detail.apply().weighted.items()}
    assert {name: mask.mean() for name, mask in masks.items()} == pytest.approx(
        {row["layer"]: row["density"] for row in result.rows}
    )


def test_adapt_meets_its_budget():
    result = zeroskip.adapt("digits-mlp", "eie", "0.5", method="uniform", batch=2, inputs=300, epochs=1, n_pes=4)
    assert 0.99 <= result.detail.cost / result.detail.budget <= 1
    assert sum(row["time_us"] for row in result.rows) == pytest.approx(result.detail.cost)
    with pytest.raises(zeroskip.BadInput, match="unknown method 'magic'"):
        zeroskip.adapt("digits-mlp", "eie", "0.5", method="magic")


def test_llm_gives_operators_and_times():
    result = zeroskip.llm("llama-2-7b", input=64, output=4, machine="tensorcore:h100-sxm", cut={"layers": 2})
    assert {row["phase"] for row in result.rows} == {"prompt", "step"}
    assert "first token" in result.title
    assert result.detail.tpot_ms > 0
    with pytest.raises(zeroskip.BadInput, match="must be one that runs whole language models"):
        zeroskip.llm("llama-2-7b", input=64, machine="eie")


def test_a_card_needs_sizes_alone():
    result = zeroskip.run("tensorcore", LAYER, sparsity="2:4")
    assert result.rows[0]["time_us"] > 0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: zeroskip.run("eie", "alex-77"), "did you mean 'alex-7'"),
        (lambda: zeroskip.run("eei", "alex-7"), "did you mean 'eie'"),
        (lambda: zeroskip.run("eie", "alex-7", n_pe=4), "did you mean 'n_pes'"),
    ],
)
def test_a_slip_gets_one_line(call, match):
    with pytest.raises(zeroskip.BadInput, match=match):
        call()
