"""Does each part of the campaign run, whatever another one found, and does the end tell it?"""

import io
import runpy
from pathlib import Path

import pytest
from rich.console import Console

CAMPAIGN = runpy.run_path(str(Path(__file__).with_name("__main__.py")))


@pytest.mark.parametrize(("ends", "end"), [({}, 0), ({"fuzz": 1}, 1), ({"kills": -9, "mutate": 1}, 1)])
def test_every_part_runs_and_one_that_found_something_is_the_end(ends, end):
    called, said = [], io.StringIO()

    def call(command):
        called.append(Path(command[1]).stem)
        return ends.get(called[-1], 0)

    parts = {part: CAMPAIGN["words"](part, 2, 7, None) for part in CAMPAIGN["SIZES"]}
    assert CAMPAIGN["run"](parts, call, Console(file=said, width=100)) == end
    assert called == list(CAMPAIGN["SIZES"])
    assert all(Path(__file__).with_name(f"{part}.py").is_file() for part in called)
    rows = [line for line in said.getvalue().splitlines() if line.startswith("│")]
    assert [row.split()[1] for row in rows if "FOUND SOMETHING" in row] == list(ends)
    assert sum("nothing found" in row for row in rows) == len(called) - len(ends)


def test_a_part_has_its_share_of_a_night_and_one_at_least():
    said = CAMPAIGN["words"]
    assert said("fuzz", 100, 0, None) == ["--cases", "10000", "--seed", "0"]
    assert said("kills", 0.1, 3, Path("f")) == ["--kills", "1", "--seed", "3"]
    assert said("mutate", 2, 3, Path("f")) == ["--sample", "20", "--seed", "3", "--folder", "f/mutate"]
    assert said("versions", 2, 3, None) == []
