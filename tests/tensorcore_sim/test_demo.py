"""Does the tensor core's demo show what its runs gave, beside roofs that the data sheets have?"""

import pytest

from cyclekit.validation import Validation
from tensorcore_sim import demo, figures
from tensorcore_sim.spec import PRESETS

SIZES = (512, 2048, 4096)


@pytest.fixture
def drawn(monkeypatch):
    """Return {name: (arguments, keywords)} of what is to be drawn."""
    calls = {}
    for name in ("draw_speed_ups", "draw_losses", "draw_roofline", "draw_validation"):

        def draw(*arguments, name=name, **keywords):
            calls[name] = arguments, keywords
            return [name] if name == "draw_validation" else name

        monkeypatch.setattr(figures, name, draw)
    return calls


@pytest.fixture
def shown(drawn, tmp_path):
    steps = []
    result = demo.demo(tmp_path, short=True, progress=lambda *step: steps.append(step))
    assert [step[1:] for step in steps] == [(n, 6) for n in range(6)]
    return result


def test_a_row_for_each_card_and_size_with_times_rates_and_their_quotient(shown):
    (rows,) = shown.tables.values()
    names = [(row["card"], row["m = n = k"]) for row in rows]
    assert names == [(card, f"{n:,}") for card in ("A100 SXM 80GB", "H100 SXM") for n in SIZES]
    for row, n in zip(rows, 2 * SIZES, strict=True):
        dense, sparse = float(row["dense [us]"]), float(row["2:4 [us]"])
        assert float(row["speed-up"]) == pytest.approx(dense / sparse, rel=0.02)  # of what is rounded to 0.1 us
        for us, tflops in ((dense, row["dense TFLOPS"]), (sparse, row["2:4 TFLOPS"])):
            assert float(tflops.replace(",", "")) == pytest.approx(2 * n**3 / us / 1e6, rel=0.02)
        lost = [float(part.rpartition(" ")[2]) for part in row["lost against 2x [us]"].split(", ")]
        assert len(lost) == 3
        assert lost == sorted(lost, reverse=True)


def test_the_values_are_checked_and_what_that_gave_is_said(shown):
    assert shown.passed
    assert shown.remarks[0].startswith(
        "values of a 2:4 GEMM of 256 x 128 x 512 beside float64: within the derived bound"
    )
    assert 0 < float(shown.remarks[0].split()[-3].removesuffix("%")) <= 100


def test_values_beyond_the_bound_are_told_and_are_no_success(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_check", lambda: {"passed": False, "largest_error_over_bound": 1.5})
    shown = demo.demo(tmp_path, short=True)
    assert not shown.passed
    assert shown.remarks[0].endswith("BEYOND the derived bound, at most 150.00% of it")


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
    (rows,) = shown.tables.values()
    for name in points:
        assert [f"{tflops:,.0f}" for _, tflops, _ in points[name]] == [row[f"{name} TFLOPS"] for row in rows[:3]]


def test_what_is_drawn_is_what_is_in_the_table(shown, drawn):
    (rows,) = shown.tables.values()
    (sizes, speed_ups, _), _ = drawn["draw_speed_ups"]
    assert tuple(sizes) == SIZES
    assert [f"{value:.2f}" for values in speed_ups.values() for value in values] == [row["speed-up"] for row in rows]
    (sparse, _), _ = drawn["draw_losses"]
    assert [f"{run.time_us:,.1f}" for run in sparse.values()] == [row["2:4 [us]"] for row in rows[:3]]
    assert (shown.figures, shown.validation) == (["draw_speed_ups", "draw_losses", "draw_roofline"], None)


def test_the_long_one_also_validates(drawn, tmp_path, monkeypatch):
    none = Validation(machine="tensorcore", comparisons=(), footnotes=())
    monkeypatch.setattr(demo, "SIZES", (256,))
    monkeypatch.setattr(demo, "validate", lambda progress: none)
    shown = demo.demo(tmp_path)
    assert len(*shown.tables.values()) == 2
    assert shown.validation is none
    assert shown.figures[-1] == "draw_validation"
