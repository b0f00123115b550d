"""A sparse instruction step by step: the compressed and the index matrix, the values of B they pick, the products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cyclekit.run import Run
from cyclekit.trace.steps import Step
from tensorcore_sim.arithmetic.gemm import gemm
from tensorcore_sim.encode import Image
from tensorcore_sim.format.formats import FORMATS
from tensorcore_sim.format.image import PATTERNS, compress
from tensorcore_sim.format.metadata import GROUP_COLUMNS
from tensorcore_sim.format.operand import to_format, to_reals
from tensorcore_sim.format.shapes import largest, parse
from tensorcore_sim.simulate import entering
from tensorcore_sim.spec import SCALED, Spec
from workloads.errors import BadInput
from workloads.records import Shape

N_INPUTS = 8  # columns of B that an mma has, and that are shown

MATRICES, SUMS = "the matrix, compressed, and its indices", "accumulators"


def steps(
    run: Run, image: Image, signal: Any, spec: Spec, *, begin: int, end: int, n_units: int | None
) -> Iterator[Step]:
    """Yield the matrices of the first instruction, then row by row what its indices select of B and the products.

    Of its rows the first n_units (None: all); they have no cycles of their own, so the window cuts nothing. signal:
    what entered, f32[batch, in] or the former layer's Run. Raises BadInput for sizes without values, a design that is
    not 2:4, formats with block scales and layers of several groups.
    """
    _check(image, spec)
    name = largest(spec.unit, True, spec.in_dtype, spec.card)
    instruction, group = parse(name), GROUP_COLUMNS[spec.in_dtype]
    inputs, scale = to_format(entering(image.layer, signal, True), spec.in_dtype)
    n_rows = min(n_units or instruction.m, instruction.m, len(image.bits))
    a, b = image.bits[:n_rows, : instruction.k], inputs[:N_INPUTS, : instruction.k]
    n_groups = -(-min(image.bits.shape[1], instruction.k) // group)
    compressed = compress(a, spec.in_dtype)
    cells, values, chosen = to_reals(a, spec.in_dtype), to_reals(compressed.values, spec.in_dtype), compressed.columns()
    of_b = to_reals(b, spec.in_dtype)
    n_kept = values.shape[1] // compressed.nibbles.shape[1]
    indices = np.stack([compressed.nibbles & 3, compressed.nibbles >> 2], axis=2)
    own = slice(0, n_groups * group), slice(0, n_groups * n_kept)
    yield Step(
        title=f"A of {name}, {PATTERNS[spec.in_dtype]}",
        lines=_said(image, inputs, n_rows, name, scale, spec),
        tables={
            MATRICES: [
                {
                    "row": row,
                    "A": cells[row, own[0]].tolist(),
                    "compressed": values[row, own[1]].tolist(),
                    "indices": indices[row, :n_groups].ravel().tolist(),
                }
                for row in range(n_rows)
            ]
        },
    )
    sums = _sums(a, b, name, spec)
    for row in range(n_rows):
        tables = {}
        for index in range(len(b)):
            tables[f"input {index}: which of B each index picks"] = [
                {
                    "k": f"{place * group} to {place * group + group - 1}",
                    "A": values[row, (at := slice(place * n_kept, (place + 1) * n_kept))].tolist(),
                    "index": indices[row, place].tolist(),
                    "B": of_b[index, place * group : (place + 1) * group].tolist(),
                    "picked": (picked := of_b[index, chosen[row, at]]).tolist(),
                    "products": (values[row, at] * picked).tolist(),
                }
                for place in range(n_groups)
            ]
        tables[SUMS] = [
            {"input": index, "sum": float(sums[row, index]), "output": float(run.outputs[index, row])}
            for index in range(len(b))
        ]
        yield Step(title=f"row {row}", tables=tables)


def _check(image: Image, spec: Spec) -> None:
    name = image.layer.name
    if isinstance(image.layer, Shape):
        raise BadInput(f"--steps needs values, and {name} is sizes alone: name a layer")
    if spec.in_dtype in SCALED:
        raise BadInput(f"in_dtype must be one without block scales to show --steps, got {spec.in_dtype!r}")
    if spec.sparsity != "2:4":
        raise BadInput(f"--steps shows what a sparse instruction selects: --set sparsity=2:4, got {spec.sparsity!r}")
    if image.layer.groups > 1:
        raise BadInput(f"--steps shows layers of one group, {name} has {image.layer.groups}")


def _sums(a: np.ndarray, b: np.ndarray, name: str, spec: Spec) -> np.ndarray:
    """Return what the instruction leaves in each accumulator, from zero, as the card adds: f32 or s32 [m, n]."""
    out = "f32" if FORMATS[spec.in_dtype].is_float else "s32"
    zeros = np.zeros((len(a), len(b)), FORMATS[out].value)
    options = {"card": spec.card, "in_dtype": spec.in_dtype, "out_dtype": out, "instruction": name}
    return gemm(a, np.ascontiguousarray(b.T), zeros, **options)


def _said(image: Image, inputs: np.ndarray, n_rows: int, name: str, scale: float, spec: Spec) -> list[str]:
    n_out, n_in = image.bits.shape
    instruction, n = parse(name), min(len(inputs), N_INPUTS)
    of_weights = f", weights divided by {image.scale:g}" if image.scale != 1 else ""
    of_inputs = f", inputs divided by {scale:g}" if scale != 1 else ""
    lines = [f"numbers are rounded to {spec.in_dtype}{of_weights}{of_inputs}; an input is a column of B"]
    if GROUP_COLUMNS[spec.in_dtype] != 4:
        lines.append("an index is of a 16-bit half of tf32, or of a pair of 4-bit values")
    if n_in > instruction.k or n_rows < n_out or n < len(inputs):
        columns = min(n_in, instruction.k) - 1
        lines.append(
            f"shown: rows 0 to {n_rows - 1} of {n_out:,}, inputs 0 to {n - 1} of {len(inputs):,}, and what the first "
            f"instruction adds: columns 0 to {columns} of {n_in:,}"
        )
    return lines
