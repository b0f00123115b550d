"""Are the presets the cards of their data sheets, and does each run what it has and refuse what it has not?"""

import numpy as np
import pytest

from cyclekit.command.cli import main
from tensorcore_sim import (
    MACHINE,
    PRESETS,
    Problem,
    cards,
    encode,
    fused_dot_add,
    gemm,
    latency,
    simulate,
    throughput,
    time_gemm,
)
from tensorcore_sim.arithmetic import instructions
from tensorcore_sim.spec import CARDS, PRESET_NOTES, SCALED
from workloads import BadInput, Workload
from workloads.files import read_table

ROWS = read_table("tensorcore_sim", "cards")
OTHERS = {row["preset"]: row["value"] for row in ROWS if row["field"] == "like"}

# What the vendor's documents quote, in dense TFLOPS or TOPS; of GeForce with f32 accumulation. Sources: data/cards.csv
QUOTED = {
    "t4": {"f16": 65, "int8": 130, "int4": 260},
    "rtx-2080-ti": {"f16": 56.9, "int8": 227.7, "int4": 455.4},
    "rtx-3090": {"f16": 71.2, "bf16": 71.2, "tf32": 35.6, "int8": 284.7, "int4": 569.4},
    "rtx-4090": {"f16": 165.2, "bf16": 165.2, "tf32": 82.6, "e4m3": 330.3, "int8": 660.6, "int4": 1321.2},
    "l40s": {"f16": 733 / 2, "bf16": 733 / 2, "tf32": 366 / 2, "e5m2": 1466 / 2, "int8": 1466 / 2, "int4": 1466 / 2},
    "rtx-5090": {"f16": 209.5, "bf16": 209.5, "tf32": 104.8, "e4m3": 419, "int8": 838, "nvfp4": 1676, "mxfp8": 419},
    "gh200": {"f16": 989.4, "tf32": 494.7, "e4m3": 1978.9, "int8": 1978.9},
    "b200": {"f16": 2250, "bf16": 2250, "tf32": 1125, "e4m3": 4500, "int8": 4500, "mxfp4": 9000, "mxfp8": 4500},
}
# GB/s, W, MiB of L2, KiB of shared memory that a block can have, SMs
MEMORY = {
    "t4": (320, 70, 4, 64, 40),
    "rtx-2080-ti": (616, 260, 5.5, 64, 68),
    "rtx-3090": (936, 350, 6, 99, 82),
    "rtx-4090": (1008, 450, 72, 99, 128),
    "l40s": (864, 350, 96, 99, 142),
    "rtx-5090": (1792, 575, 96, 99, 170),
    "gh200": (4000, 900, 50, 227, 132),
    "b200": (8000, 1000, 126, 227, 148),
}
LACKS = {
    "t4": ("bf16", "tf32", "e4m3"),
    "rtx-2080-ti": ("bf16", "tf32", "e4m3"),
    "rtx-3090": ("e4m3", "e5m2"),
    "rtx-4090": (),
    "l40s": (),
    "rtx-5090": ("int4",),
    "gh200": ("int4",),
    "b200": ("int4",),
}


@pytest.mark.parametrize("preset", QUOTED)
def test_the_peak_is_the_one_that_is_quoted(preset):
    spec = PRESETS[preset]
    for in_dtype, quoted in QUOTED[preset].items():
        peak = 2 * spec.fma_per_cycle(in_dtype) * spec.n_sms * spec.clock_mhz / 1e6
        assert peak == pytest.approx(quoted, rel=0.002), in_dtype
    bandwidth, watts, l2, shared, n_sms = MEMORY[preset]
    assert (spec.hbm_gb_per_s, spec.power_limit_w, spec.n_sms) == (bandwidth, watts, n_sms)
    assert (spec.l2_bytes, spec.shared_bytes_of_block) == (l2 * 2**20, shared * 2**10)


@pytest.mark.parametrize("preset", OTHERS)
def test_energies_are_the_measured_card_s_at_the_highest_clock(preset):
    spec, measured = PRESETS[preset], PRESETS[OTHERS[preset]]
    if preset not in ("rtx-3090", "t4", "rtx-2080-ti"):  # 4N processes: Hopper's, though the mma is like A100's
        measured = PRESETS["h100-sxm"]
    for name in ("hbm_pj_per_bit_ghz", "f16_pj_per_ghz", "tf32_pj_per_ghz", "fp8_pj_per_ghz", "int8_pj_per_ghz"):
        rate = getattr(spec, name.replace("_pj_per_ghz", "_fma_per_cycle"))  # of HBM the energy itself
        own, model = (getattr(design, name) * design.clock_mhz for design in (spec, measured))
        assert own == pytest.approx(model if rate else 0, rel=0.005), name
    assert spec.static_w / spec.n_sms == pytest.approx(measured.static_w / measured.n_sms, rel=0.005)


