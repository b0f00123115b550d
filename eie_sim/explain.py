"""How one weight lies in EIE: its PE, its column's entries there, the pointers to them, the SRAM rows they fill."""

from __future__ import annotations

from cyclekit.machine import Explanation, check_place
from eie_sim.image import MAX_RUN, PADDING_ENTRY, Image
from eie_sim.simulate import encode
from eie_sim.spec import RUN_BITS, Spec
from workloads.records import Workload


def explain(workload: Workload, spec: Spec, row: int, column: int) -> Explanation:
    """Show the column of the weight at (row, column) in the PE that holds the row, as encode lays it out.

    Raises BadInput for a place outside the weights, and where encode does.
    """
    check_place(workload, row, column)
    image = encode(workload, spec)
    pe = row % spec.n_pes
    first, end = (int(pointer) for pointer in image.pointers[column : column + 2, pe])
    tables = {f"{workload.name}: pointers of column {column} in PE {pe}": _pointers(column, first, end, spec)}
    remarks = [
        f"row {row} lies in PE {row} mod {spec.n_pes} = {pe}, as its local row {row} div {spec.n_pes} = "
        f"{row // spec.n_pes}; every {spec.n_pes}th row does"
    ]
    if first < end:
        entries = _entries(image, pe, first, end, row, spec)
        tables[f"{workload.name}: entries of column {column} in PE {pe}"] = entries
        top, bottom = first // spec.entries_per_row, (end - 1) // spec.entries_per_row
        remarks.append(
            f"entries: {end - first}, paddings among them: {image.paddings[column, pe]}, Spmat SRAM rows that they "
            f"touch: {bottom - top + 1}, of {spec.entries_per_row} entries each"
        )
    else:
        remarks.append(f"PE {pe} has no entries in column {column}: both pointers are equal")
    if image.layer.weights[row, column] == 0:
        remarks.append(f"the weight at row {row}, column {column} is zero: it has no entry")
    return Explanation(tables=tables, remarks=[*remarks, *image.notes])


def _pointers(column: int, first: int, end: int, spec: Spec) -> list[dict[str, str]]:
    """Return a row for each pointer that a pop reads: even columns lie in one bank, odd ones in the other."""
    named = ((column, first, f"column {column} begins"), (column + 1, end, f"column {column} ends"))
    return [
        {
            "pointer": meaning,
            "bank": ("even", "odd")[place % 2] if spec.n_pointer_banks == 2 else "the only one",
            "place in bank": str(place // spec.n_pointer_banks),
            "entry": str(pointer),
        }
        for place, pointer, meaning in named
    ]


def _entries(image: Image, pe: int, first: int, end: int, row: int, spec: Spec) -> list[dict[str, str]]:
    """Return a row for each entry from first to end - 1 of a PE; an entry stands behind its run of zeros."""
    rows, local_row = [], -1
    for place in range(first, end):
        entry = int(image.entries[image.pe_start[pe] + place])
        code, run = entry >> RUN_BITS, entry & MAX_RUN
        local_row += run + 1
        stands_at = local_row * spec.n_pes + pe
        kind = "padding" if entry == PADDING_ENTRY else "weight"
        rows.append(
            {
                "entry": str(place),
                "SRAM row": str(place // spec.entries_per_row),
                "code": str(code),
                "zero run": str(run),
                "value": f"{image.codebook[code]:g}",
                "row": str(stands_at),
                "what": f"{kind}, the one asked for" if kind == "weight" and stands_at == row else kind,
            }
        )
    return rows
