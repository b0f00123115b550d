"""Do the page's views work in a real browser, from the file alone, and show what the store's results are?"""

import shlex
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from cyclekit.page import page
from cyclekit.sweep.results import front, read
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import sweep
from workloads.records import Workload

HOSTILE = '</script><b id="hostile">&"\'<!--'
VARIED = {"n_pes": (1, 2, 4, 8), "queue_depth": (2, 4, 8), "spmat_width_bits": (32, 64, 128)}


def layer(name, seed, shape=(48, 40)):
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 8, shape) * (rng.random(shape) < 0.3)
    return Workload(name=name, weights=weights.astype(np.float32), activations=np.ones((1, shape[1]), np.float32))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return what a store of two workloads found, one of them with a hostile name; with points that do not fit."""
    path = tmp_path_factory.mktemp("store") / "results.db"
    works = [layer("fc", 1), layer(HOSTILE, 2)]
    sweep("eie", works, vary=VARIED, into=path, n_workers=1)
    sweep("eie", works[:1], vary={"spmat_bytes": (16,)}, changes={"capacity": "enforce"}, into=path, n_workers=1)
    with Store(path, write=False) as store:
        return read(store)


@pytest.fixture(scope="module")
def feasible(results):
    return [result for result in results if result.reason is None]


@pytest.fixture(scope="module")
def address(results, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(page("results.db", results, [], n_rows=len(results)))
    return path.as_uri()


@pytest.fixture
def view(browser, address):
    """Return the browser with the page freshly opened; afterwards nothing has been complained of or loaded."""
    browser.get(address)
    yield browser
    assert browser.get_log("browser") == []
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []


def choose(view, element, value):
    """Choose an option as a user does, by its value."""
    from selenium.webdriver.support.select import Select

    Select(view.find_element("id", element)).select_by_value(value)


def tick(view, field, label):
    (box,) = [
        found
        for found in view.find_elements("css selector", f'[data-field="{field}"] label')
        if found.text.strip() == label
    ]
    box.click()


def numbers(view, selector):
    """Return the designs' numbers that elements bear."""
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => Number(one.dataset.design))"
    return view.execute_script(script, selector)


def shown(view, feasible):
    """Return the numbers of the designs that the page says it shows, read from the table."""
    choose(view, "rows", "shown")
    found = []
    while True:
        found += numbers(view, "#table tbody tr")
        after = view.find_element("id", "after")
        if not after.is_enabled():
            return found
        after.click()


COSTS = {
    "time_us": lambda r: r.time_us,
    "energy_nj": lambda r: r.energy_pj / 1e3,
    "edp_nj_us": lambda r: r.energy_pj / 1e3 * r.time_us,
    "power_mw": lambda r: r.power_mw,
    "area_mm2": lambda r: r.area_mm2,
    "load_balance": lambda r: -100 * r.load_balance,  # of which more is better
    "n_pes": lambda r: r.spec["n_pes"],
}


def fronts(feasible, designs, x, y):
    """Return the numbers of the designs on the front, workload by workload."""
    found = set()
    by_workload = sorted(designs, key=lambda design: feasible[design].workload)
    for _, group in groupby(by_workload, key=lambda design: feasible[design].workload):
        group = list(group)
        points = [(COSTS[x](feasible[design]), COSTS[y](feasible[design])) for design in group]
        found |= {group[place] for place in front(points)}
    return found


@pytest.mark.parametrize(
    ("x", "y"),
    [("time_us", "energy_nj"), ("area_mm2", "edp_nj_us"), ("n_pes", "load_balance"), ("power_mw", "time_us")],
)
def test_the_front_drawn_is_that_of_the_results(view, feasible, x, y):
    choose(view, "x", x)
    choose(view, "y", y)
    drawn = numbers(view, "#scatter circle.front")
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == fronts(feasible, range(len(feasible)), x, y)


def test_the_front_is_that_of_the_designs_that_pass_the_filters(view, feasible):
    tick(view, "n_pes", "2")
    tick(view, "n_pes", "4")
    tick(view, "workload", "fc")
    wanted = [i for i, r in enumerate(feasible) if r.spec["n_pes"] in (2, 4) and r.workload == "fc"]
    assert shown(view, feasible) == wanted
    assert set(numbers(view, "#scatter circle.front")) == fronts(feasible, wanted, "time_us", "energy_nj")
    assert f"{len(wanted)} of {len(feasible)} designs are shown" in view.find_element("id", "count").text


@pytest.mark.parametrize("log", [True, False])
def test_a_design_is_drawn_at_its_place(view, feasible, log):
    for box in ("x-log", "y-log"):
        if view.find_element("id", box).is_selected() is not log:
            view.find_element("id", box).click()
    circles = view.execute_script(
        "return [...document.querySelectorAll('#scatter circle.front')].map("
        "(one) => [one.dataset.design, one.getAttribute('cx'), one.getAttribute('cy')].map(Number))"
    )
    bend = np.log if log else np.asarray
    for place, cost, sign in ((1, "time_us", 1), (2, "energy_nj", -1)):
        pixels = np.array([circle[place] for circle in circles])
        values = bend([COSTS[cost](feasible[circle[0]]) for circle in circles])
        slope, offset = np.polyfit(values, pixels, 1)
        assert sign * slope > 0
        np.testing.assert_allclose(slope * values + offset, pixels, atol=1e-6)


