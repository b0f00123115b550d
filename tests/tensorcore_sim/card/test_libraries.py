"""Is a GEMM's kernel one of the library's own, does it fit the SM, and is a library refused that has none?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclekit.command.cli import main
from tensorcore_sim import PRESETS, Problem, time_gemm
from tensorcore_sim.card.choose import ACCUMULATORS_BYTES, tiling
from tensorcore_sim.card.tiling import stage_bytes
from workloads.errors import BadInput

A100, H100 = PRESETS["a100-pcie-80gb"], PRESETS["h100-pcie"]
problems = st.builds(Problem, m=st.integers(1, 9000), n=st.integers(1, 3000), k=st.integers(1, 9000))


@settings(max_examples=60)
@given(
    problems,
    st.sampled_from([A100, H100]),
    st.sampled_from(["best", "cutlass", "cusparselt", "cusparselt-searched"]),
    st.sampled_from(["dense", "2:4"]),
)
def test_the_blocks_of_an_sm_fit_its_shared_memory_and_registers(problem, preset, kernels, sparsity):
    spec = preset.replace(kernels=kernels, sparsity=sparsity)
    kernel = tiling(problem, spec)
    stage = stage_bytes(kernel.tile_m, kernel.tile_n, kernel.tile_k, spec)
    assert kernel.n_resident >= 1
    assert kernel.n_resident * kernel.n_stages * stage <= spec.shared_bytes_of_block
    assert kernel.n_resident * kernel.tile_m * kernel.tile_n * 4 <= ACCUMULATORS_BYTES
    assert 1 <= kernel.splits <= -(-problem.k // kernel.tile_k)


@settings(max_examples=30)
@given(problems, st.sampled_from([A100, H100]), st.sampled_from(["f16", "bf16"]))
def test_cusparselt_without_a_search_is_one_tile_of_256_by_128_and_cuts_no_k(problem, preset, in_dtype):
    # what its timings by PyTorch look like: ../docs/tensorcore.md
    kernel = tiling(problem, preset.replace(kernels="cusparselt", sparsity="2:4", in_dtype=in_dtype))
    assert (kernel.tile_m, kernel.tile_n, kernel.tile_k) == (256, 128, 64)
    assert (kernel.splits, kernel.scheduler, kernel.n_resident) == (1, "grid", 1)


# The whole list of CUTLASS' generator for SM80 16816, in elements of f16: tile, stages
CUTLASS_F16 = {
    (256, 128, 32, 3), (128, 256, 32, 3), (256, 64, 32, 3), (256, 64, 32, 4), (64, 256, 32, 4), (128, 128, 32, 3),
    (128, 128, 32, 4), (128, 128, 32, 5), (128, 64, 32, 6), (64, 128, 32, 6), (64, 64, 32, 10), (256, 128, 64, 3),
    (128, 256, 64, 3), (256, 64, 64, 4), (64, 256, 64, 4), (128, 128, 64, 4), (256, 64, 64, 3), (64, 256, 64, 3),
    (128, 128, 64, 3), (128, 64, 64, 3), (64, 128, 64, 3), (64, 64, 64, 5),
}  # fmt: skip


@settings(max_examples=30)
@given(problems, st.sampled_from(["cutlass", "cublas"]))
def test_dense_kernels_of_a100_are_cutlass_own(problem, kernels):
    kernel = tiling(problem, A100.replace(kernels=kernels))
    assert (kernel.tile_m, kernel.tile_n, kernel.tile_k, kernel.n_stages) in CUTLASS_F16
    assert kernel.splits <= (1 if kernels == "cutlass" else 4)


def test_the_dense_gemm_beside_cusparselt_s_takes_cublas_and_the_best_of_all_is_told():
    problem = Problem(m=2048, n=512, k=2048)
    _, _, sparse = time_gemm(problem, A100.replace(sparsity="2:4", kernels="cusparselt"))
    _, dense, measures = time_gemm(problem, A100.replace(kernels="cublas"))
    assert sparse["time_dense_us"] == dense.cycles / A100.clock_mhz
    _, best, of_best = time_gemm(problem, A100)
    assert measures["time_best_us"] == best.cycles / A100.clock_mhz
    assert "time_best_us" not in of_best


def test_asking_for_a_way_of_dealing_is_obeyed():
    problem = Problem(m=512, n=256, k=8192)
    for changes, told in (
        ({"split_k": 5}, ", k in 5"),
        ({"split_k": 1}, ""),
        ({"scheduler": "stream-k"}, ", stream-k"),
        ({"scheduler": "persistent"}, ", persistent"),
    ):
        _, _, measures = time_gemm(problem, A100.replace(**{"scheduler": "grid"} | changes))
        assert measures["tile"].partition(" stages")[2].replace(", 2 an SM", "").replace(", 4 an SM", "") == told


def test_cutting_k_helps_a_gemm_of_few_tiles_and_is_what_the_best_kernel_does():
    # 28 tiles of 128 x 256 and 296 k-steps of 64 on 108 SMs
    problem = Problem(m=3584, n=256, k=18944)
    whole, cut, best = (
        time_gemm(problem, A100.replace(power_limit_w=1e9, **changes), baseline=False)[1].cycles
        for changes in ({"scheduler": "grid", "split_k": 1}, {"scheduler": "grid", "split_k": 3}, {})
    )
    assert best <= cut < 0.8 * whole


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--set sparsity=2:4 --set kernels=cublas", "kernels must be best, cutlass, cusparselt or cusparselt-searched"),
        ("--set in_dtype=tf32 --set kernels=cublas", "kernels 'cublas' have none for tf32 here, only for f16, int8"),
        ("--set kernels=cudnn", "kernels must be one of best, cutlass, cublas"),
        ("--set scheduler=dynamic", "scheduler must be one of chosen, grid, persistent, stream-k"),
        ("--set split_k=-1", "split_k must be"),
    ],
)
def test_a_library_that_has_no_such_kernel_is_refused_in_a_line(capsys, words, line):
    assert main(["run", "tensorcore", "64x64x64", *words.split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"zeroskip: error: {line}")
    assert printed.err.count("\n") == 1


def test_an_unknown_format_of_a_library_is_refused_from_python_too():
    with pytest.raises(BadInput, match="kernels 'cusparselt' have none for tf32"):
        tiling(Problem(m=8, n=8, k=8), A100.replace(in_dtype="tf32", sparsity="2:4", kernels="cusparselt"))
