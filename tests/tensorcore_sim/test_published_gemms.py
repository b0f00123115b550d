"""How near to the published times of whole GEMMs is the model, and are both sides told honestly?"""

import pytest

from cyclekit.validation import Comparison
from tensorcore_sim import published_gemms
from workloads.files import read_table


@pytest.fixture(scope="module")
def rows() -> list[Comparison]:
    shares = []
    compared = list(published_gemms.compare(shares.append))
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
    assert far == {  # known gaps
        ("PyTorch tutorial", "3072 x 3072 x 10240"),
        ("PyTorch PR 90119", "768 x 3072 x 3072"),
        ("PyTorch PR 177866", "3072 x 3072 x 10240"),
    }
    assert all(row.error > 0 for row in ratios if abs(row.error) > 15)  # too optimistic, never too timid


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


def test_every_published_value_has_its_row_with_its_mark_and_kind(rows):
    ladder = read_table("tensorcore_sim", "llmcompass_a100_f16")
    measured = read_table("tensorcore_sim", "measured_2to4")
    times = [row for row in rows if row.unit == "us" and row.source != "vllmbench"]
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
    assert fitted == {
        ("LLMCompass", 8192),
        ("LLMCompass", 16384),
        ("torchao PR 4730", 64),
        ("vllmbench", 16384),
    }
    of_power = [row for row in of(rows, "vllmbench") if row.kind == "calibrated"]
    assert {row.layer for row in of_power} == {"3584 x 16384 x 18944"}
    assert len(of_power) == 3 * 3 + 2  # times and ratio of three formats, int8's 2:4 time and ratio
    assert any("fitted on two rows of LLMCompass" in note for note in published_gemms.FOOTNOTES)
    assert any("launch_us on three rows of torchao" in note for note in published_gemms.FOOTNOTES)


def mean_error(rows: list[Comparison]) -> float:
    return sum(abs(row.error) for row in rows) / len(rows)


@pytest.mark.parametrize(
    ("of_card", "dense", "sparse"),
    [("A100-PCIE f16", 10, 15), ("A100-PCIE int8", 20, 10), ("H100-PCIE bf16", 15, 10), ("H100-PCIE e4m3", 15, 15)],
)
def test_how_far_large_gemms_of_a_capped_card_are(rows, of_card, dense, sparse):
    # Whole fives above what docs/tensorcore.md tells; the aim, 10%, is met by the first and the last but one of sides
    for side, limit in (("dense", dense), ("2:4", sparse)):
        times = of(rows, "vllmbench", f"{side} time, {of_card}")
        assert len(times) == 26
        judged = [row for row in times if row.kind != "calibrated" and n_of(row) >= 1024]
        assert mean_error(judged) <= limit


def test_whether_24_wins_is_told_right_where_activations_are_many(rows):
    many = [row for row in of(rows, "vllmbench", "2:4 speed-up") if n_of(row) >= 1024]
    assert len(many) == 4 * 17
    wrong = {(row.quantity, row.layer) for row in many if (row.published > 1) != (row.simulated > 1)}
    assert wrong == {
        ("2:4 speed-up, H100-PCIE bf16", "1024 x 1024 x 1024"),
        ("2:4 speed-up, H100-PCIE bf16", "2048 x 2048 x 2048"),
        ("2:4 speed-up, H100-PCIE e4m3", "1024 x 1024 x 1024"),
    }
