"""Has everything that EIE does a price with a source, at any size of its SRAMs and on any node?"""

import csv
from math import exp, log, sqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie_sim
from eie_sim import Spec, encode, simulate
from eie_sim.actions import Action
from eie_sim.prices import MODULES, SIDES, TABLES, energy, lnzd_nodes, prices, scale, table2
from eie_sim.sram import sram
from tests import eie_cases
from workloads import BadInput

CACTI = Path(eie_sim.__file__).parent / "data" / "sram_cacti7_45nm.csv"
POINTS = list(csv.DictReader(line for line in CACTI.read_text().splitlines() if not line.startswith("#")))
SIZES = sorted({int(point["size_bytes"]) for point in POINTS})
WIDTHS = sorted({int(point["width_bits"]) for point in POINTS})
TABLE_NAMES = pytest.mark.parametrize("name", TABLES)
SIDE_NAMES = pytest.mark.parametrize("name", SIDES)  # that price any design


@TABLE_NAMES
def test_every_action_has_a_price_or_a_reason_to_have_none(name):
    table = prices(name, Spec())
    assert set(table.actions) | set(table.free) == set(Action)
    assert all(table.free.values())
    assert all(price.source for of_action in table.actions.values() for price in of_action)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point['size_bytes']}x{point['width_bits']}")
def test_interpolation_is_exact_at_the_points_of_cacti_s_table(point):
    expected = [float(point[name]) for name in ("read_pJ", "write_pJ", "area_um2", "leakage_mW")]
    assert sram(int(point["size_bytes"]), int(point["width_bits"])) == pytest.approx(expected, rel=1e-12)


@given(
    st.integers(0, len(SIZES) - 2), st.integers(0, len(WIDTHS) - 2), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)
)
def test_between_two_points_a_bank_runs_evenly_from_one_to_the_other(size, width, near, far, across):
    near, far = sorted((near, far))
    bits = WIDTHS[width] * 2**across
    ends = [sram(SIZES[size + i], bits) for i in (0, 1)]
    there = [sram(SIZES[size] * 2**share, bits) for share in (near, far)]
    for first, last, one, other in zip(*ends, *there, strict=True):
        low, high = sorted((first, last))
        assert low * (1 - 1e-9) <= one <= high * (1 + 1e-9)
        assert (other - one) * (last - first) >= -1e-9 * high * high


def test_a_bank_half_way_is_the_geometric_mean():
    # 128 KB x 64 b: 32.2859 pJ; 256 KB x 64 b: 44.7157 pJ
    assert sram(131072 * sqrt(2), 64).read_pj == pytest.approx(exp((log(32.2859) + log(44.7157)) / 2))


def test_what_is_smaller_than_the_table_costs_its_smallest_bank_and_what_is_larger_is_refused():
    assert sram(32, 16) == sram(256, 16)
    assert sram(256, 4) == sram(256, 8)
    with pytest.raises(BadInput, match="the SRAM must have at most 4194304 bytes to have a price, got 8388608"):
        sram(2**23, 64)
    with pytest.raises(BadInput, match="the Spmat SRAM must have at most 1024 bits of width to have a price, got 2048"):
        prices("bottom-up", Spec(spmat_width_bits=2048))


def test_the_paper_s_pe_bottom_up_by_hand():
    table = prices("bottom-up", Spec())
    by_action = {action: sum(price.value for price in found) for action, found in table.actions.items()}
    assert by_action[Action.SPMAT_ROW_READS] == pytest.approx(32.2859)  # 128 KB x 64 b
    assert by_action[Action.PTR_READS] == pytest.approx(2 * 7.6606)  # two banks of 16 KB x 16 b
    assert by_action[Action.QUEUE_PUSHES] == pytest.approx(0.6716 + 1.1051)  # 256 B x 32 b, read and written
    assert by_action[Action.ENTRIES] == pytest.approx(0.5501 + 0.05)  # 256 B x 16 b; half of 0.1 pJ
    assert by_action[Action.MACS] == pytest.approx(3.1 / 5 + 0.05 + 0.5501 + 1.1422)
    assert by_action[Action.ACT_SRAM_READS] == pytest.approx(1.8601 + 1.1422)  # 2 KB x 16 b, into 256 B
    assert by_action[Action.DMA_BITS] == pytest.approx(640 / 32 + 26.065 / 64)
    area = {price.module: price.value / 64 for price in table.area}
    assert area == pytest.approx(
        {"Act_queue": 1055.4, "PtrRead": 2 * 53015.0, "SpmatRead": 429589.0, "ActRW": 947.0 + 6590.3}
    )


