"""Point clouds: the speed of maps and of PointAcc's engines, and PointAcc beside a simulated RTX 2080 Ti.

Maps: 100,000 voxels of LiDAR sweeps, 27 offsets, beside SciPy's tree of the same neighbours. Engines: MinkUNet 0.5 on
lidar-0.1. Prints one line a measurement with its target, and writes them as JSON to a path given as the only argument.
"""

from __future__ import annotations

import time

import numpy as np
from scipy.spatial import cKDTree
from stopwatch import best, report

import pointacc_sim
import tensorcore_sim
from tensorcore_sim.card import power
from workloads.points import networks
from workloads.points.clouds import read
from workloads.points.kernel_map import kernel_map

WORKLOAD = "lidar-0.1:minkunet-{}"
N_VOXELS, APART = 100_000, 4096
# The card's software: as TorchSparse runs it, and without its optimisations, as what was there before it
BEFORE = {
    "grouping": "separate",
    "vector_moves": False,
    "fused_moves": False,
    "local_moves": False,
    "map_search": "hash",
    "map_symmetry": False,
}
SOFTWARE = {"TorchSparse": {}, "before it": BEFORE}


def main() -> None:
    one = read("lidar-0.05").coordinates
    cloud = np.concatenate([one + np.int32([APART * copy, 0, 0]) for copy in range(4)])[:N_VOXELS]
    joined = kernel_map(cloud)
    tree = cKDTree(cloud)
    pairs = tree.count_neighbors(tree, 1.75)  # within the cube of 27: its corners are 1.73 away
    assert joined.n_maps == pairs
    maps = best(lambda: kernel_map(cloud), repeats=5)
    scipy = best(lambda: cKDTree(cloud).query_pairs(1.75, output_type="ndarray"), repeats=3)
    model, spec = networks.load(WORKLOAD.format("0.5")), pointacc_sim.PRESETS["server"]

    def played(engine: str) -> list:
        return pointacc_sim.simulate(pointacc_sim.encode(model, spec), None, spec, engine=engine)

    runs = played("schedule")
    assert sum(run.actions["macs"] for run in runs) == sum(layer.macs for layer in model.layers)
    schedule = best(lambda: played("schedule"), repeats=3)
    start = time.perf_counter()
    events = played("events")
    simpy = time.perf_counter() - start
    assert not any(a.timeline.differences(b.timeline) for a, b in zip(runs, events, strict=True))
    rows = [
        ("map of 100,000 voxels", 1e3 * maps, "ms", maps, 0.2, "s"),
        ("map of 100,000 voxels", 1e3 * scipy, "ms", maps / scipy, None, "x SciPy's pairs of neighbours"),
        ("schedule, values", schedule, "s", schedule, 2.0, "s: maps, plans, timelines, values of 50 layers"),
        ("SimPy, values", simpy, "s", simpy, 60.0, "s"),
    ]
    for width in ("0.5", "1.0"):
        rows += _beside_card(WORKLOAD.format(width))
    report(rows)


def _beside_card(workload: str) -> list[tuple]:
    """Return what the RTX 2080 Ti takes over what PointAcc does, time and energy; the abstract says 3.7 and 22."""
    model, server = networks.load(workload), pointacc_sim.PRESETS["server"]
    runs = pointacc_sim.simulate(pointacc_sim.encode(model, server), None, server)
    time_us = sum(run.time_us for run in runs)
    uj = sum(pointacc_sim.energy(run, "bottom-up").total_pj for run in runs) / 1e6
    rows = []
    for name, changes in SOFTWARE.items():
        card = tensorcore_sim.PRESETS["rtx-2080-ti"].replace(**changes)
        of_card = tensorcore_sim.simulate(tensorcore_sim.encode(model, card), None, card)
        card_us = sum(run.time_us for run in of_card)
        card_uj = sum(power.watts(run.actions, run.time_us, card.clock_mhz, card) * run.time_us for run in of_card)
        label = workload.partition(":")[2]
        rows.append((f"{label}, 2080 Ti", card_us, "us", card_us / time_us, None, f"x PointAcc's time, {name}"))
        rows.append((f"{label}, 2080 Ti", card_uj, "uJ", card_uj / uj, None, f"x PointAcc's energy, {name}"))
    return rows


if __name__ == "__main__":
    main()
