"""Does the tensor core's demo show what its runs gave, beside roofs that the data sheets have?"""

import numpy as np
import pytest

from tensorcore_sim import demo, figures
from tensorcore_sim.simulate import encode
from tensorcore_sim.spec import PRESETS

SIZES = (512, 2048, 4096)


@pytest.fixture
def drawn(monkeypatch):
    """Return {name: (arguments, keywords)} of what is to be drawn."""
    monkeypatch.setattr(demo, "SIZES", SIZES)
    calls = {}
    for name in ("draw_speed_ups", "draw_losses", "draw_roofline"):

        def draw(*arguments, name=name, **keywords):
            calls[name] = arguments, keywords
            return name

        monkeypatch.setattr(figures, name, draw)
    return calls


@pytest.fixture
def shown(drawn, tmp_path):
    steps = []
    result = demo.demo(tmp_path, progress=lambda *step: steps.append(step))
    assert [step[1:] for step in steps] == [(n, 6) for n in range(6)]
    return result


def test_what_is_to_be_remembered_is_what_is_drawn(shown, drawn):
    (sizes, speed_ups, _), _ = drawn["draw_speed_ups"]
    assert tuple(sizes) == SIZES
    (sparse, _), _ = drawn["draw_losses"]
    losses = {name: us for name, us in sparse["4,096"].measures.items() if name.startswith("lost_to_")}
    told = list(shown.remember.items())
    assert [what for what, _ in told] == [
        "2:4 over dense at 4,096, A100 SXM 80GB", "2:4 over dense at 4,096, H100 SXM", "at 512, A100 SXM 80GB",
    ]  # fmt: skip
    a100, h100 = (speed_ups[card] for card in ("A100 SXM 80GB", "H100 SXM"))
    for (_, said), speed_up in zip(told, (a100[2], h100[2], a100[0]), strict=True):
        assert said.startswith(f"{speed_up:.2f} times")
    lost_to = told[0][1].rpartition("lost to ")[2].replace(" ", "_")
    assert losses[f"lost_to_{lost_to}_us"] == max(losses.values())
    assert shown.figures == ["draw_speed_ups", "draw_losses", "draw_roofline"]


def test_the_values_are_checked_and_what_that_gave_is_said(shown):
    assert shown.passed
    assert shown.right.startswith("the values of a 2:4 GEMM of 256 x 128 x 512 are within their derived bound")
    assert 0 < float(shown.right.split()[-3].removesuffix("%")) <= 100


@pytest.mark.usefixtures("drawn")
def test_values_beyond_the_bound_are_told_and_are_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_check", lambda: {"passed": False, "largest_error_over_bound": 1.5})
    shown = demo.demo(tmp_path)
    assert not shown.passed
    assert shown.right.endswith("are BEYOND their derived bound of float64, at most 150.00% of it")


def test_the_roofline_has_the_datasheet_s_roofs_and_each_gemm_at_its_intensity(shown, drawn, tmp_path):
    """A100 SXM 80GB: 312 and 624 TFLOPS of f16, 2,039 GB/s of which kernels reach a share.

    n**2 numbers of A, B and C take 6 n**2 bytes; 2:4 leaves half of A's and adds 2 bits for each: 5.125 n**2.
    """
    (roofs, points, path, title), _ = drawn["draw_roofline"]
    assert path == tmp_path / "tensorcore_roofline.png"
    reached = 2039 * PRESETS["a100-sxm-80gb"].hbm_share
    assert title == f"A100 SXM 80GB, f16, square GEMMs; {reached:,.0f} GB/s"
    assert roofs["dense"] == pytest.approx((312, reached), rel=1e-3)
    assert roofs["2:4"] == pytest.approx((624, reached), rel=1e-3)
    for name, bytes_of_n2 in (("dense", 6), ("2:4", 5.125)):
        assert [label for _, _, label in points[name]] == [f"{n:,}" for n in SIZES]
        assert [intensity for intensity, _, _ in points[name]] == pytest.approx([2 * n / bytes_of_n2 for n in SIZES])
    (sparse, _), _ = drawn["draw_losses"]
    times = [run.time_us for run in sparse.values()]
    rates = [2 * n**3 / us / 1e6 for n, us in zip(SIZES, times, strict=True)]
    assert [tflops for _, tflops, _ in points["2:4"]] == pytest.approx(rates)


def test_sizes_are_powers_of_two_to_8192_and_those_to_remember_are_among_them():
    assert tuple(2**n for n in range(8, 14)) == demo.SIZES
    assert {demo.SMALL, demo.LARGE} < set(demo.SIZES)


def test_of_the_gemm_that_is_checked_the_two_larger_of_four_weights_stay(monkeypatch):
    encoded = []
    monkeypatch.setattr(demo, "encode", lambda layer, spec: encoded.append((layer, spec)) or encode(layer, spec))
    demo._check()
    ((layer, spec),) = encoded
    groups = layer.weights.reshape(256, 128, 4)
    assert layer.activations.shape == (128, 512)
    assert ((groups != 0).sum(axis=2) == 2).all()
    assert (spec.card, spec.sparsity) == ("a100", "2:4")
    drawn = np.random.default_rng(24).standard_normal((256, 512), np.float32).reshape(256, 128, 4)
    largest = np.sort(np.abs(drawn), axis=2)[:, :, 2:]
    assert np.array_equal(np.sort(np.abs(groups), axis=2)[:, :, 2:], largest)
