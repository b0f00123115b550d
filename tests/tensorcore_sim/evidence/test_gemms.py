"""How near to the published times of whole GEMMs is the model, and are both sides told honestly?"""

import pytest

from cyclekit.validation import Comparison
from tensorcore_sim.card.bands import bands
from tensorcore_sim.evidence import gemms
from workloads.files import read_table

FAR = {  # 2:4 speed-ups known to be more than 15% off
    ("PyTorch tutorial", "3072 x 3072 x 10240"),
    ("PyTorch PR 90119", "768 x 49152 x 3072"),
    ("PyTorch PR 90119", "768 x 196608 x 3072"),
    ("PyTorch PR 177866", "3072 x 3072 x 10240"),
}


@pytest.fixture(scope="module")
def rows() -> list[Comparison]:
    shares = []
    compared = list(gemms.compare(shares.append))
    n = sum(len(table(name)) for name in ("llmcompass_a100_f16", "measured_2to4", "vllmbench_2to4"))
    assert shares == [done / n for done in range(n)]
    return compared


def table(name: str) -> list[dict[str, str]]:
    return read_table("tensorcore_sim", name)


def of(rows, source: str = "", quantity: str = "") -> list[Comparison]:
    return [row for row in rows if row.source.startswith(source) and row.quantity.startswith(quantity)]


def n_of(row: Comparison) -> int:
    return int(row.layer.split(" x ")[1])


def test_the_dense_ladder_is_within_five_percent_from_512_on_and_fifteen_below(rows):
    errors = {n_of(row): abs(row.error) for row in of(rows, "LLMCompass")}
    assert sorted(errors) == [2**power for power in range(6, 16)]
    assert max(error for n, error in errors.items() if n >= 512) <= 5
    assert max(errors.values()) <= 15


def test_only_two_rows_of_the_ladder_were_fitted_and_the_others_are_no_worse_for_it(rows):
    ladder = of(rows, "LLMCompass")
    assert [n_of(row) for row in ladder if row.kind == "calibrated"] == [8192, 16384]
    assert {row.kind for row in ladder} == {"calibrated", "as published"}


def test_which_speed_ups_are_within_fifteen_percent_and_which_are_known_not_to_be(rows):
    ratios = [row for row in of(rows, quantity="2:4 speed-up") if row.source != "vllmbench"]
    n_pairs = sum(bool(row["dense_us"]) for row in read_table("tensorcore_sim", "measured_2to4"))
    assert len(ratios) == n_pairs + len(read_table("tensorcore_sim", "torchao_training"))
    far = {(row.source, row.layer) for row in ratios if abs(row.error) > 15}
    # Known gaps. The two of n = 49152 and more are so by their dense time: PyTorch's A100 is slower than LLMCompass'.
    assert far == FAR


def test_24_by_cusparselt_s_default_is_within_seven_percent_where_k_is_deep(rows):
    # PyTorch PR 90119 at k = 3072, which nothing was fitted on
    times = [row for row in of(rows, "PyTorch PR 90119", "2:4 time") if row.layer.endswith("x 3072")]
    assert [n_of(row) for row in times] == [3072, 12288, 49152, 196608]
    assert max(abs(row.error) for row in times) <= 7


def test_no_speed_up_is_near_two_and_none_is_below_one(rows):
    # The measured ones are 1.15 to 1.66
    for row in of(rows, quantity="2:4 speed-up"):
        if row.source == "vllmbench":
            continue
        assert 1.1 < row.published < 1.7
        assert 1.1 < row.simulated < 1.9


def test_a_speed_up_is_the_quotient_of_the_two_times_beside_it(rows):
    by_layer = {(row.source, row.layer, row.quantity.split(",")[0]): row for row in rows}
    for (source, layer, quantity), row in by_layer.items():
        if quantity == "2:4 speed-up" and source != "torchao training":  # a sum of products, given as a ratio alone
            dense, sparse = (by_layer[source, layer, f"{kind} time"] for kind in ("dense", "2:4"))
            assert row.simulated == pytest.approx(dense.simulated / sparse.simulated)
            assert row.published == pytest.approx(dense.published / sparse.published)


def test_sparseloops_counts_are_met_exactly(rows):
    counts = of(rows, "Sparseloop")
    assert len(counts) == 8
    for row in counts:
        m, n, k = (int(part) for part in row.layer.split(" x "))
        macs = m * n * k // (2 if row.quantity.startswith("sparse") else 1)
        assert row.simulated == row.published == macs / 1024


def test_compression_is_far_from_the_bandwidth_that_bounds_it(rows):
    # A known gap: the measured kernel takes 1.1 ns for 1,000 weights, 1.5 TB/s of what is read and written
    compressed = of(rows, "torchao PR 4699")
    assert [row.published for row in compressed] == [
        float(row["us"]) for row in read_table("tensorcore_sim", "torchao_compress")
    ]
    for row in compressed:
        m, k = map(int, row.layer.split(" x "))
        assert row.simulated == pytest.approx(3.4 + m * k * (1 + 0.5 + 0.125) / (3350e3 * 0.91))
        assert -55 < row.error < -20


