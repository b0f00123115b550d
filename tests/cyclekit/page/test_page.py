"""Does a store's page say what the results say, whatever their names are and however many there are?"""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclekit.figures.style import DARK, PRINT
from cyclekit.page import Figure, page
from cyclekit.page.best import QUANTITIES, evenly, fronts, held, least, varied_values
from cyclekit.page.fill import SCRIPTS, asset
from cyclekit.page.tables import title
from cyclekit.sweep.results import Result, front
from eie_sim import PRESETS

HOSTILE = "</script><b>&\"'<!--<script>alert(1)</script>${title}"


def result(*, time_us, energy_pj=None, area_um2=None, workload="fc", machine="nobody's", reason=None, **spec):
    return Result(
        machine=machine,
        workload=workload,
        engine="only",
        spec=spec,
        reason=reason,
        n_inputs=1,
        cycles=10 * time_us,
        time_us=time_us,
        load_balance=0.5,
        states={"pe": {"work": 0.75, "wait": 0.25}},
        energy_pj=energy_pj,
        module_pj={} if energy_pj is None else {"SRAM": energy_pj / 4, "logic": 3 * energy_pj / 4},
        area_um2={} if area_um2 is None else {"SRAM": area_um2},
    )


def plane(n=6):
    """Return n x n designs whose time falls with a and whose energy rises with it; b only costs."""
    return [
        result(time_us=100 / a + b, energy_pj=500.0 + 1000 * a + b, area_um2=1e6 * a, a=a, b=b)
        for a, b in product(range(1, n + 1), range(n))
    ]


class Page(HTMLParser):
    """A page's elements, the texts of its scripts and styles, and the cells of its tables."""

    def __init__(self, made: bytes):
        super().__init__()
        self.elements, self.scripts, self.texts, self._within = [], [], [], []
        self.feed(made.decode())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._within.append(tag)

    def handle_endtag(self, tag):
        while self._within and self._within.pop() != tag:
            pass

    def handle_data(self, data):
        inside = self._within[-1] if self._within else ""
        (self.scripts if inside in ("script", "style") else self.texts).append((inside, data))

    @property
    def data(self):
        return json.loads(self.scripts[1][1])

    def cells(self, tag="td"):
        return [text for inside, text in self.texts if inside == tag]


def made(results, figures=(), **how):
    return Page(page("results.db", results, figures, n_rows=len(results), **how))


def test_the_same_results_give_the_same_bytes():
    figures = [Figure("title", "caption", b"<svg/>", b"<svg/>")]
    assert page("s.db", plane(), figures, n_rows=36) == page("s.db", plane(), figures, n_rows=36)


def test_the_title_names_workloads_and_machine_with_its_presets():
    eie = {"machine": "eie", "time_us": 1.0}
    silicon, default = (PRESETS[name].as_dict() for name in ("silicon", "isca2016"))
    assert title([result(workload=name, **eie, **silicon) for name in ("a", "b")]) == "a and b on eie (silicon)"
    assert title([result(workload=name, **eie, **default) for name in "abcde"]) == "a, b and 3 others on eie (isca2016)"
    called = [{"preset": name} for name in ("silicon", "isca2016")]
    both = [replace(result(**eie, **silicon), called=own) for own in called]
    assert title(both) == "fc on eie (silicon, isca2016)"
    assert title([*both, result(time_us=2.0)]) == "fc on eie (silicon, isca2016) and nobody's"
    cells = made(both).cells
    assert cells("h1") == ["fc on eie (silicon, isca2016)"]
    assert cells("title") == ["fc on eie (silicon, isca2016) - zeroskip"]


def test_columns_hold_what_the_results_hold():
    results = plane(3)
    data = made(results).data
    by_name = {quantity["name"]: quantity["values"] for quantity in data["quantities"]}
    assert by_name["time_us"] == [found.time_us for found in results]
    assert by_name["energy_nj"] == [found.energy_pj / 1e3 for found in results]
    assert by_name["edp_nj_us"] == pytest.approx([found.energy_pj / 1e3 * found.time_us for found in results])
    assert by_name["power_mw"] == pytest.approx([found.energy_pj / found.time_us / 1e3 for found in results])
    assert by_name["area_mm2"] == [found.spec["a"] for found in results]
    assert by_name["load_balance"] == [50] * 9
    dimensions = {dimension["name"]: dimension for dimension in data["dimensions"]}
    for name in ("a", "b"):
        own = dimensions[name]
        assert [own["values"][place] for place in own["of"]] == [found.spec[name] for found in results]
    cycles, energy = data["parts"]
    assert cycles["names"] == ["work", "wait"]
    assert cycles["shares"] == [[0.75, 0.25]] * 9
    assert energy["shares"] == [[0.25, 0.75]] * 9


