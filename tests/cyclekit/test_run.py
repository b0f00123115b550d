"""Does the record of a run check itself, survive JSON, and know by its identity what determined it?"""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclekit.energy import Price, Prices, charge
from cyclekit.run import Run, identity
from workloads import BadInput

PRICES = Prices(
    name="p", actions={"macs": [Price("unit", 2.0, "pJ", "a book")]}, free={}, standing={}, area=[], notes=("mind",)
)
FIELDS = {
    "machine": "toy",
    "workload": "layer",
    "input": 3,
    "engine": "events",
    "spec": {"n_pes": 2, "clock_mhz": 800.0, "capacity": "report", "batches": False},
    "id": "abc",
    "cycles": 10,
    "time_us": 0.0125,
    "load_balance": 0.7,
    "actions": {"macs": 14, "reads": 0},
    "states": {"pe": {"busy": 14, "idle": 6}, "bus": {"busy": 10}},
    "output_sha256": "def",
    "check": {"passed": True, "max_error": 0.001},
    "energy": charge(PRICES, {"macs": 14}, 0.0125, 14),
    "measures": {"tile": "2x2", "speed_up": 1.5},
    "notes": ("one", "two"),
}


def test_a_run_survives_json():
    run = Run(**FIELDS)
    assert Run.from_dict(json.loads(json.dumps(run.as_dict()))) == run


def test_a_run_that_was_neither_checked_nor_priced_survives_json():
    run = Run(**FIELDS | {"check": None, "energy": None, "notes": ()})
    assert Run.from_dict(json.loads(json.dumps(run.as_dict()))) == run


def test_arrays_are_not_stored_and_make_no_difference():
    run = Run(**FIELDS, outputs=np.ones(3), timeline=object())
    assert run == Run(**FIELDS)
    assert run.as_dict().keys() == FIELDS.keys()
    bare = run.without_arrays()
    assert (bare.outputs, bare.timeline, bare.ledger) == (None, None, None)


@pytest.mark.parametrize("name", FIELDS)
def test_a_stored_run_without_a_field_is_refused(name):
    stored = Run(**FIELDS).as_dict()
    del stored[name]
    with pytest.raises(BadInput, match=rf"must have exactly the fields of this version, differs in \['{name}'\]"):
        Run.from_dict(stored)


def test_a_stored_run_with_a_field_too_many_is_refused():
    with pytest.raises(BadInput, match=r"differs in \['energy_pj'\]"):
        Run.from_dict(Run(**FIELDS).as_dict() | {"energy_pj": 1.0})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cycles": -10}, "cycles must not be negative"),
        ({"load_balance": 1.01}, "load_balance outside 0 to 1"),
        ({"load_balance": -0.01}, "load_balance outside 0 to 1"),
        ({"load_balance": float("nan")}, "load_balance outside 0 to 1"),
        ({"states": {"pe": {"busy": 14, "idle": 5}}}, "the states of pe must sum to a multiple of 10 cycles"),
        ({"states": {"pe": {"busy": 21, "idle": -1}}}, "the states of pe must sum to a multiple of 10 cycles"),
        ({"cycles": 0}, "the states of pe must sum to a multiple of 0 cycles"),
        ({"actions": {"macs": -1}}, r"the counts of \['macs'\] must not be negative"),
    ],
)
def test_a_run_whose_figures_contradict_each_other_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Run(**FIELDS | wrong)


def test_a_run_never_changes():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Run(**FIELDS).cycles = 11


PARTS = ("eie", 1, {"n_pes": 2, "depth": 8}, "digest", True, np.arange(6, dtype=np.int16))


def test_the_same_parts_give_the_same_identity():
    again = ("eie", 1, {"depth": 8, "n_pes": 2}, "digest", True, np.arange(12, dtype=np.int16)[:6])
    assert identity(*PARTS) == identity(*again)


@pytest.mark.parametrize(
    ("place", "other"),
    [
        (0, "tpu"),
        (1, 2),
        (1, "1"),
        (1, 1.5),
        (2, {"n_pes": 3, "depth": 8}),
        (2, {"n_pes": 2, "depth": 8, "width": 1}),
        (3, "digesu"),
        (4, False),
        (4, None),
        (5, np.array([0, 1, 2, 3, 4, 6], np.int16)),
        (5, np.arange(6, dtype=np.uint16)),
        (5, np.arange(6, dtype=np.int32)),
        (5, np.arange(6, dtype=np.int16).reshape(2, 3)),
        (5, np.arange(7, dtype=np.int16)),
    ],
)
def test_the_identity_is_sensitive_to_each_part(place, other):
    assert identity(*PARTS) != identity(*PARTS[:place], other, *PARTS[place + 1 :])


def test_the_order_of_the_parts_matters():
    assert identity("a", "b") != identity("b", "a")


PLAIN = st.one_of(st.integers(), st.booleans(), st.none(), st.text(), st.lists(st.integers()))


@given(st.lists(PLAIN), st.lists(PLAIN))
def test_parts_that_differ_never_run_together(parts, others):
    same = [json.dumps(part) for part in parts] == [json.dumps(part) for part in others]
    assert (identity(*parts) == identity(*others)) == same


def test_neighbouring_numbers_keep_their_borders():
    assert identity(1, 23) != identity(12, 3)
