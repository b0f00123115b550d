"""What does one operator take on a card: by bytes, by operations, by links, and what bounds it?"""

import pytest

from cyclekit.serving.cost import COMPUTE, LAUNCH, LINK, MEMORY
from tensorcore_sim import PRESETS, Problem, time_gemm
from tensorcore_sim.operators.frameworks import FRAMEWORKS
from tensorcore_sim.operators.serves import SERVES, cost
from workloads import BadInput, Shape
from workloads.transformers.operators import AllReduce, Attention, Movement, Operator

A100, H100 = PRESETS["a100-sxm-80gb"], PRESETS["h100-sxm"]


def of(kind, work, spec=A100, cached_bits=16):
    return cost(Operator(name=kind, kind=kind, count=1, work=work), spec, cached_bits)


def test_a_product_is_the_cards_own_gemm():
    spec = A100.replace(kernels="cublas")
    own = of("gemm", Shape(name="w", n_out=4096, n_in=1024, batch=512), spec)
    _, books, measures = time_gemm(Problem(m=4096, n=512, k=1024), spec, baseline=False)
    assert own.time_us == books.cycles / spec.clock_mhz
    assert own.flops == 2 * 4096 * 1024 * 512
    assert own.energy_uj == pytest.approx(measures["power_w"] * own.time_us)


@pytest.mark.parametrize(("batch", "side", "bound"), [(1, 8192, MEMORY), (8192, 8192, COMPUTE), (1, 64, LAUNCH)])
def test_what_bounds_a_product(batch, side, bound):
    assert of("gemm", Shape(name="w", n_out=side, n_in=side, batch=batch)).bound == bound


def test_a_norm_walks_its_row_or_waits_for_memory():
    """data/kernels.csv, ampere: 2 us and 0.75 us of each 1,024 elements; 0.392 of 2,039 GB/s."""
    one = of("norm", Movement(rows=1, row=4096, n_bytes=2 * 4096 * 2))
    assert (one.time_us, one.bound) == (2.0 + 0.75 * 4, LAUNCH)
    many = of("norm", Movement(rows=8192, row=4096, n_bytes=8192 * 4096 * 4))
    assert many.time_us == pytest.approx(8192 * 4096 * 4 / (0.392 * 2039e3))
    assert many.bound == MEMORY


def test_attention_of_a_prompt_multiplies_and_of_a_step_reads():
    """ampere: 0.6 of 312 TFLOPS (1,024 multiply-adds of 108 SMs at 1,410 MHz), 0.7 of the bandwidth."""
    heads = {"n_heads": 32, "n_kv_heads": 32, "head_dim": 128}
    prompt = of("attention", Attention(n_sequences=4, n_new=2048, n_context=2048, **heads))
    peak = 2 * 1024 * 108 * 1410e6
    assert prompt.time_us == pytest.approx(4 * 32 * 128 * 4 * 2048 * 2049 / 2 / (0.6 * peak) * 1e6)
    assert prompt.bound == COMPUTE
    work = Attention(n_sequences=16, n_new=1, n_context=4096, **heads)
    step = of("attention", work)
    queries = 2 * 16 * 32 * 128 * 2
    assert step.time_us == pytest.approx((2 * 16 * 32 * 128 * 4096 * 2 + queries) / (0.7 * 2039e3))
    assert step.bound == MEMORY
    assert of("attention", work, cached_bits=8).n_bytes == pytest.approx(step.n_bytes / 2, rel=0.001)


def test_the_energy_of_attention_is_its_bytes_its_multiply_adds_and_what_the_card_draws_at_any_clock():
    """A100: 60 W, 9.9 pJ a bit and 1.5 pJ a multiply-add for each of the 1.41 GHz."""
    work = Attention(n_sequences=16, n_new=1, n_context=4096, n_heads=32, n_kv_heads=32, head_dim=128)
    own = of("attention", work)
    macs, bits = 16 * 32 * 128 * 2 * 4096, 8 * (2 * 16 * 32 * 128 * 4096 * 2 + 2 * 16 * 32 * 128 * 2)
    assert own.energy_uj == pytest.approx(60 * own.time_us + (1.5 * macs + 9.9 * bits) * 1.41 / 1e6)


@pytest.mark.parametrize(
    ("n_bytes", "time_us"),
    [(1024, 13.02), (16384, 17.39), (1 << 30, 7219.0), (4, 12.52)],  # LLMCompass, four A100; no less than the least
)
def test_a_sum_over_four_a100_takes_what_was_measured(n_bytes, time_us):
    own = of("all_reduce", AllReduce(n_bytes=n_bytes, n_cards=4))
    assert (own.time_us, own.bound) == (pytest.approx(time_us), LINK)