def test_less_is_better_of_all_that_is_spent_and_not_of_a_balance():
    data = made(plane(2)).data
    assert [quantity["name"] for quantity in data["quantities"] if not quantity["less"]] == ["load_balance"]


def test_a_field_that_only_another_machine_has_is_missing_and_not_zero():
    results = [result(time_us=t, machine="m", a=t) for t in (1, 2)] + [result(time_us=3, machine="n", c=0)]
    dimensions = {dimension["name"]: dimension for dimension in made(results).data["dimensions"]}
    assert dimensions["a"]["of"] == [0, 1, -1]
    assert "c" not in dimensions  # it does not vary
    assert dimensions["a"]["differs_in"] == ["m"]


@pytest.mark.parametrize("where", ["workload", "machine", "value", "store", "figure", "reason"])
def test_a_hostile_name_stays_a_text(where):
    name = HOSTILE if where in ("workload", "machine") else "x"
    names = {where: name} if where in ("workload", "machine") else {}
    value = HOSTILE if where == "value" else "x"
    reason = HOSTILE if where == "reason" else "x"
    results = [result(time_us=1, a=value, **names), result(time_us=2, a="y", **names)]
    results.append(result(time_us=0, a="z", reason=reason))
    title = HOSTILE if where == "figure" else "x"
    store = HOSTILE if where == "store" else "x"
    found = Page(page(store, results, [Figure(title, title, b"<svg/>", b"<svg/>")], n_rows=3))
    tags = [tag for tag, _ in found.elements]
    assert tags.count("script") == 2
    assert "b" not in tags
    assert all(inside in ("script", "style") for inside, _ in found.scripts)
    assert len(found.scripts) == 3
    assert HOSTILE in json.dumps(found.data) or any(HOSTILE in text for _, text in found.texts) or where == "value"
    assert "${" not in found.scripts[0][1]
    if where == "value":
        assert next(one for one in found.data["dimensions"] if one["name"] == "a")["values"] == sorted([HOSTILE, "y"])


def test_the_browser_may_run_this_script_and_this_style_and_load_nothing():
    found = made(plane(2))
    style, _, script = (text for _, text in found.scripts)
    policy = next(attributes["content"] for tag, attributes in found.elements if "content" in attributes)
    for kind, text in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for _, attributes in found.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"\b(eval|Function|innerHTML|fetch|import)\b\(?", script)


def test_a_figure_is_there_in_both_themes_and_in_words():
    found = made(plane(2), [Figure("Speed & time", "of all", b"<svg>1</svg>", b"<svg>2</svg>")])
    images = [attributes for tag, attributes in found.elements if tag == "img"]
    inside = [base64.b64decode(image["src"].removeprefix("data:image/svg+xml;base64,")) for image in images]
    assert dict(zip((image["class"] for image in images), inside)) == {
        "bright": b"<svg>1</svg>",
        "dark": b"<svg>2</svg>",
    }
    assert {image["alt"] for image in images} == {"Speed & time. of all"}


def test_the_best_of_a_workload_is_the_least_of_it():
    results = plane()
    found = {quantity.label: best for _, quantity, best in least(results)}
    assert found["time"] is min(results, key=lambda r: r.time_us)
    assert found["energy"] is min(results, key=lambda r: r.energy_pj)
    assert found["energy x time"] is min(results, key=lambda r: r.energy_pj * r.time_us)
    assert found["area"].spec == {"a": 1, "b": 0}  # b costs no area: of equal ones the fastest


def test_a_design_that_is_the_best_in_several_is_one_row():
    cells = made(plane()).cells()
    assert cells[:4] == ["fc", "time, energy x time", "nobody's", "a=6 b=0"]
    assert cells[cells.index("energy, area") :][:3] == ["energy, area", "nobody's", "a=1 b=0"]


def test_a_design_without_a_field_that_the_others_have_is_shown_without_it():
    # as of a row whose design was damaged, or that another version of the machine stored
    results = [result(time_us=2, energy_pj=1.0, a=1, b=2), result(time_us=1, energy_pj=9.0, b=1)]
    cells = made(results).cells()
    for said, design in (("time", "b=1"), ("energy, energy x time", "a=1 b=2")):
        assert cells[cells.index(said) :][:3] == [said, "nobody's", design]
    # on the front: a, b, time
    assert b"<tr><td></td><td>1</td><td>1</td>" in page("results.db", results, (), n_rows=2)


def test_a_workload_without_prices_has_a_least_time_only():
    results = [result(time_us=2, a=1), result(time_us=1, a=2)]
    assert [(quantity.label, best.spec["a"]) for _, quantity, best in least(results)] == [("time", 2)]


def test_a_front_is_that_of_the_costs_which_its_designs_have():
    results = plane()
    (found,) = fronts(results)
    points = [(r.time_us, r.energy_pj, r.area_mm2) for r in results]
    assert {id(r) for r in found.results} == {id(results[place]) for place in front(points)}
    assert [r.spec["a"] for r in found.results] == [6, 5, 4, 3, 2, 1]  # the fastest first
    assert found.n_designs == 36


