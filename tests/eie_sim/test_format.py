"""Are the bits behind the point, unless asked for, as many as nothing saturates, and is that what a run reports?"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclekit.command.cli import main
from cyclekit.sweep.store import Store
from eie_sim import Spec, arithmetic, encode, simulate
from tests import eie_cases, naive_eie
from workloads import Network, Workload


def run_of(weights, activations, *, bias=None, engine="schedule", **fields):
    layer = Workload(name="w", weights=weights, bias=bias, activations=activations, relu=False)
    spec = Spec(n_pes=1, **fields)
    return simulate(encode(layer, spec), layer.activations[0], spec, engine=engine, check=True)


def bits_of(run) -> tuple[int, int, int]:
    return tuple(run.measures[f"{name}_fraction_bits"] for name in ("activations", "weights", "outputs"))


@pytest.mark.parametrize(
    ("largest", "bits"),
    # 32767 fits 16 bits, and so does what is rounded to it; 32767.5 is rounded to the even 32768, which does not.
    [(1.0, 14), (32767, 0), (32767.25, 0), (32767.5, -1), (2**-16, 30), (2**-40, 30), (0.0, 30), (2.0**60, -16)],
)
def test_the_largest_value_has_the_most_bits_that_fit(largest, bits):
    assert arithmetic.chosen_bits(np.array([largest / 2, -largest])) == bits == naive_eie.most_bits([-largest], -16)


@pytest.mark.parametrize(
    ("weights", "activations", "bits", "outputs"),
    [
        # 2**-20 has 30 bits, the most there are: 2**10. 2**-3 is 2**14 at 17. The product, 2**24 at 47, must lose 17.
        ([2.0**-20], [2.0**-3], (17, 30, 30), [2**7]),
        # 1 is 2**14 at 14, 300 is 19200 at 6. The product, 300 * 2**20, takes 29 bits: 14 must go, and 300 is at 6.
        ([1.0], [300.0], (6, 14, 6), [19200]),
        # 300 - 300 is nothing, but 300 is passed on the way.
        ([1.0, -1.0], [300.0, 300.0], (6, 14, 6), [0]),
        # The sum 65534 * 2**14 takes 30 bits and fits after 15; but (32767 * 2**14 + 2**14) / 2**15 = 16384 twice is
        # 32768, one too many: after 16 bits it is 8192 twice.
        ([1.0, 1.0], [32767 / 2**14, 32767 / 2**14], (14, 14, 12), [16384]),
        ([0.0], [1.0], (14, 30, 30), [0]),
    ],
)
def test_bits_by_hand(engine, weights, activations, bits, outputs):
    run = run_of([weights], activations, engine=engine)
    assert bits_of(run) == bits
    assert run.outputs.tolist() == outputs
    assert run.values == pytest.approx([np.dot(weights, activations)], rel=1e-4)
    assert run.check["passed"]


def test_the_bias_enters_as_a_1_which_must_fit():
    assert bits_of(run_of([[1.0]], [2.0**-6]))[0] == 20
    run = run_of([[1.0]], [2.0**-6], bias=[0.5])
    assert bits_of(run)[0] == 14
    assert run.values.tolist() == [0.5 + 2.0**-6]


@pytest.mark.parametrize(
    ("asked", "bits"),
    [
        ({"activation_fraction_bits": 4}, (4, 14, 4)),
        ({"weight_fraction_bits": 3}, (12, 3, 12)),
        ({"activation_fraction_bits": 0, "weight_fraction_bits": 0}, (0, 0, 0)),
    ],
)
def test_what_is_asked_for_holds(asked, bits):
    run = run_of([[1.0]], [5.0], **asked)
    assert bits_of(run) == bits
    assert run.values.tolist() == [5.0]


@settings(max_examples=100)
@given(eie_cases.workloads(), st.integers(1, 5), st.integers(-25, 12), st.integers(-25, 12))
def test_every_output_equals_the_naive_loop_in_bits_that_it_chose(workload, n_pes, scale, weight_scale):
    weights, activations = workload.weights * 2.0**weight_scale, workload.activations * 2.0**scale
    bias = None if workload.bias is None else workload.bias * 2.0**weight_scale
    workload = replace(workload, weights=weights, bias=bias, activations=activations)
    spec = Spec(n_pes=n_pes)
    run = simulate(encode(workload, spec), workload.activations[0], spec, engine="schedule", check=True)
    columns = workload.weights.tolist()
    inputs = workload.activations[0].tolist()
    if bias is not None:
        columns = [[*row, float(b)] for row, b in zip(columns, workload.bias)]
        inputs = [*inputs, 1.0]
    used = [weight for row in columns for weight in row]
    of_inputs, of_weights = naive_eie.most_bits(inputs, -16), naive_eie.most_bits(used, 0)
    values = [round(value * 2.0**of_inputs) for value in inputs]
    rows = [[round(weight * 2.0**of_weights) for weight in row] for row in columns]
    shift = naive_eie.least_shift(rows, values, of_inputs + of_weights)
    assert bits_of(run) == (of_inputs, of_weights, of_inputs + of_weights - shift)
    sums = [naive_eie.accumulate(row, values, shift)[0] for row in rows]
    assert run.outputs.tolist() == [max(0, total) if workload.relu else total for total in sums]
    assert run.check["passed"]
    assert run.check["saturated_outputs"] == 0
    assert not any("saturated" in note or "were cut" in note for note in run.notes)


def test_a_layer_takes_what_it_is_handed_for_what_it_stands_for(engine):
    # 3/4 + 5/8 = 11/8 leaves the first layer; times 1/2 and -1 it is 11/16 and -11/8. No bit is lost on the way.
    first = Workload(name="a", weights=[[1.0, 1.0]], activations=[[0, 0]])
    second = Workload(name="b", weights=[[0.5], [-1.0]], activations=[[0]], relu=False)
    network = Network(name="n", layers=(first, second), inputs=np.array([[0.75, 0.625]]))
    spec = Spec(n_pes=1)
    one, two = simulate(encode(network, spec), network.inputs, spec, engine=engine, check=True)
    assert one.values.tolist() == [1.375]
    assert two.values.tolist() == [0.6875, -1.375]
    assert two.check["passed"]


def test_equal_16_bit_values_that_stand_for_other_reals_are_another_run(engine):
    layer = Workload(name="w", weights=[[1.0]], activations=[3.0])
    spec = Spec(n_pes=1)
    image = encode(layer, spec)
    before = simulate(image, layer.activations[0], spec, engine=engine)
    same, half = (
        simulate(image, replace(before, output_step=before.output_step * factor), spec, engine=engine)
        for factor in (1, 0.5)
    )
    assert (same.values.tolist(), half.values.tolist()) == ([3.0], [1.5])
    assert same.outputs.tolist() == half.outputs.tolist()
    assert same.id != half.id


def test_small_values_beside_a_large_one_are_said_to_be_lost():
    run = run_of([[1.0, 1.0]], [1e-6, 1000.0])
    assert any(
        "1 activations are not zero but smaller than half a 16-bit step: 5 fraction bits" in n for n in run.notes
    )


def test_sweeps_store_and_show_chosen_bits_beside_said_ones(tmp_path):
    np.savez(tmp_path / "w.npz", weights=np.float32([[0.001, 0.002]]), activations=np.float32([0.25, 0.5]))
    store, wanted = str(tmp_path / "r.db"), "activation_fraction_bits=chosen,8"
    assert main(["sweep", "eie", str(tmp_path / "w.npz"), "--vary", wanted, "--workers", "1", "--into", store]) == 0
    assert main(["report", store, "--out", str(tmp_path / "r.html")]) == 0
    with Store(store, write=False) as opened:
        chosen, said = (row.run() for row in opened.rows())
    assert (chosen.spec["activation_fraction_bits"], said.spec["activation_fraction_bits"]) == ("chosen", 8)
    assert bits_of(chosen)[0] == 15  # 0.5 is 2**14
    assert bits_of(said)[::2] == (8, 8)
    assert chosen.id != said.id
