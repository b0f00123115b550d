"""Can a table be read on a terminal of any width: no number broken, no column lost?"""

import io
import json
import os
import re
import sys

import pytest

from cyclekit import terminal
from cyclekit.terminal import VERSION, Output, fitted, folded, make_folder, progress, write_asked, write_whole
from workloads.errors import BadInput

HEADS = ["layer", "out x in", "reached", "time [us]"]
ROWS = [
    ["branch.of.a.model.encoder.0.conv", "128 x 387", "real", "2.295"],
    ["fc", "3 x 64", "random", "1,234.567"],
]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def shown(monkeypatch):
    """Return a function that gives the lines of a table on a terminal of some columns."""

    def lines(width, heads, rows):
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")
        out = Output(None)
        out._text = Terminal()
        out.table("T", heads, rows)
        text = re.sub(r"\x1b\[\d*m", "", out._text.getvalue())
        return [line.rstrip() for line in text.splitlines()]

    return lines


def test_a_command_is_folded_so_that_a_shell_reads_it_as_one_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    out = Output(None)
    out._text = Terminal()
    out.command("zeroskip run eie:silicon alex-7")
    text = out._text.getvalue()
    assert max(map(len, text.splitlines())) <= 20
    assert text.replace("\\\n", "").split() == ["zeroskip", "run", "eie:silicon", "alex-7"]
    assert text.count("\\\n") == text.count("\n") - 1


def test_a_table_that_fits_has_a_line_a_row(shown):
    assert shown(80, HEADS, ROWS) == [
        "T",
        "layer                              out x in  reached  time [us]",
        "─" * (32 + 2 + 9 + 2 + 7 + 2 + 9),
        "branch.of.a.model.encoder.0.conv  128 x 387  real         2.295",
        "fc                                   3 x 64  random   1,234.567",
    ]


def test_one_a_little_too_wide_folds_names_and_heads(shown):
    assert shown(59, HEADS, ROWS) == [
        "T",
        "layer                          out x in  reached  time [us]",
        "─" * 59,
        "branch.of.a.model.encoder.0.  128 x 387  real         2.295",
        "conv",
        "fc                               3 x 64  random   1,234.567",
    ]


def test_one_far_too_wide_comes_in_blocks_that_begin_with_the_names(shown):
    assert shown(48, HEADS, ROWS) == [
        "T",
        "layer                          out x in  reached",
        "─" * 48,
        "branch.of.a.model.encoder.0.  128 x 387  real",
        "conv",
        "fc                               3 x 64  random",
        "",
        "layer                         time [us]",
        "─" * 39,
        "branch.of.a.model.encoder.0.      2.295",
        "conv",
        "fc                            1,234.567",
    ]


def test_heads_fold_between_words_before_anything_else():
    # 5 letters of "layer", then "weights" over "[%]", "act." over "[%]", each two spaces apart
    blocks = fitted(["layer", "weights [%]", "act. [%]"], [["fc", "9.0", "35.1"]], [False, True, True], 5 + 9 + 6)
    assert blocks == [{0: 5, 1: 7, 2: 4}]


def test_text_takes_what_numbers_leave():
    rows = [["fc", "7", "a sentence of many words"]]
    assert fitted(["name", "n", "what"], rows, [False, True, False], 30) == [{0: 4, 1: 1, 2: 30 - 4 - 2 - 1 - 2}]


@pytest.mark.parametrize("width", range(1, 200, 7))
def test_every_column_comes_and_no_number_is_broken(width):
    blocks = fitted(HEADS, ROWS, [False, True, False, True], width)
    assert sorted(i for block in blocks for i in block if i) == [1, 2, 3]
    for block in blocks:
        assert next(iter(block)) == 0
        assert all(len(row[i]) <= block[i] for row in ROWS for i in block if i in (1, 3))
        assert len(block) == 2 or sum(block.values()) + 2 * (len(block) - 1) <= width


def test_a_table_without_rows_has_its_heads(shown):
    assert shown(80, ["layer", "cycles"], []) == ["T", "layer  cycles", "─" * 13]


def test_a_number_with_a_sign_is_on_the_right_and_a_word_of_two_letters_on_the_left(shown):
    rows = [["a", "+5%", "up"], ["b", "-120%", "down"]]
    assert shown(80, ["name", "change", "what"], rows)[3:] == ["a        +5%  up", "b      -120%  down"]


# Progress


@pytest.mark.parametrize(("stream", "drawn"), [(io.StringIO, False), (Terminal, True)])
def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch, stream, drawn):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream())
    with progress("work") as tell:
        tell("half", 1, 2)
    assert bool(sys.stderr.getvalue()) == drawn


def test_elsewhere_a_line_is_said_every_ten_seconds(monkeypatch, capsys):
    now = 100.0
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now)
    with progress("work") as tell:
        for now in (105.0, 109.9, 110.0, 115.0, 119.0, 121.0):
            tell(f"at {now:g}", now - 100, 40)
        now = 131.5
        tell("of no known length", 1, None)
    assert capsys.readouterr().err.splitlines() == [
        "zeroskip: work: at 110, 25% after 10 s",
        "zeroskip: work: at 121, 52% after 21 s",
        "zeroskip: work: of no known length after 32 s",
    ]


# Lines


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("  note: 1,234 of 5,678 cycles", 20, ["  note: 1,234 of", "    5,678 cycles"]),
        ("one that fits", 13, ["one that fits"]),
        ("1234567890123", 5, ["1234567890123"]),  # a word is never cut
        ("a path-of-its-own is whole", 12, ["a", "  path-of-its-own", "  is whole"]),
    ],
)
def test_a_line_folds_between_words_and_is_set_in(text, width, lines):
    assert folded(text, width).splitlines() == lines
    assert folded(text, None) == text


def test_a_number_in_a_column_of_words_is_never_folded():
    rows = [["fc", "12345678901234567890 and more words"]]
    (block,) = fitted(["layer", "what"], rows, [False, False], 27)
    assert block[1] >= 20


# Files


def test_a_folder_that_is_there_is_taken(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_is_replaced_and_not_written_over(tmp_path):
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"old")
    os.link(path, other)
    write_whole(path, b"new")
    assert (path.read_bytes(), other.read_bytes()) == (b"new", b"old")


def test_what_has_become_a_store_since_is_not_written_over(tmp_path):
    path = tmp_path / "out.json"
    path.write_bytes(b"SQLite format 3\0 and all its rows")
    with pytest.raises(BadInput, match="--json must name another file than a store"):
        write_asked(path, b"{}", "--json")
    assert path.read_bytes() == b"SQLite format 3\0 and all its rows"


def test_a_file_has_the_rights_of_any_other_and_the_next_one_too(tmp_path):
    before = os.umask(0o027)
    try:
        for name in "ab":
            write_whole(tmp_path / name, b"")
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o640
    finally:
        assert os.umask(before) == 0o027


def test_json_on_a_pipe_is_there_when_it_is_said_and_not_only_at_the_end(monkeypatch):
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, "utf-8"))
    Output("-", "run").result({"cycles": 3})
    assert json.loads(pipe.getvalue()) == {"schema_version": VERSION, "command": "run", "cycles": 3}
