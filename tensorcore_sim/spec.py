"""One streaming multiprocessor (SM) in numbers: all that instruction timing depends on, with source; the presets."""

from __future__ import annotations

from dataclasses import dataclass

from cyclekit.spec import Spec as BaseSpec
from cyclekit.spec import choice, number

SUN = "Sun et al., arXiv 2206.02874v3"
LUO = "Luo et al., arXiv 2402.13499 and 2501.12084v2"
WHITEPAPER = "A100 and H100 whitepapers and datasheets"
FITTED = f"fitted by this project on the throughputs of {SUN}, docs/tensorcore.md"
LAW = f"law derived from the latencies of {SUN}"

TICKS = 10  # a cycle in units of the timeline: published times have tenths


@dataclass(frozen=True, kw_only=True)
class Spec(BaseSpec):
    """One SM. The defaults are A100's; times in cycles are whole tenths. A rate of 0: the card lacks the format."""

    architecture: str = choice(
        "ampere",
        "which instructions there are: ampere has mma and mma.sp, hopper is timed for wgmma and wgmma.sp only",
        source=WHITEPAPER,
        options=("ampere", "hopper"),
    )
    clock_mhz: float = number(1410.0, "clock frequency", source=f"{WHITEPAPER}, boost", minimum=1e-3)
    n_subcores: int = number(
        4, "sub-cores, each with a warp scheduler and a tensor core", source=WHITEPAPER, minimum=1, maximum=64
    )
    f16_fma_per_cycle: int = number(1024, "dense f16 or bf16 multiply-adds of the SM in a cycle", source=WHITEPAPER)
    tf32_fma_per_cycle: int = number(512, "dense tf32 multiply-adds of the SM in a cycle", source=WHITEPAPER)
    fp8_fma_per_cycle: int = number(0, "dense e4m3 or e5m2 multiply-adds of the SM in a cycle", source=WHITEPAPER)
    int8_fma_per_cycle: int = number(2048, "dense int8 multiply-adds of the SM in a cycle", source=WHITEPAPER)
    int4_fma_per_cycle: int = number(4096, "dense int4 multiply-adds of the SM in a cycle", source=WHITEPAPER)
    b1_fma_per_cycle: int = number(16384, "dense 1-bit multiply-adds of the SM in a cycle", source=WHITEPAPER)

    pass_cycles: float = number(
        4.0, "least issue interval of an mma; one pass of the tensor core", source=f"{SUN}, k8 at 8 warps", minimum=0.1
    )
    sparse_floor_cycles: float = number(6.2, "least issue interval of an mma.sp", source=FITTED)
    first_pass_latency_cycles: float = number(
        17.7, "from issue to completion of an mma of one pass", source=f"{SUN}, f16 m16n8k8", minimum=2.1
    )
    further_pass_latency_cycles: float = number(
        7.0, "added by each further pass", source=f"{SUN}, f16 m16n8k16 less m16n8k8"
    )
    loop_overhead_one_warp_cycles: float = number(
        2.6, "what closing an iteration takes from a sub-core with one warp", source=FITTED, minimum=0.1
    )
    loop_overhead_more_warps_cycles: float = number(
        0.8, "what closing an iteration of all its warps takes from a sub-core with two", source=FITTED, minimum=0.1
    )

    port_bytes_per_cycle: int = number(
        128, "width of the shared-memory port: one pass a cycle", source=f"{WHITEPAPER}; {SUN}; {LUO}", minimum=1
    )
    load_latency_cycles: float = number(
        21.0, "of a load from shared memory, before its passes", source=LAW, minimum=1.1
    )
    load_latency_per_pass_cycles: float = number(2.0, "added by each pass of a load", source=LAW)
    wgmma_rs_floor_cycles: float = number(
        13.4, "least interval of a wgmma with A from registers", source=f"fitted on one point of {LUO}: m64n8k16 RS"
    )

    def fma_per_cycle(self, in_dtype: str) -> int:
        """Return the dense rate of an input format; 0 where the card lacks it."""
        family = {"bf16": "f16", "e4m3": "fp8", "e5m2": "fp8"}.get(in_dtype, in_dtype)
        return getattr(self, f"{family}_fma_per_cycle")


_HOPPER = Spec(
    architecture="hopper",
    f16_fma_per_cycle=2048,
    tf32_fma_per_cycle=1024,
    fp8_fma_per_cycle=4096,
    int8_fma_per_cycle=4096,
    int4_fma_per_cycle=0,
    b1_fma_per_cycle=0,
)
# Of one SM, cards of a generation differ in their clock only; how many SMs there are, L2 and HBM are not modelled yet.
PRESETS = {
    "a100-sxm-40gb": Spec(),
    "a100-sxm-80gb": Spec(),
    "h800-pcie": _HOPPER.replace(clock_mhz=1620.0),
    "h100-sxm": _HOPPER.replace(clock_mhz=1830.0),
    "h200-sxm": _HOPPER.replace(clock_mhz=1830.0),
}
PRESET_NOTES = {
    "a100-sxm-40gb": "A100 SXM4, 1,410 MHz",
    "a100-sxm-80gb": "A100 SXM4, 1,410 MHz; its SM is the 40 GB card's",
    "h800-pcie": "the card that Luo et al. measured, at the 1,620 MHz of its quoted peaks (it can run at 1,755)",
    "h100-sxm": "the H800's cycles, at the 1,830 MHz that the quoted peaks imply",
    "h200-sxm": "the H800's cycles, at the 1,830 MHz that the quoted peaks imply",
}
