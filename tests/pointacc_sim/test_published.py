"""Does the machine agree with what is verified of it, and mark the rest?"""

import pytest

from pointacc_sim.published import validate


@pytest.fixture(scope="module")
def validation():
    return validate()


def test_cycles_of_the_streaming_merger_are_exact(validation):
    rows = validation.select(source="streaming merger")
    assert {row.quantity: row.simulated for row in rows} == {
        "cycles of an offset": 1000,
        "cycles of 26 offsets": 26000,
        "cycles of 13 offsets (symmetry)": 13000,
        "cycles of the sort": 4250,
    }


def test_cells_of_the_networks_are_exact(validation):
    assert all(row.error == 0 for row in validation.select(source="bitonic networks"))


def test_peaks_are_those_recalled(validation):
    for row in validation.select(source="recalled", unit="GOPS"):
        assert abs(row.error) < 3


def test_what_is_recalled_is_marked(validation):
    assert {row.mark for row in validation.select(source="recalled")} == {"R"}
    assert "unverified" in validation.footnotes[0]
