"""What fits EIE's SRAMs, register files and pointers, and where the broadcaster pauses for what does not (R8, R9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from eie_sim.image import Image
from eie_sim.spec import ENTRY_BITS, MAX_PES, VALUE_BITS, Spec
from workloads.errors import BadInput

# All that `needs` and `check` look at beside n_pes.
CAPACITY_FIELDS = (
    "spmat_bytes",
    "pointer_bytes",
    "pointer_bits",
    "act_sram_bytes",
    "register_file_entries",
    "capacity",
    "batches",
    "refills",
)


@dataclass(frozen=True)
class Need:
    """One structure of a PE, what a workload needs of it and what it has."""

    structure: str
    need: int
    size: int
    unit: str
    way_out: str
    remedy: str = ""  # the field of the Spec that lets it be worked around, at a cost

    @property
    def fits(self) -> bool:
        return self.need <= self.size

    def __str__(self) -> str:
        return f"{self.structure} needs {self.need:,} {self.unit} a PE, has {self.size:,}"


def needs(images: Sequence[Image], spec: Spec) -> list[Need]:
    """Return what the layers that stay in the machine together ask of each structure of the fullest PE."""
    n_in = max(image.layer.n_in for image in images)
    n_out = max(image.layer.n_out for image in images)
    entries = int(sum(image.pointers[-1].astype(np.int64) for image in images).max())
    longest = int(max(image.pointers[-1].max() for image in images))
    n_pointers = sum(image.n_columns + 1 for image in images)
    inputs, outputs = ceil(n_in / spec.n_pes), ceil(n_out / spec.n_pes)
    most, files, act_sram = max(inputs, outputs), spec.register_file_entries, spec.act_sram_bytes * 8 // VALUE_BITS

    def more_pes(width: int, room: int) -> str:
        enough = ceil(width / room)
        return f"set n_pes={enough} or more, or " if enough <= MAX_PES else ""

    structures = (
        ("Spmat SRAM", entries, spmat_entries(spec), "entries", f"set spmat_bytes={entries}, more n_pes", "refills"),
        (
            "pointer SRAM",
            n_pointers,
            pointer_places(spec),
            "pointers",
            f"set pointer_bytes={ceil(n_pointers * spec.pointer_bits / 8)}",
            "refills",
        ),
        (
            f"{spec.pointer_bits}-bit pointer reach",
            longest,
            pointer_reach(spec),
            "entries",
            f"set pointer_bits={longest.bit_length()}, more n_pes",
            "refills",
        ),
        (
            "source register file",
            inputs,
            files,
            "activations",
            f"{more_pes(n_in, files)}set register_file_entries={inputs}",
            "batches",
        ),
        (
            "destination register file",
            outputs,
            files,
            "accumulators",
            f"{more_pes(n_out, files)}set register_file_entries={outputs}, or split the layer's rows",
        ),
        (
            "activation SRAM",
            most,
            act_sram,
            "activations",
            f"{more_pes(max(n_in, n_out), act_sram)}set act_sram_bytes={most * VALUE_BITS // 8}",
        ),
    )
    return [Need(*structure) for structure in structures]


def check(images: Sequence[Image], spec: Spec) -> tuple[str, ...]:
    """Return a note for everything that does not fit; with capacity="enforce" raise BadInput unless it is charged."""
    notes = []
    for need in needs(images, spec):
        charged = bool(need.remedy) and getattr(spec, need.remedy)
        if need.fits:
            continue
        if spec.capacity == "enforce" and not charged:
            remedy = f", or set {need.remedy}=true" if need.remedy else ""
            names = " + ".join(image.layer.name for image in images)
            raise BadInput(f"{names} does not fit: {need}: {need.way_out}{remedy}")
        notes.append(f"{need}: {'charged' if charged else 'not modelled by this design'}")
    return tuple(notes)


def stored(image: Image, spec: Spec) -> dict[str, float]:
    """Return the bytes of one layer in all PEs together; the codebook once, of 16-bit values."""
    n_pointers = (image.n_columns + 1) * image.n_pes
    return {
        "entries": (image.n_entries - image.n_paddings) * ENTRY_BITS / 8,
        "padding": image.n_paddings * ENTRY_BITS / 8,
        "pointers": n_pointers * spec.pointer_bits / 8,
        "codebook": len(image.codebook) * VALUE_BITS / 8,
    }


def what_stays(images: Sequence[Image], spec: Spec) -> dict[str, bool]:
    """Tell whether the weights and the pointers of all layers stay in the SRAMs side by side, from run to run."""
    weights, *pointers = (need.fits for need in needs(images, spec) if need.remedy == "refills")
    return {"weights_stay": weights, "pointers_stay": all(pointers)}


def spmat_entries(spec: Spec) -> int:
    return spec.spmat_bytes * 8 // ENTRY_BITS


def pointer_places(spec: Spec) -> int:
    return spec.pointer_bytes * 8 // spec.pointer_bits


def pointer_reach(spec: Spec) -> int:
    """Return how many entries a PE's pointers can span: the last pointer is the number of entries itself."""
    return (1 << spec.pointer_bits) - 1


