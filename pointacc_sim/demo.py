"""A first look at PointAcc: a network on a LiDAR sweep by both engines, maps and values checked, figures."""

from __future__ import annotations

from pathlib import Path

from cyclekit.machine import Demo, Progress, quiet
from cyclekit.views import amount
from pointacc_sim import figures
from pointacc_sim.actions import DRAM, MatrixState
from pointacc_sim.simulate import encode, simulate
from pointacc_sim.spec import PRESETS
from workloads.points import networks
from workloads.points.groups import EPSILONS

WORKLOAD = "lidar-0.2:minkunet-0.5"
DESIGNS = {
    "fetch on demand": {},
    "without the cache": {"cache": False},
    "gather, scatter": {"dataflow": "gather-scatter"},
}


def demo(folder: Path, *, progress: Progress = quiet) -> Demo:
    """Run a network on a cloud on both presets; hold engines and values together."""
    model = networks.load(WORKLOAD)
    equal, n_checked, times, moved, spent = True, 0, {}, {}, {}
    for done, preset in enumerate(PRESETS):
        spec = PRESETS[preset]
        progress(f"{model.name}, {preset}", done, len(PRESETS) + 1)
        images = encode(model, spec)
        runs = simulate(images, None, spec, check=not done)  # the values hang on no design
        events = simulate(images, None, spec, engine="events")
        equal &= all(not a.timeline.differences(b.timeline) for a, b in zip(runs, events, strict=True))
        n_checked += sum(run.check["passed"] for run in runs if run.check is not None)
        times[preset] = sum(run.time_us for run in runs)
    progress("flows", len(PRESETS), len(PRESETS) + 1)
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
    of_map = f"Kernel map of {model.layers[0].name}, the first layer of {model.name}; no machine."
    of_flows = f"All layers of {model.name}; preset server ({_flows()}). No prices."
    drawn = [
        figures.draw_sizes(
            sizes, folder / "pointacc_map_sizes.png", title=f"{model.name}: entries by offset", about=of_map
        ),
        figures.draw_groups(
            sizes, EPSILONS, folder / "pointacc_groups.png", title="Groups against epsilon", about=of_map
        ),
        figures.draw_states(
            spent, MatrixState, times, folder / "pointacc_units.png", title=f"{model.name}: array", about=of_flows
        ),
        figures.draw_bytes(moved, folder / "pointacc_dram.png", title=f"{model.name}: DRAM by flow", about=of_flows),
    ]
    bytes_of = {name: sum(parts.values()) for name, parts in moved.items()}
    base, *_, other = DESIGNS
    return Demo(
        built=f"MinkowskiUNet at half width on a LiDAR sweep ({model.name}), on PointAcc (MICRO 2021)",
        right=f"maps and values of {n_checked} of {len(model.layers)} layers are the reference's; "
        f"both engines give {'the same' if equal else 'OTHER'} cycles",
        remember={
            **{f"the sweep on the {preset} design": amount(times[preset], "us") for preset in PRESETS},
            "DRAM, fetched on demand": f"{bytes_of[base]:.1f} MB, of {bytes_of[other]:.1f} MB by gather and scatter",
        },
        further=(
            "zeroskip compare lidar-0.1:minkunet-0.5 --machines pointacc,tensorcore:rtx-2080-ti",
            "zeroskip validate pointacc",
        ),
        figures=drawn,
        passed=equal and n_checked == len(model.layers),
    )


def _flows() -> str:
    """Return what each design of the figures changes of its preset."""
    changes = {name: ", ".join(f"{field} = {value}" for field, value in of.items()) for name, of in DESIGNS.items()}
    return "; ".join(f"{name}: {said or 'as it is'}" for name, said in changes.items())
