"""PointAcc, the point cloud accelerator (Lin et al., MICRO 2021): mapping, memory and matrix unit, cycle by cycle."""

from collections.abc import Sequence
from pathlib import Path

from cyclekit.machine import Demo, Machine, Progress
from cyclekit.spec import Chip
from cyclekit.validation import Validation
from cyclekit.views import ENERGY, TIME, View, count, measure
from pointacc_sim.actions import DRAM, Action
from pointacc_sim.explain import explain
from pointacc_sim.image import stored
from pointacc_sim.mapping import farthest_points, in_ball, nearest
from pointacc_sim.prices import NOTES, energy
from pointacc_sim.published import validate
from pointacc_sim.simulate import ENGINES, MODEL_VERSION, NAME, encode, estimate, rank, simulate, spans
from pointacc_sim.spec import PRESET_NOTES, PRESETS, Spec, idle, unverified
from pointacc_sim.steps import steps
from workloads.points.convolution import SparseConvolution

__all__ = [
    "MACHINE",
    "PRESETS",
    "Spec",
    "encode",
    "energy",
    "explain",
    "farthest_points",
    "in_ball",
    "nearest",
    "rank",
    "simulate",
    "validate",
]


def _draw_validation(validation: Validation, folder: Path) -> Sequence[Path]:
    from pointacc_sim.figures import draw_validation  # late: matplotlib is slow to import

    return draw_validation(validation, folder)


def _demo(folder: Path, *, progress: Progress) -> Demo:
    from pointacc_sim.demo import demo

    return demo(folder, progress=progress)


def _chip(spec: Spec) -> Chip:
    note = "process and area are recalled, unverified; one cloud at a time; no host in its times"
    return Chip(process=f"{spec.node_nm} nm", area_mm2=spec.area_mm2, source="recalled, unverified", note=note)


MACHINE = Machine(
    name=NAME,
    title="PointAcc (MICRO 2021): point clouds, kernel maps by merge sort, features fetched on demand",
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
    explain=explain,
    energy=energy,
    prices=NOTES,
    default_prices="bottom-up",
    spans=spans,
    steps=steps,
    stored=stored,
    suited=lambda workload, spec: spec,
    # Measured on one shared core, rounded up.
    costs={"validate": (3, 0.8e9), "demo": (9, 0.5e9)},
    balance="utilisation of the array",
    takes=(SparseConvolution,),
    model_version=MODEL_VERSION,
    encoding_fields=("merger_width", "emits"),
    estimate_point=lambda layers, spec, *, engine: estimate(layers, spec, engine=engine, check=False)[0],
    sweep_engine="schedule",
    cautions={
        "clock_mhz": "a faster clock is free here: no price hangs on the voltage that it takes, and nothing says which "
        "clock a design reaches",
    },
    views=(
        View("merger_width", (TIME, ENERGY), label="merger width"),
        View(
            "cache_block_points",
            (TIME, measure("dram_bytes", "DRAM traffic", "B"), count(Action.CACHE_MISSES, "blocks fetched")),
            label="points of a cache block",
        ),
    ),
    chip=_chip,
    idle=idle,
    rests_on=unverified,
    off_chip_bytes=lambda run: float(sum(run.actions[action] for action in DRAM)),
)
