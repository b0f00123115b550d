"""Are a layer's values right in every format, and is a Run what was asked for?"""

import json
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from cyclekit.command.cli import main
from cyclekit.machine import load
from cyclekit.run import Run
from tensorcore_sim import PRESETS, encode, simulate
from tensorcore_sim.format.operand import to_reals
from tensorcore_sim.simulate import estimate
from tensorcore_sim.simulate import simulate as simulate_gemm
from workloads import Layer, Network, Workload
from workloads.records import Shape

A100, H100 = PRESETS["a100-sxm-80gb"], PRESETS["h100-sxm"]
CASES = [(A100, name) for name in ("f16", "bf16", "tf32", "int8", "int4")]
CASES += [(H100, name) for name in ("f16", "bf16", "tf32", "e4m3", "e5m2", "int8")]
# The largest value, which becomes the format's own where one is scaled to it, and half of its last place at 1
FULL = {"e4m3": 448, "e5m2": 57344, "int8": 127, "int4": 7}
ROUNDING = {"f16": 2**-11, "bf16": 2**-8, "tf32": 2**-11, "e4m3": 2**-4, "e5m2": 2**-3}


def each_case(function):
    return pytest.mark.parametrize(("preset", "in_dtype"), CASES, ids=lambda v: getattr(v, "architecture", v))(function)


