"""Is a GEMM's kernel one of the library's own, does it fit the SM, and is a library refused that has none?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclekit.command.cli import main
from tensorcore_sim import PRESETS, Problem, time_gemm
from tensorcore_sim.card.choose import ACCUMULATORS_BYTES, tiling
from tensorcore_sim.card.libraries import library
from tensorcore_sim.card.tiling import stage_bytes
from workloads.errors import BadInput

A100, H100 = PRESETS["a100-pcie-80gb"], PRESETS["h100-pcie"]
problems = st.builds(Problem, m=st.integers(1, 9000), n=st.integers(1, 3000), k=st.integers(1, 9000))


# What each library has, written by stages: CUTLASS' generator for SM80 16816 and sparse 16832, in bytes of k
AMPERE = {
    3: "256x128x64 128x256x64 256x128x128 128x256x128 128x128x128 128x64x128 64x128x128",
    4: "256x64x64 64x256x64 256x64x128 64x256x128 128x128x128",
    5: "128x128x64 64x64x128",
    6: "128x64x64 64x128x64",
    10: "64x64x64",
}
AMPERE_SPARSE = {
    3: "256x128x128 128x256x128 128x128x128 256x64x128 128x64x128 128x128x256 256x64x256 64x128x256 64x64x256",
    4: "64x256x128 64x64x128 128x64x256",
    6: "64x128x128",
}
# CUTLASS' profiler on Hopper, and what any may have: as many stages as fit, so none is named
HOPPER = "256x128 128x256 128x128 64x128 64x256 128x64 64x64"
ANY = "256x128 128x256 128x128 256x64 64x256 128x64 64x128 64x64 128x32 64x32 128x16 64x16 128x8 64x8"


def tiles(by_stages):
    return {(*map(int, tile.split("x")), n) for n, listed in by_stages.items() for tile in listed.split()}


def deep(shapes, *depths):
    return tiles({0: " ".join(f"{shape}x{depth}" for shape in shapes.split() for depth in depths)})


@pytest.mark.parametrize(
    ("preset", "changes", "expected"),
    [
        (A100, {}, deep(ANY, 64, 128, 256)),
        (H100, {}, deep(ANY + " 128x192", 64, 128, 256)),
        (A100, {"kernels": "cutlass"}, tiles(AMPERE)),
        (A100, {"kernels": "cutlass", "sparsity": "2:4"}, tiles(AMPERE_SPARSE)),
        (H100, {"kernels": "cutlass"}, deep(HOPPER, 128)),
        (H100, {"kernels": "cutlass", "sparsity": "2:4"}, deep(HOPPER, 128, 256)),
        (A100, {"kernels": "cublas"}, tiles(AMPERE)),
        (A100, {"kernels": "cublas", "in_dtype": "int8"}, tiles(AMPERE)),
        (H100, {"kernels": "cublas"}, deep(HOPPER, 128)),
        (H100, {"kernels": "cublas", "in_dtype": "e5m2"}, deep(HOPPER, 128)),
        (A100, {"kernels": "cusparselt-searched"}, tiles({3: "256x128x128 128x128x128 128x64x128", 4: "64x64x128"})),
        (A100, {"kernels": "cusparselt"}, tiles({3: "256x128x128"})),
        (A100, {"kernels": "cusparselt-searched", "in_dtype": "int8"}, tiles(AMPERE_SPARSE)),
        (H100, {"kernels": "cusparselt-searched"}, tiles({6: "256x128x128 128x128x128"})),
        (H100, {"kernels": "cusparselt-searched", "in_dtype": "e4m3"}, tiles({6: "256x128x128 128x128x128 64x64x128"})),
        (H100, {"kernels": "cusparselt", "in_dtype": "e4m3"}, tiles({6: "256x128x128"})),
    ],
)
def test_a_library_s_tiles_are_those_of_its_source(preset, changes, expected):
    if changes.get("kernels", "").startswith("cusparselt"):
        changes = changes | {"sparsity": "2:4"}
    found = library(preset.replace(**changes))
    assert (set(found.tiles), len(found.tiles)) == (expected, len(expected))


@pytest.mark.parametrize(
    ("preset", "kernels", "in_dtype", "expected"),
    # splits, schedulers, band (None: every tile), cluster, stretch, call_us, least k of a part: docs/tensorcore.md, T25
    [
        (A100, "best", "f16", ((1, 2, 3, 4, 6, 8, 12, 16), "grid", 8, 1, 1, 0, 1)),
        (H100, "best", "f16", ((1, 2, 3, 4, 6, 8, 12, 16), "grid persistent stream-k", 8, 2, 1, 0, 1)),
        (A100, "cutlass", "f16", ((1,), "grid", 8, 1, 1, 0, 1)),
        (H100, "cutlass", "f16", ((1,), "persistent stream-k", 8, 2, 1, 0, 1)),
        (A100, "cublas", "f16", ((1, 2, 3, 4), "grid", 8, 1, 1, 0, 1700)),
        (A100, "cublas", "int8", ((1, 2, 3, 4), "grid", 8, 1, 1.4, 0, 1700)),
        (H100, "cublas", "f16", ((1, 2, 3, 4), "grid persistent", 8, 2, 1, 0, 1)),
        (H100, "cublas", "e4m3", ((1, 2, 3, 4), "grid persistent", 8, 2, 1, 0, 1)),
        (A100, "cusparselt", "f16", ((1,), "grid", 2**24, 1, 1, 2, 1)),
        (A100, "cusparselt", "int8", ((1,), "grid", 8, 1, 1, 2, 1)),
        (H100, "cusparselt", "f16", ((1,), "grid", 8, 2, 1, 2, 1)),
        (H100, "cusparselt", "e4m3", ((1,), "grid", 8, 2, 1, 1, 1)),
    ],
)
def test_how_a_library_deals_and_what_time_is_its_own(preset, kernels, in_dtype, expected):
    sparsity = "2:4" if kernels == "cusparselt" else "dense"
    own = library(preset.replace(kernels=kernels, in_dtype=in_dtype, sparsity=sparsity))
    rest = own.raster_tiles, own.cluster, own.stretch, own.call_us, own.least_k
    assert (own.splits, " ".join(own.schedulers), *rest) == expected


def test_sparse_kernels_of_cutlass_on_hopper_share_no_reads():
    assert library(H100.replace(kernels="cutlass", sparsity="2:4")).cluster == 1


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