def test_a_click_on_a_heading_sorts_and_a_second_one_the_other_way(view, feasible):
    times = [result.time_us for result in feasible]
    button = view.find_element("css selector", '[data-column="time_us"] button')
    for factor, said in ((1, "ascending"), (-1, "descending")):
        button.click()
        assert shown(view, feasible) == sorted(range(len(times)), key=lambda i: (factor * times[i], i))
        assert button.find_element("xpath", "..").get_attribute("aria-sort") == said
        view.find_element("id", "before").click()


def test_a_click_on_a_value_filters_by_it_and_another_click_shows_all_again(view, feasible):
    column = 2 + ["workload", *VARIED].index("queue_depth")  # after the box for pins
    cell = f"#table tbody tr:first-child td:nth-child({column}) button"
    view.find_element("css selector", cell).click()
    depth = feasible[0].spec["queue_depth"]
    assert shown(view, feasible) == [i for i, r in enumerate(feasible) if r.spec["queue_depth"] == depth]
    view.find_element("css selector", cell).click()
    assert len(shown(view, feasible)) == len(feasible)


@pytest.mark.parametrize("what", ["cycles", "energy"])
def test_bars_are_the_shares_of_the_results_and_sum_to_the_whole(view, feasible, what):
    tick(view, "workload", "fc")
    choose(view, "bar-designs", "n_pes")
    bars = view.execute_script(
        "return [...document.querySelectorAll(`#${arguments[0]} .bar`)].map((bar) => [Number(bar.dataset.design), "
        "bar.getBoundingClientRect().width, [...bar.children].map((piece) => "
        "[piece.title, piece.getBoundingClientRect().width])])",
        what,
    )
    assert [feasible[design].spec["n_pes"] for design, _, _ in bars] == [1, 2, 4, 8]
    for design, width, pieces in bars:
        found = feasible[design]
        same = [r for r in feasible if r.workload == "fc" and r.spec["n_pes"] == found.spec["n_pes"]]
        assert found.time_us == min(r.time_us for r in same)
        shares = (
            found.states["pe"] if what == "cycles" else {m: pj / found.energy_pj for m, pj in found.module_pj.items()}
        )
        assert sum(piece for _, piece in pieces) == pytest.approx(width, abs=0.5)
        for title, piece in pieces:
            name, share, _ = title.split(" ")
            assert float(share) == pytest.approx(100 * shares[name], abs=0.006)
            assert piece == pytest.approx(width * shares[name], abs=0.5)
        assert sum(float(title.split(" ")[1]) for title, _ in pieces) == pytest.approx(100, abs=0.04)


def test_a_click_on_a_point_pins_its_design_and_bars_can_be_of_the_pinned(view):
    from selenium.webdriver import ActionChains

    circle = view.find_elements("css selector", "#scatter circle.front")[0]
    design = int(circle.get_attribute("data-design"))
    ActionChains(view).move_to_element(circle).click().perform()
    assert numbers(view, "#pinned li") == [design]
    choose(view, "bar-designs", "pinned")
    assert numbers(view, "#cycles .bar") == [design]
    choose(view, "rows", "pinned")
    assert numbers(view, "#table tbody tr") == [design]
    view.find_element("css selector", "#pinned li button:last-child").click()
    assert view.find_elements("css selector", "#pinned li[data-design]") == []


def test_the_keyboard_goes_along_the_front_and_pins(view, feasible):
    from selenium.webdriver.common.keys import Keys

    tick(view, "workload", "fc")
    plot = view.find_element("id", "scatter")
    wanted = sorted(set(numbers(view, "#scatter circle.front")), key=lambda design: (feasible[design].time_us, design))
    plot.send_keys(Keys.ARROW_RIGHT, Keys.ENTER)
    assert numbers(view, "#pinned li") == wanted[:1]
    plot.send_keys(Keys.ARROW_RIGHT, Keys.ENTER)
    assert numbers(view, "#pinned li") == wanted[:2]
    assert "n_pes" in view.find_element("id", "design").text


def test_the_command_that_is_shown_finds_the_same_again(view, feasible, zeroskip, tmp_path):
    import json

    from selenium.webdriver.common.keys import Keys

    tick(view, "workload", "fc")
    view.find_element("id", "scatter").send_keys(Keys.ARROW_RIGHT, Keys.ENTER)
    words = shlex.split(view.find_element("css selector", "#design code").text)
    assert words[:3] == ["zeroskip", "run", "eie"]
    (design,) = numbers(view, "#pinned li")
    work = layer("fc", 1)
    np.savez(tmp_path / "fc.npz", weights=work.weights, activations=work.activations)
    ended = zeroskip("run", "eie", tmp_path / "fc.npz", *words[4:], "--json", tmp_path / "run.json")
    assert ended.code == 0, ended.err
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["spec"] == feasible[design].spec
    assert run["cycles"] == feasible[design].cycles
    assert run["energy"]["total_pj"] == pytest.approx(feasible[design].energy_pj)


