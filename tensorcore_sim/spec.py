"""A card and the kernel that runs on it in numbers, each with its source: the SM, the memory, the tile; the presets."""

from __future__ import annotations

from dataclasses import dataclass

from cyclekit.spec import choice, number, switch
from tensorcore_sim import cards, cloud_fields
from tensorcore_sim.cloud_fields import CloudFields
from workloads.errors import BadInput

SUN = "Sun et al., arXiv 2206.02874v3"
LUO = "Luo et al., arXiv 2402.13499 and 2501.12084v2"
WHITEPAPER = "A100 and H100 whitepapers and datasheets"
FITTED = f"fitted by this project on the throughputs of {SUN}, docs/tensorcore.md"
LAW = f"law derived from the latencies of {SUN}"
LADDER = "fitted by this project on two rows of LLMCompass' A100 ladder, docs/tensorcore.md"
SMALL = "fitted by this project on three rows of torchao PR 4730, docs/tensorcore.md"
POWER = "fitted by this project on the rows of vllmbench named in docs/tensorcore.md"
BY_RATE = "assumed in inverse proportion to the rate"
BOARD = "whole-board fit on 30 rows of ML.ENERGY (H100): 100 W + 18.1 pJ a bit at 1,830 MHz"
CHOICE = "the user's"

# By family, each with instructions and arithmetic of its own
TURING, AMPERE, ADA, HOPPER = ("t4",), ("a100", "rtx-3090"), ("l40s", "rtx-4090"), ("h100", "h200", "gh200")
BLACKWELL, RTX_BLACKWELL = ("b200",), ("rtx-5090",)
CARDS = (*TURING, *AMPERE, *ADA, *HOPPER, *BLACKWELL, *RTX_BLACKWELL)
UNITS = dict.fromkeys(HOPPER, "wgmma") | dict.fromkeys(BLACKWELL, "tcgen05")  # of the others: mma

IN_DTYPES = ("f16", "bf16", "tf32", "e4m3", "e5m2", "int8", "int4")
SCALED = ("nvfp4", "mxfp4", "mxfp8")  # block-scaled: format/blocks.py; timed, but their values are not computed
FAMILIES = {"bf16": "f16", "e4m3": "fp8", "e5m2": "fp8", "nvfp4": "fp4", "mxfp4": "fp4", "mxfp8": "fp8"}  # of one rate
SPARSITIES = ("dense", "2:4", "1:2", "1:4", "2:8", "4:8", "1:8", "2:16", "4:16", "8:16")
KERNELS = ("best", "cutlass", "cublas", "cusparselt", "cusparselt-searched")
CHOSEN = "chosen"
LONGEST = 10_000.0  # cycles of an instruction: what one holds is played tick by tick
TICKS = 10  # a cycle in units of the timeline: published times have tenths


