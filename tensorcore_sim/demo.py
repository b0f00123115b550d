"""A first look at the tensor core: what 2:4 brings at which size and why not more, values checked, figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cyclekit.machine import Demo, Progress, quiet
from cyclekit.run import Run
from tensorcore_sim import figures
from tensorcore_sim.card import bounds
from tensorcore_sim.card.tiling import Problem
from tensorcore_sim.simulate import encode, simulate
from tensorcore_sim.spec import PRESETS, Spec
from workloads.records import Shape, Workload

CARDS = {"A100 SXM 80GB": "a100-sxm-80gb", "H100 SXM": "h100-sxm"}
SIZES = (256, 512, 1024, 2048, 4096, 8192)
SMALL, LARGE = 512, 4096  # those of the numbers to remember
ABOUT = "Products of square f16 matrices by their sizes alone, sparsity dense and 2:4, all else as in the preset."
CHECKED = (256, 128, 512)  # m, n, k of the GEMM whose values are checked


def demo(folder: Path, *, progress: Progress = quiet) -> Demo:
    """Run square f16 GEMMs dense and 2:4 on two cards, check the values of one, draw figures."""
    runs = {}
    for done, (card, preset) in enumerate(CARDS.items()):
        for size in SIZES:
            progress(f"{card}, {size}", done * len(SIZES) + SIZES.index(size), len(CARDS) * len(SIZES))
            for sparsity in ("dense", "2:4"):
                spec = PRESETS[preset].replace(sparsity=sparsity)
                shape = Shape(name=f"{size}x{size}x{size}", n_out=size, n_in=size, batch=size)
                runs[card, size, sparsity] = simulate(encode(shape, spec), None, spec)
    check = _check()
    card = next(iter(CARDS))
    speed_ups = {name: [runs[name, size, "2:4"].measures["speed_up"] for size in SIZES] for name in CARDS}
    sparse = {f"{size:,}": runs[card, size, "2:4"] for size in SIZES}
    cards = ", ".join(f"{name}: preset {preset}" for name, preset in CARDS.items())
    drawn = [
        figures.draw_speed_ups(
            SIZES, speed_ups, folder / "tensorcore_speed_up.png", about=f"{ABOUT} {cards}. No prices."
        ),
        figures.draw_losses(
            sparse,
            folder / "tensorcore_losses.png",
            title=f"{card}, f16: time of 2:4 and what is in it",
            about=f"{ABOUT} Preset {CARDS[card]}. No prices.",
        ),
        _draw_roofline(card, {size: (runs[card, size, "dense"], runs[card, size, "2:4"]) for size in SIZES}, folder),
    ]
    m, n, k = CHECKED
    is_within = "within" if check["passed"] else "BEYOND"
    return Demo(
        built=f"square f16 GEMMs of {SIZES[0]:,} to {SIZES[-1]:,}, dense and 2:4, on {' and '.join(CARDS)}",
        right=f"the values of a 2:4 GEMM of {m} x {n} x {k} are {is_within} their derived bound of float64, "
        f"at most {check['largest_error_over_bound']:.2%} of it",
        remember={
            f"2:4 over dense at {LARGE:,}, {name}": f"{runs[name, LARGE, '2:4'].measures['speed_up']:.2f} times, "
            f"most lost to {_most_lost(runs[name, LARGE, '2:4'])}"
            for name in CARDS
        }
        | {f"at {SMALL:,}, {card}": f"{runs[card, SMALL, '2:4'].measures['speed_up']:.2f} times"},
        further=("zeroskip run tensorcore 4096x4096x4096 --set sparsity=2:4", "zeroskip validate tensorcore"),
        figures=drawn,
        passed=check["passed"],
    )


def _most_lost(sparse: Run) -> str:
    """Return what keeps a 2:4 run from twice the rate more than anything else does, in words."""
    lost = {name: us for name, us in sparse.measures.items() if name.startswith("lost_to_")}
    return max(lost, key=lost.get).removeprefix("lost_to_").removesuffix("_us").replace("_", " ")


def _check() -> dict:
    """Return how the values of a random 2:4 layer compare with the reference."""
    m, n, k = CHECKED
    rng = np.random.default_rng(24)
    weights = rng.standard_normal((m, k), np.float32)
    order = np.argsort(np.abs(weights).reshape(m, -1, 4), axis=2)
    np.put_along_axis(weights.reshape(m, -1, 4), order[:, :, :2], 0, axis=2)
    layer = Workload(name="random 2:4", weights=weights, activations=rng.standard_normal((n, k), np.float32))
    spec = next(PRESETS[preset] for preset in CARDS.values()).replace(sparsity="2:4")
    return simulate(encode(layer, spec), layer.activations, spec, check=True).check


def _draw_roofline(card: str, runs: dict, folder: Path) -> Path:
    spec = PRESETS[CARDS[card]]
    gb_per_s = spec.hbm_gb_per_s * spec.hbm_share
    peak = 2 * spec.f16_fma_per_cycle * spec.n_sms * spec.clock_mhz / 1e6
    points: dict[str, list] = {"dense": [], "2:4": []}
    for size, pair in runs.items():
        for name, run in zip(points, pair, strict=True):
            least = bounds.hbm_bytes(Problem(m=size, n=size, k=size), Spec.from_dict(run.spec))
            points[name].append((2 * size**3 / least, run.measures["dense_equivalent_tflops"], f"{size:,}"))
    roofs = {"dense": (peak, gb_per_s), "2:4": (2 * peak, gb_per_s)}
    title = f"{card}, f16, square GEMMs; {gb_per_s:,.0f} GB/s"
    about = f"{ABOUT} Preset {CARDS[card]}. No prices."
    return figures.draw_roofline(roofs, points, folder / "tensorcore_roofline.png", title, about=about)
