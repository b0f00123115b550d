"""Is a layer of many positions the sum of them, on each machine, and a sample of them an estimate with its error?"""

from dataclasses import replace

import numpy as np
import pytest

import eie_sim
import tensorcore_sim
from cyclekit.positions import Positions, digest, inputs_of, played, rows_of, summed, worst_of
from workloads import Workload

N_BATCH, N_POSITIONS, N_IN, N_OUT = 2, 5, 24, 16
EIE, CORE = eie_sim.MACHINE, tensorcore_sim.MACHINE
SPEC = eie_sim.Spec(n_pes=4, queue_depth=2)


def layer(**changes) -> Workload:
    """Return a layer of whole numbers, each position with another share of zeros."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-4, 5, (N_OUT, N_IN)) * (rng.random((N_OUT, N_IN)) < 0.4)
    n_rows = N_BATCH * N_POSITIONS
    rows = rng.integers(1, 9, (n_rows, N_IN)) * (rng.random((n_rows, N_IN)) < np.linspace(0, 1, n_rows)[:, None])
    return replace(Workload(name="l", weights=weights, activations=rows, positions=N_POSITIONS, relu=False), **changes)


def total(counts: list[dict], times=None) -> dict:
    """Return the sum of tables of counts, added by hand."""
    times = times or [1] * len(counts)
    return {key: sum(n * of_run[key] for of_run, n in zip(counts, times, strict=True)) for key in counts[0]}


@pytest.mark.parametrize("engine", EIE.engines)
@pytest.mark.parametrize("index", range(N_BATCH))
def test_eie_takes_the_sum_of_the_positions(engine, index):
    whole = layer()
    image = eie_sim.encode(whole, SPEC)
    signal = inputs_of(whole)[index]
    run = played(EIE.simulate, image, signal, SPEC, engine=engine, check=True)
    rows = whole.activations[index * N_POSITIONS : (index + 1) * N_POSITIONS]
    runs = [EIE.simulate(image, row, SPEC, engine=engine, check=True) for row in rows]
    assert run.cycles == sum(one.cycles for one in runs)
    assert run.time_us == pytest.approx(sum(one.time_us for one in runs))
    assert run.actions == total([one.actions for one in runs])
    assert run.states == {kind: total([one.states[kind] for one in runs]) for kind in run.states}
    assert run.load_balance == pytest.approx(sum(one.cycles * one.load_balance for one in runs) / run.cycles)
    assert run.measures["positions"] == N_POSITIONS
    assert "positions_run" not in run.measures
    np.testing.assert_array_equal(run.values, [one.values for one in runs])
    assert run.check["passed"]


def test_the_engines_of_eie_agree():
    whole = layer()
    image = eie_sim.encode(whole, SPEC)
    for signal in inputs_of(whole):
        runs = [played(EIE.simulate, image, signal, SPEC, engine=engine) for engine in EIE.engines]
        one, other = (replace(run, engine="", spec={}) for run in runs)
        assert one == other


@pytest.mark.parametrize("engine", CORE.engines)
def test_the_tensor_core_takes_positions_side_by_side(engine):
    """As many columns of the product, whether they are of one input or of several."""
    whole, spec = layer(), CORE.design(None, {"sparsity": "dense"})
    alike = replace(whole, positions=1)
    rows = whole.activations
    runs = [CORE.simulate(tensorcore_sim.encode(one, spec), rows, spec, engine=engine) for one in (whole, alike)]
    for name in ("cycles", "time_us", "actions", "states", "output_sha256"):
        assert getattr(runs[0], name) == getattr(runs[1], name)
    np.testing.assert_array_equal(runs[0].values, whole.activations @ whole.weights.T)
    assert runs[0].measures["gemm"].startswith(f"{N_OUT} x {N_BATCH * N_POSITIONS} x {N_IN},")


# Samples


@pytest.mark.parametrize(("n", "times"), [(1, [10]), (3, [4, 3, 3]), (4, [3, 3, 2, 2]), (10, [1] * 10)])
def test_the_rows_of_a_sample_count_as_often_as_makes_all(n, times):
    assert Positions(np.zeros((n, 2)), 10).times == times


def test_a_sample_stands_for_all():
    """The error is that of a total, drawn without putting back: N sqrt((1 - n / N) s**2 / n)."""
    n, n_all = 3, N_POSITIONS
    part = layer().sample(n)
    image = eie_sim.encode(part, SPEC)
    signal = inputs_of(part)[1]
    run = played(EIE.simulate, image, signal, SPEC, engine="schedule")
    runs = [EIE.simulate(image, row, SPEC, engine="schedule") for row in part.activations[n:]]
    times, cycles = [2, 2, 1], np.array([one.cycles for one in runs])
    assert run.cycles == np.dot(times, cycles)
    assert run.actions == total([one.actions for one in runs], times)
    assert run.states == {kind: total([one.states[kind] for one in runs], times) for kind in run.states}
    error = n_all * np.sqrt((1 - n / n_all) * cycles.var(ddof=1) / n)
    assert error > 0
    assert run.measures["cycles_standard_error"] == pytest.approx(error)
    assert (run.measures["positions"], run.measures["positions_run"]) == (n_all, n)
    said = f"3 of 5 positions ran, drawn with seed 0, and stand for all: cycles +- {100 * error / run.cycles:.2g}%"
    assert run.notes[0].startswith(said)


def test_the_error_of_one_position_is_not_known():
    part = layer().sample(1)
    run = played(EIE.simulate, eie_sim.encode(part, SPEC), inputs_of(part)[1], SPEC, engine="schedule")
    assert run.notes[0].startswith("1 of 5 positions ran")
    assert "an unknown error" in run.notes[0]


def test_the_rows_of_a_sample_are_the_rows_of_each_input():
    whole, part = layer(), layer().sample(2)
    all_rows = whole.activations.reshape(N_BATCH, N_POSITIONS, N_IN)
    rows = part.activations.reshape(N_BATCH, 2, N_IN)
    places = [[int(np.flatnonzero((all_rows[i] == row).all(1))[-1]) for row in rows[i]] for i in range(N_BATCH)]
    assert places[0][0] < places[0][1]
    assert places[0] == places[1]
    assert layer().sample(N_POSITIONS).sampled is None
    assert layer().sample(2).sample(3).sampled == 2


def test_samples_of_different_sizes_are_told_apart():
    rows = np.zeros((2, 3), np.float32)
    digests = [digest(Positions(rows, 2)), digest(Positions(rows, 3)), digest(rows), digest(None)]
    assert len(set(digests)) == len(digests)


def test_all_positions_must_pass_and_the_largest_error_counts():
    whole = layer()
    run = EIE.simulate(eie_sim.encode(whole, SPEC), whole.activations[0], SPEC)
    runs = [replace(run, check={"passed": e < 0.3, "max_error": e}) for e in (0.1, 0.3, 0.2)]
    assert summed(runs, [1, 1, 1]).check == {"passed": False, "max_error": 0.3}


def test_notes_are_said_once_with_how_many_positions_have_them():
    whole = layer()
    image = eie_sim.encode(whole, SPEC)
    runs = [EIE.simulate(image, row, SPEC, engine="schedule") for row in whole.activations[:3]]
    notes = [("3 sums cut", "b"), ("b",), ("12 sums cut", "b")]
    noted = [replace(run, notes=of_run) for run, of_run in zip(runs, notes, strict=True)]
    assert summed(noted, [1, 1, 1]).notes == ("3 sums cut (in 2 of 3 positions alike)", "b")


# Groups


def blocks(n_groups: int, n_out: int, n_in: int) -> np.ndarray:
    """Return a matrix of dense blocks of whole numbers on its diagonal, none of them 0."""
    rng = np.random.default_rng(1)
    matrix = np.zeros((n_groups * n_out, n_groups * n_in), np.float32)
    for group in range(n_groups):
        block = rng.integers(1, 8, (n_out, n_in))
        matrix[group * n_out : (group + 1) * n_out, group * n_in : (group + 1) * n_in] = block
    return matrix


@pytest.mark.parametrize("engine", EIE.engines)
def test_a_depthwise_convolution_on_eie(engine):
    """Known from another simulator of the same rules: 298 cycles at each position of 32 channels on 16 PEs."""
    whole = Workload(
        name="dw",
        weights=blocks(32, 1, 9),
        bias=np.ones(32),
        activations=np.ones((2, 288)),
        positions=2,
        groups=32,
    )
    spec = eie_sim.Spec(n_pes=16)
    (signal,) = inputs_of(whole)
    run = played(EIE.simulate, eie_sim.encode(whole, spec), signal, spec, engine=engine, check=True)
    assert run.cycles == 2 * 298
    np.testing.assert_array_equal(run.values[0], whole.weights.sum(1) + 1)


@pytest.mark.parametrize("sparsity", ["dense", "2:4"])
def test_the_tensor_core_takes_groups_as_a_product_each(sparsity):
    """m, n, k of one group, as often as there are groups; whole numbers this small are exact in half precision."""
    n_groups, n_out, n_in = 4, 8, 16
    matrix = blocks(n_groups, n_out, n_in)
    if sparsity == "2:4":
        matrix[:, 0::4] = matrix[:, 3::4] = 0
    rows = np.random.default_rng(2).integers(0, 5, (N_BATCH * N_POSITIONS, n_groups * n_in))
    whole = Workload(name="g", weights=matrix, activations=rows, positions=N_POSITIONS, groups=n_groups)
    spec = CORE.design(None, {"sparsity": sparsity})
    run = CORE.simulate(tensorcore_sim.encode(whole, spec), whole.activations, spec, check=True)
    problem = tensorcore_sim.Problem(m=n_out, n=(N_BATCH * N_POSITIONS,) * n_groups, k=n_in)
    _, books, _ = tensorcore_sim.time_gemm(problem, spec)
    assert (run.cycles, run.actions) == (books.cycles, books.actions)
    assert run.measures["gemm"].startswith(f"4 * 8 x {N_BATCH * N_POSITIONS} x 16,")
    np.testing.assert_array_equal(run.values, rows @ matrix.T)


def test_two_of_four_positions_give_an_error():
    """Two that differ by d have s**2 = d**2 / 2, and 4 sqrt((1 - 2 / 4) s**2 / 2) is sqrt(2) d."""
    whole = layer()
    image = eie_sim.encode(whole, SPEC)
    one, other = (EIE.simulate(image, whole.activations[i], SPEC, engine="schedule") for i in (1, 8))
    assert one.cycles < other.cycles
    run = summed([one, other], [2, 2])
    error = np.sqrt(2) * (other.cycles - one.cycles)
    assert run.measures["cycles_standard_error"] == pytest.approx(error)
    assert f"cycles +- {100 * error / (2 * one.cycles + 2 * other.cycles):.2g}% (standard error)" in run.notes[0]
    assert "cycles +- an unknown error (standard error)" in summed([one], [4]).notes[0]


def test_one_comparison_is_its_own_worst():
    assert worst_of([{"passed": True, "error": 0.5}]) == {"passed": True, "error": 0.5}


def test_the_rows_of_one_input_and_of_its_positions():
    row, rows = np.arange(3.0), np.ones((2, 3))
    assert rows_of(row) is row
    assert rows_of(Positions(rows, 2)) is rows


def test_an_input_played_by_itself_is_input_0():
    whole = layer()
    row = whole.activations[0]
    assert played(EIE.simulate, eie_sim.encode(whole, SPEC), row, SPEC, engine="schedule").input == 0
