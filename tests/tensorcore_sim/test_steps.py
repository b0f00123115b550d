"""Do the steps of a sparse instruction pick the values of B that its weights meet, and add up to the run's outputs?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorcore_sim import MACHINE, PRESETS, encode, simulate
from tensorcore_sim.explain.steps import MATRICES, SUMS
from workloads import BadInput, Workload, load
from workloads.records import Shape

AMPERE, HOPPER = (PRESETS[name].replace(sparsity="2:4") for name in ("a100-sxm-40gb", "h100-sxm"))
# design, columns of its instruction, columns of a group, elements kept together
CASES = [
    (AMPERE, 32, 4, 1),
    (AMPERE.replace(in_dtype="bf16"), 32, 4, 1),
    (AMPERE.replace(in_dtype="tf32"), 16, 2, 1),
    (AMPERE.replace(in_dtype="int8"), 64, 4, 1),
    (AMPERE.replace(in_dtype="int4"), 128, 8, 2),
    (HOPPER.replace(in_dtype="e4m3"), 64, 4, 1),
]


def shown(workload, spec, n_units=None):
    """Return a run of the whole batch, and its steps."""
    image = encode(workload, spec)
    run = simulate(image, workload.activations, spec)
    options = {"begin": 0, "end": run.cycles, "n_units": n_units}
    return run, list(MACHINE.steps(run, image, workload.activations, spec, **options))


def small(seed, columns, group, together):
    """Return a layer within one instruction, at most half of each group kept, in elements or pairs, and few inputs."""
    rng = np.random.default_rng(seed)
    m, n_groups, n = rng.integers(1, 9), rng.integers(1, columns // group + 1), rng.integers(1, 9)
    units = group // together
    mask = rng.random((m, n_groups, units)).argsort(axis=2) < units // 2
    mask &= rng.random(mask.shape) < rng.choice([0.3, 0.7, 1.0])
    weights = rng.standard_normal((m, n_groups * group)) * np.repeat(mask, together, axis=2).reshape(m, -1)
    activations = rng.standard_normal((n, n_groups * group))
    return Workload(name="small", weights=weights, activations=activations, relu=False)


def test_the_lecture_s_example_by_hand():
    # The matrix of workloads/catalogue.py. Of fewer than two non-zeros zeros are kept beside them: (0 0 3 0) keeps
    # places 2 and 3, and so does (0 0 0 0), as PyTorch fills them (FILLING in tensorcore_sim/format/image.py).
    _, (matrices, *rows) = shown(load("lecture-2:4"), AMPERE)
    assert [(row["compressed"], row["indices"]) for row in matrices.tables[MATRICES]] == [
        ([1, 2, 3, 4], [0, 3, 1, 2]),
        ([5, 6, 1, 2], [1, 3, 0, 2]),
        ([3, 0, 0, 0], [2, 3, 2, 3]),
        ([4, 5, 6, 1], [0, 1, 2, 3]),
    ]
    first, second, sums = rows[0].tables.values()
    assert [list(row.values()) for row in first] == [
        ["0 to 3", [1, 2], [0, 3], [1, 2, 3, 4], [1, 4], [1, 8]],
        ["4 to 7", [3, 4], [1, 2], [5, 6, 7, 8], [6, 7], [18, 28]],
    ]
    assert [row["products"] for row in second] == [[2, 6], [3, -8]]
    assert [list(row.values()) for row in sums] == [[0, 55, 55], [1, 3, 3]]
    assert [[row["sum"] for row in step.tables[SUMS]] for step in rows[1:]] == [[53, 14], [9, -3], [64, -3]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].card}-{case[0].in_dtype}")
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_picked_multiplied_and_added_is_the_run(case, seed):
    spec, *layout = case
    group = layout[1]
    run, (matrices, *rows) = shown(workload := small(seed, *layout), spec)
    scale = encode(workload, spec).scale * scale_of_inputs(workload, spec)
    for row, (step, stored) in enumerate(zip(rows, matrices.tables[MATRICES], strict=True)):
        assert not np.array(stored["A"])[workload.weights[row] == 0].any()
        *inputs, sums = step.tables.values()
        for index, (of_input, end) in enumerate(zip(inputs, sums, strict=True)):
            dense, b = np.array(stored["A"]), np.concatenate([part["B"] for part in of_input])
            assert [value for part in of_input for value in part["A"]] == stored["compressed"]
            for place, part in enumerate(of_input):
                left = dense[place * group : (place + 1) * group]
                products = np.array(part["products"])
                assert products.sum() == (left * part["B"]).sum()
                assert set(part["picked"]) <= set(part["B"])
                assert sorted(products[products != 0]) == sorted((left * part["B"])[left * part["B"] != 0])
            assert len(b) == len(dense)
            assert end["output"] == run.outputs[index, row] == np.float32(end["sum"] * scale)
            assert end["sum"] == pytest.approx(float(dense @ b), rel=1e-2, abs=1e-2 * np.abs(dense * b).sum())


def scale_of_inputs(workload, spec):
    """Return what the rounded inputs are to be multiplied with: the largest becomes the format's full scale."""
    full = {"int8": 127.0, "int4": 7.0, "e4m3": 448.0}.get(spec.in_dtype)
    return float(np.abs(workload.activations).max()) / full if full else 1.0


def test_of_a_large_layer_the_first_instruction_is_shown_and_that_is_said():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((40, 64)) * np.tile([1, 1, 0, 0], 16)
    workload = Workload(name="large", weights=weights, activations=rng.standard_normal((20, 64)))
    _, (first, *rows) = shown(workload, AMPERE)
    assert first.lines[-1] == (
        "shown: rows 0 to 15 of 40, inputs 0 to 7 of 20, and what the first instruction adds: columns 0 to 31 of 64"
    )
    assert (len(rows), len(rows[0].tables)) == (16, 8 + 1)
    assert len(shown(workload, AMPERE, n_units=3)[1]) == 1 + 3


@pytest.mark.parametrize(
    ("workload", "spec", "said"),
    [
        (Shape(name="sizes", n_out=16, n_in=16, batch=4), AMPERE, "--steps needs values, and sizes is sizes alone"),
        (load("lecture-2:4"), PRESETS["a100-sxm-40gb"], "--set sparsity=2:4, got 'dense'"),
        (load("lecture-2:4"), AMPERE.replace(sparsity="2:8"), "--set sparsity=2:4, got '2:8'"),
    ],
)
def test_what_has_no_steps_is_refused(workload, spec, said):
    signal = None if isinstance(workload, Shape) else workload.activations
    if spec.sparsity == "2:8":
        weights = workload.weights * np.float32([1, 1, 1, 1, 0, 0, 0, 0])
        workload = Workload(name="what-if", weights=weights, activations=signal)
    image = encode(workload, spec)
    run = simulate(image, signal, spec)
    with pytest.raises(BadInput, match=said):
        list(MACHINE.steps(run, image, signal, spec, begin=0, end=run.cycles, n_units=None))
