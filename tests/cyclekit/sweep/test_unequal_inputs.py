"""Are designs that share no stored input kept from being ranked or drawn together, and is it said what would do?"""

import json
from dataclasses import replace

import numpy as np
import pytest

import zeroskip as face
from cyclekit.figures.charts import charts
from cyclekit.page.best import least
from cyclekit.sweep.results import read
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import sweep
from tests.sweep_cases import small

SAID = [
    "1 inputs of 1 results are in no mean: other designs do not have them",
    "1 of these results have no mean, and are compared with none: sweep what the others have",
]


@pytest.fixture
def store(tmp_path):
    """Return a store of two designs: 2 PEs on input 0 only, 4 PEs on input 1 only, which is nothing but zeros."""
    work = small()
    work = replace(work, activations=work.activations * [[1], [0]])
    sweep("eie", [work], vary={"n_pes": (2, 4)}, into=tmp_path / "all.db", n_workers=1)
    path = tmp_path / "results.db"
    with Store(tmp_path / "all.db", write=False) as every, Store(path) as few:
        few.add([row for row in every.rows() if row.design()["n_pes"] == 2 + 2 * row.input])
    return path, work


def by_size(found):
    return {result.spec["n_pes"]: result for result in found}


def test_one_of_two_has_a_mean_and_the_other_says_what_would_do(store):
    path, work = store
    with Store(path, write=False) as stored:
        found = by_size(read(stored))
    assert (found[2].n_inputs, found[2].n_left_out, found[2].reason) == (1, 0, None)
    assert (found[4].n_inputs, found[4].n_left_out, found[4].cycles) == (0, 1, 0)
    assert found[4].reason == (
        "stored on input 1 and not on 0, on which the other designs are compared: sweep that too"
    )
    sweep("eie", [work], vary={"n_pes": (4,)}, into=path, n_workers=1, n_inputs=1)
    with Store(path, write=False) as stored:
        mended = by_size(read(stored))
    assert [(mended[n].reason, mended[n].n_inputs, mended[n].n_left_out) for n in (2, 4)] == [
        (None, 1, 0),
        (None, 1, 1),
    ]


def test_the_input_that_most_designs_have_is_compared_on(tmp_path, store):
    """Inputs {0}, {1}, {1, 2} and {1, 2}: the second to fourth share input 1."""
    of_sizes = {1: {0}, 2: {1}, 4: {1, 2}, 8: {1, 2}}
    sweep("eie", [small(batch=3)], vary={"n_pes": tuple(of_sizes)}, into=tmp_path / "three.db", n_workers=1)
    with Store(tmp_path / "three.db", write=False) as every, Store(tmp_path / "few.db") as few:
        few.add([row for row in every.rows() if row.input in of_sizes[row.design()["n_pes"]]])
        found = by_size(read(few))
    assert {n: (result.reason is None, result.n_inputs, result.n_left_out) for n, result in found.items()} == {
        1: (False, 0, 1),
        2: (True, 1, 0),
        4: (True, 1, 1),
        8: (True, 1, 1),
    }


def test_the_page_and_the_figures_hold_the_one_alone(store, zeroskip, tmp_path):
    path, _ = store
    with Store(path, write=False) as stored:
        found = read(stored)
    assert {result.spec["n_pes"] for _, _, result in least([r for r in found if r.reason is None])} == {2}
    drawn = charts(found)
    assert all("Left out: 1 without a result." in chart.caption for chart in drawn)
    assert {len(bars) for chart in drawn for bars in chart.data.panels.values()} == {1}
    ended = zeroskip("report", path, "--out", tmp_path / "page.html")
    assert ended.code == 0, ended.err
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "2, one a design and workload; 0 infeasible" in text
    for line in (*SAID, "stored on input 1 and not on 0"):
        assert line in text


def test_the_command_and_the_table_say_it(store, zeroskip, tmp_path):
    path, work = store
    np.savez(tmp_path / "small.npz", weights=work.weights, bias=work.bias, activations=work.activations)
    swept = ("sweep", "eie", tmp_path / "small.npz", "--vary", "n_pes=2", "--inputs", 1, "--into", path)
    said = json.loads(zeroskip(*swept, "--json", "-").out)
    assert said["notes"][-2:] == SAID
    for line in SAID:
        assert f"  note: {line}" in zeroskip(*swept).out.splitlines()
    table = face.sweep("eie", work, {"n_pes": [2]}, into=path, n_inputs=1)
    assert table.notes == tuple(SAID)
    assert [(row["n_pes"], row["cycles"] is None, row["time_us"] is None) for row in table.rows] == [
        (2, False, False),
        (4, True, True),
    ]