def test_designs_without_a_price_are_left_out_of_a_front_and_it_says_so():
    results = [*plane(2), result(time_us=0.5, a=9, b=9)]
    (found,) = fronts(results)
    assert found.n_left_out == 1
    assert "1 without a price are left out" in " ".join(made(results).cells("summary"))
    (alone,) = fronts([result(time_us=2, a=1), result(time_us=1, a=2)])
    assert ([cost.label for cost in alone.costs], alone.results[0].spec) == (["time"], {"a": 2})


def test_workloads_and_machines_have_fronts_of_their_own():
    results = [result(time_us=t, workload=w, machine=m, a=t) for w in "vw" for m in "mn" for t in (2, 1)]
    assert [(f.workload, f.machine, f.results[0].spec["a"]) for f in fronts(results)] == [
        (w, m, 1) for w in "vw" for m in "mn"
    ]


@given(st.integers(0, 60), st.integers(0, 60))
def test_evenly_chosen_items_are_in_order_and_hold_both_ends(n, most):
    chosen = evenly(range(n), most)
    assert len(chosen) == min(n, most)
    assert chosen == sorted(set(chosen))
    if most >= 2 and n:
        assert (chosen[0], chosen[-1]) == (0, n - 1)
    if 2 <= most <= n:
        gaps = {b - a for a, b in zip(chosen, chosen[1:])}
        assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("most", [4, 8, 20, 36, 40])
def test_what_does_not_fit_leaves_the_front_and_evenly_chosen_others(most):
    results = plane()
    (best,) = of_fronts = fronts(results)
    kept = held(results, of_fronts, most)
    assert len(kept) == min(36, most)
    places = [next(i for i, r in enumerate(results) if r is one) for one in kept]
    assert places == sorted(places)
    wanted = {id(r) for r in best.results}
    assert len(wanted & {id(r) for r in kept}) == min(most, len(wanted))


def test_the_page_says_how_many_designs_it_holds(monkeypatch):
    from cyclekit.page import fill

    def held_few(results, of_fronts):
        return held(results, of_fronts, 20)

    monkeypatch.setattr(fill.best, "held", held_few)
    found = made(plane())
    assert found.data["n"] == 20
    said = "The views and the full table hold 20 of 36 feasible designs: the 6 on the fronts above and 14 evenly"
    assert any(said in text for text in found.cells("p"))


def test_infeasible_points_are_counted_by_reason_and_their_numbers_do_not_count():
    reasons = ["needs 12 bytes, has 8", "needs 1,000 bytes, has 8", "no such node"]
    results = [*plane(2), *(result(time_us=0, reason=reason, a=9, b=9) for reason in reasons)]
    cells = made(results).cells()
    for reason, n in (("needs 12 bytes, has 8", "2"), ("no such node", "1")):
        assert cells[cells.index(reason) - 1] == n
    assert "needs 1,000 bytes, has 8" not in cells


def test_a_store_without_a_feasible_design_has_a_page():
    found = made([result(time_us=0, reason="too small", a=1)])
    assert found.data["n"] == 0
    assert found.cells("p").count("None: no point of the store is feasible.") == 2
    assert "too small" in found.cells()


def test_what_varied_is_what_differs_within_a_machine():
    results = [result(time_us=1, machine=m, same=1, a=a, of_machine=m) for m in "mn" for a in (True, False)]
    assert varied_values(results) == {"a": [False, True]}
    assert varied_values([result(time_us=1, a=value) for value in ("2:4", 10, 2)]) == {"a": [2, 10, "2:4"]}


def test_a_whole_number_that_a_browser_would_round_stays_exact():
    seeds = (2**53 + 1, 2**62)
    dimensions = made([result(time_us=1, seed=seed) for seed in seeds]).data["dimensions"]
    assert dimensions[-1]["values"] == [str(seed) for seed in seeds]


def test_colours_are_those_of_the_figures():
    style = asset("page.css")
    for theme in (PRINT, DARK):
        for name, of_theme in (("series", theme.series), ("state", theme.states)):
            for place, colour in enumerate(of_theme):
                assert f"--{name}{place}: {colour};" in style


@pytest.mark.parametrize("name", [f"{script}.js" for script in SCRIPTS] + ["page.css", "page.html"])
def test_a_script_can_be_read_in_one_sitting(name):
    lines = asset(name).splitlines()
    assert len(lines) <= 350
    assert max(map(len, lines)) <= 120
    assert "://" not in asset(name).replace("http://www.w3.org/2000/svg", "")  # a name, not an address


def test_every_quantity_has_a_name_of_its_own():
    assert len({quantity.name for quantity in QUANTITIES}) == len(QUANTITIES)
