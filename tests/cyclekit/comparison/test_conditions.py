"""Are the winners of a comparison, and the points between which they change, those that trying all finds?"""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie_sim
import tensorcore_sim
from cyclekit.comparison import conditions
from cyclekit.comparison.compare import entrants
from cyclekit.comparison.conditions import (
    ENERGY,
    TIME,
    Reign,
    at_most,
    batch_of,
    compare,
    expected,
    reigns,
    shares_of,
    sizes_of,
)
from workloads import Workload
from workloads.errors import BadInput


def layer(density=0.5, n_out=16, n_in=20, n_inputs=2, name="tiny") -> Workload:
    rng = np.random.default_rng(3)
    weights = np.zeros(n_out * n_in, np.float32)
    kept = rng.permutation(weights.size)[: round(density * weights.size)]
    weights[kept] = rng.integers(1, 8, len(kept)) / 8
    inputs = rng.random((n_inputs, n_in), np.float32)
    return Workload(name=name, weights=weights.reshape(n_out, n_in), activations=inputs)


def ladder_of(found, over):
    return next(ladder for ladder in found.ladders if ladder.over == over)


@given(st.lists(st.tuples(*[st.one_of(st.none(), st.integers(1, 3))] * 3), min_size=1, max_size=8))
def test_reigns_are_the_winners_of_every_point(rows):
    values = {name: [row[i] for row in rows] for i, name in enumerate("abc")}
    found = reigns(range(len(rows)), values)
    winners, leads = {}, {}
    for place, row in enumerate(rows):
        if any(row):
            least = min(filter(None, row))
            winners[place] = tuple(name for name, value in zip("abc", row, strict=True) if value == least)
            worse = [value for value in row if value and value > least]
            leads[place] = min(worse) / least if worse else inf
    spread = {place: reign.best for reign in found for place in winners if reign.first <= place <= reign.last}
    assert spread == winners
    assert all(a.best != b.best for a, b in zip(found, found[1:]))
    for reign in found:
        of_reign = [leads[place] for place in winners if reign.first <= place <= reign.last]
        assert (reign.least_lead, reign.most_lead) == (min(of_reign), max(of_reign))


def test_a_change_of_winners_by_hand():
    values = {"one by one": [4, 4, 4, 4], "all at once": [10, 5, 2.5, 1.25]}
    assert reigns([1, 2, 4, 8], values) == [
        Reign(("one by one",), 1, 2, 1.25, 2.5),
        Reign(("all at once",), 4, 8, 1.6, 3.2),
    ]
    assert reigns([1], {"a": [None]}) == []
    assert Reign(("a",), 1, 1, inf, inf).as_dict()["least_lead"] is None


def test_the_batch_at_which_the_winner_changes_is_the_one_that_trying_all_finds():
    asked = layer(n_inputs=1)
    found = ladder_of(compare("tiny", [asked], entrants("eie,tensorcore")), "batch")
    spec = eie_sim.Spec()
    own = eie_sim.simulate(eie_sim.encode(asked, spec), asked.activations[0], spec, engine="schedule").time_us

    def times(batch):
        problem = tensorcore_sim.Problem(m=16, n=batch, k=20)
        cards = [tensorcore_sim.Spec(sparsity=sparsity) for sparsity in ("dense", "2:4")]
        return [own, *(tensorcore_sim.time_gemm(problem, s)[1].cycles / s.clock_mhz / batch for s in cards)]

    labels = ("eie", "tensorcore dense", "tensorcore 2:4")
    winners = {batch: labels[int(np.argmin(times(batch)))] for batch in conditions.BATCHES}
    spread = {batch: r.best[0] for r in found.reigns(TIME) for batch in winners if r.first <= batch <= r.last}
    assert spread == winners
    assert winners[1] == "eie"
    assert winners[1024] != "eie"


def test_the_card_takes_as_long_however_few_weights_are_kept_and_eie_does_not():
    found = compare("tiny", [layer(1.0, 80, 80)], entrants("eie,tensorcore"))
    ladder = ladder_of(found, "share of the weights kept")
    times = ladder.values(TIME)
    assert ladder.points == [*conditions.KEPT, 1.0]
    assert len(set(times["tensorcore dense"])) == len(set(times["tensorcore 2:4"])) == 1
    assert times["eie"] == sorted(times["eie"])
    assert times["eie"][0] < times["eie"][-1]
    dropped = ladder.as_dict()["n_dropped"]["tensorcore 2:4"]
    assert dropped == sorted(dropped)
    assert dropped[-1] == 80 * 80 / 2  # of a dense layer


def test_the_size_at_which_a_machine_wins_is_tried_for_that_machine_alone():
    asked = layer()
    (eie,) = entrants("eie")
    found = ladder_of(compare("tiny", [asked], entrants("eie,tensorcore")), "n_pes of eie")
    assert list(found.points) == [16, 32, 64, 128, 256, 512, 1024]
    for place, size in enumerate(found.points):
        spec = eie.spec.replace(n_pes=size)
        runs = eie_sim.simulate(eie_sim.encode(asked, spec), asked.activations, spec, engine="schedule")
        assert found.values(TIME)["eie"][place] == pytest.approx(sum(run.time_us for run in runs) / 2)
    assert len(set(found.values(TIME)["tensorcore dense"])) == 1


