"""Do figures come out whole, legible in print and on a dark screen, and the same bytes each time?"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from cyclekit import terminal
from cyclekit.figures.charts import Chart, write
from cyclekit.figures.curves import lines
from cyclekit.figures.figure import Front, Lines, Map, Panel, Plane, Stacks
from cyclekit.figures.style import MARKERS, THEMES, caption
from workloads.errors import BadInput

LINE = ((1.0, 2.0, 64.0), (1.0, 2.0, 30.0))
KINDS = {
    "lines": Lines("lanes", "workload", [Panel("time [us]", {"a": LINE}), Panel("gain [times]", {"a": LINE}, True)]),
    "stacks": Stacks("lanes", "energy [nJ]", {"a": {"1": {"alu": 1.0}}}, {"alu": 0}, "series", False),
    "front": Front("lanes", [Plane("time [us]", "area [mm2]", {"1": (2.0, 1.0), "2": (1.0, 2.0)}, ["2", "1"])]),
    "map": Map("lane", {"busy": 0, "idle": 1}, ("busy", "idle"), np.eye(3, dtype=np.uint8), 300),
}


def chart(kind: str) -> Chart:
    return Chart(kind, "a title", "a caption", KINDS[kind])


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_written_in_both_formats_and_the_svg_is_text_and_reproducible(kind, theme, tmp_path):
    write(chart(kind), tmp_path / "a.png", theme)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    for name in ("a.svg", "b.svg"):
        write(chart(kind), tmp_path / name, theme)
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    texts = {text.strip() for text in re.findall(r"<text[^>]*>([^<]+)</text>", svg)}
    labels = {"lines": {"lanes", "time [us]", "gain [times]", "a"}, "stacks": {"lanes", "energy [nJ]", "alu", "1"}}
    labels |= {"front": {"time [us]", "area [mm2]", "1", "2"}, "map": {"time [cycles]", "lane [number]", "busy"}}
    assert {"a title", "a caption", *labels[kind]} <= texts
    assert THEMES[theme].background in svg
    assert THEMES[theme].ink in svg


@pytest.mark.parametrize("kind", KINDS)
def test_every_axis_is_labelled(kind):
    import matplotlib.pyplot as plt

    figure = chart(kind).draw("print")
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in figure.axes)
    plt.close(figure)


def test_a_long_caption_stands_between_the_title_and_the_panels():
    import matplotlib.pyplot as plt

    for kind in KINDS:
        figure = replace(chart(kind), caption="word " * 120).draw("print")
        figure.draw_without_rendering()
        (text,) = (text for text in figure.texts if text.get_text().startswith("word"))
        box, title = text.get_window_extent(), figure._suptitle.get_window_extent()
        top = max(axis.get_window_extent().y1 for axis in figure.axes)
        assert top < box.y0 < box.y1 < title.y1
        assert box.x1 < figure.bbox.x1
        plt.close(figure)


def test_without_its_caption_a_figure_has_none(tmp_path):
    write(chart("lines"), tmp_path / "a.svg", captioned=False)
    assert "a caption" not in (tmp_path / "a.svg").read_text()


def test_lines_that_are_all_the_same_are_drawn_once_and_said_to_be():
    import matplotlib.pyplot as plt

    data = Lines("lanes", "workload", [Panel("time [us]", {"a": LINE, "b": LINE}), Panel("n", {"a": LINE})])
    figure = Chart("lines", "a title", "a caption", data).draw("print")
    assert [len(axis.lines) for axis in figure.axes] == [1, 1]
    assert [axis.get_title(loc="right") for axis in figure.axes] == ["all the same", ""]
    plt.close(figure)


def test_what_differs_by_two_percent_does_not_fill_an_axis():
    import matplotlib.pyplot as plt

    data = Front("lanes", [Plane("time [us]", "area [mm2]", {"1": (10.2, 1.0), "2": (10.0, 2.0)}, ["2", "1"])])
    figure = Chart("front", "a title", "a caption", data).draw("print")
    low, high = figure.axes[0].get_xlim()
    assert (high - low) / high == pytest.approx(0.2)
    plt.close(figure)


@pytest.mark.parametrize(
    ("xs", "scale"),
    [((1, 2, 4, 8, 16), "log"), ((1, 2, 3, 4), "linear"), (tuple(range(1, 40)), "linear"), ((0, 8, 64), "linear")],
)
def test_values_that_go_up_by_factors_have_a_logarithmic_axis(xs, scale):
    import matplotlib.pyplot as plt

    data = Lines("lanes", "", [Panel("time [us]", {"": (xs, (1.0,) * len(xs))})])
    figure = Chart("lines", "a title", "a caption", data).draw("dark")
    assert figure.axes[0].get_xscale() == scale
    plt.close(figure)


def test_names_are_shown_as_they_are(tmp_path):
    data = Lines("lanes", "workload", [Panel("time [us]", {"_a": LINE, "$b$ <c>": LINE})])
    write(Chart("lines", "50% of $x$", "a caption", data), tmp_path / "a.svg")
    texts = [text.strip() for text in re.findall(r"<text[^>]*>([^<]+)</text>", (tmp_path / "a.svg").read_text())]
    assert {"_a", "$b$ &lt;c&gt;", "50% of $x$"} <= set(texts)


def luminance(colour: str) -> float:
    """Return the relative luminance of "#rrggbb" (WCAG 2.1)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_lines_and_text_stand_out_from_the_background(theme):
    assert min(contrast(colour, theme.background) for colour in theme.series) >= 3  # WCAG 2.1, 1.4.11: graphics
    assert contrast(theme.ink, theme.background) >= 7  # 1.4.6: text
    assert len(theme.series) == len(set(theme.series)) == len(set(MARKERS)) == 9
    assert len(set(theme.states)) == len(theme.states) == 14  # as many as the kind of unit with the most has


def draw_old(path: Path) -> None:
    lines({"a": LINE}, path, title="t", x_label="x", y_label="y", about="a")


@pytest.mark.parametrize("draw", [lambda path: write(chart("lines"), path), draw_old], ids=["charts", "plots"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(draw, tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(terminal.os, "replace", full)
    with pytest.raises((OSError, BadInput), match="No space left on device"):
        draw(path)
    assert [found.name for found in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"


def test_another_format_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"a figure must be a \.png, \.svg or \.csv file, got '.*a\.pdf'"):
        write(chart("map"), tmp_path / "a.pdf")


def test_a_caption_stands_under_the_figure_in_lines_no_wider_than_it(tmp_path):
    text = "alex-7 on eie, preset isca2016, prices bottom-up; " * 4
    figure = Figure(figsize=(5, 3))
    caption(figure, text)
    (drawn,) = figure.texts
    assert drawn.get_text().split() == text.split()
    assert max(map(len, drawn.get_text().split("\n"))) <= 18 * 5


def test_a_caption_stands_under_all_that_is_drawn_and_of_a_long_one_the_beginning(tmp_path):
    figure = Figure(figsize=(5, 3))
    panel = figure.add_subplot(xlabel="x")
    panel.set_xticks([0, 1], ["a design with a long name", "another one"], rotation=90)
    below = figure.get_tightbbox().y0
    caption(figure, "word " * 500)
    (drawn,) = figure.texts
    lines = drawn.get_text().split("\n")
    assert len(lines) == 5
    assert lines[-1].endswith("word ... (all of it: in the file's description)")
    assert below < 0  # inches; the names of the designs stand out of the figure
    assert drawn.get_window_extent().y1 <= below * figure.dpi
