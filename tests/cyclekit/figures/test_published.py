"""Is a figure of published times a file with every quantity in it?"""

from cyclekit.figures.published import times_on_diagonal
from cyclekit.validation import Comparison


def test_times_against_each_other_are_drawn_whatever_their_sizes(tmp_path):
    rows = [
        Comparison(
            source="a paper",
            quantity=quantity,
            unit="us",
            layer="8 x 8 x 8",
            setting="",
            kind="as published",
            published=published,
            simulated=simulated,
            mark="A",
        )
        for quantity, published, simulated in (("dense time", 1e-3, 2e-3), ("2:4 time", 5.0, 5.0), ("other", 1e6, 1e4))
    ]
    path = tmp_path / "times.svg"
    times_on_diagonal(rows, path, title="Times", band=10, about="eight cubed")
    drawn = path.read_text()
    for text in ("dense time", "2:4 time", "other", "within 10%", "eight cubed"):
        assert f"<!-- {text}" in drawn or text in drawn
