"""PointAcc in numbers: all that mapping, memory and the array depend on, each with meaning and source; the presets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import ceil, log2

from cyclekit.spec import CHOSEN, choice, number, switch
from cyclekit.spec import Spec as BaseSpec
from workloads.errors import BadInput

# Lin et al., PointAcc: Efficient Point Cloud Accelerator, MICRO 2021 (arXiv 2110.07600). Only the abstract and a slide
# of its dataflows were at hand; what is recalled of the rest says so, with how sure that is.
PAPER = "MICRO 2021, abstract"
SLIDE = "MIT 6.S965, lecture 18, slide of PointAcc"
UNVERIFIED = "unverified: recalled of MICRO 2021"
ASSUMED = "assumed, docs/pointacc.md"

FEATURE_BYTES = 2  # FP16
SUM_BYTES = 4  # FP32 accumulators
COORDINATE_BYTES = 8  # x, y, z of 21 bits in a key
ENTRY_BYTES = 8  # of a map: two rows of 32 bits


@dataclass(frozen=True, kw_only=True)
class Spec(BaseSpec):
    """One PointAcc design. The defaults are the server one."""

    n_rows: int = number(
        64, "rows of the array: input channels at a time", source=f"{UNVERIFIED} (75%)", minimum=1, maximum=1024
    )
    n_columns: int = number(
        64, "columns of the array: output channels at a time", source=f"{UNVERIFIED} (75%)", minimum=1, maximum=1024
    )
    clock_mhz: float = number(1000.0, "clock frequency", source=f"{UNVERIFIED} (75%)", minimum=1e-3)
    node_nm: int = number(
        40, "process node; no timing hangs on it", source=f"{UNVERIFIED} (75%)", minimum=1, maximum=65
    )
    area_mm2: float = number(15.7, "die area; no timing hangs on it", source=f"{UNVERIFIED} (75%)", minimum=0)

    merger_width: int = number(
        64,
        "elements of the bitonic merger, and of a block of the sorter",
        source=f"{UNVERIFIED} (50%)",
        minimum=4,
        maximum=1024,
        power_of_two=True,
    )
    emits: str = choice(
        "half",
        "elements that leave the merger in a cycle, of its width",
        source="half: the streaming rule that was tested; the paper's rate was not found",
        options=("half", "all"),
    )
    distance_lanes: int = number(
        64, "distances in a cycle; the paper's number was not found", source=ASSUMED, minimum=1, maximum=4096
    )
    compare_stage_cycles: int = number(
        1, "latency of a column of compare-exchanges", source=ASSUMED, minimum=1, maximum=100
    )
    symmetry: bool = switch(
        False, "merge for one of two offsets that mirror each other only; the slide shows every one", source=SLIDE
    )
    reuse_maps: bool = switch(
        True, "read a map that an earlier layer has computed instead of computing it again", source=ASSUMED
    )

    dataflow: str = choice(
        "fetch-on-demand",
        "read features as the map asks for them, or gather, multiply and scatter through DRAM",
        source="fetch-on-demand: credited to PointAcc by TorchSparse (MLSys 2022), 5.2",
        options=("fetch-on-demand", "gather-scatter"),
    )
    cache: bool = switch(True, "keep fetched features in the cache", source=PAPER)
    cache_ways: int = number(
        1, "ways of the cache; 1: direct-mapped", source=f"{UNVERIFIED} (75%)", minimum=1, maximum=64
    )
    cache_block_points: int | str = number(
        CHOSEN,
        "consecutive points of a block; chosen: for each layer, that of the fewest bytes",
        source=f"{UNVERIFIED} (75%)",
        minimum=1,
        maximum=1024,
    )
    fusion: bool = switch(True, "keep features between consecutive pointwise layers on the chip", source=PAPER)
    steps_ahead: int = number(
        4, "steps that may be looked up and fetched before they are computed", source=ASSUMED, minimum=1, maximum=1024
    )

    sram_bytes: int = number(794624, "all SRAM: 776 KB", source=f"{UNVERIFIED} (75%)", minimum=1)
    cache_bytes: int = number(196608, "SRAM of the cache, of features", source=ASSUMED, minimum=1)
    weight_bytes: int = number(65536, "SRAM of weights, two tiles at least", source=ASSUMED, minimum=1)
    accumulator_bytes: int = number(
        393216, "SRAM of partial sums, half of it filled while the other half is written out", source=ASSUMED, minimum=1
    )
    coordinate_bytes: int = number(
        131072, "SRAM of coordinates; clouds that do not fit are read again for every offset", source=ASSUMED, minimum=1
    )

    dram: str = choice(
        "hbm2", "kind of DRAM; energy depends on it", source=f"{UNVERIFIED} (75%)", options=("hbm2", "ddr4")
    )
    dram_gbps: float = number(256.0, "bandwidth of the DRAM, GB/s", source=f"{UNVERIFIED} (75%)", minimum=1e-3)
    dram_latency_cycles: int = number(100, "from a transfer's end to its use", source=ASSUMED, minimum=1, maximum=10**6)
    dram_burst_bytes: int = number(
        64, "least that a random access moves", source=ASSUMED, minimum=1, maximum=4096, power_of_two=True
    )

    def __post_init__(self):
        super().__post_init__()
        parts = self.cache_bytes + self.weight_bytes + self.accumulator_bytes + self.coordinate_bytes
        if parts > self.sram_bytes:
            raise BadInput(f"sram_bytes must be at least {parts}, the sum of its four parts, got {self.sram_bytes}")
        for name, least, why in (
            ("weight_bytes", 2 * self.n_rows * self.n_columns * FEATURE_BYTES, "two tiles of the array"),
            ("accumulator_bytes", 2 * self.n_columns * SUM_BYTES, "two rows of the array"),
            ("cache_bytes", self.n_rows * FEATURE_BYTES * self.cache_ways, "a point in each way"),
        ):
            if getattr(self, name) < least:
                raise BadInput(f"{name} must be at least {least}, {why}, got {getattr(self, name)}")

    @property
    def block(self) -> int:
        """Elements that enter and leave the merger in a cycle."""
        return self.merger_width // 2 if self.emits == "half" else self.merger_width

    @property
    def merge_columns(self) -> int:
        """Columns of compare-exchanges of the merger, which holds two blocks."""
        return int(log2(2 * self.block))

    @property
    def sort_columns(self) -> int:
        """Columns of compare-exchanges of a full bitonic sorter of the same width."""
        return self.merge_columns * (self.merge_columns + 1) // 2

    @property
    def bytes_per_cycle(self) -> float:
        """Bytes that the DRAM moves in a cycle."""
        return self.dram_gbps * 1e3 / self.clock_mhz

    @property
    def tile_outputs(self) -> int:
        """Output points whose sums fill half of the accumulators."""
        return self.accumulator_bytes // 2 // (self.n_columns * SUM_BYTES)

    def transfer_cycles(self, n_bytes: int) -> int:
        """Return the cycles that the DRAM takes to move so many bytes."""
        return ceil(n_bytes / self.bytes_per_cycle)


PRESETS = {
    "server": Spec(),
    "edge": Spec(
        n_rows=16,
        n_columns=16,
        area_mm2=3.9,
        sram_bytes=280576,
        cache_bytes=65536,
        weight_bytes=32768,
        accumulator_bytes=98304,
        coordinate_bytes=65536,
        dram="ddr4",
        dram_gbps=17.0,
    ),
}
PRESET_NOTES = {
    "server": "PointAcc: 64 x 64, 776 KB, HBM2 at 256 GB/s; unverified, the paper's text was not at hand",
    "edge": "PointAcc.Edge: 16 x 16, 274 KB, DDR4-2133; unverified likewise",
}


def unverified(spec: Spec, besides: Iterable[str] = ()) -> tuple[str, ...]:
    """Return what must be said of a result on a design: which of its parameters are recalled, and which assumed.

    A value that no preset has is the user's own, as the fields `besides` are.
    """
    of_presets = [preset.as_dict() for preset in PRESETS.values()]
    recalled, assumed = [], []
    for declared in (field for field in fields(spec) if field.name not in besides):
        value, source = getattr(spec, declared.name), declared.metadata["source"]
        if any(preset[declared.name] == value for preset in of_presets):
            recalled += [f"{declared.name}={value}"] if source.startswith(UNVERIFIED) else []
            assumed += [f"{declared.name}={value}"] if source == ASSUMED else []
    notes = ()
    if recalled:
        notes += (f"unverified, recalled of the paper, whose text was not at hand: {', '.join(recalled)}",)
    if assumed:
        notes += (f"assumed, as no source says it: {', '.join(assumed)}",)
    return notes


def idle(spec: Spec) -> dict[str, str]:
    """Return {field: why} of those that change nothing of any run on a design."""
    said = {"node_nm": "it only says what the prices are of", "area_mm2": "it is only reported"}
    said["distance_lanes"] = "of sampling and neighbours, which no convolution takes"
    if spec.dataflow == "gather-scatter" or not spec.cache:
        why = "of the cache, which is not in use"
        said |= dict.fromkeys(("cache_ways", "cache_block_points", "cache_bytes"), why)
    return said
