"""Does explain show a weight where encode puts it?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eie_sim import Spec, encode, explain
from eie_sim.image import decode
from tests import eie_cases
from workloads import BadInput, Workload


def tables(found):
    """Return the rows of the pointers and of the entries (none where there are none)."""
    pointers, *entries = found.tables.values()
    return pointers, entries[0] if entries else []


def test_a_column_by_hand():
    # Two PEs. Column 0 has one entry in PE 0; column 1 has, in PE 0, local rows 2, 3 and 22 (rows 4, 6, 44): the
    # paper's v = [1, 2, 0, 3], z = [2, 0, 15, 2], at places 1 to 4; a row of the SRAM holds two entries.
    weights = np.zeros((50, 3), np.float32)
    weights[0, 0], weights[4, 1], weights[6, 1], weights[44, 1] = 0.5, 1, 2, 3
    workload = Workload(name="hand", weights=weights, activations=np.ones(3))
    found = explain(workload, Spec(n_pes=2, spmat_width_bits=16), 44, 1)
    pointers, entries = tables(found)
    assert [tuple(row.values()) for row in pointers] == [
        ("column 1 begins", "odd", "0", "1"),
        ("column 1 ends", "even", "1", "5"),
    ]
    assert [tuple(row.values()) for row in entries] == [
        ("1", "0", "2", "2", "1", "4", "weight"),
        ("2", "1", "3", "0", "2", "6", "weight"),
        ("3", "1", "0", "15", "0", "38", "padding"),  # covers local rows 4 to 19
        ("4", "2", "4", "2", "3", "44", "weight, the one asked for"),
    ]
    assert "row 44 lies in PE 44 mod 2 = 0, as its local row 44 div 2 = 22" in found.remarks[0]
    assert found.remarks[1] == (
        "entries: 4, paddings among them: 1, Spmat SRAM rows that they touch: 3, of 2 entries each"
    )
    assert len(found.remarks) == 2


def test_a_column_without_entries_and_a_weight_that_is_zero():
    workload = Workload(name="two", weights=[[0.0, 1.0], [0.0, 0.0]], activations=[1.0, 1.0])
    pointers, entries = tables(found := explain(workload, Spec(n_pes=2, n_pointer_banks=1), 1, 1))
    assert [(row["bank"], row["place in bank"], row["entry"]) for row in pointers] == [
        ("the only one", "1", "0"),
        ("the only one", "2", "0"),
    ]
    assert entries == []
    assert found.remarks[1:] == [
        "PE 1 has no entries in column 1: both pointers are equal",
        "the weight at row 1, column 1 is zero: it has no entry",
    ]


@given(eie_cases.workloads(max_out=90), st.integers(1, 9), st.data())
def test_every_entry_is_the_one_that_decode_reads(workload, n_pes, data):
    row, column = data.draw(st.integers(0, workload.n_out - 1)), data.draw(st.integers(0, workload.n_in - 1))
    spec = Spec(n_pes=n_pes)
    image = encode(workload, spec)
    codes, _ = decode(image)
    pointers, entries = tables(explain(workload, spec, row, column))
    first, end = (int(pointer["entry"]) for pointer in pointers)
    assert [int(entry["entry"]) for entry in entries] == list(range(first, end))
    for entry in entries:
        place = image.entries[image.pe_start[row % n_pes] + int(entry["entry"])]
        assert int(entry["code"]) << 4 | int(entry["zero run"]) == place
    kept = {int(entry["row"]): int(entry["code"]) for entry in entries if entry["what"] != "padding"}
    assert kept == {at: codes[at, column] for at in range(row % n_pes, workload.n_out, n_pes) if codes[at, column]}
    asked = [int(entry["row"]) for entry in entries if "asked" in entry["what"]]
    assert asked == ([row] if workload.weights[row, column] else [])


def test_weights_that_had_to_be_shared_say_so():
    workload = Workload(name="many", weights=np.linspace(1, 2, 40)[None], activations=np.ones(40))
    assert "shared by exact k-means" in explain(workload, Spec(), 0, 0).remarks[-1]


@pytest.mark.parametrize(
    ("row", "column", "told"), [(2, 0, "row must be from 0 to 1 in two, got 2"), (0, -1, "got -1")]
)
def test_a_place_outside_the_weights(row, column, told):
    with pytest.raises(BadInput, match=told):
        explain(Workload(name="two", weights=np.eye(2), activations=np.ones(2)), Spec(), row, column)
