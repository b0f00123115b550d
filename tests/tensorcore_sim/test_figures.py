"""Do the tensor core's figures draw the numbers that they are given, beside what these are held against?"""

from types import SimpleNamespace

import pytest

from cyclekit.validation import Comparison, Validation
from tensorcore_sim import figures
from tensorcore_sim.actions import SmState


@pytest.fixture
def drawn(monkeypatch):
    """Return a list of (what draws, its arguments, its keywords)."""
    calls = []
    for name in ("lines", "errors_by_row", "times_on_diagonal", "roofline", "stacked_losses"):
        monkeypatch.setattr(
            figures,
            name,
            lambda *given, name=name, **more: calls.append(SimpleNamespace(name=name, given=given, **more)),
        )
    return calls


def row(source: str, layer: str, published: float, simulated: float) -> Comparison:
    values = {"quantity": "time", "unit": "us", "setting": "", "kind": "as published", "mark": "A"}
    return Comparison(source=source, layer=layer, published=published, simulated=simulated, **values)


def test_instructions_gemms_and_the_ladder_each_have_a_figure(drawn, tmp_path):
    """10 x 20 x 50 are 20,000 operations: in 4 us 0.005 TFLOPS, in 5 us 0.004."""
    sun, luo = row("Sun et al.", "mma", 1, 2), row("Luo et al.", "wgmma", 3, 4)
    ladder, torchao = row("LLMCompass", "10 x 20 x 50", 5, 4), row("torchao", "1 x 1 x 1", 1, 1)
    searched = row("vllmbench", "2 x 2 x 2", 3, 3)
    cloud = row("TorchSparse", "Table 2", 2, 1)
    rows = (sun, ladder, luo, torchao, searched, cloud)
    files = figures.draw_validation(Validation(machine="tensorcore", comparisons=rows, footnotes=()), tmp_path)
    names = ("instructions", "gemms", "ladder", "vllmbench", "clouds")
    assert files == [tmp_path / f"tensorcore_{name}.png" for name in names]
    of_instructions, of_gemms, of_clouds, of_searched, of_ladder = drawn
    assert (of_clouds.given, of_clouds.band) == (([cloud], files[4]), 15)
    assert (of_searched.given, of_searched.band) == (([searched], files[3]), 10)
    assert (of_instructions.given, of_instructions.band) == (([sun, luo], files[0]), 5)
    assert (of_gemms.given, of_gemms.band) == (([ladder, torchao], files[1]), 15)
    curves, path = of_ladder.given
    assert path == files[2]
    assert curves["simulated"] == ([20], pytest.approx([0.005]))
    assert of_ladder.measured["LLMCompass, measured"] == ([20], pytest.approx([0.004]))


def test_speed_ups_have_twice_as_their_limit(drawn, tmp_path):
    assert figures.draw_speed_ups((1, 2), {"a": [1.1, 1.2]}, tmp_path / "s.png", about="of it") == tmp_path / "s.png"
    (call,) = drawn
    assert (call.given, call.limit) == (({"a": ((1, 2), [1.1, 1.2])}, tmp_path / "s.png"), ("ideal", 2.0))


def test_a_roofline_is_drawn_as_it_is_given(drawn, tmp_path):
    roofs, points = {"dense": (312.0, 1855.0)}, {"dense": [(85.3, 40.0, "256")]}
    assert figures.draw_roofline(roofs, points, tmp_path / "r.png", "title", about="of it") == tmp_path / "r.png"
    (call,) = drawn
    assert (call.given, call.title, call.about) == ((roofs, points, tmp_path / "r.png"), "title", "of it")


def test_losses_are_shares_of_the_dense_time_above_the_ideal_share(drawn, tmp_path):
    """Of a dense time of 8 us the k-th reason takes k us, 12.5 k %; at four times as fast the ideal is a quarter."""
    states = [state.name.lower() for state in SmState]
    measures = {f"lost_to_{name}_us": float(k) for k, name in enumerate(states)}
    run = SimpleNamespace(measures=measures | {"time_dense_us": 8.0, "ideal_speed_up": 4.0})
    assert figures.draw_losses({"1,024": run}, tmp_path / "l.png", title="t", about="of it") == tmp_path / "l.png"
    (call,) = drawn
    bars, ideal, kinds, path = call.given
    assert bars == {"1,024": {name: 12.5 * k for k, name in enumerate(states)}}
    assert (ideal, kinds, path, call.title) == (("ideal", 25.0), SmState, tmp_path / "l.png", "t")
