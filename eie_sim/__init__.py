"""EIE, the Efficient Inference Engine on compressed networks (Han et al., ISCA 2016), cycle by cycle."""

from collections.abc import Sequence
from pathlib import Path

from cyclekit.machine import Demo, Machine, Progress
from cyclekit.spec import Chip
from cyclekit.validation import Validation
from cyclekit.views import ENERGY, LOAD_BALANCE, SPEED_UP, View, count, energy_of, energy_per
from eie_sim.account import spans
from eie_sim.actions import Action
from eie_sim.capacity import CAPACITY_FIELDS, stored
from eie_sim.explain import explain
from eie_sim.image import decode
from eie_sim.prices import DRAM, FILLER, LNZD, MODULES, NOTES, energy
from eie_sim.published import validate
from eie_sim.simulate import ENGINES, MODEL_VERSION, NAME, encode, estimate, estimate_point, simulate
from eie_sim.spec import PRESET_NOTES, PRESETS, Spec, idle
from eie_sim.steps import steps

__all__ = ["MACHINE", "PRESETS", "Spec", "decode", "encode", "energy", "explain", "simulate", "validate"]


def _draw_validation(validation: Validation, folder: Path) -> Sequence[Path]:
    from eie_sim.figures import draw_validation  # late: matplotlib is slow to import

    return draw_validation(validation, folder)


def _demo(folder: Path, *, progress: Progress) -> Demo:
    from eie_sim.demo import demo

    return demo(folder, progress=progress)


def _chip(spec: Spec) -> Chip:
    before = "come over the DMA in every run" if spec.load_phase else "lie in its SRAM before a run"
    return Chip(process=f"{spec.node_nm} nm", note=f"weights {before}; one input at a time; no host in its times")


MACHINE = Machine(
    name=NAME,
    title="EIE (ISCA 2016): sparse matrix times sparse vector on PEs with 4-bit weights",
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
    steps=steps,
    modules=(*MODULES, FILLER, LNZD, DRAM),
    spans=lambda run, image, spec, **window: spans(run.timeline, image, spec, **window),
    stored=stored,
    suited=lambda workload, spec: spec,
    # Measured on two shared cores, rounded up.
    costs={"validate": (12, 1.0e9), "demo": (4, 0.5e9)},
    model_version=MODEL_VERSION,
    encoding_fields=("n_pes", *CAPACITY_FIELDS),
    estimate_point=estimate_point,
    sweep_engine="schedule",
    views=(
        View("n_pes", (SPEED_UP, LOAD_BALANCE, ENERGY), label="PEs"),
        View("queue_depth", (LOAD_BALANCE,), label="queue depth [places]"),
        View(  # the paper's Fig 9
            "spmat_width_bits",
            (
                count("spmat_row_reads", "Spmat row reads"),
                energy_per("SpmatRead", "spmat_row_reads", "energy of SpmatRead a read"),
                energy_of("SpmatRead", "energy of SpmatRead"),
            ),
            label="Spmat SRAM width [bits]",
        ),
    ),
    size_field="n_pes",
    chip=_chip,
    idle=idle,
    cautions={
        "spmat_width_bits": "validation contradicts the best width: by the prices bottom-up and calibrated it is 512 "
        "bits for all nine layers as published, in the paper 64 to 256; --prices fig9 has the paper's own reads",
        "clock_mhz": "a faster clock is free here: no price hangs on the voltage that it takes, and nothing says which "
        "clock a design reaches",
    },
    off_chip_bytes=lambda run: run.actions[Action.DMA_BITS] / 8,
)
