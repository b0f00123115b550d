"""Has a name one colour, in every figure and on every machine?"""

from enum import IntEnum

import pytest

import eie_sim.actions
import pointacc_sim.actions
import tensorcore_sim.actions
from cyclekit.figures.colours import KINDS, places, places_of_states
from cyclekit.figures.style import DARK, PRINT

KINDS_OF_UNITS = [
    kind
    for module in (eie_sim.actions, pointacc_sim.actions, tensorcore_sim.actions)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, IntEnum) and kind is not IntEnum
]


@pytest.mark.parametrize("kind", KINDS_OF_UNITS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_the_states_of_a_unit_have_a_colour_each(kind):
    placed = places_of_states(state.name.lower() for state in kind)
    assert len(set(placed.values())) == len(kind)
    assert max(placed.values()) < len(PRINT.states) == len(DARK.states)


def test_a_state_has_one_colour_on_every_machine():
    colours = {}
    for kind in KINDS_OF_UNITS:
        for name, place in places_of_states(state.name.lower() for state in kind).items():
            colours.setdefault(name, set()).add(place)
    assert len(KINDS_OF_UNITS) >= 9
    assert {name: own for name, own in colours.items() if len(own) > 1} == {}


def test_a_kind_of_workload_has_one_colour_whichever_kinds_are_drawn():
    assert places(["calibrated"], KINDS)["calibrated"] == places(KINDS, KINDS)["calibrated"]


@pytest.mark.parametrize("theme", [PRINT, DARK])
def test_names_beyond_the_colours_are_hatched(theme):
    looks = [theme.fill(place) for place in range(3 * len(theme.series))]
    assert len({(look["facecolor"], look["hatch"]) for look in looks}) == len(looks)
    assert [look["hatch"] for look in looks[: len(theme.series)]] == [""] * len(theme.series)