def test_between_two_sizes_the_sum_lies_between_and_beyond_the_last_goes_on():
    between = of("all_reduce", AllReduce(n_bytes=8 * 2048 * 12288 * 2, n_cards=4)).time_us  # GPT-3's prompts
    assert between == pytest.approx(2890.9, rel=0.05)  # LLMCompass' own measurement of it
    last, twice = (of("all_reduce", AllReduce(n_bytes=n << 26, n_cards=8)).time_us for n in (1, 2))
    assert twice == pytest.approx(2 * last)


@pytest.mark.parametrize(("preset", "n_cards"), [("a100-sxm-80gb", 16), ("rtx-4090", 2), ("b200", 8)])
def test_cards_that_nobody_measured_together(preset, n_cards):
    with pytest.raises(BadInput, match=f"--cards must be 1, or one of 2, 4, 8 .*got {n_cards} of "):
        of("all_reduce", AllReduce(n_bytes=8, n_cards=n_cards), PRESETS[preset])


@pytest.mark.parametrize(
    ("weights", "sparsity", "bits", "in_dtype"),
    [
        ("f16", "dense", 16, "f16"),
        ("f16", "2:4", 9, "f16"),  # half of the values and 2 bits of each that is kept
        ("int8", "2:4", 5, "int8"),
        ("int4", "dense", 4.125, "f16"),  # and a scale of 16 bits for 128
    ],
)
def test_what_a_weight_takes(weights, sparsity, bits, in_dtype):
    own = SERVES.formats(A100, weights, None, sparsity)
    assert (own.weight_bits, own.activations) == (bits, in_dtype)
    assert (own.elsewhere.in_dtype, own.elsewhere.sparsity) == ("f16", "dense")


def test_the_kernels_are_those_that_were_measured_where_there_are_any():
    assert SERVES.formats(A100, "f16", None, "dense").block.kernels == "cublas"
    assert SERVES.formats(H100, "e4m3", None, "2:4").block.kernels == "cusparselt-searched"
    assert SERVES.formats(H100, "int8", None, "dense").block.kernels == "best"  # cuBLAS' int8 of Hopper: no rows
    assert SERVES.formats(A100.replace(kernels="cutlass"), "f16", None, "dense").block.kernels == "cutlass"


def test_peaks_are_the_data_sheets():
    assert SERVES.formats(A100, "f16", None, "dense").peak_tflops == pytest.approx(312, rel=0.002)
    assert SERVES.formats(H100, "e4m3", None, "2:4").peak_tflops == pytest.approx(1979, rel=0.002)


@pytest.mark.parametrize(
    ("preset", "weights", "activations", "match"),
    [
        ("a100-sxm-80gb", "e4m3", None, "weights must be of a format that a100 multiplies, f16, bf16, int8, int4"),
        ("a100-sxm-80gb", "f31", None, "unknown weights 'f31'"),
        ("a100-sxm-80gb", "int8", "f16", "activations must be int8 beside weights of int8, got 'f16'"),
        ("a100-sxm-80gb", "int4", "int8", "activations must be f16 or bf16 beside weights of int4"),
    ],
)
def test_formats_that_do_not_go_together(preset, weights, activations, match):
    with pytest.raises(BadInput, match=match):
        SERVES.formats(PRESETS[preset], weights, activations, "dense")


def test_an_unknown_framework():
    with pytest.raises(BadInput, match="unknown framework 'vlm', did you mean 'vllm'"):
        SERVES.framework("vlm", A100)
    assert SERVES.framework(None, A100).name == "tensorrt-llm"


def test_what_a_framework_rests_on_is_said():
    (note,) = SERVES.framework("vllm", H100).notes
    assert note.startswith("whole models measured with vllm on an H100 or H200: ")
    (note,) = SERVES.framework("vllm", PRESETS["rtx-4090"]).notes
    assert "an A100's, taken over: nothing was measured on rtx-4090" in note
    assert SERVES.framework("ideal", A100).notes == ()


@pytest.mark.parametrize("name", FRAMEWORKS)
@pytest.mark.parametrize("preset", ["a100-sxm-80gb", "h100-sxm", "t4", "b200"])
def test_every_framework_runs_on_every_card(name, preset):
    assert SERVES.framework(name, PRESETS[preset]).name == name
