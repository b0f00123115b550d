"""Does a Spec refuse what no machine can have, and say which field, which value and what would do?"""

import dataclasses
import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclekit.machine import installed, load
from cyclekit.spec import CHOSEN, LARGEST, Spec, choice, number, switch
from workloads import BadInput


@dataclass(frozen=True, kw_only=True)
class Design(Spec):
    n_units: int = number(4, "units", source="made up", minimum=1, maximum=64)
    width_bits: int = number(8, "width", source="made up", minimum=8, power_of_two=True)
    clock_mhz: float = number(1.5, "clock", source="made up", minimum=0.5)
    batches: bool = switch(False, "in batches", source="made up")
    capacity: str = choice("report", "what does not fit", source="made up", options=("report", "enforce"))


def test_a_stored_design_comes_back_if_its_fields_are_this_version_s():
    design = Design(n_units=8, capacity="enforce")
    stored = json.loads(json.dumps(design.as_dict()))
    assert Design.from_dict(stored) == design
    for changed in (stored | {"n_unit": 1}, {name: value for name, value in stored.items() if name != "n_units"}):
        with pytest.raises(BadInput, match=r"exactly the fields of this version, differs in \['n_units?'\]"):
            Design.from_dict(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_units": 0}, "n_units must be at least 1, got 0"),
        ({"n_units": "-3"}, "n_units must be at least 1, got -3"),
        ({"n_units": 65}, "n_units must be at most 64, got 65"),
        ({"n_units": 1.5}, "n_units must be a whole number, got 1.5"),
        ({"n_units": "four"}, "n_units must be a whole number, got 'four'"),
        ({"n_units": True}, "n_units must be a whole number, got True"),
        ({"n_units": None}, "n_units must be a whole number, got None"),
        ({"n_units": float("nan")}, "n_units must be a whole number, got nan"),
        ({"n_units": float("inf")}, "n_units must be a whole number, got inf"),
        ({"width_bits": 48}, "width_bits must be a power of two, got 48"),
        ({"width_bits": 2**64}, f"width_bits must be at most {LARGEST}, got {2**64}"),
        ({"width_bits": 2**63}, "width_bits must be at most 9223372036854775807, got 9223372036854775808"),
        ({"clock_mhz": 0.25}, "clock_mhz must be at least 0.5, got 0.25"),
        ({"clock_mhz": "nan"}, "clock_mhz must be a number, got 'nan'"),
        ({"clock_mhz": "1e999"}, "clock_mhz must be a number, got '1e999'"),
        ({"clock_mhz": 1j}, "clock_mhz must be a number, got 1j"),
        ({"batches": "maybe"}, "batches must be true or false, got 'maybe'"),
        ({"batches": 2}, "batches must be true or false, got 2"),
        ({"capacity": "ignore"}, "capacity must be one of report, enforce, got 'ignore'"),
        ({"n_unit": 3}, "unknown field 'n_unit', did you mean 'n_units'?"),
        ({"zzz": 3}, "unknown field 'zzz': one of batches, capacity, clock_mhz, n_units, width_bits"),
    ],
)
def test_what_is_refused_and_how(change, message):
    with pytest.raises(BadInput) as refusal:
        Design().replace(**change)
    assert str(refusal.value) == message


def test_what_the_machine_may_choose_is_a_whole_number_or_a_word():
    @dataclass(frozen=True, kw_only=True)
    class Free(Spec):
        n_bits: int | str = number(CHOSEN, "bits", source="made up", maximum=15)

    assert Free().as_dict() == {"n_bits": "chosen"}
    assert Free().replace(n_bits="7").n_bits == 7
    assert Free(n_bits=7).replace(n_bits="chosen") == Free()
    for value, message in (
        (16, "at most 15, got 16"),
        (1.5, "a whole number or chosen, got 1.5"),
        (None, "a whole number or chosen, got None"),
    ):
        with pytest.raises(BadInput, match=f"^n_bits must be {message}"):
            Free(n_bits=value)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Design)])
def test_a_bad_value_is_refused_when_the_record_is_made(field):
    with pytest.raises(BadInput, match=f"^{field} must be"):
        Design(**{field: "nonsense"})


@given(st.integers(1, 64))
def test_a_number_may_come_as_number_or_text(n):
    for form in (n, str(n), float(n), np.int64(n), f" {n} "):
        found = Design(n_units=form).n_units
        assert (found, type(found)) == (n, int)


@given(st.floats(0.5, 1e6))
def test_a_real_number_may_come_as_number_or_text(x):
    for form in (x, repr(x), np.float64(x)):
        found = Design(clock_mhz=form).clock_mhz
        assert (found, type(found)) == (x, float)


@given(st.integers())
def test_the_limits_themselves_are_allowed_and_nothing_beyond(n):
    if 1 <= n <= 64:
        assert Design(n_units=n).n_units == n
    else:
        with pytest.raises(BadInput, match=f"n_units must be at (least 1|most 64), got {n}$"):
            Design(n_units=n)


def test_a_switch_knows_the_usual_words():
    for word in ("true", "Yes", "on", "1", 1, True):
        assert Design(batches=word).batches is True
    for word in ("FALSE", "no", "off", "0", 0, False):
        assert Design(batches=word).batches is False


def test_a_design_never_changes():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Design().n_units = 5


def test_a_changed_copy_leaves_the_first_as_it_was():
    first = Design()
    assert (first.replace(n_units=5).n_units, first.n_units) == (5, 4)


def test_fields_go_by_name_only():
    with pytest.raises(TypeError, match="positional"):
        Design(5)


def test_a_design_survives_json():
    design = Design(n_units=7, batches=True)
    assert Design(**json.loads(json.dumps(design.as_dict()))) == design


def test_the_dictionary_is_in_order_of_declaration():
    assert list(Design().as_dict()) == ["n_units", "width_bits", "clock_mhz", "batches", "capacity"]


@pytest.mark.parametrize("machine", list(installed()))
def test_every_field_of_an_installed_machine_has_a_meaning_and_a_source(machine):
    for field in dataclasses.fields(load(machine).spec):
        assert field.metadata["meaning"], field.name
        assert field.metadata["source"], field.name
