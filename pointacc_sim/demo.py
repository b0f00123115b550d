"""A first look at PointAcc: a network on a LiDAR sweep by both engines, maps and values checked, figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cyclekit.machine import Demo, Progress, quiet
from cyclekit.run import Run
from pointacc_sim import figures
from pointacc_sim.actions import DRAM, MatrixState
from pointacc_sim.published import validate
from pointacc_sim.simulate import encode, simulate
from pointacc_sim.spec import PRESETS
from workloads.points import networks
from workloads.points.groups import EPSILONS

WORKLOAD, SHORT = "lidar-0.1:minkunet-0.5", "lidar-0.2:submanifold-3x3x3"
MOST_ROWS = 8  # layers in the table of cycles
DESIGNS = {
    "fetch on demand": {},
    "without the cache": {"cache": False},
    "gather, scatter": {"dataflow": "gather-scatter"},
}


def demo(folder: Path, *, short: bool = False, progress: Progress = quiet) -> Demo:
    """Run a network on a cloud, or with `short` one layer, on both presets; hold engines and values together."""
    model = networks.load(SHORT if short else WORKLOAD)
    table, passed, moved, spent, times = [], True, {}, {}, {}
    for done, preset in enumerate(PRESETS):
        spec = PRESETS[preset]
        progress(f"{model.name}, {preset}", done, 3)
        images = encode(model, spec)
        runs = simulate(images, None, spec, check=True)
        events = simulate(images, None, spec, engine="events")
        equal = all(not a.timeline.differences(b.timeline) for a, b in zip(runs, events, strict=True))
        checked = sum(run.check["passed"] for run in runs)
        passed &= equal and checked == len(runs)
        table.append(_row(preset, runs, checked, equal))
        if preset == "server":
            where = [_where(run) for run in runs[:MOST_ROWS]]
    progress("flows", 2, 3)
    server = PRESETS["server"]
    images = encode(model, server)
    for name, changes in DESIGNS.items():
        runs = simulate(images, None, server.replace(**changes))
        moved[name] = {
            action.removeprefix("dram_").removesuffix("_bytes"): sum(run.actions[action] for run in runs) / 1e6
            for action in DRAM
        }
        times[name] = sum(run.time_us for run in runs)
        spent[name] = {
            state.name.lower(): sum(run.states["matrix"][state.name.lower()] for run in runs) for state in MatrixState
        }
    sizes = model.layers[0].map.sizes
    drawn = [
        figures.draw_sizes(sizes, folder / "pointacc_map_sizes.png", title=f"{model.name}: entries by offset"),
        figures.draw_groups(sizes, EPSILONS, folder / "pointacc_groups.png", title="Groups against epsilon"),
        figures.draw_states(spent, MatrixState, times, folder / "pointacc_units.png", title=f"{model.name}: array"),
        figures.draw_bytes(moved, folder / "pointacc_dram.png", title=f"{model.name}: DRAM by flow"),
    ]
    validation = None
    if not short:
        validation = validate(lambda text, done, total: progress(f"validation, {text}", done, total))
        drawn += figures.draw_validation(validation, folder)
    return Demo(
        tables={f"{model.name}: all layers": table, "Where the server's cycles went [%]": where},
        remarks=[model.provenance, *model.notes, *runs[0].notes],
        figures=drawn,
        validation=validation,
        passed=passed,
    )


def _row(preset: str, runs: Sequence[Run], checked: int, equal: bool) -> dict[str, str]:
    return {
        "preset": preset,
        "time [us]": f"{sum(run.time_us for run in runs):,.1f}",
        "DRAM [MB]": f"{sum(run.measures['dram_bytes'] for run in runs) / 1e6:,.1f}",
        "maps and values checked": f"{checked} of {len(runs)}",
        "engines equal": "yes" if equal else "NO",
    }


def _where(run: Run) -> dict[str, str]:
    row = {"layer": run.workload, "cycles": f"{run.cycles:,}"}
    return row | {name: f"{100 * n / run.cycles:.1f}" for name, n in run.states["matrix"].items()}
