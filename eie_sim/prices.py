"""EIE's tables of prices: bottom-up, the same with the paper's own price of a read, and calibrated to Table II."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from math import ceil

from cyclekit.energy import Energy, Price, Prices, charge
from cyclekit.run import Run
from eie_sim.actions import Action
from eie_sim.spec import VALUE_BITS, Spec
from eie_sim.sram import SOURCE as CACTI
from eie_sim.sram import sram
from workloads.errors import BadInput, did_you_mean
from workloads.files import read_table

QUEUE, POINTER, SPMAT, ARITHMETIC, ACT = "Act_queue", "PtrRead", "SpmatRead", "ArithmUnit", "ActRW"  # as in Table II
MODULES = (QUEUE, POINTER, SPMAT, ARITHMETIC, ACT)
LNZD, FILLER, DRAM = "LNZD", "filler_cell", "DRAM"

PAPER_SPEC = Spec()  # the PE that Table II describes
TABLE1, TABLE2 = "ISCA 2016, Table I", "ISCA 2016, Table II"
INT16_MULT_SHARE = 1 / 5  # of an int32 multiply: "5x" (ISCA 2016, VI-D; Fig 10 draws 0.6 pJ beside 3.1)
INT16_ADD_SHARE = 1 / 2  # of an int32 add: half the bits of a ripple
QUEUE_ITEM_BITS = 2 * VALUE_BITS  # value and index (ISCA 2016, IV); 16 bits of index: a pointer's width, assumed
# What drives a module's power, and how often it happens in a PE and cycle: mean over the nine calibrated benchmarks on
# the default design, simulated. Table II does not say what ran when its power was taken.
DRIVERS = {
    QUEUE: (Action.QUEUE_PUSHES, 0.230355),
    POINTER: (Action.PTR_READS, 0.230355),
    SPMAT: (Action.SPMAT_ROW_READS, 0.170224),
    ARITHMETIC: (Action.ENTRIES, 0.873220),
    ACT: (Action.MACS, 0.745367),
}
FREE = {
    Action.PADDINGS: "each is among the entries",
    Action.BROADCASTS: "no source prices the wires; their far ends are priced as queue pushes",
}
NOTES = {
    "bottom-up": "clock tree, LNZD tree and broadcast wires have no price in this table",
    "fig9": "bottom-up but for reads of the Spmat SRAM, which cost what the paper's Fig 9 implies: no source "
    "says what is in them",
    "calibrated": "prices are Table II's powers over the mean rates of nine simulated layers: agreement is no evidence",
}


def energy(run: Run, name: str) -> Energy:
    """Return what a run costs by the table of that name; raises BadInput where the table cannot price the design."""
    return charge(prices(name, Spec.from_dict(run.spec)), run.actions, run.time_us, run.actions[Action.MACS])


@lru_cache(maxsize=256)  # a design's runs follow each other
def prices(name: str, spec: Spec) -> Prices:
    """Return the table of prices of that name for a design: of one action, and of the standing power of all PEs.

    A node other than 45 nm by the paper's rule (Table V, footnote 3): with s = 45 / node in tenths, a clock s times as
    fast at constant power and 1 / s^2 of the area, so 1 / s of the energy of an action.
    """
    if name not in TABLES:
        raise BadInput(f"unknown prices {name!r}{did_you_mean(str(name), TABLES)}")
    return _on_node(TABLES[name](spec), spec)


def scale(spec: Spec) -> float:
    """Return by how much the paper's rule shrinks from 45 nm: 1.6 for 28 nm, as its figures have it."""
    return round(45 / spec.node_nm, 1)


