"""The sparse tensor core of NVIDIA's cards: format and arithmetic to the bit, instructions and whole GEMMs in time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cyclekit.machine import Demo, Explanation, Machine, Progress
from cyclekit.run import Run
from cyclekit.spec import Chip
from cyclekit.trace.steps import Step
from cyclekit.validation import Validation
from cyclekit.views import ENERGY, Quantity, View, measure
from tensorcore_sim.actions import CardAction
from tensorcore_sim.arithmetic.gemm import fused_dot_add, gemm
from tensorcore_sim.card.tiling import Problem
from tensorcore_sim.clouds.doors import encode, energy, estimate, simulate, spans, stored, suited
from tensorcore_sim.encode import STORED_FIELDS, pattern
from tensorcore_sim.format.image import Compressed, compress, decompress
from tensorcore_sim.operators.serves import SERVES
from tensorcore_sim.prices import NOTES, dense_over_sparse
from tensorcore_sim.published import validate
from tensorcore_sim.simulate import ENGINES, MODEL_VERSION, NAME, time_gemm
from tensorcore_sim.sm.microbenchmark import Throughput, latency, throughput
from tensorcore_sim.spec import PRESET_NOTES, PRESETS, TICKS, Spec, idle
from workloads.errors import BadInput
from workloads.points.convolution import SparseConvolution
from workloads.records import Workload

__all__ = [
    "MACHINE",
    "PRESETS",
    "Compressed",
    "Problem",
    "Spec",
    "Throughput",
    "compress",
    "decompress",
    "dense_over_sparse",
    "encode",
    "energy",
    "fused_dot_add",
    "gemm",
    "latency",
    "simulate",
    "throughput",
    "time_gemm",
    "validate",
]


def _draw_validation(validation: Validation, folder: Path) -> Sequence[Path]:
    from tensorcore_sim.figures import draw_validation  # late: matplotlib is slow to import

    return draw_validation(validation, folder)


def _demo(folder: Path, *, progress: Progress) -> Demo:
    from tensorcore_sim.demo import demo

    return demo(folder, progress=progress)


def _explain(workload: Workload | SparseConvolution, spec: Spec, row: int, column: int) -> Explanation:
    from tensorcore_sim.explain.tiles import explain

    if isinstance(workload, SparseConvolution):
        raise BadInput(
            f"{NAME} explains matrices, no sparse convolution as {workload.name!r}: pointacc explains its map"
        )
    return explain(workload, spec, row, column)


def _steps(run: Run, image: Any, signal: Any, spec: Spec, **window: Any) -> Iterator[Step]:
    from tensorcore_sim.explain.steps import steps

    if isinstance(image.layer, SparseConvolution):
        raise BadInput(f"{NAME} shows no --steps of sparse convolutions, as {run.workload!r}: name a matrix")
    return steps(run, image, signal, spec, **window)


def _validate_models(progress: Progress) -> Validation:
    from tensorcore_sim.evidence.models import validate  # late: nothing else asks for it

    return validate(progress)


def _size(result: Any) -> float | None:
    """Return the cube root of the products of a result's GEMM: m of a cube. None for several layers."""
    gemm = result.measures.get("gemm")
    return round(float(Problem.parse(gemm.partition(",")[0]).macs) ** (1 / 3), 6) if gemm else None


_MOVED = (CardAction.HBM_READ_BYTES, CardAction.WRITE_BYTES)
_AD102, _GH100 = ("TSMC 4N", 608.5, "AD102"), ("TSMC 4N", 814.0, "H100's whole die")
_DIES = {
    "a100": ("TSMC N7", 826.0, "A100's whole die"),
    "rtx-3090": ("Samsung 8N", 628.4, "GA102"),
    "l40s": _AD102,
    "rtx-4090": _AD102,
    **dict.fromkeys(("h100", "h200", "gh200"), _GH100),
    "b200": ("TSMC 4NP", None, ""),  # of its two dies no area is published
    "rtx-5090": ("TSMC 4N", 750.0, "GB202"),
}  # NVIDIA's whitepapers; of the H100 and GB202 only through secondary sources


_TURING_DIES = {40: ("TSMC 12FFN", 545.0, "TU104"), 68: ("TSMC 12FFN", 754.0, "TU102")}  # by the SMs of the card


def _chip(spec: Spec) -> Chip:
    process, area_mm2, source = _TURING_DIES[68 if spec.n_sms > 48 else 40] if spec.card == "t4" else _DIES[spec.card]
    note = f"weights come from memory in every call; {spec.launch_us:g} us of a call are its launch"
    if area_mm2:
        note += "; the area is without memory"
    return Chip(process=process, area_mm2=area_mm2, source=source, note=note)


MACHINE = Machine(
    name=NAME,
    title="2:4 sparse tensor cores (A100 and Hopper as measured, T4 to B200 by data sheet): dense and sparse GEMMs",
    spec=Spec,
    presets=PRESETS,
    preset_notes=PRESET_NOTES,
    engines=tuple(ENGINES),
    encode=encode,
    simulate=simulate,
    estimate=estimate,
    validate=validate,
    draw_validation=_draw_validation,
    demo=_demo,
    explain=_explain,
    energy=energy,
    prices=NOTES,
    spans=spans,
    steps=_steps,
    ticks_per_cycle=TICKS,
    stored=stored,
    suited=suited,
    # Measured on two shared cores, rounded up.
    costs={"validate": (70, 0.8e9), "demo": (3, 0.5e9), "validate llm": (60, 0.4e9)},
    batched=True,
    needs_values=False,
    takes=(Workload, SparseConvolution),
    balance="utilisation of the peak",
    model_version=MODEL_VERSION,
    encoding_fields=STORED_FIELDS,
    cautions={
        "clock_mhz": "a faster clock costs nothing in the tables of prices; it draws power, which power_limit_w bounds",
    },
    views=(
        View(
            Quantity("size", "", _size),
            (
                measure("dense_equivalent_tflops", "dense-equivalent rate", "TFLOPS"),
                measure("speed_up", "speed-up over dense", "times"),
                ENERGY,
            ),
            label="size (cube root of m n k)",
            lines="sparsity",
        ),
    ),
    entrants={"dense": {"sparsity": "dense"}, "2:4": {"sparsity": "2:4"}},
    pattern=lambda spec: (pattern(spec) or "").partition(" ")[0] or None,  # "4:8 in pairs" is an N:M and more
    chip=_chip,
    idle=idle,
    serves=SERVES,
    validate_models=_validate_models,
    off_chip_bytes=lambda run: float(sum(run.actions[action] for action in _MOVED)),
)