def test_every_row_says_where_it_is_from_and_every_card_what_it_is():
    assert [row for row in ROWS if not row["source"] and row["field"] != "note"] == []
    assert set(OTHERS) == set(QUOTED) == set(MEMORY) == set(LACKS)
    assert list(MACHINE.presets) == list(MACHINE.preset_notes) == list(PRESET_NOTES) == list(PRESETS)
    assert {spec.card for spec in PRESETS.values()} == set(CARDS)
    assert {*CARDS, "v100"} == set(instructions.CARDS)


def test_the_others_are_made_of_the_table_and_the_measured_ones():
    own = {preset: spec for preset, spec in PRESETS.items() if preset not in OTHERS}
    notes = {preset: PRESET_NOTES[preset] for preset in own}
    cards.add(own, notes)
    assert (own, notes) == (PRESETS, PRESET_NOTES)
    assert list(own)[-len(OTHERS) :] == list(OTHERS)
    # 60 W of 108 SMs and 100 W of 132, to a tenth; pJ at a GHz to a thousandth, by the clock: 1.5 x 1,410 / 1,695
    assert [own[name].static_w for name in ("rtx-3090", "t4", "b200", "gh200")] == [45.6, 22.2, 112.1, 100]
    assert (own["rtx-3090"].f16_pj_per_ghz, own["rtx-3090"].fp8_pj_per_ghz) == (1.248, 0)
    assert (own["rtx-3090"].int4_pj_per_ghz, own["rtx-3090"].hbm_pj_per_bit_ghz) == (0.312, 8.235)


@pytest.mark.parametrize("preset", OTHERS)
def test_a_format_that_the_card_lacks_is_refused(preset):
    for in_dtype in LACKS[preset]:
        spec = PRESETS[preset].replace(in_dtype=in_dtype)
        image = encode(Workload(name="w", weights=np.eye(64), activations=np.ones(64)), spec)
        with pytest.raises(BadInput, match=f"in_dtype '{in_dtype}' is not one of the tensor core's on {spec.card}"):
            simulate(image, np.ones((1, 64), np.float32), spec)


@pytest.mark.parametrize("preset", OTHERS)
def test_a_layer_s_values_are_the_card_s_own(preset):
    spec = PRESETS[preset]
    rng = np.random.default_rng(8)
    weights, activations = rng.standard_normal((5, 64)), rng.standard_normal((3, 64)).astype(np.float32)
    layer = Workload(name="w", weights=weights, activations=activations, relu=False)
    run = simulate(encode(layer, spec), activations, spec, check=True)
    name = {
        "t4": "mma.m16n8k8",
        "rtx-2080-ti": "mma.m16n8k8",
        "gh200": "wgmma.m64n256k16",
        "b200": "tcgen05.m128n256k16",
    }.get(preset, "mma.m16n8k16")
    a, b = weights.astype(np.float16), activations.T.astype(np.float16)
    asked = {"card": spec.card, "in_dtype": "f16", "out_dtype": "f32", "instruction": name}
    assert np.array_equal(run.outputs, gemm(a, b, np.zeros((5, 3), np.float32), **asked).T)
    assert run.check["passed"]


