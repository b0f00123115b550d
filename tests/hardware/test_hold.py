"""Is the model held against a measured folder as it should be: each figure beside its own, each differing bit said?"""

import json

import numpy as np
import pytest

from benchmarks.hardware import hold, vectors
from benchmarks.hardware.instructions import Measured
from tensorcore_sim import PRESETS
from tensorcore_sim.card.tiling import Problem
from tensorcore_sim.simulate import time_gemm
from tests.naive_tensorcore import CASES, dot_add

A100 = {"card": "NVIDIA A100-SXM4-80GB", "capability": "80", "driver": "550.54.15", "cuda": "12.5.82"}
H800 = {"card": "NVIDIA H800 PCIe", "capability": "90", "driver": "550.54.15", "cuda": "12.5.82"}
ROW = Measured(instruction="mma.sp.m16n8k32", in_dtype="f16", out_dtype="f32")


def write(folder, card, **tables):
    folder.mkdir(exist_ok=True)
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")


def test_an_mma_is_held_against_its_latency_and_its_throughput(tmp_path):
    header = "instruction,in_dtype,out_dtype,n_warps,ilp,period_cycles,fma_per_cycle\n"
    rows = "mma.m16n8k16,f16,f32,1,1,25.0,81.9\nmma.sp.m16n8k16,f16,f32,8,2,25.4,1290.5\n"
    write(tmp_path, A100, mma=header + rows)
    latency, alone, sparse = hold.timing(tmp_path, A100)
    assert (latency.measured, latency.model) == (25.0, 24.7)  # Sun et al.: 17.7 and 7.0 for the second pass
    # one warp: an iteration is its latency and 2.6 cycles; two warps a sub-core of two chains: 4 x 6.2 and 0.8
    assert (alone.measured, alone.model) == (81.9, pytest.approx(16 * 8 * 16 / (24.7 + 2.6)))
    assert (sparse.measured, sparse.model) == (1290.5, pytest.approx(8 * 2 * 16 * 8 * 16 / (4 * 6.2 + 0.8)))
    assert "+2.6%" not in str(latency)
    assert "-1.2%" in str(latency)  # 24.7 / 25 - 1
    assert "cycles" in str(latency)


@pytest.mark.parametrize(("n", "a_from", "cycles"), [(256, "shared", 128), (16, "shared", 20), (64, "registers", 32)])
def test_a_wgmma_is_held_against_its_interval(tmp_path, n, a_from, cycles):
    # f16 m64nNk16: the longer of N / 2 and, A shared, 16 + N / 4, else N / 4 (facts of Luo et al.)
    rows = f"wgmma.m64n{n}k16,f16,f32,{a_from},{cycles}.5\n"
    write(tmp_path, H800, wgmma="instruction,in_dtype,out_dtype,a_from,cycles\n" + rows)
    (found,) = hold.timing(tmp_path, H800)
    assert (found.measured, found.model) == (cycles + 0.5, cycles)


def test_what_the_model_does_not_time_is_said(tmp_path):
    row = "mma.m16n8k16,f16,f32,4,1,33.0,248.2\n"
    write(tmp_path, H800, mma="instruction,in_dtype,out_dtype,n_warps,ilp,period_cycles,fma_per_cycle\n" + row)
    (of_hopper,) = hold.timing(tmp_path, H800)
    (of_unknown,) = hold.timing(tmp_path, {**H800, "card": "NVIDIA L4"})
    assert of_hopper.model is None
    assert "no model: instruction must be wgmma" in str(of_hopper)
    assert "no model: no preset is this card" in str(of_unknown)


def one_of_each_family():
    """Return the first tile of each family, and what the naive twin computes of it on an A100."""
    tiles = vectors.make(ROW)
    first = slice(None, None, vectors.ROWS // ROW.shape.m)
    chosen = vectors.Tiles(**{name: getattr(tiles, name)[first] for name in vectors.Tiles.__annotations__})
    (case,) = [case for case in CASES if case[:4] == ("a100", "f16", "f32", "mma.sp.m16n8k32")]
    a, b, c = vectors.flat(chosen, ROW)
    result = [dot_add(a[i].tolist(), b[i].tolist(), int(c[i]), case) for i in range(len(c))]
    return chosen, np.array(result, np.uint32).reshape(chosen.c.shape)


def test_a_single_wrong_bit_is_found_and_only_that(tmp_path, capsys):
    tiles, result = one_of_each_family()
    wrong = result.copy()
    wrong[1, 5, 3] ^= 1
    write(tmp_path, A100)
    (tmp_path / "vectors").mkdir()
    for name, bits in (("right", result), ("wrong", wrong)):
        vectors.save(tmp_path / "vectors" / f"{name}.npz", ROW, tiles, bits, A100)
    of_right, of_wrong = np.array_split(list(hold.values(tmp_path, A100)), 2)
    assert [found.what.split()[-1] for found in of_right] == list(vectors.FAMILIES)
    assert all((found.equal, found.total, found.differing) == (128, 128, ()) for found in of_right)
    assert [found.equal for found in of_wrong] == [128, 127] + [128] * (len(vectors.FAMILIES) - 2)
    said = f"tile 1, row 5, column 3: card {wrong[1, 5, 3]:#010x}, model {result[1, 5, 3]:#010x}"
    assert of_wrong[1].differing == (said,)
    assert hold.main([str(tmp_path)]) == 0
    assert said in capsys.readouterr().out


def test_arithmetic_that_the_model_lacks_is_said(tmp_path):
    tiles, result = one_of_each_family()
    (tmp_path / "vectors").mkdir()
    vectors.save(tmp_path / "vectors" / "some.npz", ROW, tiles, result, A100)
    (found,) = hold.values(tmp_path, {**A100, "card": "NVIDIA R100", "capability": "110"})
    assert "no model: unknown card 'NVIDIA R100'" in found


def test_a_gemm_is_held_against_its_time_and_its_gain(tmp_path):
    rows = "4096,2048,1024,f16,dense,60.0\n4096,2048,1024,f16,cutlass,80.0\n4096,2048,1024,f16,cusparselt,40.0\n"
    write(tmp_path, A100, gemms="m,k,n,in_dtype,backend,median_us\n" + rows)
    dense, cutlass, slower, cusparselt, faster = hold.timing(tmp_path, A100)
    assert [found.measured for found in (dense, cutlass, slower, cusparselt, faster)] == [60, 80, 0.75, 40, 1.5]
    assert "4096 x 1024 x 2048" in dense.what  # m x n x k
    # the same problem through the model's own door
    spec = PRESETS["a100-sxm-80gb"].replace(in_dtype="f16", sparsity="2:4")
    measures = time_gemm(Problem(m=4096, n=1024, k=2048), spec)[2]
    assert dense.model == pytest.approx(measures["time_dense_us"])
    assert cutlass.model == cusparselt.model == pytest.approx(measures["time_dense_us"] / measures["speed_up"])
    assert slower.model == faster.model == pytest.approx(measures["speed_up"])


@pytest.mark.parametrize("text", [None, "no json"])
def test_a_folder_that_is_none_of_measure_is_refused_in_one_line(tmp_path, capsys, text):
    if text:
        (tmp_path / "card.json").write_text(text, encoding="utf-8")
    assert hold.main([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("hold: FOLDER must hold the card.json")
    assert said.count("\n") == 1