def bottom_up(spec: Spec) -> Prices:
    """Price the SRAMs by CACTI at their size and width, the logic by Table I; nothing is taken from Table II."""
    table1 = _table1()
    banks = spec.n_pointer_banks
    spmat = sram(spec.spmat_bytes, spec.spmat_width_bits, "Spmat SRAM")
    pointer = sram(spec.pointer_bytes / banks, spec.pointer_bits, "pointer bank")
    queue = sram(spec.queue_depth * QUEUE_ITEM_BITS / 8, QUEUE_ITEM_BITS, "activation queue")
    files = sram(2 * spec.register_file_entries * VALUE_BITS / 8, VALUE_BITS, "register files")
    act = sram(spec.act_sram_bytes, VALUE_BITS, "activation SRAM")
    book = sram(0, VALUE_BITS)  # 16 x 16 bits: the smallest of the table

    def pj(module: str, value: float, source: str) -> Price:
        return Price(module, value, "pJ", source)

    add = table1["int32_add"] * INT16_ADD_SHARE
    small = f"{CACTI}, its smallest bank where this is smaller"
    actions = {
        Action.QUEUE_PUSHES: [pj(QUEUE, queue.write_pj + queue.read_pj, f"{small}: a write, and the read of the pop")],
        Action.PTR_READS: [pj(POINTER, 2 * pointer.read_pj, f"{CACTI}: two pointers")],
        Action.SPMAT_ROW_READS: [pj(SPMAT, spmat.read_pj, CACTI)],
        Action.ENTRIES: [
            pj(ARITHMETIC, book.read_pj, f"{small}: codebook"),
            pj(ARITHMETIC, add, f"{TABLE1}, half an int32 add: row address"),
        ],
        Action.MACS: [
            pj(ARITHMETIC, table1["int32_mult"] * INT16_MULT_SHARE, f"{TABLE1}, a fifth of an int32 multiply (VI-D)"),
            pj(ARITHMETIC, add, f"{TABLE1}, half an int32 add: accumulation"),
            pj(ACT, files.read_pj + files.write_pj, f"{CACTI}: both register files as one bank, read and written"),
        ],
        Action.ACT_READS: [pj(ACT, files.read_pj, CACTI)],
        Action.OUTPUTS: [pj(ACT, files.read_pj, CACTI)],
        Action.ACT_SRAM_READS: [pj(ACT, act.read_pj + files.write_pj, f"{CACTI}: into the register file")],
        Action.DMA_BITS: [
            pj(DRAM, table1["dram_32b_read"] / 32, TABLE1),
            pj(SPMAT, spmat.write_pj / spec.spmat_width_bits, f"{CACTI}: all of it as if into the Spmat SRAM"),
        ],
    }
    banks_of = {QUEUE: [queue], POINTER: [pointer] * banks, SPMAT: [spmat], ACT: [files, act]}

    def each(unit: str, value: Callable) -> list[Price]:
        return [
            Price(module, spec.n_pes * sum(map(value, of_module)), unit, small)
            for module, of_module in banks_of.items()
        ]

    return Prices(
        name="bottom-up",
        actions=actions,
        free=FREE,
        standing={"leakage": each("mW", lambda bank: bank.leakage_mw)},
        area=each("um2", lambda bank: bank.area_um2),
        notes=(NOTES["bottom-up"],),
    )


def fig9(spec: Spec) -> Prices:
    """Price as bottom-up does, but a read of the Spmat SRAM by the paper's own curve over its width.

    Raises BadInput for a size or a width that Fig 9 does not have.
    """
    of_read = fig9_read_pj()
    if spec.spmat_bytes != PAPER_SPEC.spmat_bytes or spec.spmat_width_bits not in of_read:
        raise BadInput(
            f"prices 'fig9' are of a Spmat SRAM of {PAPER_SPEC.spmat_bytes} bytes, {min(of_read)} to {max(of_read)} "
            f"bits wide, got {spec.spmat_bytes} bytes of {spec.spmat_width_bits} bits"
        )
    table = bottom_up(spec)
    read = Price(SPMAT, of_read[spec.spmat_width_bits], "pJ", "ISCA 2016, Fig 9: right panel over left, Alex-6")
    actions = {**table.actions, Action.SPMAT_ROW_READS: [read]}
    return replace(table, name="fig9", actions=actions, notes=(NOTES["fig9"], NOTES["bottom-up"]))


@cache
def fig9_read_pj() -> dict[int, float]:
    """Return {width in bits: pJ of a read} of Fig 9: Alex-6's energies over its reads."""
    of_panels = [
        next(row for row in read_table("eie_sim", name) if row["layer"] == "alex-6")
        for name in ("fig9_nj", "fig9_reads")
    ]
    nj, reads = ({int(width): float(of[width]) for width in of if width.isdecimal()} for of in of_panels)
    return {width: 1e3 * nj[width] / reads[width] for width in reads}