def test_the_same_sum_on_every_card():
    # Products of f16: 1 - 1 and 2**-24, 2**-25 and 2**-26 next to each other, and 2**-26 eight places on
    def sums(card, instruction, *terms):
        k = int(instruction.rsplit("k", 1)[1])
        a, b = np.zeros((1, k), np.float16), np.zeros((1, k), np.float16)
        a[0, :2], b[0, :2] = (1, -1), 1
        for place, exponent in terms:
            a[0, place], b[0, place] = 2.0 ** (exponent // 2), 2.0 ** (exponent - exponent // 2)
        asked = {"card": card, "in_dtype": "f16", "out_dtype": "f32", "instruction": instruction}
        return float(fused_dot_add(a, b, np.zeros(1, np.float32), **asked)[0])

    near, far = ((2, -25),), ((8, -26),)
    for card in ("a100", "rtx-3090", "l40s", "rtx-4090"):
        assert (sums(card, "mma.m16n8k16", *near), sums(card, "mma.m16n8k16", *far)) == (0, 2**-26)
    for card in ("h100", "h200", "gh200", "b200", "rtx-5090"):
        assert (sums(card, "mma.m16n8k16", *near), sums(card, "mma.m16n8k16", *far)) == (2**-25, 0)
    assert sums("b200", "tcgen05.m64n8k16", *near) == 2**-25
    assert (sums("t4", "mma.m16n8k8", *near), sums("t4", "mma.m16n8k8", (7, -24))) == (0, 2**-24)


# Timing of instructions


@pytest.mark.parametrize(
    ("preset", "instruction", "in_dtype", "cycles"),
    # m16 n8 k products of a warp through a quarter of the SM's rate, in whole passes
    [
        ("t4", "mma.m16n8k8", "f16", 8),
        ("t4", "mma.m8n8k16", "int8", 8),
        ("rtx-3090", "mma.m16n8k16", "f16", 32),
        ("rtx-4090", "mma.m16n8k32", "e4m3", 32),
        ("rtx-4090", "mma.sp.m16n8k16", "f16", 16),  # no floor under small mma.sp, but one pass
        ("l40s", "mma.m16n8k16", "bf16", 16),
        ("l40s", "mma.m16n8k32", "int8", 16),
        ("rtx-5090", "mma.m16n8k32", "int8", 16),
        ("rtx-5090", "mma.m16n8k64", "nvfp4", 16),
        ("rtx-5090", "mma.sp.m16n8k128", "mxfp4", 16),
        ("rtx-5090", "mma.sp.m16n8k64", "mxfp8", 32),
    ],
)
def test_an_mma_holds_the_tensor_core_for_its_products(preset, instruction, in_dtype, cycles):
    spec = PRESETS[preset].replace(loop_overhead_more_warps_cycles=0.1, n_subcores=4)
    found = throughput(instruction, spec, in_dtype=in_dtype, n_warps=8, ilp=4)
    assert found.period_cycles == pytest.approx(2 * 4 * cycles, abs=0.3)


def test_a_pass_more_takes_no_less_than_it_holds():
    assert latency("mma.m16n8k8", PRESETS["t4"]) == 17.3
    assert latency("mma.m16n8k16", PRESETS["rtx-3090"]) == pytest.approx(17.7 + 16)


@pytest.mark.parametrize(
    ("instruction", "in_dtype", "cycles"),
    # 128 x 256 x 16 products at 4,096 a cycle; A and B through 128 B/clk: 4,096 + 8,192 bytes, sparse 4,096 + 16,384
    [
        ("tcgen05.m128n256k16", "f16", 128),
        ("tcgen05.m128n256k32", "e4m3", 128),
        ("tcgen05.sp.m128n256k32", "f16", 160),
        ("tcgen05.m64n256k16", "f16", 80),
        ("tcgen05.m128n256k64", "nvfp4", 128),
        ("tcgen05.sp.m128n256k128", "mxfp4", 160),
        ("tcgen05.m128n256k32", "mxfp8", 128),
    ],
)
def test_tcgen05_takes_the_longer_of_its_products_and_its_bytes(instruction, in_dtype, cycles):
    spec = PRESETS["b200"]
    assert throughput(instruction, spec, in_dtype=in_dtype, a_from="shared", n_warps=1).period_cycles == cycles


@pytest.mark.parametrize("in_dtype", SCALED)
def test_block_scaled_formats_are_blackwell_s_and_their_values_are_not_computed(in_dtype):
    for preset, instruction in (("h100-sxm", "wgmma.m64n8k32"), ("rtx-4090", "mma.m16n8k64")):
        assert PRESETS[preset].fma_per_cycle(in_dtype) == 0
        with pytest.raises(BadInput, match=f"there is no .*mma for {in_dtype} on {PRESETS[preset].card}"):
            throughput(instruction, PRESETS[preset], in_dtype=in_dtype)
    work = Workload(name="w", weights=np.eye(64), activations=np.ones(64))
    zeros = np.zeros((1, 64), np.uint8), np.zeros((1, 64), np.uint8), np.zeros(1, np.float32)
    with pytest.raises(BadInput, match=f"in_dtype '{in_dtype}' is not computed: .* one source alone"):
        fused_dot_add(*zeros, card="rtx-5090", in_dtype=in_dtype, out_dtype="f32", instruction="mma.m16n8k64")
    for spec in (PRESETS["h100-sxm"].replace(in_dtype=in_dtype), PRESETS["rtx-4090"].replace(in_dtype=in_dtype)):
        with pytest.raises(BadInput, match=r"is not one of the tensor core's on .*: take preset rtx-5090 or b200"):
            time_gemm(Problem(m=64, n=64, k=64), spec)
    with pytest.raises(
        BadInput, match=f"in_dtype must be one without block scales to show its tiles, got '{in_dtype}'"
    ):
        MACHINE.explain(work, PRESETS["rtx-5090"].replace(in_dtype=in_dtype), 0, 0)


def test_a_t4_has_no_sparse_instruction():
    with pytest.raises(BadInput, match=r"sparsity must be dense on t4, which has no mma\.sp, got '2:4'"):
        PRESETS["t4"].replace(sparsity="2:4")
    assert PRESETS["t4"].replace(sparsity="1:4").sparse  # a what-if that no card has


def test_the_list_names_them(capsys):
    assert main(["list", "presets"]) == 0
    told = capsys.readouterr().out
    assert all(f"tensorcore  {preset} " in told for preset in PRESETS)
    assert "two dies with 180 GB of HBM3e" in told
