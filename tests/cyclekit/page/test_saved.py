"""Can what the page shows be saved, and be read on a small screen?"""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from cyclekit.page import Figure, page
from cyclekit.sweep.results import read
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import sweep
from workloads.records import Workload


@pytest.fixture(scope="module")
def feasible(tmp_path_factory):
    """Return the results of a small sweep."""
    path, rng = tmp_path_factory.mktemp("store") / "s.db", np.random.default_rng(0)
    weights = (rng.integers(1, 8, (24, 16)) * (rng.random((24, 16)) < 0.3)).astype(np.float32)
    work = Workload(name="fc", weights=weights, activations=np.ones((1, 16), np.float32))
    varied = {"n_pes": (1, 2, 4), "queue_depth": (2, 4), "spmat_width_bits": (32, 64)}
    sweep("eie", [work], vary=varied, into=path, n_workers=1)
    with Store(path, write=False) as store:
        return read(store)


def test_figures_and_the_table_can_be_saved(browser, feasible, tmp_path):
    """Saving is seen through: what would be given to the browser as a file, its name and its bytes."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><rect width="30" height="20"/></svg>'
    numbers = 'PEs,a name that says "</script>"\r\n1,2\r\n'
    path = tmp_path / "report.html"
    path.write_bytes(page("results.db", feasible, [Figure("t", "c", svg, svg, "eie_n_pes", numbers)], n_rows=1))
    browser.get(path.as_uri())
    saved = """
        const done = arguments[arguments.length - 1], made = [];
        URL.createObjectURL = (blob) => { made.push(blob); return "#"; };
        HTMLAnchorElement.prototype.click = async function () {
            const bytes = new Uint8Array(await made.pop().arrayBuffer());
            done([this.download, Array.from(bytes)]);
        };
        document.querySelectorAll(arguments[0])[arguments[1]].click();
    """
    name, found = browser.execute_async_script(saved, ".saves button", 0)
    assert (name, bytes(found)) == ("eie_n_pes.svg", svg)
    name, found = browser.execute_async_script(saved, ".saves button", 1)
    with Image.open(io.BytesIO(bytes(found))) as picture:
        assert (name, picture.format, picture.size) == ("eie_n_pes.png", "PNG", (60, 40))
    name, found = browser.execute_async_script(saved, ".saves button", 2)
    assert (name, bytes(found).decode()) == ("eie_n_pes.csv", numbers)
    name, found = browser.execute_async_script(saved, "#csv", 0)
    heads, *rows = csv.reader(io.StringIO(bytes(found).decode(), newline=""))
    assert (name, len(rows)) == ("designs.csv", len(feasible))
    assert [int(row[heads.index("n_pes")]) for row in rows] == [result.spec["n_pes"] for result in feasible]
    times = [float(row[heads.index("time [us]")]) for row in rows]
    assert times == pytest.approx([result.time_us for result in feasible])
    assert browser.get_log("browser") == []


def test_no_table_of_the_best_is_cut_at_1024_pixels(browser, feasible, tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(page("results.db", feasible, [], n_rows=1))
    size = browser.get_window_size()
    browser.set_window_size(1024, 900)
    try:
        browser.get(path.as_uri())
        widths = "const box = document.querySelector('#best .scroll'); return [box.scrollWidth, box.clientWidth]"
        whole, seen = browser.execute_script(widths)
        assert whole <= seen
    finally:
        browser.set_window_size(size["width"], size["height"])
