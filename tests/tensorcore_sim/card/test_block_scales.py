"""Are GEMMs of block-scaled formats timed by the bytes of their values, places and scales, and by their own rates?"""

import numpy as np
import pytest

from cyclekit.command.cli import main
from tensorcore_sim import MACHINE, encode, simulate
from tensorcore_sim.actions import CardAction
from tensorcore_sim.card import bounds
from tensorcore_sim.card.choose import tiling
from tensorcore_sim.card.mainloop import step
from tensorcore_sim.card.tiling import Problem, Tiling, a_bits, b_bits, port_bytes, stage_bytes
from tensorcore_sim.format.blocks import BLOCKS, n_bytes
from tensorcore_sim.simulate import time_gemm
from tensorcore_sim.spec import PRESETS, SCALED, idle
from workloads import Layer, Network, Shape, Workload
from workloads.errors import BadInput

B200, RTX_5090 = PRESETS["b200"], PRESETS["rtx-5090"]


def design(in_dtype, sparsity="dense", card=B200, **changes):
    return card.replace(in_dtype=in_dtype, sparsity=sparsity, **changes)


@pytest.mark.parametrize(
    ("in_dtype", "sparsity", "a", "b"),
    # Of 4 bits: 8 for 16 values (nvfp4) or 32 (mxfp4); sparse, half of 4 + 1 for its place + its share of a scale
    [
        ("nvfp4", "dense", 4.5, 4.5),
        ("mxfp4", "dense", 4.25, 4.25),
        ("mxfp8", "dense", 8.25, 8.25),
        ("nvfp4", "2:4", 2.75, 4.5),
        ("mxfp4", "2:4", 2.625, 4.25),
        ("mxfp8", "2:4", 5.125, 8.25),
    ],
)
def test_bits_by_hand(in_dtype, sparsity, a, b):
    spec = design(in_dtype, sparsity)
    assert (a_bits(spec), b_bits(spec)) == (a, b)
    in_memory = n_bytes(96, 1280, in_dtype, sparse=sparsity == "2:4")  # the same, told by the format
    assert 96 * 1280 * a_bits(spec) / 8 == sum(in_memory.values())
    image = encode(Shape(name="s", n_out=96, n_in=1280, batch=1), spec)
    assert MACHINE.stored(image, spec) == in_memory | {"padding": 0}


def test_a_last_block_of_a_row_is_a_block():
    spec = design("mxfp4")
    image = encode(Shape(name="s", n_out=3, n_in=33, batch=1), spec)
    assert MACHINE.stored(image, spec)["scales"] == 3 * 2


def test_the_bounds_by_hand():
    problem = Problem(m=4096, n=4096, k=4096)
    for spec, matrices in ((design("nvfp4"), 9 + 9), (design("nvfp4", "2:4"), 5.5 + 9)):  # MiB of A and B
        assert bounds.hbm_bytes(problem, spec) == (matrices + 32) * 2**20  # and 2 bytes of a result
    # 16,384 multiply-adds a cycle of 148 SMs; of mxfp8 8,192; of the RTX 5090 2,048 and 512
    assert bounds.compute_cycles(problem, design("nvfp4")) == 4096**3 / (16384 * 148)
    assert bounds.compute_cycles(problem, design("mxfp4", "2:4")) == 4096**3 / (2 * 16384 * 148)
    assert bounds.compute_cycles(problem, design("mxfp8")) == 4096**3 / (8192 * 148)
    assert bounds.compute_cycles(problem, design("nvfp4", card=RTX_5090)) == 4096**3 / (2048 * 170)
    assert bounds.compute_cycles(problem, design("mxfp8", card=RTX_5090)) == 4096**3 / (512 * 170)


def kernel(spec, tile_m, tile_n, tile_k, **more):
    """Return a kernel of two stages with the k of the card's instruction: k64, sparse k128."""
    group_k = 128 if spec.sparse else 64
    return Tiling(tile_m=tile_m, tile_n=tile_n, tile_k=tile_k, n_stages=2, group_k=group_k, **more)


