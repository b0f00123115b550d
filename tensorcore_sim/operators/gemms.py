"""GEMMs of a model: the designs that multiply in its formats, and what a product takes, kept by its sizes."""

from __future__ import annotations

from functools import lru_cache

from cyclekit.serving.cost import COMPUTE, LAUNCH, MEMORY, Cost, Formats
from tensorcore_sim.actions import CardAction
from tensorcore_sim.card.libraries import library
from tensorcore_sim.card.tiling import Problem, a_bits, kept_share
from tensorcore_sim.simulate import time_gemm
from tensorcore_sim.sm.program import rate
from tensorcore_sim.spec import FAMILIES, Spec
from workloads.errors import BadInput, did_you_mean
from workloads.records import Shape

WEIGHTS = ("f16", "bf16", "e4m3", "int8", "int4")
MEASURED = {"dense": "cublas", "2:4": "cusparselt-searched"}  # the kernels of a product, where they are known for it


def formats(spec: Spec, weights: str, activations: str | None, sparsity: str) -> Formats:
    """Return the designs of products with weights in a format; int4 ones meet 16-bit activations, all others their own.

    Raises BadInput for a format that the card lacks, and for formats that meet in no instruction.
    """
    if weights not in WEIGHTS:
        raise BadInput(f"unknown weights {weights!r}{did_you_mean(weights, WEIGHTS)}")
    own = ("f16", "bf16") if weights == "int4" else (weights,)
    if activations is not None and activations not in own:
        raise BadInput(f"activations must be {' or '.join(own)} beside weights of {weights}, got {activations!r}")
    activations = activations or own[0]
    other = "bf16" if activations == "bf16" else "f16"
    family = FAMILIES.get(activations, activations)
    if not getattr(spec, f"{family}_fma_per_cycle"):
        has = [name for name in WEIGHTS if getattr(spec, f"{FAMILIES.get(name, name)}_fma_per_cycle")]
        raise BadInput(f"weights must be of a format that {spec.card} multiplies, {', '.join(has)}, got {weights!r}")
    block = spec.replace(in_dtype=activations, int4_weights=weights == "int4", sparsity=sparsity)
    elsewhere = spec.replace(in_dtype=other, int4_weights=False, sparsity="dense")
    fma_per_cycle = float(rate(activations, elsewhere.replace(in_dtype=activations))) * spec.n_sms
    return Formats(
        block=_with_kernels(block),
        elsewhere=_with_kernels(elsewhere),
        activations=activations,
        other=other,
        weight_bits=float(a_bits(block)),
        peak_tflops=2 * fma_per_cycle * spec.clock_mhz / 1e6,
        gb_per_s=spec.hbm_gb_per_s,
    )


def gemm(shape: Shape, spec: Spec) -> Cost:
    """Return what the product of a layer's weights and its batch takes."""
    return _gemm(Problem.of(shape, shape.batch), spec)


@lru_cache(maxsize=65536)
def _gemm(problem: Problem, spec: Spec) -> Cost:
    _, books, measures = time_gemm(problem, spec, baseline=False)
    time_us = books.cycles / spec.clock_mhz
    n_bytes = books.actions[CardAction.HBM_READ_BYTES] + books.actions[CardAction.WRITE_BYTES]
    peak = float(rate(spec.in_dtype, spec)) * spec.n_sms * measures["clock_mhz"]
    least = {
        COMPUTE: problem.macs * float(kept_share(spec)) / peak,
        MEMORY: n_bytes / (spec.hbm_gb_per_s * spec.hbm_share * 1e3),
        LAUNCH: spec.launch_us,
    }
    return Cost(
        time_us=time_us,
        flops=2.0 * problem.macs,
        n_bytes=float(n_bytes),
        bound=max(least, key=least.get),
        energy_uj=measures["power_w"] * time_us if spec.fma_pj_per_ghz else None,
    )


def _with_kernels(spec: Spec) -> Spec:
    """Return the design with the kernels of the library that was measured for its products, if any, else the best."""
    if spec.kernels != "best" or spec.int4_weights or spec.sparsity not in MEASURED:
        return spec
    own = spec.replace(kernels=MEASURED[spec.sparsity])
    try:
        library(own)
    except BadInput:
        return spec
    return own
