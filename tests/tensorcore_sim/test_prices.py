"""Does a GEMM's energy come from a named table, never from none, and how does dense stand to sparse by it?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclekit.energy import charge
from tensorcore_sim import PRESETS, dense_over_sparse, encode, energy, simulate
from tensorcore_sim.actions import CardAction
from tensorcore_sim.prices import NOTES, REFUSED, TABLES, prices
from workloads import BadInput, Shape

INT8 = PRESETS["a100-sxm-80gb"].replace(in_dtype="int8")
SPARSE = INT8.replace(sparsity="2:4")
TABLE_NAMES = pytest.mark.parametrize("name", TABLES)


def run(spec, m=256, n=128, k=512):
    return simulate(encode(Shape(name="gemm", n_out=m, n_in=k, batch=n), spec), None, spec)


@TABLE_NAMES
def test_every_action_of_a_gemm_has_a_price_or_a_reason_to_have_none(name):
    table = prices(name, INT8)
    assert set(table.actions) | set(table.free) == set(CardAction)
    assert all(table.free.values())
    assert NOTES.keys() == TABLES.keys()


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        # Sparseloop: a MAC and its latch; a 512-bit row of shared memory; 64 bits of DRAM
        ("sparseloop", INT8, (0.447 + 0.0244, 536.05 / 64, 599.8 / 64, 64.0)),
        ("sparseloop", SPARSE, (0.5608 + 0.072, 285.7 / 64, 317.0 / 64, 64.0)),
        # TPUv4i: 7.5 pJ for 64 bits of SRAM, 250 to 450 pJ for 64 bits of HBM2
        ("tpuv4i", INT8, (0.07, 7.5 / 8, 7.5 / 8, 350 / 8)),
        ("tpuv4i", INT8.replace(in_dtype="bf16"), (0.21, 7.5 / 8, 7.5 / 8, 350 / 8)),
        ("tpuv4i", INT8.replace(in_dtype="f16", sparsity="2:4"), (0.34, 7.5 / 8, 7.5 / 8, 350 / 8)),
    ],
)
def test_prices_by_hand(name, spec, expected):
    table = prices(name, spec)
    actions = (
        CardAction.MACS,
        CardAction.SHARED_READ_BYTES,
        CardAction.SHARED_WRITE_BYTES,
        CardAction.HBM_READ_BYTES,
    )
    assert [sum(price.value for price in table.actions[action]) for action in actions] == pytest.approx(expected)
    assert table.actions[CardAction.WRITE_BYTES] == table.actions[CardAction.HBM_READ_BYTES]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_of_energies_gives_no_joule(name):
    with pytest.raises(BadInput, match=f"prices '{name}' give no joules: its "):
        energy(run(INT8), name)


def test_a_table_prices_only_the_formats_that_it_has():
    with pytest.raises(BadInput, match="'sparseloop' have none for a multiply-add of f16, only for int8"):
        prices("sparseloop", PRESETS["a100-sxm-80gb"])
    with pytest.raises(BadInput, match="'tpuv4i' have none for a multiply-add of int4 weights"):
        prices("tpuv4i", PRESETS["a100-sxm-80gb"].replace(int4_weights=True))
    with pytest.raises(BadInput, match="unknown prices 'tpuv4', did you mean 'tpuv4i'"):
        prices("tpuv4", INT8)


@TABLE_NAMES
def test_a_sparse_run_says_what_the_dense_one_would_cost(name):
    sparse, dense = energy(run(SPARSE), name), energy(run(INT8), name)
    ratio = dense_over_sparse(run(SPARSE), name)
    assert ratio == pytest.approx(dense.total_pj / sparse.total_pj)
    assert sparse.notes == (NOTES[name], f"the dense GEMM costs {ratio:.3f} times this energy")
    assert dense.notes == (NOTES[name],)
    assert (dense.n_macs, sparse.n_macs) == (256 * 128 * 512, 256 * 128 * 256)


@TABLE_NAMES
@given(st.integers(1, 600), st.integers(1, 300), st.integers(1, 900), st.booleans())
def test_modules_sum_to_the_whole_and_padding_is_never_useful(name, m, n, k, sparse):
    cost = energy(run(SPARSE if sparse else INT8, m, n, k), name)
    assert sum(cost.module_pj.values()) == pytest.approx(cost.total_pj, rel=1e-9)
    least = sum(price.value for price in prices(name, SPARSE if sparse else INT8).actions[CardAction.MACS])
    assert cost.pj_per_mac >= least


def test_multiply_adds_cost_less_than_silicon_takes_in_all():
    # An A100 at 400 W and 312 TFLOPS takes at most 2.6 pJ a multiply-add of f16, all in; 1.12 with registers only
    spec = INT8.replace(in_dtype="f16")
    found = energy(run(spec, 4096, 4096, 4096), "tpuv4i")
    assert found.module_pj["tensor cores"] / found.n_macs < 1.0
    assert found.pj_per_mac < 2.6


def test_a_stored_run_is_priced_as_the_run_itself():
    found = run(SPARSE)
    again = type(found).from_dict(found.as_dict())
    assert energy(again, "sparseloop") == energy(found, "sparseloop")
    assert charge(prices("sparseloop", SPARSE), found.actions, found.time_us, 1).total_pj > 0