@dataclass(frozen=True, kw_only=True)
class Spec(CloudFields):
    """One card and one kernel. The defaults are A100's; times in cycles are whole tenths.

    A rate of 0: the card lacks the format. A tile or a number of stages of 0: the model chooses.
    """

    card: str = choice(
        "a100",
        "whose instructions it runs and whose arithmetic its values have: mma, on h100, h200 and gh200 wgmma, on b200 "
        "tcgen05",
        source="arithmetic/instructions.py",
        options=CARDS,
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
    fp4_fma_per_cycle: int = number(0, "dense nvfp4 or mxfp4 multiply-adds of the SM in a cycle", source=WHITEPAPER)
    b1_fma_per_cycle: int = number(16384, "dense 1-bit multiply-adds of the SM in a cycle", source=WHITEPAPER)

    pass_cycles: float = number(
        4.0,
        "least issue interval of an mma; one pass of the tensor core",
        source=f"{SUN}, k8 at 8 warps",
        minimum=0.1,
        maximum=LONGEST,
    )
    sparse_floor_cycles: float = number(6.2, "least issue interval of an mma.sp", source=FITTED, maximum=LONGEST)
    first_pass_latency_cycles: float = number(
        17.7,
        "from issue to completion of an mma of one pass",
        source=f"{SUN}, f16 m16n8k8",
        minimum=2.1,
        maximum=LONGEST,
    )
    further_pass_latency_cycles: float = number(
        7.0, "added by each further pass", source=f"{SUN}, f16 m16n8k16 less m16n8k8", maximum=LONGEST
    )
    loop_overhead_one_warp_cycles: float = number(
        2.6,
        "what closing an iteration takes from a sub-core with one warp",
        source=FITTED,
        minimum=0.1,
        maximum=LONGEST,
    )
    loop_overhead_more_warps_cycles: float = number(
        0.8,
        "what closing an iteration of all its warps takes from a sub-core with two",
        source=FITTED,
        minimum=0.1,
        maximum=LONGEST,
    )

    port_bytes_per_cycle: int = number(
        128, "width of the shared-memory port: one pass a cycle", source=f"{WHITEPAPER}; {SUN}; {LUO}", minimum=1
    )
    load_latency_cycles: float = number(
        21.0, "of a load from shared memory, before its passes", source=LAW, minimum=1.1, maximum=LONGEST
    )
    load_latency_per_pass_cycles: float = number(2.0, "added by each pass of a load", source=LAW, maximum=LONGEST)
    wgmma_rs_floor_cycles: float = number(
        13.4,
        "least interval of a wgmma with A from registers",
        source=f"fitted on one point of {LUO}: m64n8k16 RS",
        maximum=LONGEST,
    )

    n_sms: int = number(108, "SMs of the card", source=WHITEPAPER, minimum=1, maximum=4096)
    n_sms_sharing_reads: int = number(
        2,
        "neighbouring SMs whose reads of the same data, on their way at once, L2 serves once, if no cluster is larger",
        source=f"{LADDER}: without it L2's measured rate could not feed the dense rates",
        minimum=1,
        maximum=64,
    )
    l2_bytes: int = number(40 * 2**20, "capacity of L2", source=WHITEPAPER)
    l2_bytes_per_cycle: int = number(2008, "L2 reads and writes of the whole card in a cycle", source=LUO, minimum=1)
    l2_latency_cycles: float = number(
        282.3, "from L2's service to the data in shared memory: mean of near and far", source=LUO, minimum=0.1
    )
    hbm_gb_per_s: float = number(1555.0, "bandwidth of HBM", source=WHITEPAPER, minimum=1e-3)
    hbm_share: float = number(
        0.91, "share of it that kernels reach", source=f"{LUO}: 90 to 92%", minimum=1e-3, maximum=1
    )
    hbm_latency_cycles: float = number(
        566.0, "from HBM's service to the data in shared memory", source=LUO, minimum=0.1
    )
    memory_gib: float = number(40.0, "what HBM holds, in GiB (2^30 bytes)", source=WHITEPAPER, minimum=1e-3)
    shared_bytes_of_block: int = number(163 * 1024, "shared memory that one block can have", source=WHITEPAPER)
    launch_us: float = number(3.4, "from the call to the first instruction, and the end's notice", source=SMALL)
    host_us: float = number(
        0.0,
        "of the host for a call, while the card works on the one before: no queued call takes less; 0 in a CUDA graph",
        source=CHOICE,
    )
    sync_us: float = number(
        0.0,
        "of the host in every call, while the card waits for it: where each call is waited for",
        source=CHOICE,
    )
    k_step_overhead_cycles: float = number(
        90.0, "what a k-step of a tile takes beyond its instructions: barrier, pointers", source=LADDER
    )

    power_limit_w: float = number(
        400.0, "what the card may draw: the clock falls until it does not draw more", source=WHITEPAPER, minimum=1
    )
    limit_after_ms: float = number(
        20.0, "of calls one after another in which the clock has fallen by 63% of what the limit takes", source=POWER
    )
    n_calls: int = number(0, "calls one after another, as a benchmark makes them; 0: without end", source=CHOICE)
    warm_l2: bool = switch(
        False,
        "A and B are in L2 at the start, if it can hold them: as in a benchmark that repeats a call",
        source=CHOICE,
    )
    static_w: float = number(
        60.0, "what it draws at any clock", source="assumed for A100; 222 W of decoding less 18.1 pJ a bit of HBM"
    )
    hbm_pj_per_bit_ghz: float = number(9.9, "of a bit of HBM for each GHz of the clock", source=BOARD)
    f16_pj_per_ghz: float = number(1.5, "of an f16 or bf16 multiply-add for each GHz of the clock", source=POWER)
    tf32_pj_per_ghz: float = number(3.0, "of a tf32 multiply-add for each GHz of the clock", source=BY_RATE)
    fp8_pj_per_ghz: float = number(0.0, "of an e4m3 or e5m2 multiply-add for each GHz of the clock", source=POWER)
    int8_pj_per_ghz: float = number(0.75, "of an int8 multiply-add for each GHz of the clock", source=POWER)
    int4_pj_per_ghz: float = number(0.375, "of an int4 multiply-add for each GHz of the clock", source=BY_RATE)
    fp4_pj_per_ghz: float = number(0.0, "of an nvfp4 or mxfp4 multiply-add for each GHz of the clock", source=BY_RATE)

    in_dtype: str = choice("f16", "format of the operands", source=CHOICE, options=(*IN_DTYPES, *SCALED))
    sparsity: str = choice(
        "dense",
        "how A (the weights) is stored: dense, the card's own 2:4, or N of M, which no card has",
        source=CHOICE,
        options=SPARSITIES,
    )
    int4_weights: bool = switch(
        False, "A as int4 with an f16 scale for every scale_group of its k, dequantised in registers", source=CHOICE
    )
    scale_group: int = number(128, "weights under one scale, along k", source="Marlin, arXiv 2408.11743", minimum=1)
    output_bytes: int = number(2, "of an element of the result in memory", source=CHOICE, minimum=1, maximum=8)
    tile_m: int = number(
        0, "rows of A, and of the result, of one block; 0: the model chooses", source=CHOICE, maximum=1024
    )
    tile_n: int = number(
        0, "columns of B, and of the result, of one block; 0: the model chooses", source=CHOICE, maximum=1024
    )
    tile_k: int = number(0, "columns of A in a k-step; 0: the model chooses", source=CHOICE, maximum=4096)
    n_stages: int = number(0, "k-steps in shared memory at once; 0: the model chooses", source=CHOICE, maximum=64)
    kernels: str = choice(
        "best",
        "whose kernels are chosen from: a library's own (a dense GEMM beside one of cuSPARSELt takes cuBLAS'), or any",
        source=CHOICE,
        options=KERNELS,
    )
    scheduler: str = choice(
        CHOSEN,
        "how k-steps are dealt to blocks: a tile each, tiles beforehand, k-steps beforehand; or the model chooses",
        source=CHOICE,
        options=(CHOSEN, "grid", "persistent", "stream-k"),
    )
    split_k: int = number(
        0,
        "blocks that share a tile's k, where the scheduler is grid; 0: the model chooses",
        source=CHOICE,
        maximum=1024,
    )
    raster_tiles: int = number(
        0, "tiles along m of a band in which blocks are dealt; 0: the kernel's own", source=CHOICE, maximum=2**62
    )

    def __post_init__(self):
        super().__post_init__()
        if self.int4_weights and self.in_dtype not in ("f16", "bf16"):
            raise BadInput(f"in_dtype must be f16 or bf16 with int4_weights, got {self.in_dtype!r}")
        if self.power_limit_w <= self.static_w:
            raise BadInput(f"power_limit_w must be above static_w, which is {self.static_w}, got {self.power_limit_w}")
        if (self.in_dtype, self.sparsity) == ("tf32", "1:2"):
            raise BadInput("sparsity must be 2:4 for the card's own pattern of tf32, which is 1:2, got '1:2'")
        if self.in_dtype in SCALED and self.sparsity not in ("dense", "2:4"):
            raise BadInput(f"sparsity must be dense or 2:4 for {self.in_dtype}, got {self.sparsity!r}")
        if self.card in TURING and self.sparsity == "2:4":
            raise BadInput(f"sparsity must be dense on {self.card}, which has no mma.sp, got '2:4'")

    @property
    def unit(self) -> str:
        """Return the instruction that GEMMs run: mma on registers, wgmma or tcgen05 on shared memory."""
        return UNITS.get(self.card, "mma")

    @property
    def architecture(self) -> str:
        """Return whose tiles and k-steps GEMMs have: ampere's with mma, hopper's with wgmma and tcgen05."""
        return "ampere" if self.unit == "mma" else "hopper"

    @property
    def sparse(self) -> bool:
        return self.sparsity != "dense"

    def fma_per_cycle(self, in_dtype: str) -> int:
        """Return the dense rate of an input format; 0 where the card lacks it."""
        lacking = in_dtype == "bf16" and self.card in TURING
        if lacking or (in_dtype in SCALED and self.card not in (*BLACKWELL, *RTX_BLACKWELL)):
            return 0
        return getattr(self, f"{FAMILIES.get(in_dtype, in_dtype)}_fma_per_cycle")

    @property
    def fma_pj_per_ghz(self) -> float:
        """Return the energy of a multiply-add of the operands' format for each GHz of the clock."""
        return getattr(self, f"{FAMILIES.get(self.in_dtype, self.in_dtype)}_pj_per_ghz")


_HOPPER = Spec(
    card="h100",
    f16_fma_per_cycle=2048,
    tf32_fma_per_cycle=1024,
    fp8_fma_per_cycle=4096,
    int8_fma_per_cycle=4096,
    int4_fma_per_cycle=0,
    b1_fma_per_cycle=0,
    n_sms=132,
    n_sms_sharing_reads=1,
    l2_bytes=50 * 2**20,
    l2_bytes_per_cycle=4472,
    l2_latency_cycles=336.1,
    hbm_gb_per_s=3350.0,
    memory_gib=80.0,
    hbm_latency_cycles=656.0,
    shared_bytes_of_block=227 * 1024,
    k_step_overhead_cycles=130.0,
    power_limit_w=700.0,
    static_w=100.0,
    f16_pj_per_ghz=1.0,
    tf32_pj_per_ghz=2.0,
    fp8_pj_per_ghz=0.66,
    int8_pj_per_ghz=0.66,
    int4_pj_per_ghz=0.0,
)
PRESETS = {
    "a100-sxm-40gb": Spec(),
    "a100-sxm-80gb": Spec(hbm_gb_per_s=2039.0, hbm_share=0.78, memory_gib=80.0),
    "a100-pcie-80gb": Spec(hbm_gb_per_s=1935.0, hbm_share=0.78, power_limit_w=300.0, memory_gib=80.0),
    "h100-pcie": _HOPPER.replace(clock_mhz=1755.0, n_sms=114, hbm_gb_per_s=2039.0, power_limit_w=350.0),
    "h800-pcie": _HOPPER.replace(clock_mhz=1755.0, n_sms=114, hbm_gb_per_s=2039.0, power_limit_w=350.0),
    "h100-sxm": _HOPPER.replace(clock_mhz=1830.0),
    "h200-sxm": _HOPPER.replace(card="h200", clock_mhz=1830.0, hbm_gb_per_s=4800.0, memory_gib=140.4),
}
PRESET_NOTES = {
    "a100-sxm-40gb": "A100 SXM4 with HBM2, 1,410 MHz; latencies and L2's rate as measured on the PCIe card",
    "a100-sxm-80gb": "A100 SXM4 with HBM2e, 1,410 MHz",
    "a100-pcie-80gb": "A100 PCIe with HBM2e, 1,410 MHz and 300 W",
    "h100-pcie": "the H800's cycles, 114 SMs with HBM2e, at most 1,755 MHz and 350 W",
    "h800-pcie": "the card that Luo et al. measured, at most 1,755 MHz (its peaks are quoted at 1,620) and 350 W",
    "h100-sxm": "the H800's cycles, 132 SMs with HBM3, at most the 1,830 MHz that its quoted peaks imply and 700 W",
    "h200-sxm": "the H100's, with 141 GB of HBM3e",
}


cards.add(PRESETS, PRESET_NOTES)

_OF_MMA = (
    "n_subcores",
    "pass_cycles",
    "first_pass_latency_cycles",
    "further_pass_latency_cycles",
    "load_latency_cycles",
    "load_latency_per_pass_cycles",
    "sparse_floor_cycles",
)
_OF_LOOPS = ("loop_overhead_one_warp_cycles", "loop_overhead_more_warps_cycles")


def idle(spec: Spec) -> dict[str, str]:
    """Return {field: why} of those that change nothing of any GEMM on a design."""
    own = FAMILIES.get(spec.in_dtype, spec.in_dtype)
    ends = ("_fma_per_cycle", "_pj_per_ghz")
    others = [name for name in spec.as_dict() if name.endswith(ends) and not name.startswith(f"{own}_")]
    fields = dict.fromkeys(others, f"in_dtype={spec.in_dtype} has its own")
    fields["memory_gib"] = "of whole models, which 'zeroskip llm' asks whether they fit"
    fields |= dict.fromkeys(_OF_LOOPS, "of the microbenchmarks' loops, which a GEMM has not")
    if spec.unit != "mma":
        fields |= dict.fromkeys(_OF_MMA, f"of mma and its loads, and the card runs {spec.unit}")
    elif not spec.sparse:
        fields["sparse_floor_cycles"] = "of mma.sp, and sparsity=dense runs none"
    if spec.unit == "mma" or not spec.int4_weights:
        fields["wgmma_rs_floor_cycles"] = "of a wgmma with A from registers, which h100 with int4_weights runs"
    if not spec.n_calls:
        fields["limit_after_ms"] = "of few calls, and n_calls=0 is without end"
    fields |= cloud_fields.idle(spec)
    if not spec.int4_weights:
        fields["scale_group"] = "of int4_weights, which is off"
    return fields