def calibrated(spec: Spec) -> Prices:
    """Price each module so that its mean power over nine benchmarks on the paper's PE is Table II's.

    The clock network's share of the power (20.5%) is taken from every module alike and stands for as long as the run
    takes. Away from the paper's PE a module's price and area change by the factor by which the bottom-up ones do.
    """
    here, paper = bottom_up(spec), bottom_up(PAPER_SPEC)
    part = table2()
    clock = part["clock_network"]["power_mw"] / part["total"]["power_mw"]
    actions = {}
    for module, (action, rate) in DRIVERS.items():
        per_cycle_pj = (1 - clock) * part[module]["power_mw"] / PAPER_SPEC.clock_mhz * 1e3
        factor = _of_module(here, action, module) / _of_module(paper, action, module)
        source = f"{TABLE2} over {rate} a PE and cycle, x {factor:.3g} as {CACTI} has it"
        actions[action] = [Price(module, per_cycle_pj / rate * factor, "pJ", source)]
    moved = Action.ACT_SRAM_READS, Action.DMA_BITS
    within = dict.fromkeys((Action.ACT_READS, Action.OUTPUTS), f"within {ACT}'s price of a multiply-accumulate")
    faster = spec.clock_mhz / PAPER_SPEC.clock_mhz
    nodes = lnzd_nodes(spec.n_pes)
    clocks = {module: spec.n_pes * part[module]["power_mw"] * clock for module in MODULES}
    standing = {
        "clock": [
            Price(module, value * faster, "mW", f"{TABLE2}: its share of it") for module, value in clocks.items()
        ],
        "tree": [Price(LNZD, nodes * part[LNZD]["power_mw"] * faster, "mW", f"{TABLE2}: {nodes} nodes")],
    }
    areas = {module: spec.n_pes * part[module]["area_um2"] for module in MODULES}
    grown, before = _area(here), _area(paper)
    for module in grown:
        areas[module] *= grown[module] / spec.n_pes / before[module] * PAPER_SPEC.n_pes
    cells = sum(part[module]["area_um2"] for module in MODULES)
    areas[FILLER] = sum(areas.values()) * part[FILLER]["area_um2"] / cells
    areas[LNZD] = nodes * part[LNZD]["area_um2"]
    return Prices(
        name="calibrated",
        actions=actions | {action: here.actions[action] for action in moved},
        free=FREE | within,
        standing=standing,
        area=[Price(module, value, "um2", TABLE2) for module, value in areas.items()],
        notes=(NOTES["calibrated"],),
    )


TABLES: Mapping[str, Callable[[Spec], Prices]] = {"bottom-up": bottom_up, "fig9": fig9, "calibrated": calibrated}
SIDES = ("bottom-up", "calibrated")  # that are held against Table II: the third is the first but for one price


@cache
def table2() -> dict[str, dict[str, float]]:
    """Return Table II as {item: {power_mw, area_um2}}."""
    return {
        row["item"]: {name: float(row[name]) for name in ("power_mw", "area_um2")}
        for row in read_table("eie_sim", "table2_pe")
    }


@cache
def _table1() -> dict[str, float]:
    """Return Table I as {operation: energy in pJ}."""
    return {row["operation"]: float(row["energy_pj"]) for row in read_table("eie_sim", "table1_pj")}


def lnzd_nodes(n_pes: int) -> int:
    """Return the nodes of the LNZD quadtree: 21 for 64 PEs."""
    nodes = 0
    while n_pes > 1:
        n_pes = ceil(n_pes / 4)
        nodes += n_pes
    return nodes


def _of_module(table: Prices, action: Action, module: str) -> float:
    return sum(price.value for price in table.actions[action] if price.module == module)


def _area(table: Prices) -> dict[str, float]:
    return {price.module: price.value for price in table.area}


def _on_node(table: Prices, spec: Spec) -> Prices:
    """Return 45 nm prices on another node: constant power at a clock `scale` times as fast, area by its square."""
    s = scale(spec)
    if s == 1:
        return table
    note = f"; 45 nm to {spec.node_nm} nm as s = {s}"

    def shrunk(prices_: list[Price], factor: float) -> list[Price]:
        return [
            Price(price.module, price.value * factor, price.unit, price.source + note)
            if price.module != DRAM
            else price
            for price in prices_
        ]

    # Power that goes with the clock is constant at s times the clock; leakage is constant as it is.
    power = {kind: 1.0 if kind == "leakage" else 1 / s for kind in table.standing}
    return Prices(
        name=table.name,
        actions={action: shrunk(of_action, 1 / s) for action, of_action in table.actions.items()},
        free=table.free,
        standing={kind: shrunk(of_kind, power[kind]) for kind, of_kind in table.standing.items()},
        area=shrunk(table.area, 1 / s**2),
        notes=(*table.notes, f"45 nm prices at {spec.node_nm} nm by the paper's rule (Table V), s = {s}"),
    )
