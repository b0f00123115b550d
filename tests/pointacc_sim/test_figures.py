"""Do PointAcc's figures draw the numbers that they are given?"""

from types import SimpleNamespace

import pytest

from cyclekit.validation import Validation
from pointacc_sim import figures
from pointacc_sim.actions import MatrixState


@pytest.fixture
def drawn(monkeypatch):
    """Return a list of (what draws, its arguments, its keywords)."""
    calls = []
    for name in ("errors_by_row", "stacked_parts", "states_by_design"):
        monkeypatch.setattr(
            figures,
            name,
            lambda *given, name=name, **more: calls.append(SimpleNamespace(name=name, given=given, **more)),
        )
    return calls


def test_the_errors_of_all_comparisons(drawn, tmp_path):
    rows = ("one", "other")
    path = tmp_path / "pointacc_validation.png"
    assert figures.draw_validation(Validation(machine="pointacc", comparisons=rows, footnotes=()), tmp_path) == [path]
    (call,) = drawn
    assert (call.name, call.given, call.band) == ("errors_by_row", (rows, path), 5)


def test_a_bar_for_each_pair_of_mirrored_offsets_and_the_centre(drawn, tmp_path):
    path = tmp_path / "sizes.png"
    assert figures.draw_sizes([3, 1, 9, 1, 3], path, title="t", about="what ran") == path
    (call,) = drawn
    bars = {"0": {"entries": 3.0}, "1": {"entries": 1.0}, "c": {"entries": 9.0}}
    assert (call.given, call.title, call.about) == (({"entries of the map": bars}, path), "t", "what ran")
    assert list(call.given[0]["entries of the map"]) == ["0", "1", "c"]


def test_launches_rows_and_padding_of_groups(drawn, tmp_path):
    """10, 10, 8, 8, 2, 2 about a centre: three pairs; with the second beside the first, 4 x 10 rows for 36."""
    path = tmp_path / "groups.png"
    assert figures.draw_groups([10, 8, 2, 99, 2, 8, 10], (0.1, 0.25), path, title="t", about="what ran") == path
    (call,) = drawn
    assert (call.given[1], call.title, call.about) == (path, "t", "what ran")
    assert call.given[0] == {
        "launches": {"0.1": {"launches": 3.0}, "0.25": {"launches": 2.0}},
        "rows": {"0.1": {"rows": 40.0, "padding": 0.0}, "0.25": {"rows": 40.0, "padding": 4.0}},
    }


def test_states_and_bytes_are_drawn_as_they_are_given(drawn, tmp_path):
    spent, times, moved = {"a": {"rows": 1.0}}, {"a": 2.0}, {"a": {"weights": 3.0}}
    assert figures.draw_states(spent, MatrixState, times, tmp_path / "s.png", "t", "what ran") == tmp_path / "s.png"
    assert figures.draw_bytes(moved, tmp_path / "b.png", title="u", about="what ran") == tmp_path / "b.png"
    states, of_bytes = drawn
    assert states.about == of_bytes.about == "what ran"
    assert (states.given, states.title, states.times_us) == ((spent, MatrixState, tmp_path / "s.png"), "t", times)
    assert (of_bytes.given, of_bytes.title) == (({"moved to and from DRAM [MB]": moved}, tmp_path / "b.png"), "u")