def test_one_pointer_bank_is_read_twice():
    (price,) = prices("bottom-up", Spec(n_pointer_banks=1)).actions[Action.PTR_READS]
    assert price.value == pytest.approx(2 * 11.5725)  # 32 KB x 16 b


def test_calibrated_prices_at_the_paper_s_rates_are_table_2():
    # Each module: standing clock, and the driver's price at its mean rate, 0.8 cycles a ns: Table II's mW
    table = prices("calibrated", Spec())
    rates = {
        Action.QUEUE_PUSHES: 0.230355,
        Action.PTR_READS: 0.230355,
        Action.SPMAT_ROW_READS: 0.170224,
        Action.ENTRIES: 0.873220,
        Action.MACS: 0.745367,
    }
    power = {price.module: price.value / 64 for price in table.standing["clock"]}
    for action, rate in rates.items():
        for price in table.actions[action]:
            power[price.module] += price.value * rate * 0.8
    assert power == pytest.approx(
        {"Act_queue": 0.112, "PtrRead": 1.807, "SpmatRead": 4.955, "ArithmUnit": 1.162, "ActRW": 1.122}, abs=0.001
    )
    clock = sum(price.value for price in table.standing["clock"]) / 64
    assert clock == pytest.approx(1.874, abs=0.001)
    assert sum(price.value for price in table.area) == pytest.approx(64 * 638024 + 21 * 189)


def test_table_2_s_two_groupings_sum_to_its_totals():
    part = table2()
    components = ("memory", "clock_network", "register", "combinational", "filler_cell")
    for names in (components, (*MODULES, "filler_cell")):
        assert sum(part[name]["power_mw"] for name in names) == pytest.approx(9.157, abs=0.0015)
        assert sum(part[name]["area_um2"] for name in names) == 638024


@pytest.mark.parametrize(("n_pes", "nodes"), [(1, 0), (4, 1), (5, 3), (16, 5), (64, 21), (256, 85)])
def test_the_lnzd_tree_has_a_node_for_every_four(n_pes, nodes):
    assert lnzd_nodes(n_pes) == nodes


@SIDE_NAMES
def test_a_wider_spmat_sram_changes_only_its_own_prices(name):
    narrow, wide = (prices(name, Spec(spmat_width_bits=bits)) for bits in (64, 256))
    for action in set(narrow.actions) - {Action.SPMAT_ROW_READS, Action.DMA_BITS}:
        assert narrow.actions[action] == wide.actions[action]
    (one,), (other,) = (table.actions[Action.SPMAT_ROW_READS] for table in (narrow, wide))
    assert other.value / one.value == pytest.approx(73.7616 / 32.2859)  # CACTI, 128 KB


@TABLE_NAMES
def test_another_node_follows_the_paper_s_rule(name):
    # s = 1.6 for 28 nm: s times the clock at constant power, area by s squared; DRAM is another chip
    assert [scale(Spec(node_nm=node)) for node in (45, 28, 32, 22)] == [1, 1.6, 1.4, 2.0]
    here, there = prices(name, Spec()), prices(name, Spec(node_nm=28, clock_mhz=1280))
    for action, found in here.actions.items():
        for one, other in zip(found, there.actions[action], strict=True):
            assert other.value == pytest.approx(one.value / (1 if one.module == "DRAM" else 1.6))
    for kind, found in here.standing.items():
        for one, other in zip(found, there.standing[kind], strict=True):
            assert other.value == pytest.approx(one.value)
    assert sum(p.value for p in there.area) == pytest.approx(sum(p.value for p in here.area) / 1.6**2)
    assert not any("45 nm to" in p.source for p in here.area)
    assert all(p.source.endswith("; 45 nm to 28 nm as s = 1.6") for p in there.area)