def test_sizes_end_where_the_machine_does():
    (eie,) = entrants("eie")
    assert list(sizes_of(replace(eie, spec=eie.spec.replace(n_pes=1024)))) == [256, 512, 1024, 2048, 4096]
    assert list(sizes_of(replace(eie, spec=eie.spec.replace(n_pes=1)))) == [1, 2, 4, 8, 16]


def test_a_network_is_the_sum_of_its_layers():
    layers = [layer(name="a"), layer(name="b", n_out=8)]
    found = compare("both", layers, entrants("eie,tensorcore"), batch=4, check=True)
    alone = [compare(one.name, [one], entrants("eie,tensorcore"), batch=4) for one in layers]
    for label, cost in found.total.items():
        assert cost.time_us == pytest.approx(sum(one.total[label].time_us for one in alone))
        assert cost.energy_pj == pytest.approx(sum(one.total[label].energy_pj for one in alone))
        assert cost.n_dropped == sum(one.total[label].n_dropped for one in alone)
        assert cost.checked
        for quantity in (TIME, ENERGY):
            batch = ladder_of(found, "batch")
            values = [ladder_of(one, "batch").values(quantity)[label] for one in alone]
            assert batch.values(quantity)[label] == pytest.approx(np.sum(values, axis=0))


def test_the_error_is_of_what_was_dropped_and_of_nothing_else():
    (costs,) = compare("tiny", [layer()], entrants("eie,tensorcore")).costs
    assert costs["tensorcore 2:4"].n_dropped > 0
    assert 0 < costs["tensorcore 2:4"].error < 1
    assert costs["eie"].error is costs["tensorcore dense"].error is None
    obeying = layer()
    obeying.weights.reshape(-1, 4)[:, 2:] = 0
    (costs,) = compare("tiny", [obeying], entrants("tensorcore")).costs
    assert (costs["tensorcore 2:4"].n_dropped, costs["tensorcore 2:4"].error) == (0, 0.0)


@pytest.mark.parametrize(
    ("densities", "shares"),
    [
        ((1.0,), [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]),
        ((0.1,), [0.01, 0.02, 0.05, 1.0]),  # a share of 0.1 would take nothing
        ((0.105,), [0.01, 0.02, 0.05, 1.0]),  # it would take less than a tenth
        ((0.02, 0.5), [0.01, 0.02, 0.05, 0.1, 0.2, 1.0]),  # half: nothing again
        ((0.01,), [1.0]),
        ((0.0,), [1.0]),  # there is nothing to take
    ],
)
def test_shares_take_a_tenth_or_more(densities, shares):
    assert shares_of([layer(density, 40, 50) for density in densities]) == shares


def test_no_share_leaves_a_layer_without_weights():
    assert shares_of([layer(1.0, 4, 5)]) == [0.05, 0.1, 0.2, 0.5, 1.0]  # of 20


def test_the_largest_weights_are_kept():
    asked = layer(0.5)
    found = at_most(asked, 0.1)
    assert found.mask.sum() == 32
    assert found.weights[found.mask].min() >= asked.weights[asked.mask & ~found.mask].max()
    assert at_most(asked, 0.5) is asked


def test_a_share_of_a_layer_in_groups_is_one_of_its_blocks():
    blocks = np.random.default_rng(1).standard_normal((8, 9), np.float32)
    depthwise = Workload(name="dw", weights=np.zeros((8, 72)), activations=np.ones(72), groups=8)
    for channel, block in enumerate(blocks):
        depthwise.weights[channel, 9 * channel : 9 * channel + 9] = block
    assert shares_of([depthwise]) == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    least = np.sort(np.abs(blocks), axis=None)[-36]
    assert np.array_equal(at_most(depthwise, 0.5).blocks, np.where(np.abs(blocks) >= least, blocks, 0))


def test_layers_of_different_batches_need_one_that_is_said():
    layers = [layer(n_inputs=2), layer(n_inputs=3)]
    with pytest.raises(BadInput, match=r"--batch must be given for both, whose layers have batches of \[2, 3\]"):
        batch_of("both", layers, None)
    assert batch_of("both", layers, 5) == 5
    assert batch_of("one", layers[:1], None) == 2


def test_the_expected_time_grows_with_what_is_asked(toy):
    small, large = layer(), layer(n_out=512, n_in=512)
    for names in ("toy", "eie", "tensorcore"):
        chosen = entrants(names)
        one, both = (expected([(works, 2)], chosen, False) for works in ([small], [small, large]))
        assert one[0] < both[0]
        assert one[1] <= both[1]
        assert expected([([small], 2)], chosen, True)[0] >= one[0]