def test_every_published_value_has_its_row_with_its_mark_and_kind(rows):
    ladder = read_table("tensorcore_sim", "llmcompass_a100_f16")
    measured = read_table("tensorcore_sim", "measured_2to4")
    times = [row for row in rows if row.unit == "us" and row.source not in ("vllmbench", "torchao PR 4699")]
    assert len(times) == len(ladder) + len(measured) + sum(bool(row["dense_us"]) for row in measured)
    for row in measured:
        layer = f"{row['m']} x {row['n']} x {row['k']}"
        found = [each for each in of(rows, row["source"], "2:4 time") if each.layer == layer]
        (found,) = [each for each in found if each.quantity.endswith(row["in_dtype"])]
        assert found.published == float(row["sparse_us"])
        assert found.mark == row["mark"]
        assert found.kind == ("calibrated" if row["fitted"] else "as published")
    assert {row.mark for row in rows if row.source == "Croqtile log"} == {"C"}


def test_times_in_ms_and_ratios_and_energies_are_the_tables_own(rows):
    for source, name, expected in (
        ("LLMCompass", "llmcompass_a100_f16", lambda row: [1000 * float(row["ms"])]),
        ("torchao training", "torchao_training", lambda row: [float(row["dense_ms"]) / float(row["sparse_ms"])]),
        ("vllmbench", "vllmbench_2to4", lambda row: of_pair(float(row["dense_us"]), float(row["sparse_us"]))),
        ("Energy, ", "sparseloop_counts", lambda row: of_pair(float(row["dense_uj"]), float(row["sparse_uj"]))),
    ):
        published = sorted(row.published for row in of(rows, source))
        assert published == pytest.approx(sorted(value for row in table(name) for value in expected(row)), rel=1e-12)


def of_pair(dense: float, sparse: float) -> tuple[float, float, float]:
    return dense, sparse, dense / sparse


def test_what_a_constant_was_fitted_on_is_called_calibrated_and_nothing_else(rows):
    fitted = {(row.source, n_of(row)) for row in rows if row.kind == "calibrated"}
    assert {each for each in fitted if each[0] != "vllmbench"} == {
        ("LLMCompass", 8192),
        ("LLMCompass", 16384),
        ("torchao PR 4730", 64),
    }
    searched = [row for row in of(rows, "vllmbench") if row.kind == "calibrated"]
    assert {(row.quantity.partition(", ")[2], row.layer) for row in searched} == {
        (f"{row['preset'].removesuffix('-80gb').upper()} {row['in_dtype']}", f"{row['m']} x {row['n']} x {row['k']}")
        for row in read_table("tensorcore_sim", "vllmbench_2to4")
        if row["fitted"]
    }
    assert len(searched) == 3 * 3 + 9 * 2  # both times and the ratio, or one time and the ratio
    assert any("fitted on two rows of LLMCompass" in note for note in gemms.FOOTNOTES)
    assert any("launch_us on three rows of torchao" in note for note in gemms.FOOTNOTES)


def mean_error(rows: list[Comparison]) -> float:
    return sum(abs(row.error) for row in rows) / len(rows)


@pytest.mark.parametrize(
    ("of_card", "dense", "sparse"),
    [("A100-PCIE f16", 10, 10), ("A100-PCIE int8", 15, 10), ("H100-PCIE bf16", 10, 10), ("H100-PCIE e4m3", 10, 10)],
)
def test_times_of_capped_cards_are_within_ten_percent_on_average(rows, of_card, dense, sparse):
    # The aim is 10% everywhere; A100's dense int8 misses it, docs/tensorcore.md
    for side, limit in (("dense", dense), ("2:4", sparse)):
        times = of(rows, "vllmbench", f"{side} time, {of_card}")
        assert len(times) == 26
        assert mean_error([row for row in times if row.kind != "calibrated"]) <= limit


def test_whether_24_wins_is_told_right_in_95_of_100(rows):
    ratios = [row for row in of(rows, "vllmbench", "2:4 speed-up") if row.kind != "calibrated"]
    right = sum((row.published > 1) == (row.simulated > 1) for row in ratios)
    assert right >= 0.95 * len(ratios)


def test_the_bands_that_answers_carry_are_those_of_the_rows(rows):
    assert read_table("tensorcore_sim", "error_bands") == bands(rows)


def test_sparseloop_s_own_energies_are_met_within_a_third_and_its_ratios_within_a_fifth(rows):
    # Its register files, metadata SRAM and loop order are not in this model: what is here should cost less than there.
    # Two sparse ones cost up to 4% more: two blocks of small tiles on an SM are faster, and read more.
    rows = [row for row in rows if row.source == "Energy, Sparseloop"]
    assert len(rows) == 4 * 3
    assert all(-33 <= row.error <= 4 for row in rows)
    assert all(row.error >= -20 for row in rows if row.quantity == "dense energy over sparse")
