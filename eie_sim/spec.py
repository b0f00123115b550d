"""EIE in numbers: all that timing, capacity and arithmetic depend on, each with meaning and source; the presets."""

from __future__ import annotations

from dataclasses import dataclass

from cyclekit.spec import CHOSEN, choice, number, switch
from cyclekit.spec import Spec as BaseSpec

# Han et al., EIE: Efficient Inference Engine on Compressed Deep Neural Network, ISCA 2016 (arXiv 1602.01528)
PAPER = "ISCA 2016"
ASSUMED = "assumed, docs/eie.md"

CODE_BITS = 4  # weight code and zero run share an 8-bit entry, half each (section IV)
RUN_BITS = 4
ENTRY_BITS = CODE_BITS + RUN_BITS
VALUE_BITS = 16  # activations, accumulators and codebook entries (section IV)
MAX_FRACTION_BITS = 30  # with more, half a step of a product's rounding would not fit its 32 bits

MAX_PES = 4096  # of the model: with more, the pointers of all PEs outgrow a workstation before a layer is of use


@dataclass(frozen=True, kw_only=True)
class Spec(BaseSpec):
    """One EIE design. The defaults are the paper's own simulator (preset isca2016)."""

    n_pes: int = number(
        64, "processing elements; row i belongs to PE i mod n_pes", source=f"{PAPER}, V", minimum=1, maximum=MAX_PES
    )
    queue_depth: int = number(
        8, "places of an activation queue's ring; one fewer can be used", source=f"{PAPER}, VI-C", minimum=2
    )
    spmat_width_bits: int = number(
        64, "bits of one Spmat SRAM row, 8 an entry", source=f"{PAPER}, VI-C", minimum=ENTRY_BITS, power_of_two=True
    )
    clock_mhz: float = number(800.0, "clock frequency", source=f"{PAPER}, Table II", minimum=1e-3)
    node_nm: int = number(
        45,
        "process node; no timing hangs on it, energy and area do",
        source=f"{PAPER}, Table II",
        minimum=1,
        maximum=65,
    )
    n_pointer_banks: int = number(
        2, "pointer banks; with one, a pop's two reads take two cycles", source=f"{PAPER}, IV", minimum=1, maximum=2
    )
    broadcast_latency_cycles: int = number(
        0, "cycles of the broadcast tree beyond the queue's own one", source=ASSUMED, maximum=10**6
    )
    lnzd_latency_cycles: int = number(
        0,
        "cycles until the LNZD tree gives its first non-zero, at the start and after each pause",
        source=ASSUMED,
        maximum=10**6,
    )

    spmat_bytes: int = number(131072, "sparse-matrix SRAM of one PE", source=f"{PAPER}, IV", minimum=1)
    pointer_bytes: int = number(32768, "pointer SRAM of one PE, all banks", source=f"{PAPER}, IV", minimum=4)
    pointer_bits: int = number(16, "width of one pointer", source=f"{PAPER}, IV", minimum=1, maximum=31)
    act_sram_bytes: int = number(2048, "activation SRAM of one PE", source=f"{PAPER}, IV", minimum=2)
    register_file_entries: int = number(
        64, "activations in each of a PE's two register files", source=f"{PAPER}, IV", minimum=1
    )
    capacity: str = choice(
        "report",
        "what does not fit a structure: a warning beside the run, or an error",
        source="report: the authors' simulator has no limits",
        options=("report", "enforce"),
    )
    batches: bool = switch(
        False,
        "run more inputs than the register files hold in batches, charged",
        source=f"{PAPER}, IV; cost assumed",
    )
    refills: bool = switch(False, "refill Spmat and pointer SRAM in mid-layer, charged", source=ASSUMED)
    load_phase: bool = switch(
        False, "charge a cold start of every run: weights, pointers, activations", source=f"{PAPER}, IV"
    )
    dma_width_bits: int = number(64, "bits a cycle that the DMA brings into the whole array", source=ASSUMED, minimum=1)
    act_sram_width_bits: int = number(
        16, "bits a cycle that a PE moves to or from its activation SRAM", source=ASSUMED, minimum=1
    )

    activation_fraction_bits: int | str = number(
        CHOSEN,
        "fraction bits of the 16-bit activations and accumulators; chosen: for each layer and input",
        source=ASSUMED,
        maximum=MAX_FRACTION_BITS,
    )
    weight_fraction_bits: int | str = number(
        CHOSEN,
        "fraction bits of the 16-bit codebook; chosen: for each layer",
        source=ASSUMED,
        maximum=MAX_FRACTION_BITS,
    )

    @property
    def entries_per_row(self) -> int:
        """Entries that one read of the Spmat SRAM brings."""
        return self.spmat_width_bits // ENTRY_BITS


PRESETS = {
    "isca2016": Spec(),
    "silicon": Spec(capacity="enforce", batches=True, refills=True),
    # Table V prints 1,200 MHz for the projection; its throughput was computed with 1.6 x 800 = 1,280 MHz.
    "isca2016-28nm": Spec(n_pes=256, clock_mhz=1200.0, node_nm=28),
}
PRESET_NOTES = {
    "isca2016": "the paper's own simulator: 64 PEs, 800 MHz; what would not fit the SRAMs is reported",
    "silicon": "the same chip with its limits: capacities enforced, batches and refills charged",
    "isca2016-28nm": "the paper's projection: 256 PEs, 1,200 MHz",
}


def idle(spec: Spec) -> dict[str, str]:
    """Return {field: why} of those that change nothing of any run on a design."""
    fields = {}
    if not (spec.refills or spec.load_phase):
        fields["dma_width_bits"] = "of refills and the load phase, which are off"
    if not spec.batches:
        fields["act_sram_width_bits"] = "of batches, which are off"
    return fields