def test_a_k_step_by_hand():
    # 128 x 256 x 512: 36 KiB of A and 72 KiB of B; tensor cores 128 x 256 x 512 / 16,384 cycles. Of values alone,
    # 4 bits, A's 32 KiB and a quarter of B's 64 for each 64 rows pass the port (T38), 512 cycles of it
    spec = design("nvfp4")
    assert stage_bytes(128, 256, 512, spec) == (36 + 72) * 1024
    own = kernel(spec, 128, 256, 512, warps=(2, 1))
    assert port_bytes(own, spec) == (32 + 2 * 64) * 1024  # B for every 64 rows, as T38 has it
    assert step(own, spec, "schedule").ticks == 10 * 1024
    # Sparse, 1024 of k: as many products; 2.75 bits of A; 4 bits of each k of B
    spec = design("nvfp4", "2:4")
    assert stage_bytes(128, 256, 1024, spec) == (44 + 144) * 1024
    assert step(kernel(spec, 128, 256, 1024, warps=(2, 1)), spec, "schedule").ticks == 10 * 1024
    # mma: 8 x 16 x 2 instructions of 16 cycles on 4 sub-cores. Each of 2 x 2 warps loads 64 rows of both operands,
    # 4.5 bits of 64 k: 18 passes of 128 bytes
    spec = design("nvfp4", card=RTX_5090)
    own = kernel(spec, 128, 128, 128, warps=(2, 2))
    assert port_bytes(own, spec) == 4 * 2 * (18 + 18) * 128
    found = step(own, spec, "schedule")
    assert (found.n_mma, found.ticks) == (256, 10 * 64 * 16)


def test_what_a_gemm_moves_by_hand():
    # One tile of two k-steps: each chunk once, 4.5 bits; 256 x 64 x 1024 multiply-adds
    spec = design("nvfp4", tile_m=256, tile_n=64, tile_k=512, split_k=1, scheduler="grid")
    _, books, measures = time_gemm(Problem(m=256, n=64, k=1024), spec)
    counts = books.actions
    assert counts[CardAction.HBM_READ_BYTES] == counts[CardAction.L2_READ_BYTES] == (256 + 64) * 1024 * 4.5 / 8
    assert counts[CardAction.MACS] == 256 * 64 * 1024
    assert counts[CardAction.MMAS] == 4 * 1024 // 64
    assert measures["gemm"] == "256 x 64 x 1024, nvfp4"


@pytest.mark.parametrize("card", [B200, RTX_5090], ids=["b200", "rtx-5090"])
@pytest.mark.parametrize("in_dtype", SCALED)
def test_both_engines_are_one(card, in_dtype):
    for sparsity, problem in (("dense", Problem(m=300, n=70, k=1000)), ("2:4", Problem(m=200, n=(16, 40), k=520))):
        spec = design(in_dtype, sparsity, card, n_sms=4)
        events, schedule = (time_gemm(problem, spec, engine=engine) for engine in ("events", "schedule"))
        assert events[0].differences(schedule[0]) == []
        assert events[2] == schedule[2]


def test_a_tile_has_the_rows_of_tcgen05_with_block_scales():
    # m64 has none (CUTLASS, mma_sm100_umma.hpp), and n of m128 goes in sixteens
    assert tiling(Problem(m=64, n=8, k=512), design("nvfp4")).tile_m == 128
    assert tiling(Problem(m=64, n=8, k=512), design("e4m3")).tile_m == 64
    for changes, got in (({"tile_m": 64}, "64, 0, 0, 0"), ({"tile_n": 8}, "0, 8, 0, 0")):
        with pytest.raises(BadInput, match=f"must fit multiples of 128, 16 and .* got {got}"):
            tiling(Problem(m=64, n=8, k=512), design("nvfp4", **changes))


def test_four_bits_take_half_of_the_energy_of_eight():
    # H100's fp8 at the highest clock, 0.66 x 1830; half of it for each
    for spec in (B200, RTX_5090):
        assert spec.fp4_pj_per_ghz * spec.clock_mhz == pytest.approx(0.33 * 1830, rel=0.005)
        assert design("mxfp4", card=spec).fma_pj_per_ghz == spec.fp4_pj_per_ghz
        assert design("mxfp8", card=spec).fma_pj_per_ghz == spec.fp8_pj_per_ghz
    assert {name for name, spec in PRESETS.items() if spec.fp4_pj_per_ghz} == {"b200", "rtx-5090"}
    assert "fp4_pj_per_ghz" in idle(B200)
    assert "fp4_pj_per_ghz" not in idle(design("nvfp4"))


# Values


