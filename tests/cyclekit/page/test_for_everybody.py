"""Can everybody read the page: bright, dark, on paper, on a narrow screen, and with a name for whatever can be used?"""

import numpy as np
import pytest

from cyclekit.page import Figure, page
from cyclekit.sweep.results import Result


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    about = {"machine": "nobody's", "workload": "fc", "engine": "only", "n_inputs": 1, "load_balance": 1.0}
    about |= {"states": {"pe": {"work": 0.75, "wait": 0.25}}, "module_pj": {"SRAM": 1.0}, "energy_pj": 1.0}
    results = [Result(**about, spec={"a": i, "kind": f"k{i % 3}"}, time_us=i, cycles=i) for i in range(1, 40)]
    results.append(Result(machine="nobody's", workload="fc", engine="only", spec={"a": 0, "kind": "k0"}, reason="no"))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="2000" height="10"/>'
    path.write_bytes(page("results.db", results, [Figure("title", "caption", svg, svg)], n_rows=40))
    return path.as_uri()


@pytest.fixture
def view(browser, address):
    """Return the browser with the page freshly opened; whatever is emulated ends with the test."""
    browser.get(address)
    yield browser
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def emulate(view, media, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    view.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def colours(view, selector):
    """Return an element's own colour and the page's ground, sRGB."""
    return view.execute_script(
        "return [getComputedStyle(document.querySelector(arguments[0])).color, "
        "getComputedStyle(document.body).backgroundColor]"
        ".map((one) => one.match(/[\\d.]+/g).slice(0, 3).map(Number))",
        selector,
    )


def luminance(colour):
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one, other):
    """Return the contrast of two colours, as WCAG 2.1 defines it."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("media", "scheme", "is_dark"),
    [("screen", "light", False), ("screen", "dark", True), ("print", "light", False), ("print", "dark", False)],
)
def test_it_is_dark_where_the_reader_wants_it_and_never_on_paper(view, media, scheme, is_dark):
    emulate(view, media, scheme)
    text, ground = colours(view, "body")
    assert (luminance(ground) < luminance(text)) == is_dark
    assert contrast(text, ground) >= 7  # WCAG 2.1, 1.4.6
    for selector in (".facts dt", "caption", "#infeasible td"):
        assert contrast(*colours(view, selector)) >= 4.5  # 1.4.3
    figures = view.find_elements("css selector", "figure img")
    assert [figure.get_attribute("class") for figure in figures if figure.is_displayed()] == [
        "dark" if is_dark else "bright"
    ]


@pytest.mark.parametrize("width", [320, 420, 800, 1400])
def test_no_screen_has_to_be_scrolled_sideways(view, width):
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    view.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    assert view.execute_script("return document.documentElement.scrollWidth") <= width


def test_what_can_be_used_has_a_name(view):
    nameless = view.execute_script(
        "return [...document.querySelectorAll('select, input, button, [tabindex]')].filter((one) => "
        "!one.labels?.length && !one.textContent.trim() && !one.ariaLabel && !one.getAttribute('aria-labelledby'))"
        ".map((one) => one.outerHTML)"
    )
    assert nameless == []


def test_no_two_elements_have_one_id_and_each_that_is_referred_to_is_there(view):
    ids = view.execute_script("return [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    wanted = view.execute_script(
        "return [...document.querySelectorAll('a[href], [aria-labelledby], [aria-describedby]')].flatMap((one) => "
        "[one.hash?.slice(1), one.getAttribute('aria-labelledby'), one.getAttribute('aria-describedby')])"
    )
    assert set(filter(None, wanted)) <= set(ids)


def test_focus_stays_where_it_is_when_the_views_are_drawn_anew(view):
    for selector in ('[data-column="time_us"] button', "#table tbody tr:nth-child(2) input", "#filters input"):
        view.execute_script("document.querySelector(arguments[0]).focus(); document.activeElement.click()", selector)
        assert view.execute_script("return document.activeElement.matches(arguments[0])", selector)


def test_without_scripts_there_are_the_tables(browser, address):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(address)
        assert browser.find_element("css selector", "#best td").is_displayed()
        assert not browser.find_element("id", "interactive").is_displayed()
        assert "need JavaScript" in browser.find_element("css selector", "noscript").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
