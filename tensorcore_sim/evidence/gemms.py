"""The published times of GEMMs and of 2:4 compression that the tensor core is held against, and Sparseloop's counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cyclekit.energy import charge
from cyclekit.validation import Comparison
from tensorcore_sim.card import bounds
from tensorcore_sim.card.tiling import Problem
from tensorcore_sim.operators.formats import compress
from tensorcore_sim.prices import prices
from tensorcore_sim.simulate import NAME, time_gemm
from tensorcore_sim.spec import PRESETS, Spec
from workloads.files import read_table

FOOTNOTES = (
    "k_step_overhead_cycles was fitted on two rows of LLMCompass' ladder (8192, 16384), and with it the whole number "
    "of SMs that share reads on A100, without which L2's measured rate could not feed the measured dense rate; "
    'launch_us on three rows of torchao PR 4730 (n = 64). Those rows are "calibrated"; all others are predictions, but '
    "the sets of kernels of cuBLAS and cuSPARSELt were chosen after seeing vllmbench.",
    "Dense times are of cuBLAS' kernels, sparse ones of cuSPARSELt's default (PyTorch), of its search (vllmbench), of "
    "CUTLASS' (torchao), of any (Croqtile).",
    "PyTorch's and torchao's cards run dense GEMMs about 12% slower than LLMCompass' A100, whose ladder the model "
    "follows: their ratios say more than their times.",
    "Of vllmbench are calibrated: what its multiply-adds take (3584 x 16384 x 18944, of int8 its 2:4 time), how fast "
    "the clock falls (bf16, dense, the cube of 4096), A100's share of HBM (37888 x 64 x 3584, dense), what a call of "
    "cuSPARSELt takes (the cubes of 256), its order of tiles (37888 x 4096 x 3584) and dense int8's pace (two cubes).",
    "vllmbench makes 75 calls of the same data (n_calls, warm_l2); how many the others made is not said: they are "
    "simulated as calls without end, which an H100's short ones are not.",
    "Which card PyTorch PR 177866 measured is not said (Hopper class); torchao PR 4730's is assumed to be an H100 SXM.",
    "torchao's training times are of forward and backward; that two of their three products are sparse, all but the "
    "gradient of the weights, and that pruning is not in them, is assumed.",
    "What torchao PR 4699's compression reads is not said: from e4m3 is assumed, all that the kernel it stands in for "
    "takes, and an H100 SXM. At the bandwidth that kernels reach that is half of the time; from bf16 it would be 80%.",
)
LADDER = PRESETS["a100-sxm-80gb"].replace(kernels="cublas")


def compare(progress: Callable[[float], None]) -> Iterator[Comparison]:
    """Yield the comparisons of the dense ladder, of dense and 2:4 times, of compression, of Sparseloop's figures."""
    ladder, measured, searched = (
        read_table(NAME + "_sim", name) for name in ("llmcompass_a100_f16", "measured_2to4", "vllmbench_2to4")
    )
    total = len(ladder) + len(measured) + len(searched)
    for done, row in enumerate(ladder):
        progress(done / total)
        kind = "calibrated" if row["fitted"] else "as published"
        published, simulated = 1e3 * float(row["ms"]), _time_us(row, LADDER)
        yield _row("LLMCompass", "dense time, A100 f16", "us", row, kind, published, simulated, "A")
    for done, row in enumerate(measured, len(ladder)):
        progress(done / total)
        kind = "calibrated" if row["fitted"] else "as published"
        spec = PRESETS[row["preset"]].replace(in_dtype=row["in_dtype"], kernels="cublas")
        sparse = _time_us(row, spec.replace(sparsity="2:4", kernels=row["kernels"]))
        source, mark = row["source"], row["mark"]
        card = f"{row['preset'].partition('-')[0].upper()} {row['in_dtype']}"
        if row["dense_us"]:
            dense, ratio = _time_us(row, spec), float(row["dense_us"]) / float(row["sparse_us"])
            yield _row(source, f"dense time, {card}", "us", row, kind, float(row["dense_us"]), dense, mark)
            yield _row(source, f"2:4 speed-up, {card}", "x", row, kind, ratio, dense / sparse, mark)
        yield _row(source, f"2:4 time, {card}", "us", row, kind, float(row["sparse_us"]), sparse, mark)
    for done, row in enumerate(searched, len(ladder) + len(measured)):
        progress(done / total)
        yield from _searched(row)
    for row in read_table(NAME + "_sim", "torchao_training"):
        yield _training(row)
    for row in read_table(NAME + "_sim", "torchao_compress"):
        simulated = compress(int(row["m"]), int(row["k"]), "e4m3", "e4m3", PRESETS["h100-sxm"]).time_us
        quantity, published = "compression to 2:4, H100 e4m3", float(row["us"])
        yield _row("torchao PR 4699", quantity, "us", row, "as published", published, simulated, "A")
    one_sm = PRESETS["a100-sxm-80gb"].replace(n_sms=1, in_dtype="int8", int8_fma_per_cycle=1024)
    for row in read_table(NAME + "_sim", "sparseloop_counts"):
        for side, sparsity in (("dense", "dense"), ("sparse", "2:4")):
            simulated = bounds.compute_cycles(_problem(row), one_sm.replace(sparsity=sparsity))
            published = float(row[f"{side}_cycles"])
            yield _row("Sparseloop", f"{side} compute cycles", "cycles", row, "as published", published, simulated, "A")
        yield from _energies(row, one_sm.replace(output_bytes=1))