def layer(name="w", n_out=8, n_in=48, seed=3, pairs=(0, 2)):
    """Return weights that have only some of the four pairs of every eight columns."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((n_out, n_in // 8, 4, 2))
    weights[:, :, pairs] = rng.uniform(1, 2, (n_out, n_in // 8, len(pairs), 2))
    return Workload(name=name, weights=weights.reshape(n_out, n_in), activations=rng.standard_normal((6, n_in)))


@pytest.mark.parametrize("in_dtype", ["nvfp4", "mxfp4"])
def test_values_are_not_computed_and_the_run_says_so(in_dtype):
    spec, work = design(in_dtype, "2:4"), layer()
    run = simulate(encode(work, spec), work.activations[:5], spec)
    assert run.outputs is None
    assert f"no values: how {in_dtype} is added up, one source alone says" in run.notes
    assert run.measures["gemm"] == f"8 x 5 x 48, {in_dtype}"
    sizes = simulate(encode(Shape(name="s", n_out=8, n_in=48, batch=5), spec), None, spec)
    assert (sizes.time_us, sizes.actions) == (run.time_us, run.actions)
    assert not any(note.startswith("no values") for note in sizes.notes)  # it has none to compute
    for image, inputs in ((encode(work, spec), work.activations), (encode(Shape.of(work, 5), spec), None)):
        with pytest.raises(BadInput, match=f"in_dtype '{in_dtype}' is not computed: .* one source alone says"):
            simulate(image, inputs, spec, check=True)
    tracks = MACHINE.spans(run, encode(work, spec), spec, begin=0, end=10**9, n_units=1)
    assert [track.name for track in tracks] == ["SM 0"]


def test_a_network_is_timed_with_the_inputs_of_its_first_layer():
    spec = design("mxfp8")
    layers = [Layer(name=name, weights=layer(n_out=n, n_in=k).weights) for name, n, k in (("a", 24, 48), ("b", 8, 24))]
    network = Network(name="net", layers=layers, inputs=np.ones((7, 48)))
    images = encode(network, spec)
    runs = simulate(images, np.ones((4, 48), np.float32), spec)
    assert [run.measures["gemm"] for run in runs] == ["24 x 4 x 48, mxfp8", "8 x 4 x 24, mxfp8"]
    in_f16 = B200.replace(in_dtype="f16")  # which needs the values that are not there
    with pytest.raises(BadInput):
        simulate(encode(network, in_f16)[1], runs[0], in_f16)


@pytest.mark.parametrize("in_dtype", BLOCKS)
def test_weights_beyond_the_pattern_are_refused(in_dtype):
    spec = design(in_dtype, "2:4")
    pattern = "2:4" if in_dtype == "mxfp8" else "4:8 in pairs"
    with pytest.raises(BadInput, match=f"weights of w: matrix must be {pattern} for .*: prune to {pattern} first"):
        encode(layer(pairs=(0, 1, 3)), spec)
    encode(layer(pairs=(0, 1, 3)), design(in_dtype))


def test_scales_belong_to_the_weights():
    # Patterns and the matrix's scale are the same: only the second block's scale is twice as large
    one, two = np.ones((1, 32)), np.ones((1, 32))
    one[0, 0] = two[0, 0] = 6
    one[0, 16:], two[0, 16:] = 0.5, 0.25
    images = [encode(Workload(name="w", weights=w, activations=np.ones(32)), design("nvfp4")) for w in (one, two)]
    assert np.array_equal(images[0].bits, images[1].bits)
    assert images[0].scale == images[1].scale
    assert images[0].digest != images[1].digest


def test_the_command_times_them_and_refuses_what_it_cannot(capsys):
    assert main(["run", "tensorcore:b200", "512x512x512", "--set", "in_dtype=nvfp4"]) == 0
    assert "no measured GEMM of dense nvfp4 on b200" in capsys.readouterr().out
    refusals = {
        "in_dtype 'nvfp4' is not one of the tensor core's on a100: take preset rtx-5090 or b200": ["tensorcore"],
        "sparsity must be dense or 2:4 for nvfp4, got '1:4'": ["tensorcore:b200", "--set", "sparsity=1:4"],
        "have none for a multiply-add of nvfp4": ["tensorcore:b200", "--prices", "tpuv4i"],
        "kernels 'cublas' have none for nvfp4 here": ["tensorcore:b200", "--set", "kernels=cublas"],
        "in_dtype must be f16 or bf16 with int4_weights, got 'nvfp4'": ["tensorcore", "--set", "int4_weights=true"],
    }
    for line, (chosen, *more) in refusals.items():
        assert main(["run", chosen, "512x512x512", "--set", "in_dtype=nvfp4", *more]) == 2
        err = capsys.readouterr().err.strip().splitlines()
        assert len(err) == 1, err
        assert line in err[0]