def test_designs_that_presets_tell_apart_are_called_by_them_and_found_again(browser, tmp_path):
    from eie_sim import PRESETS

    into, html = tmp_path / "presets.db", tmp_path / "report.html"
    names = ("silicon", "isca2016-28nm")
    sweep("eie", [layer("fc", 1)], vary={"preset": names, "queue_depth": (2, 4)}, into=into, n_workers=1)
    with Store(into, write=False) as store:
        results = read(store)
    html.write_bytes(page("presets.db", results, [], n_rows=len(results)))
    browser.get(html.as_uri())
    heads = [head.text for head in browser.find_elements("css selector", "#table thead th")]
    assert heads[1:3] == ["preset", "queue_depth"]
    tick(browser, "preset", "silicon")
    tick(browser, "queue_depth", "4")
    browser.find_element("css selector", "#table tbody input").click()
    assert browser.find_element("id", "pinned").text.startswith("silicon queue_depth=4")
    browser.find_element("css selector", "#pinned button").click()
    words = shlex.split(browser.find_element("css selector", "#design code").text)
    assert words[:3] == ["zeroskip", "run", "eie:silicon"]
    assert words[4:] == ["--engine", "schedule", "--inputs", "1", "--set", "queue_depth=4"]
    (design,) = numbers(browser, "#pinned li")
    assert results[design].spec == PRESETS["silicon"].replace(queue_depth=4).as_dict()
    best = browser.find_element("css selector", "#best td:nth-child(4)").text
    assert best.split()[0] in names


def test_a_hostile_name_is_shown_and_does_nothing(view, feasible):
    from selenium.webdriver.common.keys import Keys

    tick(view, "workload", HOSTILE)
    view.find_element("id", "scatter").send_keys(Keys.ARROW_RIGHT, Keys.ENTER)
    assert HOSTILE in view.find_element("id", "design").text
    assert HOSTILE in view.find_element("id", "pinned").text
    words = shlex.split(view.find_element("css selector", "#design code").text)
    assert words[3] == HOSTILE
    assert view.find_elements("id", "hostile") == []
    assert {feasible[design].workload for design in shown(view, feasible)} == {HOSTILE}


def test_values_that_differ_by_rounding_only_can_be_drawn(browser, feasible, tmp_path):
    first = feasible[0]
    energies = first.energy_pj * (1 + np.arange(3) * 2e-16)
    path = tmp_path / "report.html"
    same = [
        replace(first, energy_pj=float(energy), spec=first.spec | {"n_pes": i}) for i, energy in enumerate(energies)
    ]
    path.write_bytes(page("results.db", same, [], n_rows=3))
    browser.get(path.as_uri())
    for box in ("x-log", "y-log"):
        browser.find_element("id", box).click()
    assert len(numbers(browser, "#scatter circle.front")) >= 1
    places = browser.execute_script(
        "return [...document.querySelectorAll('circle.front')].map((one) => one.cy.baseVal.value)"
    )
    assert np.isfinite(places).all()
    assert browser.get_log("browser") == []


def test_show_all_takes_every_filter_back(view, feasible):
    tick(view, "n_pes", "2")
    tick(view, "workload", "fc")
    assert len(shown(view, feasible)) < len(feasible)
    view.find_element("id", "all").click()
    assert shown(view, feasible) == list(range(len(feasible)))
    assert view.find_elements("css selector", "#filters input:checked") == []


def test_what_only_another_machine_has_is_out_of_the_way(browser, feasible, tmp_path):
    path = tmp_path / "report.html"
    others = [replace(feasible[0], machine="another", spec={"size": i}, energy_pj=None, module_pj={}) for i in (1, 2)]
    path.write_bytes(page("results.db", [*feasible, *others], [], n_rows=1))
    browser.get(path.as_uri())
    tick(browser, "machine", "another")
    assert not browser.find_element("css selector", '[data-field="n_pes"]').is_displayed()
    heads = [head.text for head in browser.find_elements("css selector", "#table th") if head.is_displayed()]
    cells = browser.find_elements("css selector", "#table tbody tr:first-child td")
    assert len(heads) == len(cells)
    assert "size" in heads
    assert not {"n_pes", "energy [nJ]"} & set(heads)
    browser.find_element("id", "all").click()
    assert browser.find_element("css selector", '[data-field="n_pes"]').is_displayed()


def test_the_infeasible_point_is_told_with_its_reason(view, results):
    (reason,) = {result.reason for result in results if result.reason is not None}
    assert reason in view.find_element("id", "infeasible").text
