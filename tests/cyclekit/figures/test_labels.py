"""Do names beside points lie on no other name, no point, and not outside of their axes?"""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cyclekit.figures.labels import write_names

NAMES = ("qkv", "gate and up", "output projection", "down", "logits", "attention")
# Operators of a model under its roof, as (operations a byte, TFLOPS): the last four of a step lie within a few percent
CLOSE = [(1760, 705), (1880, 712), (1370, 690), (690, 665), (16, 46), (16, 43), (16, 35), (16, 34.8), (1, 2.4)]


def drawn(points, *, must, log=True):
    """Return the axes of some points, with their names."""
    figure = Figure(figsize=(8, 4.6), dpi=100)
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    axis.scatter(*zip(*points, strict=True), s=18)
    axis.set(**dict.fromkeys(("xscale", "yscale"), "log" if log else "linear"))
    write_names(axis, [(*xy, NAMES[i % len(NAMES)], "k") for i, xy in enumerate(points)], size=6.5, must=must)
    figure.draw_without_rendering()
    return axis


def shared(a, b) -> float:
    wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(0.0, wide - 0.01) * max(0.0, high - 0.01)  # a hundredth of a pixel is no overlap


def overprinted(axis, points) -> list:
    """Return what of the names lies on another one, on a point, or outside."""
    boxes = list(
        zip((note.get_text() for note in axis.texts), (n.get_window_extent() for n in axis.texts), strict=True)
    )
    found = [(a, b) for (a, box), (b, other) in combinations(boxes, 2) if shared(box, other)]
    centres = axis.transData.transform(points)
    found += [
        (name, xy) for name, box in boxes for xy in centres if box.x0 < xy[0] < box.x1 and box.y0 < xy[1] < box.y1
    ]
    frame = axis.get_window_extent()
    return found + [(name, "outside") for name, box in boxes if shared(box, frame) < 0.99 * box.width * box.height]


def test_every_operator_under_the_roof_can_be_read():
    axis = drawn(CLOSE, must=True)
    assert len(axis.texts) == len(CLOSE)
    assert overprinted(axis, CLOSE) == []


def test_the_same_points_have_their_names_at_the_same_places():
    first, second = ([note.get_position() for note in drawn(CLOSE, must=True).texts] for _ in range(2))
    assert first == second


def test_a_name_that_is_far_from_its_point_has_a_line_to_it():
    points = [(1, 1)] * 6 + [(10, 10)]
    axis = drawn(points, must=True)
    far = [note for note in axis.texts if max(map(abs, note.get_position())) > 60]
    assert len(axis.lines) >= len(far)
    assert all(tuple(line.get_xydata()[0]) == pytest.approx((1, 1)) for line in axis.lines)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12))
def test_of_names_that_may_be_left_out_none_is_overprinted(points):
    assert overprinted(drawn(points, must=False, log=False), points) == []
