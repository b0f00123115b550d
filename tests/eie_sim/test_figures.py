"""Is every figure that is named drawn, and are two engines the same only if all is?"""

from types import SimpleNamespace

import numpy as np
import pytest

from eie_sim import Spec, encode, figures, simulate
from eie_sim.actions import PeState
from eie_sim.demo import _same
from eie_sim.figures import draw_utilisation, draw_validation
from tests.eie_cases import layer


def test_each_published_figure_has_a_file(validation, tmp_path):
    names = "table4 fig8 fig11-as-printed fig11-exchanged fig12 fig13 fig9-reads fig9-energy fig9-energy-cacti table2"
    drawn = draw_validation(validation, tmp_path)
    assert sorted(path.name for path in drawn) == sorted(f"eie_{name}.png" for name in names.split())
    assert sorted(tmp_path.iterdir()) == sorted(drawn)


def test_what_the_pes_did_is_drawn(tmp_path):
    spec = Spec(n_pes=2)
    image = encode(layer([[2, 1], [1, 3]]), spec)
    path = draw_utilisation(simulate(image, np.ones(2), spec), image, spec, tmp_path / "pes.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_pe_counts_are_compared_by_the_mean_time_of_an_input_and_all_cycles_of_their_pes(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(figures, "states_by_design", lambda *given, **more: calls.append((given, more)))
    runs = {
        4: [SimpleNamespace(time_us=3.0, states={"pe": {"weight": 5, "done": 1}})],
        16: [SimpleNamespace(time_us=t, states={"pe": {"weight": w, "done": 2}}) for t, w in ((1.0, 3), (2.0, 4))],
    }
    assert figures.draw_pe_counts(runs, 2, tmp_path / "f.png", title="t") == tmp_path / "f.png"
    ((states, kinds, path), more) = calls[0]
    assert states == {"4 PEs": {"weight": 5, "done": 1}, "16 PEs": {"weight": 7, "done": 4}}
    assert (kinds, path) == (PeState, tmp_path / "f.png")
    assert (more["title"], more["times_us"]) == ("t", {"4 PEs": 1.5, "16 PEs": 1.5})
    assert "each of 2 inputs" in more["about"]


@pytest.mark.parametrize("field", ["id", "cycles", "actions", "states", "output_sha256"])
def test_runs_are_the_same_where_all_is(field):
    run = {"id": "a", "cycles": 1, "actions": {}, "states": {}, "output_sha256": "b"}
    assert _same(SimpleNamespace(**run), SimpleNamespace(**run))
    assert not _same(SimpleNamespace(**run), SimpleNamespace(**run | {field: "other"}))
