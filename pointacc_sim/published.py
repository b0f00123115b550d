"""What PointAcc is held against (data/published.csv), and validate()."""

from __future__ import annotations

from cyclekit.machine import Progress, quiet
from cyclekit.validation import Comparison, Validation
from pointacc_sim.account import actions
from pointacc_sim.actions import DRAM
from pointacc_sim.compile import compiled
from pointacc_sim.passes import mapping_passes, passes_of, sorting
from pointacc_sim.plan import MERGE
from pointacc_sim.simulate import NAME, encode
from pointacc_sim.spec import PRESETS
from workloads.files import read_table
from workloads.points import networks

FOOTNOTES = (
    "The paper's text was not at hand, only its abstract and a slide of its dataflows. Rows marked R are recalled, "
    "unverified, and no bar; so are most parameters of the presets, which every run prints.",
    "The abstract's 3.7x speed-up and 22x energy saving over an RTX 2080 Ti are means of eight networks on that card's "
    "software of 2021; a ratio of two simulators is in docs/pointacc.md, with what it rests on.",
    "Later work gives PointAcc less: FusionArch's abstract (DATE 2024) implies 2.2x the speed of an A100 and 1.29x "
    "less energy for the server, 1.8x the speed of Mesorasi for the edge design, on other networks; SPADE is 1.88 to "
    "1.95 times as fast as PointAcc on pillars.",
    "The DRAM saving is that of fetch on demand with the cache over gather, multiply, scatter, over the layers of "
    "3 x 3 x 3 cells.",
)


def validate(progress: Progress = quiet) -> Validation:
    """Hold the machine against what is published of it."""
    simulated = _streaming(progress) | _networks() | _recalled(progress)
    comparisons = tuple(
        Comparison(
            source=row["source"],
            quantity=row["quantity"],
            unit=row["unit"],
            layer=row["layer"],
            setting=row["setting"],
            kind="as published",
            published=float(row["published"]),
            simulated=simulated[row["quantity"]],
            mark=row["mark"],
        )
        for row in read_table("pointacc_sim", "published")
    )
    progress("done", 1, 1)
    return Validation(machine=NAME, comparisons=comparisons, footnotes=FOOTNOTES)


def _streaming(progress: Progress) -> dict[str, float]:
    progress("streaming merger", 0, 3)
    layer = networks.load("lidar-0.1:submanifold-3x3x3").layers[0]
    cycles = {}
    for symmetry in (False, True):
        spec = PRESETS["server"].replace(symmetry=symmetry)
        passes, _ = mapping_passes(encode(layer, spec), spec)
        cycles[symmetry] = passes.blocks[passes.kind == MERGE]
    sort = passes_of(sorting(layer.positions, spec, 0), spec)
    return {
        "cycles of an offset": float(cycles[False][0]),
        "cycles of 26 offsets": float(cycles[False].sum()),
        "cycles of 13 offsets (symmetry)": float(cycles[True].sum()),
        "cycles of the sort": float(sort.blocks.sum()),
    }


def _networks() -> dict[str, float]:
    spec = PRESETS["server"]
    return {
        "compare-exchanges of a merger of 64": float(spec.merge_columns * spec.block),
        "compare-exchanges of a sorter of 64": float(spec.sort_columns * spec.block),
    }


def _recalled(progress: Progress) -> dict[str, float]:
    peaks = {
        f"peak of {name}": 2 * spec.n_rows * spec.n_columns * spec.clock_mhz / 1e3 for name, spec in PRESETS.items()
    }
    progress("DRAM bytes", 1, 3)
    spec = PRESETS["server"]
    gathered = spec.replace(dataflow="gather-scatter")
    savings = []
    for layer in networks.load("lidar-0.1:minkunet-1.0").layers:
        if layer.kind == "submanifold":
            image = encode(layer, spec)
            savings.append(_dram_bytes(image, gathered) / _dram_bytes(image, spec))
    progress("DRAM bytes", 2, 3)
    return peaks | {"least DRAM saving of the cache": min(savings), "most DRAM saving of the cache": max(savings)}


def _dram_bytes(image, spec) -> int:
    counts = actions(compiled(image, spec), image, spec)
    return sum(counts[action] for action in DRAM)
