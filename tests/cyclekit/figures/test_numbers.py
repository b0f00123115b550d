"""Are the numbers beside a picture those that are drawn?"""

import csv
from io import StringIO

import numpy as np

from cyclekit.figures.charts import Chart, write
from cyclekit.figures.figure import Front, Lines, Map, Panel, Plane, Stacks
from cyclekit.figures.numbers import as_csv

LINE = ((1.0, 2.0, 64.0), (1.0, 2.0, 30.0))


def read(data):
    heads, *rows = csv.reader(StringIO(as_csv(data), newline=""))
    return heads, rows


def test_each_point_of_each_line_is_a_row():
    data = Lines("PEs", "queue depth [places]", [Panel("time [us]", {"2": LINE, "8": LINE}), Panel("n", {"2": LINE})])
    heads, rows = read(data)
    assert heads == ["quantity", "queue depth [places]", "PEs", "value"]
    assert len(rows) == 9
    assert [row for row in rows if row[:2] == ["time [us]", "8"]] == [
        ["time [us]", "8", str(x), str(y)] for x, y in zip(*LINE, strict=True)
    ]


def test_each_part_of_each_bar_is_a_row_those_of_no_height_too():
    data = Stacks(
        "PEs", "energy [nJ]", {"a": {"1": {"alu": 0.1}, "2": {"sram": 3.0}}}, {"alu": 0, "sram": 1}, "series", False
    )
    heads, rows = read(data)
    assert heads == ["panel", "PEs", "part", "energy [nJ]"]
    assert rows == [
        ["a", "1", "alu", "0.1"],
        ["a", "1", "sram", "0.0"],
        ["a", "2", "alu", "0.0"],
        ["a", "2", "sram", "3.0"],
    ]


def test_designs_say_whether_they_are_on_the_front():
    data = Front(
        "PEs", [Plane("time [us]", "area [mm2]", {"1": (2.0, 1.0), "2": (1.0, 2.0), "3": (9.0, 9.0)}, ["2", "1"])]
    )
    heads, rows = read(data)
    assert heads == ["quantity", "PEs", "time [us]", "value", "on the front"]
    assert [row[1:] for row in rows] == [["1", "2.0", "1.0", "1"], ["2", "1.0", "2.0", "1"], ["3", "9.0", "9.0", "0"]]


def test_a_map_has_a_row_a_unit_and_a_column_a_moment():
    """Three moments of 300 cycles are the middles of thirds: 50, 150 and 250."""
    heads, rows = read(Map("lane", {}, ("busy", "idle"), np.eye(2, 3, dtype=np.uint8), 300))
    assert heads == ["lane at a cycle: 0 busy, 1 idle", "50", "150", "250"]
    assert rows == [["0", "1", "0", "0"], ["1", "0", "1", "0"]]


def test_a_name_with_commas_and_quotes_comes_back():
    assert read(Lines("x", "", [Panel('a "b", c', {"é, $x$": LINE})]))[1][0][:2] == ['a "b", c', "é, $x$"]


def test_the_file_has_the_numbers_to_the_last_digit(tmp_path):
    line = ((1 / 3,), (0.1 + 0.2,))
    data = Lines("x", "", [Panel("y", {"": line})])
    write(Chart("c", "t", "c", data), tmp_path / "new" / "c.csv")
    _, row = (tmp_path / "new" / "c.csv").read_text(encoding="utf-8").splitlines()
    assert tuple(map(float, row.split(",")[2:])) == (1 / 3, 0.1 + 0.2)
