"""Does every design of a comparison get the same layer, and is its cost what its machine says of it?"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie_sim
import tensorcore_sim
from cyclekit.comparison import compare, report
from cyclekit.comparison.compare import Cost, Entrant, Trial, beyond, entrants, layers_of, total, without
from workloads import Network, Workload, load
from workloads.errors import BadInput
from workloads.records import Layer


def layer(weights, n_inputs=1, seed=0) -> Workload:
    weights = np.asarray(weights, np.float32)
    inputs = np.random.default_rng(seed).random((n_inputs, weights.shape[1]), np.float32)
    inputs[:, 0] = np.arange(n_inputs) % 2  # so that inputs take different times
    return Workload(name="tiny", weights=weights, activations=inputs)


def sparse_layer(n_out=12, n_in=10, n_inputs=3) -> Workload:
    rng = np.random.default_rng(1)
    weights = rng.integers(1, 8, (n_out, n_in)) / 8 * (rng.random((n_out, n_in)) < 0.4)
    return layer(weights, n_inputs)


def entrant(label: str) -> Entrant:
    return next(found for found in entrants("eie,tensorcore") if found.label == label)


# What is beyond a pattern


@pytest.mark.parametrize(
    ("weights", "places"),
    [
        ([[1, -3, 2, 0, 5, 0]], [(0, 0)]),  # the least of three; the last group is 5, 0 and what fills it up
        ([[1, 1, 1, 1], [0, 2, 0, 2]], [(0, 2), (0, 3)]),  # of equals the first stay
        ([[4, 3, 2, 1], [-1, -2, -3, -4]], [(0, 2), (0, 3), (1, 0), (1, 1)]),
        ([[0, 0, 1, 2, 3, 4]], []),  # each group of four has two
    ],
)
def test_of_four_weights_the_two_largest_stay(weights, places):
    assert list(zip(*beyond(layer(weights), "2:4"), strict=True)) == places


@given(st.integers(1, 5), st.integers(1, 9), st.sampled_from([(1, 2), (2, 4), (1, 4)]), st.integers(0, 99))
def test_what_stays_obeys_the_pattern_and_is_no_smaller_than_what_goes(n_out, n_in, n_of_m, seed):
    n, m = n_of_m
    weights = np.random.default_rng(seed).integers(-2, 3, (n_out, n_in))
    asked = layer(weights)
    kept = without(asked, beyond(asked, f"{n}:{m}")).weights
    for row, row_kept in zip(asked.weights, kept, strict=True):
        for start in range(0, n_in, m):
            before, after = np.abs(row[start : start + m]), np.abs(row_kept[start : start + m])
            assert np.count_nonzero(after) == min(n, np.count_nonzero(before))
            gone = before[(before > 0) & (after == 0)]
            assert not len(gone) or gone.max() <= after[after > 0].min()
            np.testing.assert_array_equal(row_kept[start : start + m][after > 0], row[start : start + m][after > 0])


def test_a_layer_that_obeys_stays_the_one_that_it_was():
    asked = layer([[1, 2, 0, 0]])
    assert without(asked, beyond(asked, "2:4")) is asked
    assert len(beyond(layer([[1, 2, 3, 4]]), None)[0]) == 0


def test_only_patterns_of_n_in_m_can_be_asked_of_a_layer():
    with pytest.raises(BadInput, match="must be N:M, got 'element'"):
        beyond(layer([[1.0]]), "element")


# Costs


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_eie_takes_its_inputs_one_after_the_other_and_again(batch):
    asked = sparse_layer(n_inputs=3)
    spec = eie_sim.Spec()
    runs = eie_sim.simulate(eie_sim.encode(asked, spec), asked.activations, spec, engine="schedule")
    assert len({run.cycles for run in runs}) > 1
    cost = Trial(entrant("eie"), asked).cost(batch)
    wanted = [runs[i % 3] for i in range(batch)]
    assert cost.cycles == sum(run.cycles for run in wanted)
    assert cost.time_us == pytest.approx(sum(run.time_us for run in wanted))
    assert cost.energy_pj == pytest.approx(sum(eie_sim.energy(run, "bottom-up").total_pj for run in wanted))
    entries = sum(run.actions["entries"] for run in wanted)
    assert cost.utilisation == pytest.approx(entries / (64 * cost.cycles))
    assert (cost.off_chip_bytes, cost.n_dropped) == (0, 0)


def test_a_smaller_batch_after_a_larger_one_is_the_same_as_alone():
    trial = Trial(entrant("eie"), sparse_layer(n_inputs=3))
    trial.cost(7)
    assert trial.cost(2) == Trial(entrant("eie"), sparse_layer(n_inputs=3)).cost(2)


@pytest.mark.parametrize("label", ["tensorcore dense", "tensorcore 2:4"])
def test_a_card_takes_the_whole_batch_and_its_time_hangs_on_no_value(label):
    asked = sparse_layer(n_inputs=3)
    other = replace(asked, weights=np.ones_like(asked.weights))
    cost, checked = Trial(entrant(label), asked).cost(5), Trial(entrant(label), asked).cost(5, check=True)
    spec = tensorcore_sim.Spec(sparsity=label.split()[1])
    problem = tensorcore_sim.Problem(m=12, n=5, k=10)
    _, books, _ = tensorcore_sim.time_gemm(problem, spec)
    assert cost.cycles == books.cycles == checked.cycles == Trial(entrant(label), other).cost(5).cycles
    assert checked.checked
    assert cost.checked is None
    assert (cost.energy_pj, cost.n_bytes) == (checked.energy_pj, checked.n_bytes)
    assert cost.off_chip_bytes == books.actions["hbm_read_bytes"] + books.actions["write_bytes"]


def test_two_of_four_loses_weights_and_says_how_many():
    asked = layer([[1, -3, 2, 0], [1, 1, 1, 1]])
    cost = Trial(entrant("tensorcore 2:4"), asked).cost(1)
    assert (cost.n_weights, cost.n_dropped) == (7, 3)
    assert Trial(entrant("tensorcore dense"), asked).cost(1).n_dropped == 0


def test_the_error_of_the_outputs_by_hand():
    asked = Workload(name="w", weights=np.float32([[3, 4, 5, 0]]), activations=np.float32([1, 1, 0, 1]))
    made = without(asked, beyond(asked, "2:4"))  # drops the 3: 7 becomes 4
    assert report.error(asked, made) == pytest.approx(3 / 7)


def test_a_design_that_cannot_take_a_layer_has_a_reason():
    small = replace(entrant("eie"), spec=eie_sim.PRESETS["silicon"].replace(spmat_bytes=8, n_pes=1, refills=False))
    cost = Trial(small, sparse_layer()).cost(1)
    assert "Spmat" in cost.reason
    assert cost.time_of_input_us is None
    assert cost.energy_of_input_pj is None
    assert total([Cost(batch=1, time_us=1.0), cost]) is cost


def test_a_sum_lacks_what_one_of_its_parts_lacks():
    full = Cost(batch=2, cycles=10, time_us=4.0, energy_pj=6.0, off_chip_bytes=1.0, n_bytes=5.0, utilisation=0.5)
    bare = replace(full, cycles=30, energy_pj=None, unpriced="no table", off_chip_bytes=None, utilisation=0.1)
    both = total([full, full])
    assert (both.time_us, both.time_of_input_us, both.energy_of_input_pj, both.off_chip_bytes) == (8.0, 4.0, 6.0, 2.0)
    both = total([full, bare])
    assert (both.energy_pj, both.unpriced, both.off_chip_bytes, both.n_bytes) == (None, "no table", None, 10.0)
    assert both.utilisation == pytest.approx((0.5 * 10 + 0.1 * 30) / 40)


# Designs


def test_the_designs_that_machines_enter():
    found = {e.label: e.spec for e in entrants("eie:silicon,tensorcore,tensorcore:h100-sxm")}
    h100 = tensorcore_sim.PRESETS["h100-sxm"]
    assert found == {
        "eie:silicon": eie_sim.PRESETS["silicon"],
        "tensorcore dense": tensorcore_sim.Spec(),
        "tensorcore 2:4": tensorcore_sim.Spec(sparsity="2:4"),
        "tensorcore:h100-sxm dense": h100,
        "tensorcore:h100-sxm 2:4": h100.replace(sparsity="2:4"),
    }
    assert [e.pattern for e in entrants("eie,tensorcore")] == [None, None, "2:4"]


def test_the_cards_own_pattern_hangs_on_the_format():
    card, shares = tensorcore_sim.MACHINE, {"f16": "2:4", "int8": "2:4", "tf32": "1:2"}
    assert {dtype: card.pattern(tensorcore_sim.Spec(sparsity="2:4", in_dtype=dtype)) for dtype in shares} == shares
    for dtype in shares:  # what obeys it, the card takes
        asked = layer(np.arange(1, 33).reshape(2, 16))
        spec = tensorcore_sim.Spec(sparsity="2:4", in_dtype=dtype)
        tensorcore_sim.encode(without(asked, beyond(asked, card.pattern(spec))), spec)


def test_a_users_machine_takes_part_with_what_it_says_of_itself(toy):
    (found,) = entrants("toy:fast")
    cost = Trial(found, layer(np.ones((4, 6)), n_inputs=2)).cost(3)
    assert (found.label, cost.time_us, cost.n_bytes) == ("toy:fast", pytest.approx(3 * 24 / 200), 96.0)
    assert (cost.energy_pj, cost.unpriced, cost.off_chip_bytes) == (None, "toy has no prices", None)
    assert "toy" in [e.label for e in entrants()]


@pytest.mark.parametrize(
    ("asked", "prices", "complaint"),
    [
        ("eei", None, "unknown machine 'eei', did you mean 'eie'"),
        ("eie,", None, "unknown machine ''"),
        ("eie:silicn", None, "unknown preset 'silicn' of eie, did you mean 'silicon'"),
        ("eie,eie", None, "--machines must name each design once, got 'eie' twice"),
        ("eie", "tpuv4i", "unknown prices 'tpuv4i'"),
    ],
)
def test_what_names_no_design_is_refused(asked, prices, complaint):
    with pytest.raises(BadInput, match=complaint):
        entrants(asked, prices)


def test_prices_are_those_asked_for_the_default_or_the_only_ones_that_fit():
    def tables(**how):
        return [Trial(e, sparse_layer()).cost(1).prices for e in entrants("eie,tensorcore", **how)]

    assert tables() == ["bottom-up", "tpuv4i", "tpuv4i"]  # sparseloop has no f16
    assert tables(prices="calibrated") == ["calibrated", "tpuv4i", "tpuv4i"]
    assert tables(prices="sparseloop") == ["bottom-up", "", ""]
    dense = entrant("tensorcore dense")
    cost = Trial(replace(dense, spec=dense.spec.replace(in_dtype="int8"), _runs={}), sparse_layer()).cost(1)
    assert cost.unpriced == "it takes one table of prices: --prices sparseloop or tpuv4i"


# Model


def test_the_layers_of_a_network_get_what_reaches_them_there():
    first, second = (Layer(name=n, weights=np.full((2, 2), w, np.float32)) for n, w in (("a", 1), ("b", 2)))
    network = Network(name="net", layers=(first, second), inputs=np.float32([[1, 2], [0, 1]]))
    found = layers_of(network)
    assert [layer.name for layer in found] == ["net/a", "net/b"]
    np.testing.assert_array_equal(found[1].activations, [[3, 3], [1, 1]])


def test_a_shape_has_nothing_to_skip():
    with pytest.raises(BadInput, match="'8x2x4' is a shape without values"):
        compare.layers_of(load("8x2x4"))
