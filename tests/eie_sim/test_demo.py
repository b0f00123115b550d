"""Does EIE's demo show what its runs gave, and is a demo whose engines differ no success?"""

from dataclasses import replace

import pytest

import workloads
from cyclekit.validation import Validation
from eie_sim import demo

N_IMAGES, N_EVENTS = 20, 2  # of the short one


@pytest.fixture
def drawn(monkeypatch):
    """Return {name: (arguments, keywords)} of what is to be drawn."""
    calls = {}
    for name in ("draw_utilisation", "draw_pe_counts", "draw_validation"):

        def draw(*arguments, name=name, **keywords):
            calls[name] = arguments, keywords
            return [name] if name == "draw_validation" else name

        monkeypatch.setattr(demo, name, draw)
    return calls


def test_its_tables_are_the_means_of_its_runs(drawn, tmp_path):
    steps = []
    shown = demo.demo(tmp_path, short=True, progress=lambda *step: steps.append(step))
    assert all(text.startswith(("4 PEs, ", "16 PEs, ", "64 PEs, ")) for text, _, _ in steps)
    accuracy, summary, where = shown.tables.values()
    network, dense = (workloads.load(name).first(N_IMAGES) for name in ("lenet-300-100", "lenet-300-100-dense"))
    # In 16 bits no image of these changes its class.
    assert [row["accuracy"] for row in accuracy] == [f"{dense.accuracy():.1%}"] + 4 * [f"{network.accuracy():.1%}"]
    (by_count, n_images, _), _ = drawn["draw_pe_counts"]
    assert (list(by_count), n_images) == ([4, 16, 64], N_IMAGES)
    told = {(row["PEs"], row["engine"]): row for row in summary}
    assert list(told) == [(str(n), engine) for n in (4, 16, 64) for engine in ("events", "schedule")]
    for n_pes, runs in by_count.items():
        assert len(runs) == 3 * N_IMAGES
        for engine, n in (("events", N_EVENTS), ("schedule", N_IMAGES)):
            row, own = told[str(n_pes), engine], runs[: 3 * n]  # both engines give equal runs
            cycles, entries = sum(run.cycles for run in own), sum(run.actions["entries"] for run in own)
            assert (row["images"], row["values checked"]) == (str(n), f"{3 * n} of {3 * n}")
            assert row["cycles"] == f"{cycles / n:,.0f}"
            assert row["time [us]"] == f"{cycles / n / 800:,.2f}"
            assert row["theoretical [us]"] == f"{entries / n_pes / n / 800:,.2f}"
            assert row["load balance [%]"] == f"{100 * entries / n_pes / cycles:.1f}"
            assert row["engines equal"] == "yes"
        for part in ("ip1", "ip2", "ip3"):
            own = [run for run in runs if run.workload.endswith(part)]
            (row,) = (row for row in where if (row["PEs"], row["layer"]) == (str(n_pes), own[0].workload))
            cycles = sum(run.cycles for run in own)
            assert row["cycles"] == f"{cycles / N_IMAGES:,.0f}"
            for state, share in list(row.items())[3:]:
                n_spent = sum(run.states["pe"][state] for run in own)
                assert share == f"{100 * n_spent / n_pes / cycles:.1f}"
    (run, image, spec, _), _ = drawn["draw_utilisation"]
    assert (spec.n_pes, image.layer.name, run.input) == (16, "lenet-300-100/ip1", 0)
    assert run.cycles == by_count[16][0].cycles
    assert shown.passed
    assert shown.remarks == [network.provenance]
    assert (shown.figures, shown.validation) == (["draw_utilisation", "draw_pe_counts"], None)


@pytest.mark.parametrize("fault", ["other outputs", "a check that fails"])
def test_a_fault_of_one_engine_is_told_and_is_no_success(fault, drawn, tmp_path, monkeypatch):
    simulate = demo.simulate

    def faulty(*arguments, engine, **keywords):
        run = simulate(*arguments, engine=engine, **keywords)
        if engine == "schedule":
            return run
        return replace(run, **{"output_sha256": "0" * 64} if fault == "other outputs" else {"check": {"passed": False}})

    monkeypatch.setattr(demo, "simulate", faulty)
    shown = demo.demo(tmp_path, short=True, progress=lambda *_: None)
    assert not shown.passed
    _, summary, _ = shown.tables.values()
    differs = fault == "other outputs"
    assert {row["engines equal"] for row in summary} == {"NO" if differs else "yes"}
    checked = {row["values checked"] for row in summary if row["engine"] == "events"}
    assert checked == {"6 of 6" if differs else "0 of 6"}


def test_the_long_one_takes_all_images_and_validates(drawn, tmp_path, monkeypatch):
    network = workloads.load("lenet-300-100").first(12)
    none = Validation(machine="eie", comparisons=(), footnotes=())
    monkeypatch.setattr(workloads, "load", lambda name: replace(network, name=name))
    monkeypatch.setattr(demo, "validate", lambda progress: progress("x", 1, 2) or none)
    monkeypatch.setattr(demo, "PE_COUNTS", (16,))
    steps = []
    shown = demo.demo(tmp_path, short=False, progress=lambda *step: steps.append(step))
    assert steps[-1] == ("validation, x", 1, 2)
    _, (events, schedule), _ = shown.tables.values()
    assert (events["images"], schedule["images"]) == ("10", "12")
    assert shown.validation is none
    assert shown.figures[-1] == "draw_validation"