def _searched(row: dict[str, str]) -> Iterator[Comparison]:
    """Compare the times and the ratio of a row of vllmbench."""
    spec = PRESETS[row["preset"]].replace(in_dtype=row["in_dtype"], n_calls=75, warm_l2=True)
    dense_bytes = 4 if row["in_dtype"] == "int8" else 2
    dense = _time_us(row, spec.replace(output_bytes=dense_bytes, kernels="cublas"))
    sparse = _time_us(row, spec.replace(sparsity="2:4", kernels="cusparselt-searched"))
    dense_us, sparse_us = float(row["dense_us"]), float(row["sparse_us"])
    card = f"{row['preset'].removesuffix('-80gb').upper()} {row['in_dtype']}"
    for quantity, unit, published, simulated, fitted in (
        ("dense time", "us", dense_us, dense, ("both", "dense")),
        ("2:4 speed-up", "x", dense_us / sparse_us, dense / sparse, ("both", "dense", "2:4")),
        ("2:4 time", "us", sparse_us, sparse, ("both", "2:4")),
    ):
        kind = "calibrated" if row["fitted"] in fitted else "as published"
        yield _row("vllmbench", f"{quantity}, {card}", unit, row, kind, published, simulated, "A")


def _energies(row: dict[str, str], spec: Spec) -> Iterator[Comparison]:
    """Compare energies by Sparseloop's own prices, over this model's counts of one SM."""
    uj = {}
    for side, sparsity in (("dense", "dense"), ("sparse", "2:4")):
        design = spec.replace(sparsity=sparsity)
        _, books, _ = time_gemm(_problem(row), design, baseline=False)
        uj[side] = charge(prices("sparseloop", design), books.actions, 0.0, 0).total_pj / 1e6
        published = float(row[f"{side}_uj"])
        yield _row("Energy, Sparseloop", f"{side} energy", "uJ", row, "as published", published, uj[side], "A")
    ratio, simulated = float(row["dense_uj"]) / float(row["sparse_uj"]), uj["dense"] / uj["sparse"]
    yield _row("Energy, Sparseloop", "dense energy over sparse", "x", row, "as published", ratio, simulated, "A")


def _training(row: dict[str, str]) -> Comparison:
    """Compare forward and backward of a layer: outputs and gradient of the inputs sparse, that of the weights dense."""
    n_in, n_out, tokens = (int(row[name]) for name in ("n_in", "n_out", "tokens"))
    dense = PRESETS["a100-sxm-80gb"].replace(in_dtype="bf16", kernels="cublas")
    sparse = dense.replace(sparsity="2:4", kernels="cusparselt")
    forward, to_inputs, to_weights = (n_out, tokens, n_in), (n_in, tokens, n_out), (n_out, n_in, tokens)
    times = [
        sum(_time_us(dict(zip("mnk", shape, strict=True)), spec) for shape in shapes)
        for shapes, spec in (((forward, to_inputs, to_weights), dense), ((forward, to_inputs), sparse))
    ]
    gain = times[0] / (times[1] + _time_us(dict(zip("mnk", to_weights, strict=True)), dense))
    published = float(row["dense_ms"]) / float(row["sparse_ms"])
    layer = {"m": row["n_out"], "n": row["tokens"], "k": row["n_in"]}
    quantity = "2:4 speed-up, A100 bf16, training"
    return _row("torchao training", quantity, "x", layer, "as published", published, gain, "A")


def _time_us(row: dict[str, str], spec: Spec) -> float:
    _, books, _ = time_gemm(_problem(row), spec, baseline=False)
    return books.cycles / spec.clock_mhz


def _problem(row: dict[str, str]) -> Problem:
    return Problem(m=int(row["m"]), n=int(row["n"]), k=int(row["k"]))


def _row(source, quantity, unit, row, kind, published: float, simulated: float, mark: str) -> Comparison:
    return Comparison(
        source=source,
        quantity=quantity,
        unit=unit,
        layer=" x ".join(row[side] for side in "mnk" if side in row),
        setting="",
        kind=kind,
        published=published,
        simulated=simulated,
        mark=mark,
    )
