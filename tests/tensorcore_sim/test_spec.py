"""Are the measured cards those of their documents, fitted constants those of docs/tensorcore.md, limits as meant?"""

from dataclasses import fields

import pytest

from tensorcore_sim import MACHINE, PRESETS
from tensorcore_sim.spec import Spec
from workloads.errors import BadInput

A100, HOPPER = [f"a100-{kind}" for kind in ("sxm-40gb", "sxm-80gb", "pcie-80gb")], ["h100-pcie", "h800-pcie"]
SXM = ["h100-sxm", "h200-sxm"]

# Of an SM. A100 and H100 whitepapers: dense multiply-adds a cycle; KiB that a block can have; Sun et al. and docs S1 to
# S8: cycles; Luo et al.: latencies, L2's rate; docs "Whole GEMMs" and "Power": what was fitted
OF_FAMILY = {
    "f16_fma_per_cycle": (1024, 2048), "tf32_fma_per_cycle": (512, 1024), "fp8_fma_per_cycle": (0, 4096),
    "int8_fma_per_cycle": (2048, 4096), "int4_fma_per_cycle": (4096, 0), "b1_fma_per_cycle": (16384, 0),
    "fp4_fma_per_cycle": (0, 0), "n_subcores": (4, 4), "pass_cycles": (4, 4), "sparse_floor_cycles": (6.2, 6.2),
    "first_pass_latency_cycles": (17.7, 17.7), "further_pass_latency_cycles": (7, 7),
    "loop_overhead_one_warp_cycles": (2.6, 2.6), "loop_overhead_more_warps_cycles": (0.8, 0.8),
    "port_bytes_per_cycle": (128, 128), "load_latency_cycles": (21, 21), "load_latency_per_pass_cycles": (2, 2),
    "wgmma_rs_floor_cycles": (13.4, 13.4), "n_sms_sharing_reads": (2, 1), "l2_bytes": (40 * 2**20, 50 * 2**20),
    "l2_bytes_per_cycle": (2008, 4472), "l2_latency_cycles": (282.3, 336.1), "hbm_latency_cycles": (566, 656),
    "shared_bytes_of_block": (163 * 1024, 227 * 1024), "launch_us": (3.4, 3.4), "k_step_overhead_cycles": (90, 130),
    "limit_after_ms": (20, 20), "static_w": (60, 100), "hbm_pj_per_bit_ghz": (9.9, 9.9), "f16_pj_per_ghz": (1.5, 1),
    "tf32_pj_per_ghz": (3, 2), "fp8_pj_per_ghz": (0, 0.66), "int8_pj_per_ghz": (0.75, 0.66),
    "int4_pj_per_ghz": (0.375, 0), "fp4_pj_per_ghz": (0, 0),
}  # fmt: skip
# Data sheets: MHz, SMs, GB/s, share of it that kernels reach (docs), W, GiB (the H200: 143,771 MiB, as it is printed)
OF_CARD = {
    "a100-sxm-40gb": (1410, 108, 1555, 0.91, 400, 40),
    "a100-sxm-80gb": (1410, 108, 2039, 0.78, 400, 80),
    "a100-pcie-80gb": (1410, 108, 1935, 0.78, 300, 80),
    "h100-pcie": (1755, 114, 2039, 0.91, 350, 80),
    "h800-pcie": (1755, 114, 2039, 0.91, 350, 80),
    "h100-sxm": (1830, 132, 3350, 0.91, 700, 80),
    "h200-sxm": (1830, 132, 4800, 0.91, 700, 140.4),
}
# The kernel, which is the user's to ask for: nothing is asked for
OF_KERNEL = {
    "in_dtype": "f16", "sparsity": "dense", "int4_weights": False, "scale_group": 128, "output_bytes": 2, "tile_m": 0,
    "tile_n": 0, "tile_k": 0, "n_stages": 0, "kernels": "best", "scheduler": "chosen", "split_k": 0, "raster_tiles": 0,
    "host_us": 0, "sync_us": 0, "n_calls": 0, "warm_l2": False,
}  # fmt: skip
# How a sparse convolution runs: as TorchSparse runs it, tuned
OF_CLOUDS = {
    "sparse_dataflow": "gather-scatter", "grouping": "adaptive", "tuned_groups": True, "epsilon": 0, "mm_threshold": 0,
    "mask_splits": 1, "vector_moves": True, "fused_moves": True, "local_moves": True, "map_search": "grid",
    "map_symmetry": True,
}  # fmt: skip


