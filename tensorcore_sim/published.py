"""The published instruction figures that the tensor core is held against (CSVs in data/), and validate()."""

from __future__ import annotations

from collections.abc import Iterator

from cyclekit.machine import Progress, quiet
from cyclekit.validation import Comparison, Validation
from tensorcore_sim.clouds import published as clouds
from tensorcore_sim.evidence import gemms
from tensorcore_sim.simulate import NAME
from tensorcore_sim.sm.microbenchmark import latency, throughput
from tensorcore_sim.spec import PRESETS
from workloads.files import read_table

SUN, LUO = "Sun et al.", "Luo et al."
# (instruction, input, output) of the rows whose latencies the Spec's two constants are
DEFINING_LATENCIES = {("mma.m16n8k8", "f16", "f32"), ("mma.m16n8k16", "f16", "f32")}
# The full rates that Luo's TFLOPS are turned into cycles with: multiply-adds a clock of one SM
FULL_RATE = {"dense": (728.5, 2048), "sparse": (1472.0, 4096)}

FOOTNOTES = (
    "Confidence B (careful secondary): Sun et al. and Luo et al. were read through two independent transcriptions "
    "each, not from the papers themselves.",
    '"calibrated": a constant of the Spec was fitted on these points, so agreement there is no evidence. Three '
    "constants (the floor of mma.sp, two loop overheads) on the A100 throughputs together; two on the latencies of f16 "
    "m16n8k8 and m16n8k16 to f32; two on the seven latencies of loads; the floor of RS on the one point m64n8k16 RS.",
    "Two of Sun et al.'s sixteen rows, mma s4 m16n8k64 and mma.sp s8 m16n8k64, are garbled in what we have of them and "
    "left out: 28 of the 32 published throughputs are compared.",
    "The number of chains behind the mma.sp rows at 4 warps is not published; it is assumed to be the dense rows'.",
    "mma.sp f16 to f32 m16n8k16 at 4 warps: no constant explains it (its twin to f16 is 21% faster).",
    "Binary mma seems to have an interval of its own at 8 warps (8.95 cycles instead of 8); it is not given one here.",
    "At one warp and one chain the loop takes 2.6 cycles longer than the completion latency here, but not in the "
    "paper, which takes its latencies from such a loop.",
    "Luo et al.'s TFLOPS are compared through the rows at full rate (dense N = 256 SS: 728.5, sparse RS: 1472), whose "
    "own TFLOPS are therefore not compared: the clock under load is not published.",
    "wgmma's published latency of 128 cycles is read as the interval of a chain, not as the depth of a pipeline.",
)


def validate(progress: Progress = quiet) -> Validation:
    """Run the microbenchmarks of both papers and the measured GEMMs on the schedule, and compare."""
    progress("instructions", 0, 3)
    instructions = (*_mma(), *_loads(), *_wgmma())
    whole = gemms.compare(lambda share: progress("GEMMs", 1 + share, 3))
    sparse = clouds.compare(lambda share: progress("sparse convolutions", 2 + share, 3))
    footnotes = (*FOOTNOTES, *gemms.FOOTNOTES, *clouds.FOOTNOTES)
    return Validation(machine=NAME, comparisons=(*instructions, *whole, *sparse), footnotes=footnotes)


def _mma() -> Iterator[Comparison]:
    spec = PRESETS["a100-sxm-80gb"]
    for row in read_table("tensorcore_sim", "sun_a100_mma"):
        name, in_dtype, out_dtype = row["instruction"], row["in_dtype"], row["out_dtype"]
        layer = f"{name} {in_dtype} to {out_dtype}"
        fitted = (name, in_dtype, out_dtype) in DEFINING_LATENCIES
        cycles = latency(name, spec, in_dtype=in_dtype)
        yield _row(SUN, "completion latency", "cycles", layer, "", fitted, row["latency"], cycles)
        for n_warps in (4, 8):
            ilp = int(row[f"ilp_{n_warps}warp"])
            reached = throughput(name, spec, in_dtype=in_dtype, n_warps=n_warps, ilp=ilp).fma_per_cycle
            setting = f"{n_warps} warps, ILP {ilp}"
            yield _row(SUN, "throughput", "FMA/clk/SM", layer, setting, True, row[f"fma_{n_warps}warp"], reached)


def _loads() -> Iterator[Comparison]:
    spec = PRESETS["a100-sxm-80gb"]
    for row in read_table("tensorcore_sim", "sun_a100_loads"):
        name, n_ways = row["instruction"], int(row["n_ways"])
        layer = name if n_ways == 1 else f"{name}, {n_ways}-way conflict"
        yield _row(SUN, "load latency", "cycles", layer, "", True, row["latency"], latency(name, spec, n_ways=n_ways))
        if row["n_warps"]:
            n_warps, ilp = int(row["n_warps"]), int(row["ilp"])
            reached = throughput(name, spec, n_warps=n_warps, ilp=ilp).bytes_per_cycle
            setting = f"{n_warps} warps, ILP {ilp}"
            yield _row(SUN, "load throughput", "B/clk/SM", layer, setting, False, row["bytes_per_cycle"], reached)


def _wgmma() -> Iterator[Comparison]:
    spec = PRESETS["h800-pcie"]
    for row in read_table("tensorcore_sim", "luo_h800_wgmma"):
        name, in_dtype, a_from = row["instruction"], row["in_dtype"], row["a_from"]
        layer = f"{name} {in_dtype} {'SS' if a_from == 'shared' else 'RS'}"
        simulated = throughput(name, spec, in_dtype=in_dtype, a_from=a_from, n_warps=1)
        if row["cycles"]:
            yield _row(LUO, "wgmma interval", "cycles", layer, "", False, row["cycles"], simulated.period_cycles)
        if row["scale"] in FULL_RATE:
            tflops, fma = FULL_RATE[row["scale"]]
            fitted = (name, a_from) == ("wgmma.m64n8k16", "registers")
            reached = tflops * simulated.fma_per_cycle / fma
            yield _row(LUO, "wgmma throughput", "TFLOPS", layer, "", fitted, row["tflops"], reached)


def _row(source, quantity, unit, layer, setting, fitted: bool, published: str, simulated: float) -> Comparison:
    return Comparison(
        source=source,
        quantity=quantity,
        unit=unit,
        layer=layer,
        setting=setting,
        kind="calibrated" if fitted else "as published",
        published=float(published),
        simulated=simulated,
        mark="B",
    )