@dataclass(frozen=True, eq=False)
class Pauses:
    """Where the broadcaster pauses (R8): on entering which rows of N activations, for how long.

    cycles: i64[n_rows], the length of the transfer, 0 for no pause; refill: bool[n_rows], whether it refills the Spmat
    SRAM and so empties the latches; dma_bits: bits moved from outside the machine; act_sram_reads: activations moved
    from the PEs' activation SRAMs.
    """

    cycles: np.ndarray
    refill: np.ndarray
    dma_bits: int
    act_sram_reads: int

    @property
    def any(self) -> bool:
        return bool(self.cycles.any())


def pauses(image: Image, spec: Spec) -> Pauses:
    """Return the pauses of one run of the layer."""
    n_in, n_pes = image.layer.n_in, image.n_pes
    n_input_rows = ceil(n_in / n_pes)
    n_rows = n_input_rows + (image.n_columns > n_in)
    cycles, refill = np.zeros(n_rows, np.int64), np.zeros(n_rows, bool)
    dma_bits = act_sram_reads = 0
    if spec.batches:
        act_sram_reads = max(0, n_in - spec.register_file_entries * n_pes)  # the first batch lies there before cycle 1
        first_rows = np.arange(spec.register_file_entries, n_input_rows, spec.register_file_entries)
        for row in first_rows:
            n_loaded = min(spec.register_file_entries, n_input_rows - int(row))
            cycles[row] += ceil(n_loaded * VALUE_BITS / spec.act_sram_width_bits)
    if spec.refills or spec.load_phase:
        # Beside its neighbours, as encoded; and on its own, should the design have changed since.
        alone = what_stays([image], spec)
        weights_stay = image.weights_stay and alone["weights_stay"]
        pointers_stay = image.pointers_stay and alone["pointers_stay"]
        edges = np.append(np.minimum(np.arange(n_input_rows) * n_pes, n_in), np.arange(n_in, image.n_columns + 1))
        starts = [0]
        if spec.refills and not (weights_stay and pointers_stay):
            starts = _parts(image, spec, edges, weights_stay)
        for start, stop in zip(starts, [*starts[1:], n_rows], strict=True):
            cold = spec.load_phase and start == 0
            bits = cold * n_in * VALUE_BITS
            if cold or not weights_stay:
                held = image.pointers[edges[stop]] - image.pointers[edges[start]]
                bits += int(held.sum(dtype=np.int64)) * ENTRY_BITS
                refill[start] = True
            if cold or not pointers_stay:
                bits += n_pes * int(edges[stop] - edges[start] + 1) * spec.pointer_bits
            cycles[start] += ceil(bits / spec.dma_width_bits)
            dma_bits += bits
    cycles[(cycles > 0)] += spec.lnzd_latency_cycles
    if not cycles[0]:
        cycles[0] = spec.lnzd_latency_cycles
    return Pauses(cycles, refill, dma_bits, act_sram_reads)


def _parts(image: Image, spec: Spec, edges: np.ndarray, weights_stay: bool) -> list[int]:
    """Return the first row of each part of the layer that the SRAMs hold at once, filled greedily.

    edges: i64[n_rows + 1], the column at which each row of activations begins. Weights that stay are no limit.
    """
    room = pointer_reach(spec) if weights_stay else min(spmat_entries(spec), pointer_reach(spec))
    starts = [0]
    for row in range(len(edges) - 1):
        for start in (starts[-1], row):
            held = int((image.pointers[edges[row + 1]] - image.pointers[edges[start]]).max())
            n_pointers = int(edges[row + 1] - edges[start]) + 1
            if held <= room and n_pointers <= pointer_places(spec):
                break
            if start == row:
                raise BadInput(
                    f"refills cannot help {image.layer.name}: {edges[row + 1] - edges[row]} columns from column "
                    f"{edges[row]} need {held:,} entries and {n_pointers:,} pointers a PE at once, "
                    f"room is for {room:,} and {pointer_places(spec):,}"
                )
            starts.append(row)
    return starts