@pytest.mark.parametrize("preset", OF_CARD)
def test_a_measured_card_is_that_of_its_documents(preset):
    place = int(preset not in A100)
    names = ("clock_mhz", "n_sms", "hbm_gb_per_s", "hbm_share", "power_limit_w", "memory_gib")
    named = dict(zip(names, OF_CARD[preset], strict=True))
    expected = {name: values[place] for name, values in OF_FAMILY.items()} | named | OF_KERNEL | OF_CLOUDS
    card = "a100" if preset in A100 else "h200" if preset.startswith("h200") else "h100"
    assert PRESETS[preset].as_dict() == expected | {"card": card}


# What a field may be: a time in cycles is played tick by tick, a share is one, what is counted is there
LIMITS = {
    "clock_mhz": (1e-3, None), "n_subcores": (1, 64), "pass_cycles": (0.1, 1e4), "sparse_floor_cycles": (0, 1e4),
    "first_pass_latency_cycles": (2.1, 1e4), "further_pass_latency_cycles": (0, 1e4),
    "loop_overhead_one_warp_cycles": (0.1, 1e4), "loop_overhead_more_warps_cycles": (0.1, 1e4),
    "port_bytes_per_cycle": (1, None), "load_latency_cycles": (1.1, 1e4), "load_latency_per_pass_cycles": (0, 1e4),
    "wgmma_rs_floor_cycles": (0, 1e4), "n_sms": (1, 4096), "n_sms_sharing_reads": (1, 64),
    "l2_bytes_per_cycle": (1, None), "l2_latency_cycles": (0.1, None), "hbm_gb_per_s": (1e-3, None),
    "hbm_share": (1e-3, 1), "hbm_latency_cycles": (0.1, None), "memory_gib": (1e-3, None),
    "power_limit_w": (1, None), "scale_group": (1, None), "output_bytes": (1, 8),
    "tile_m": (0, 1024), "tile_n": (0, 1024), "tile_k": (0, 4096), "n_stages": (0, 64),
    "split_k": (0, 1024), "raster_tiles": (0, 2**62), "epsilon": (0, 1), "mask_splits": (0, 9),
}  # fmt: skip


@pytest.mark.parametrize("field", [field for field in fields(Spec) if type(field.default) in (int, float)])
def test_a_number_is_taken_up_to_its_limits_and_refused_beyond(field):
    least, most = LIMITS.get(field.name, (0, None))
    if isinstance(field.default, int):
        most = 2**63 - 1 if most is None else most
        below, beyond = least - 1, most + 1
    else:
        most = 9e18 if most is None else most
        below, beyond = 0.999 * least - 1e-9, 1.1 * most
    for value in (least, most):
        others = {"static_w": 0.0, "power_limit_w": 9.1e18}  # which must stand in order
        assert getattr(Spec().replace(**others | {field.name: value}), field.name) == value
    for value, told in ((below, "at least"), (beyond, "at most")):
        with pytest.raises(BadInput, match=f"{field.name} must be {told} "):
            Spec().replace(**{field.name: value})


def test_dies_are_those_that_are_published():
    # NVIDIA's whitepapers, in mm2
    areas = {"a100": 826, "h100": 814, "t4": 545, "rtx-3090": 628.4, "rtx-4090": 608.5, "l40s": 608.5, "rtx-5090": 750}
    areas |= {"h200": 814, "gh200": 814, "b200": None}
    others = {preset: spec for preset, spec in PRESETS.items() if preset != "rtx-2080-ti"}
    assert {spec.card: MACHINE.chip(spec).area_mm2 for spec in others.values()} == areas
    assert MACHINE.chip(PRESETS["rtx-2080-ti"]).area_mm2 == 754  # another die than the t4's, whose instructions it runs
    assert MACHINE.chip(PRESETS["b200"]).note.endswith("3.4 us of a call are its launch")
    assert MACHINE.chip(PRESETS["t4"]).note.endswith("; the area is without memory")
