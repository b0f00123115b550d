"""Does EIE's demo say what its runs gave, and is a demo whose engines differ no success?"""

from dataclasses import replace

import pytest

import workloads
from eie_sim import demo

N_IMAGES = 6


@pytest.fixture
def drawn(monkeypatch):
    """Return {name: (arguments, keywords)} of what is to be drawn."""
    monkeypatch.setattr(demo, "N_IMAGES", N_IMAGES)
    calls = {}
    for name in ("draw_utilisation", "draw_pe_counts"):

        def draw(*arguments, name=name, **keywords):
            calls[name] = arguments, keywords
            return name

        monkeypatch.setattr(demo, name, draw)
    return calls


def test_what_is_to_be_remembered_are_the_means_of_its_runs(drawn, tmp_path):
    steps = []
    shown = demo.demo(tmp_path, progress=lambda *step: steps.append(step))
    assert all(text.startswith(("4 PEs, ", "16 PEs, ", "64 PEs, ")) for text, _, _ in steps)
    network, dense = (workloads.load(name).first(N_IMAGES) for name in ("lenet-300-100", "lenet-300-100-dense"))
    (by_count, n_images, _), _ = drawn["draw_pe_counts"]
    assert (list(by_count), n_images) == ([4, 16, 64], N_IMAGES)
    cycles = {n_pes: sum(run.cycles for run in runs) for n_pes, runs in by_count.items()}
    entries = sum(run.actions["entries"] for run in by_count[64])
    assert list(shown.remember.items()) == [
        ("an image at 64 PEs", f"{cycles[64] / N_IMAGES / 800:.4g} us"),
        (
            "faster by 16 times the PEs",
            f"{cycles[4] / cycles[64]:.1f} times, PEs busy {100 * entries / 64 / cycles[64]:.0f}% of the cycles",
        ),
        # In 16 bits no image of these changes its class.
        (
            f"right of {N_IMAGES} images",
            f"{N_IMAGES * network.accuracy():.0f} on EIE in 16 bits, "
            f"{N_IMAGES * dense.accuracy():.0f} dense in float32",
        ),
    ]
    n_runs = 3 * 3 * (N_IMAGES + demo.N_EVENTS)  # of three layers on three designs
    assert shown.right.startswith(f"the values of {n_runs} of {n_runs} runs are the reference's; both engines give the")
    (run, image, spec, _), _ = drawn["draw_utilisation"]
    assert (spec.n_pes, image.layer.name, run.input) == (16, "lenet-300-100/ip1", 0)
    assert run.cycles == by_count[16][0].cycles
    assert (shown.passed, shown.figures) == (True, ["draw_utilisation", "draw_pe_counts"])


@pytest.mark.parametrize("fault", ["other outputs", "a check that fails"])
@pytest.mark.usefixtures("drawn")
def test_a_fault_of_one_engine_is_told_and_is_no_success(fault, tmp_path, monkeypatch):
    simulate = demo.simulate

    def faulty(*arguments, engine, **keywords):
        run = simulate(*arguments, engine=engine, **keywords)
        if engine == "schedule":
            return run
        return replace(run, **{"output_sha256": "0" * 64} if fault == "other outputs" else {"check": {"passed": False}})

    monkeypatch.setattr(demo, "simulate", faulty)
    shown = demo.demo(tmp_path, progress=lambda *_: None)
    assert not shown.passed
    differs = fault == "other outputs"
    n_runs, n_of_events = 3 * 3 * (N_IMAGES + demo.N_EVENTS), 3 * 3 * demo.N_EVENTS
    n_passed = n_runs if differs else n_runs - n_of_events
    assert f"values of {n_passed} of {n_runs} runs" in shown.right
    assert shown.right.endswith(f"both engines give {'OTHER' if differs else 'the same'} cycles")