def pruned(weights: np.ndarray, n: int, m: int) -> np.ndarray:
    """Return weights [out, in] with n of every m kept, the first and the last ones in turn."""
    rows, columns = np.indices(weights.shape)
    return np.where((columns + m // 2 * (rows % 2)) % m < n, weights, 0)


def operands(rng, in_dtype: str, shape) -> np.ndarray:
    """Return values that a format holds exactly, with sums that it adds exactly; the largest is there."""
    values = rng.choice([-1, -0.5, 0.5, 1], shape) * FULL[in_dtype] if in_dtype in ("e4m3", "e5m2") else None
    if values is None:
        most = min(FULL.get(in_dtype, 4), 7)
        values = rng.integers(-most, most + 1, shape).astype(float)
    values.flat[0] = FULL.get(in_dtype, 4)
    return values.astype(np.float32)


def run(weights, activations, spec, **options) -> Run:
    layer = Workload(name="w", weights=weights, activations=activations, relu=False)
    return simulate(encode(layer, spec), layer.activations, spec, **options)


# Values


@each_case
@pytest.mark.parametrize("sparsity", ["dense", "1:4"])
def test_values_do_not_hang_on_how_many_rows_are_multiplied_at_once(preset, in_dtype, sparsity, monkeypatch):
    rng = np.random.default_rng(6)
    layer = pruned(rng.standard_normal((7, 32)), 1, 4), rng.standard_normal((3, 32))
    spec = preset.replace(in_dtype=in_dtype, sparsity=sparsity)
    whole = run(*layer, spec)
    monkeypatch.setattr(sys.modules[estimate.__module__], "N_AT_ONCE", 2 * 32)  # the package gives the function
    assert np.array_equal(run(*layer, spec).outputs, whole.outputs)


@pytest.mark.parametrize("sparsity", ["dense", "2:4"])
def test_the_estimate_of_memory_covers_a_run(sparsity):
    n = 1024
    weights = pruned(np.random.default_rng(7).standard_normal((n, n)), 2, 4).astype(np.float32)
    layer, spec = Workload(name="w", weights=weights, activations=weights[:1]), A100.replace(sparsity=sparsity)
    simulate(encode(layer, spec), layer.activations, spec)  # so that compiled code is not counted
    tracemalloc.start()
    simulate(encode(layer, spec), layer.activations, spec)
    peak = tracemalloc.get_traced_memory()[1] + weights.nbytes
    tracemalloc.stop()
    estimated = estimate([layer], spec, engine="schedule", check=False)[1] - 200e6  # less Python with its libraries
    assert peak <= estimated <= 3 * peak


@each_case
@pytest.mark.parametrize("sparsity", ["dense", "2:4", "1:4", "4:16"])
def test_sums_that_every_step_holds_come_out_exactly(preset, in_dtype, sparsity):
    rng = np.random.default_rng(5)
    weights, activations = operands(rng, in_dtype, (9, 60)), operands(rng, in_dtype, (5, 60))
    if sparsity == "2:4":  # of tf32 one of two, of int4 two of four adjacent pairs
        pairs = {"tf32": (1, 2), "int4": (4, 8)}.get(in_dtype, (2, 4))
        weights = pruned(weights, *pairs)
    elif sparsity != "dense":
        weights = pruned(weights, *(int(part) for part in sparsity.split(":")))
    weights[0, 0] = FULL.get(in_dtype, 4)
    spec = preset.replace(in_dtype=in_dtype, sparsity=sparsity)
    found = run(weights, activations, spec, check=True)
    expected = activations.astype(np.float64) @ weights.T.astype(np.float64)
    assert np.array_equal(found.outputs, expected.astype(np.float32))
    assert found.check == {"passed": True, "largest_error": 0.0, "largest_error_over_bound": 0.0}
    assert [note for note in found.notes if "no card has it" in note] == (
        [] if sparsity in ("dense", "2:4") else [f"{sparsity} is a what-if: no card has it"]
    )


@each_case
def test_any_reals_are_within_the_formats_rounding(preset, in_dtype):
    rng = np.random.default_rng(6)
    weights, activations = rng.standard_normal((24, 300)), rng.standard_normal((7, 300))
    found = run(weights, activations, preset.replace(in_dtype=in_dtype), check=True)
    assert found.check["passed"]
    assert 0 <= found.check["largest_error_over_bound"] <= 1
    sizes = abs(activations) @ abs(weights).T
    if in_dtype in ROUNDING:  # of both operands, and the sums' own, far below
        allowed = 2.5 * ROUNDING[in_dtype] * sizes
        if in_dtype in ("e4m3", "e5m2"):  # below the smallest normal, half a step of the scaled grid
            allowed += sizes.max() * 2**-6
    else:  # half a step of the grid on either side
        steps = [abs(values).max() / FULL[in_dtype] for values in (weights, activations)]
        allowed = 0.5 * (steps[0] * abs(activations).sum(1)[:, None] + steps[1] * abs(weights).sum(1)) * 1.2
        allowed = allowed + 300 * steps[0] * steps[1]
    assert (abs(found.outputs - activations @ weights.T) <= allowed).all()


@pytest.mark.parametrize(("in_dtype", "wrong"), [("f16", lambda s: s * 1.001), ("int8", lambda s: s + (s == s.max()))])
def test_a_wrong_sum_does_not_pass_the_check(monkeypatch, in_dtype, wrong):
    right = simulate_gemm.__globals__["gemm"]
    monkeypatch.setitem(simulate_gemm.__globals__, "gemm", lambda *a, **how: wrong(right(*a, **how)))
    rng = np.random.default_rng(7)
    found = run(rng.standard_normal((8, 64)), rng.standard_normal((4, 64)), A100.replace(in_dtype=in_dtype), check=True)
    assert not found.check["passed"]
    assert found.check["largest_error"] > 0


def test_a_flipped_bit_of_the_image_is_seen_in_its_row_alone():
    weights, activations = np.ones((4, 32)), np.ones((1, 32))
    layer = Workload(name="w", weights=weights, activations=activations, relu=False)
    image = encode(layer, A100)
    bits = image.bits.copy()
    bits[2, 5] ^= 0x0200  # 1 becomes 1.5
    found = simulate(replace(image, bits=bits), activations, A100)
    assert found.outputs.tolist() == [[32, 32, 32.5, 32]]


def test_bias_and_relu_come_after_the_sum():
    layer = Workload(name="w", weights=[[1, 2], [-3, 1]], bias=[0.5, 1], activations=[[1, 1], [2, 7]])
    assert simulate(encode(layer, A100), layer.activations, A100).outputs.tolist() == [[3.5, 0], [16.5, 2]]


def test_a_row_of_a_batch_has_the_values_it_has_alone():
    rng = np.random.default_rng(8)
    weights, activations = rng.standard_normal((20, 100)), rng.standard_normal((6, 100))
    batch = run(weights, activations, A100).outputs
    for row, alone in zip(batch, activations, strict=True):
        assert np.array_equal(run(weights, alone, A100).outputs[0], row)


@pytest.mark.parametrize("group", [128, 32, 7])
@pytest.mark.parametrize("in_dtype", ["f16", "bf16"])
def test_int4_weights_lie_on_a_grid_of_fifteen_values_for_each_group(group, in_dtype):
    weights = np.random.default_rng(9).standard_normal((6, 300)).astype(np.float32)
    weights[2] = 0
    spec = A100.replace(int4_weights=True, scale_group=group, in_dtype=in_dtype)
    image = encode(Workload(name="w", weights=weights, activations=np.ones(300)), spec)
    values = to_reals(image.bits, in_dtype)
    for start in range(0, 300, group):
        for row, kept in zip(weights[:, start : start + group], values[:, start : start + group], strict=True):
            scale = float(np.float16(abs(row.astype(float)).max() / 7)) or 1.0
            steps = np.clip(np.rint(row / scale), -7, 7)
            assert np.allclose(kept, steps * scale, rtol=ROUNDING[in_dtype], atol=0)
            assert abs(kept - row).max() <= 0.5 * scale * (1 + 2**-6) + 7 * scale * ROUNDING[in_dtype]
    sparse = spec.replace(sparsity="2:4")
    found = run(pruned(weights, 2, 4), np.ones(300), sparse, check=True)
    assert found.check["passed"]


# Runs


def test_a_network_hands_its_outputs_on_as_they_are():
    rng = np.random.default_rng(10)
    first, second = rng.integers(-2, 3, (12, 20)), rng.integers(-2, 3, (5, 12))
    inputs = rng.integers(-2, 3, (3, 20)).astype(np.float32)
    network = Network(
        name="net", layers=(Layer(name="a", weights=first), Layer(name="b", weights=second, relu=False)), inputs=inputs
    )
    images = encode(network, A100)
    runs = simulate(images, inputs, A100, check=True)
    assert [found.workload for found in runs] == ["net/a", "net/b"]
    assert np.array_equal(runs[1].outputs, np.maximum(inputs @ first.T, 0) @ second.T)
    by_hand = simulate(images[1], simulate(images[0], inputs, A100), A100, check=True)
    assert by_hand == runs[1]
    assert np.array_equal(by_hand.outputs, runs[1].outputs)


def test_a_shape_takes_the_time_of_a_layer_of_its_sizes_and_has_no_values():
    spec = A100.replace(sparsity="2:4")
    shape = Shape(name="s", n_out=70, n_in=300, batch=9)
    weights = pruned(np.ones((70, 300)), 2, 4)
    timed, valued = simulate(encode(shape, spec), None, spec, check=True), run(weights, np.ones((9, 300)), spec)
    assert (timed.cycles, timed.actions, timed.states) == (valued.cycles, valued.actions, valued.states)
    assert (timed.outputs, timed.output_sha256, timed.check) == (None, "", None)
    assert timed.id != valued.id
    following = simulate(encode(Shape(name="t", n_out=8, n_in=70, batch=9), spec), timed, spec)
    assert following.outputs is None


@pytest.mark.parametrize("sparsity", ["dense", "2:4"])
def test_both_engines_give_one_identity_and_one_result(sparsity):
    spec = A100.replace(sparsity=sparsity, n_sms=5)
    weights = pruned(np.ones((130, 300)), 2, 4)
    events, schedule = (
        run(weights, np.ones((40, 300)), spec, engine=name).as_dict() for name in ("events", "schedule")
    )
    assert (events.pop("engine"), schedule.pop("engine")) == ("events", "schedule")
    assert events == schedule


def test_the_identity_knows_all_that_determines_the_result_and_nothing_else():
    rng = np.random.default_rng(11)
    weights, activations = rng.standard_normal((16, 32)), rng.standard_normal((4, 32))
    layer = Workload(name="w", weights=weights, activations=activations, bias=np.ones(16))
    int8 = A100.replace(in_dtype="int8")

    def id_of(layer=layer, spec=int8, **options):
        return simulate(encode(layer, spec), layer.activations, spec, **options).id

    other_weights, other_activations = weights.copy(), activations.copy()
    other_weights[3, 4] = 0
    other_activations[1, 7] = 0
    different = [
        id_of(),
        id_of(replace(layer, weights=other_weights)),
        id_of(replace(layer, weights=2 * weights)),  # the same patterns at another scale
        id_of(replace(layer, activations=other_activations)),
        id_of(replace(layer, activations=2 * activations)),
        id_of(replace(layer, activations=activations[:3])),
        id_of(replace(layer, bias=None)),
        id_of(replace(layer, bias=2 * np.ones(16))),
        id_of(replace(layer, relu=False)),
        id_of(spec=A100),
        id_of(spec=int8.replace(n_sms=107)),
        id_of(spec=int8.replace(tile_m=64)),
    ]
    for n_out, batch in ((16, 4), (16, 5), (17, 4)):
        shape = encode(Shape(name="s", n_out=n_out, n_in=32, batch=batch), int8)
        different.append(simulate(shape, None, int8).id)
    assert len(set(different)) == len(different)
    named = replace(layer, name="another")
    assert id_of() == id_of(named) == id_of(check=True) == id_of(engine="events")


def test_a_run_round_trips_through_the_commands_json(capsys):
    assert main(["run", "tensorcore", "512x512x512", "--set", "sparsity=2:4", "--json", "-"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    found = Run.from_dict(told)
    spec = load("tensorcore").design(None, {"sparsity": "2:4"})
    expected = simulate(encode(Shape(name="512x512x512", n_out=512, n_in=512, batch=512), spec), None, spec)
    assert found == expected.without_arrays()
    assert {"schema_version": "1.0", "command": "run"} | found.as_dict() == told
    for label in ("speed up", "lost to wave us", "sm compute [% of cycles]", "hbm read bytes"):
        assert label in printed.err
