"""Does `zeroskip report` write a page of what a store holds, or say in one line why it cannot?"""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from cyclekit.command import report
from cyclekit.figures.charts import write
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import sweep

SWEPT = {"clock_mhz": (100, 200, 400)}


@pytest.fixture
def store(toy, layer_npz, tmp_path):
    """Return a store with three designs of a machine that has no prices."""
    path = tmp_path / "results.db"
    sweep("toy", [layer_npz], vary=SWEPT, into=path, n_workers=1)
    return path


def test_a_page_and_its_figures_are_written(zeroskip, store, tmp_path):
    page, figures = tmp_path / "report.html", tmp_path / "figures"
    ended = zeroskip("report", store, "--out", page, "--figures", figures)
    assert ended.code == 0, ended.err
    assert "3 rows, 3 results" in ended.out
    text = page.read_text(encoding="utf-8")
    assert "toy: a toy" in text
    assert "clock_mhz: 100, 200, 400" in text
    assert "toy: no energy of 3 results: toy has no prices" in text
    written = {path.name for path in figures.iterdir()}
    stems = {name.removesuffix(".svg") for name in written if name.endswith(".svg") and not name.endswith("-dark.svg")}
    assert stems
    assert written == {f"{stem}{end}" for stem in stems for end in (".svg", ".png", "-dark.svg", "-dark.png", ".csv")}
    assert text.count("<figure ") == len(stems)


def test_a_figure_is_written_once_and_with_its_caption(zeroskip, store, tmp_path, monkeypatch):
    """So that a report that is killed leaves no picture without one."""
    written = []

    def noted(chart, path, theme, *, captioned=True):
        written.append((path, captioned))
        write(chart, path, theme, captioned=captioned)

    monkeypatch.setattr(report, "write", noted)
    assert zeroskip("report", store, "--out", tmp_path / "page.html", "--figures", tmp_path / "figures").code == 0
    own = [(path, captioned) for path, captioned in written if path.parent == tmp_path / "figures"]
    assert own
    assert all(captioned for _, captioned in own)
    assert len({path for path, _ in own}) == len(own)


def test_the_same_store_gives_the_same_page(zeroskip, store, tmp_path):
    pages = [tmp_path / "a.html", tmp_path / "b.html"]
    for page in pages:
        assert zeroskip("report", store, "--out", page).code == 0
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_the_store_is_as_it_was(zeroskip, store, tmp_path):
    with Store(store, write=False) as opened:
        before = list(opened.rows())
    assert zeroskip("report", store, "--out", tmp_path / "report.html").code == 0
    with Store(store, write=False) as opened:
        assert list(opened.rows()) == before


def test_without_a_store_there_is_no_page(refused, tmp_path):
    out = ("--out", tmp_path / "report.html")
    assert refused("report", tmp_path / "none.db", *out).startswith("there is no store")
    (tmp_path / "text.db").write_text("no database, and longer than the header of one " * 10)
    assert "no store of zeroskip" in refused("report", tmp_path / "text.db", *out)


def test_an_empty_store_has_no_page(refused, tmp_path):
    Store(tmp_path / "empty.db").close()
    complaint = refused("report", tmp_path / "empty.db", "--out", tmp_path / "report.html")
    assert complaint == f"store {str(tmp_path / 'empty.db')!r} has no rows yet: there is nothing to report"


@pytest.mark.parametrize(
    ("out", "complaint"),
    [
        ("report.pdf", "--out must name a .html file"),
        ("report", "--out must name a .html file"),
        ("missing/report.html", "--out must name a file in an existing folder"),
        ("folder.html", "--out must name a file, "),
        ("results.html", "--out must name another file than a store"),
    ],
)
def test_a_page_that_could_not_be_written_is_refused(refused, store, tmp_path, out, complaint):
    (tmp_path / "folder.html").mkdir()
    store = store.rename(tmp_path / "results.html")
    assert refused("report", store, "--out", tmp_path / out).startswith(complaint)


def test_a_table_of_prices_that_no_machine_has_is_refused(refused, store, tmp_path):
    out = ("--out", tmp_path / "report.html")
    assert refused("report", store, *out, "--prices", "gold") == "unknown prices 'gold': the store's machines have none"


def test_a_file_is_no_folder_for_figures(refused, store, tmp_path):
    (tmp_path / "file").touch()
    complaint = refused("report", store, "--out", tmp_path / "report.html", "--figures", tmp_path / "file")
    assert complaint.startswith("--figures must name a folder")


def test_a_folder_that_cannot_be_written_to_is_refused_first(refused, store, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "os.access", lambda path, how: str(path) != str(tmp_path / "figures")
    )  # root may write anywhere
    (tmp_path / "figures").mkdir()
    complaint = refused("report", store, "--out", tmp_path / "report.html", "--figures", tmp_path / "figures")
    assert complaint.startswith("--figures must name a folder that can be written to")


def test_what_a_page_says_of_a_design_from_a_file_runs_it_again(zeroskip, tmp_path):
    rng = np.random.default_rng(0)
    few = np.float32([0, 0, 0.5, -0.25])
    np.savez(tmp_path / "bag.npz", **{f"{name}.weight": rng.choice(few, (8, 16)) for name in ("first", "second")})
    np.savez(tmp_path / "one.npz", weights=rng.choice(few, (8, 16)), activations=np.ones((4, 16), np.float32))
    into = tmp_path / "s.db"
    files = [tmp_path / "bag.npz", tmp_path / "one.npz"]
    assert zeroskip("sweep", "eie", *files, "--vary", "n_pes=2,4", "--workers", 1, "--into", into).code == 0
    more = ("--batch", 2, "--set", "sparsity=dense")
    sweep = ("sweep", "tensorcore", files[1], "--vary", "raster_tiles=4,8", *more, "--workers", 1, "--into", into)
    assert zeroskip(*sweep).code == 0
    with Store(into, write=False) as store:
        asked, counts = store.asked(), store.counts()
    assert asked == {
        "first": [f"{files[0]}:first"],
        "second": [f"{files[0]}:second"],
        "one": [str(files[1])],
        "one (batch 2)": [str(files[1]), "--batch", "2"],
    }
    for machine, work, *_ in counts:
        design = {"eie": ["--set", "n_pes=2"], "tensorcore": ["--set", "sparsity=dense"]}[machine]
        ended = zeroskip("run", machine, *asked[work], *design)
        assert ended.code == 0, ended.err
    assert zeroskip("report", into, "--out", tmp_path / "r.html").code == 0
    assert json.dumps(asked, separators=(",", ":"))[1:-1] in (tmp_path / "r.html").read_text()


def test_a_store_from_before_has_no_words_for_its_workloads(zeroskip, layer_npz, tmp_path):
    into = tmp_path / "s.db"
    assert zeroskip("sweep", "eie", layer_npz, "--vary", "n_pes=2,4", "--workers", 1, "--into", into).code == 0
    with closing(sqlite3.connect(into)) as store, store:
        store.execute("DROP TABLE asked")
    with Store(into, write=False) as store:
        assert store.asked() == {}