def test_a_small_run_by_hand():
    # 2 PEs, 3 + 1 entries of one column: 2 pops, a row each, 4 macs, 1 activation, 6 outputs; 11 cycles at 800 MHz
    workload = eie_cases.layer([[3], [1]])
    run = simulate(encode(workload, Spec(n_pes=2)), workload.activations[0], Spec(n_pes=2), engine="schedule")
    cost = energy(run, "bottom-up")
    found = cost.module_pj
    leak = 11 / 800 * 1e3 * 2  # ns, two PEs
    assert found["SpmatRead"] == pytest.approx(2 * 32.2859 + 0.003341 * leak)
    assert found["PtrRead"] == pytest.approx(2 * 2 * 7.6606 + 2 * 0.000471 * leak)
    assert found["Act_queue"] == pytest.approx(2 * 1.7767 + 0.000012 * leak)
    assert found["ArithmUnit"] == pytest.approx(4 * (0.6001 + 0.67))
    assert found["ActRW"] == pytest.approx(4 * 1.6923 + (1 + 6) * 0.5501 + (0.000011 + 0.000071) * leak)
    assert found["DRAM"] == 0
    assert cost.n_macs == 4


def test_batches_and_the_load_phase_are_charged():
    # 10 inputs on 2 PEs with room for 2 each: the first 4 lie there, 6 are read from activation SRAM
    workload = eie_cases.layer([[1] * 10] * 2)
    spec = Spec(n_pes=2, register_file_entries=2, batches=True, load_phase=True)
    run = simulate(encode(workload, spec), workload.activations[0], spec, engine="schedule")
    assert run.actions["act_sram_reads"] == 6
    # 20 entries of 8 bits, 2 x 11 pointers of 16, 10 activations of 16
    assert run.actions["dma_bits"] == 160 + 352 + 160
    cost = energy(run, "bottom-up")
    assert cost.pj["DRAM"]["dma_bits"] == pytest.approx(672 * 20)
    assert cost.pj["ActRW"]["act_sram_reads"] == pytest.approx(6 * (1.8601 + 1.1422))
    assert (
        simulate(encode(workload, Spec(n_pes=2)), workload.activations[0], Spec(n_pes=2)).actions["act_sram_reads"] == 0
    )


@SIDE_NAMES
@given(workload=eie_cases.workloads(), spec=eie_cases.specs())
def test_every_run_has_an_energy_whose_modules_sum_to_it(name, workload, spec):
    image, _, _ = eie_cases.lay_out(workload, spec)
    cost = energy(simulate(image, workload.activations[0], spec, engine="schedule"), name)
    assert sum(cost.module_pj.values()) == pytest.approx(cost.total_pj, rel=1e-9)
    assert set(cost.module_pj) <= {*MODULES, "LNZD", "DRAM"}


def test_fig9_s_table_is_bottom_up_but_for_reads_of_the_spmat_sram():
    # Fig 9: nJ of the right panel over thousands of reads of the left one, Alex-6 (docs/energy.md)
    published = {32: 13.7, 64: 18.7, 128: 29.2, 256: 54, 512: 113}
    for width, pj in published.items():
        table, other = (prices(name, Spec(spmat_width_bits=width)) for name in ("fig9", "bottom-up"))
        (read,) = table.actions[Action.SPMAT_ROW_READS]
        assert read.value == pytest.approx(pj, rel=0.02)
        rest = set(table.actions) - {Action.SPMAT_ROW_READS}
        assert all(table.actions[action] == other.actions[action] for action in rest)
        assert (table.area, table.standing, table.free) == (other.area, other.standing, other.free)
    for spec, got in ((Spec(spmat_width_bits=16), "131072 bytes of 16 bits"), (Spec(spmat_bytes=2**16), "65536 bytes")):
        with pytest.raises(BadInput, match=f"131072 bytes, 32 to 512 bits wide, got {got}"):
            prices("fig9", spec)


def test_an_unknown_table_is_refused():
    with pytest.raises(BadInput, match="unknown prices 'bottom-upp', did you mean 'bottom-up'"):
        prices("bottom-upp", Spec())
