"""What enters a graph: the user's arrays, checked against what it wants and cut into runs, or random ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workloads.errors import BadInput, did_you_mean
from workloads.readers.limits import check_bytes

RECURRENT = ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An input of a graph. shape: a number where the axis has a length, else its name or ""; axis: of the batch."""

    name: str
    dtype: np.dtype
    shape: tuple[int | str, ...] | None
    axis: int = 0

    @property
    def at_once(self) -> int | str | None:
        """How long the axis of the batch is, None where there is none."""
        return self.shape[self.axis] if self.shape is not None and len(self.shape) > self.axis else None

    def __str__(self) -> str:
        axes = "..." if self.shape is None else ", ".join(str(length) or "?" for length in self.shape)
        return f"{self.name!r} {self.dtype}[{axes}]"


def wanted(graph: Any) -> list[Wanted]:
    """Return the inputs of a graph that have no stored value. Raises BadInput for one that is no array of numbers.

    The batch lies along the first axis, or the second one where a recurrent layer takes the first input as it enters.
    """
    from onnx import helper

    stored = {tensor.name for tensor in graph.initializer}
    entries = []
    for entry in graph.input:
        if entry.name in stored:
            continue
        if not entry.type.HasField("tensor_type"):
            raise BadInput(f"wants for {entry.name!r} a sequence or a map, which cannot be given")
        tensor = entry.type.tensor_type
        axes = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else d.dim_param for d in tensor.shape.dim]
        shape = tuple(axes) if tensor.HasField("shape") else None
        try:
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        except KeyError:
            raise BadInput(f"wants for {entry.name!r} an unknown type, number {tensor.elem_type}") from None
        entries.append(Wanted(name=entry.name, dtype=dtype, shape=shape))
    is_by_step = any(
        node.op_type in RECURRENT and entries and node.input[0] == entries[0].name and not _layout(node)
        for node in graph.node
    )
    return [replace(entry, axis=1) for entry in entries] if is_by_step else entries


def _layout(node: Any) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "layout"), 0)


def random(entries: Sequence[Wanted], seed: int, n_inputs: int | None) -> dict[str, np.ndarray]:
    """Return standard normal numbers for each input. Raises BadInput where a length or the range is not known.

    The axis of the batch is n_inputs long where its length is open or the first input's (None: 1, or as long as that),
    and so is one of the same name elsewhere.
    """
    of_first = entries[0].at_once if entries else None
    n_open = n_inputs or 1
    rng = np.random.default_rng(seed)
    arrays = {}
    open_names = {entry.at_once for entry in entries if isinstance(entry.at_once, str)}
    for entry in entries:
        if entry.dtype.kind != "f" or entry.shape is None:
            raise BadInput(f"wants {entry}, whose values cannot be drawn: give --inputs FILE.npz with it")
        lengths = []
        for axis, length in enumerate(entry.shape):
            is_of_batch = axis == entry.axis
            if isinstance(length, str) and not is_of_batch and (not length or length not in open_names):
                raise BadInput(f"wants {entry}, of which axis {axis} has no length: give --inputs FILE.npz with it")
            is_own = not isinstance(length, str) and (not is_of_batch or length != of_first or n_inputs is None)
            lengths.append(length if is_own else n_open)
        check_bytes(f"random numbers for {entry}", 4 * math.prod(lengths))
        arrays[entry.name] = rng.standard_normal(lengths, np.float32).astype(entry.dtype)
    return arrays


def given(entries: Sequence[Wanted], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays as the graph wants them. Raises BadInput naming what it wants."""
    known = {entry.name: entry for entry in entries}
    listed = ", ".join(map(str, entries))
    for name in arrays:
        if name not in known:
            raise BadInput(f"has no input {name!r}{did_you_mean(name, known)}: it wants {listed}")
    for name in known:
        if name not in arrays:
            raise BadInput(f"wants an input {name!r}, got {', '.join(arrays) or 'none'}: it wants {listed}")
    return {name: _checked(known[name], np.asarray(array)) for name, array in arrays.items()}


def _checked(entry: Wanted, array: np.ndarray) -> np.ndarray:
    said = f"{array.dtype}[{', '.join(map(str, array.shape))}]"
    kinds = {"f": "f", "i": "iu", "u": "iu", "b": "b"}.get(entry.dtype.kind, entry.dtype.kind)
    if array.dtype.kind not in kinds and not (entry.dtype.kind == "f" and array.dtype.kind in "iu"):
        raise BadInput(f"wants {entry}, got {said}")
    if entry.shape is not None:
        fits = len(entry.shape) == array.ndim and all(
            isinstance(length, str) or length == own or (axis == entry.axis and own % length == 0)
            for axis, (length, own) in enumerate(zip(entry.shape, array.shape, strict=False))
        )
        if not fits or 0 in array.shape:
            raise BadInput(f"wants {entry}, got {said}")
    with np.errstate(over="ignore"):
        converted = array.astype(entry.dtype)
    if array.dtype.kind == "f" and not np.isfinite(converted).all():
        raise BadInput(f"wants {entry}, finite, and got a value that is not")
    if array.dtype.kind in "iu" and entry.dtype.kind in "iu" and not np.array_equal(converted, array):
        raise BadInput(f"wants {entry}, got numbers beyond that")
    return converted


def runs(
    entries: Sequence[Wanted], arrays: Mapping[str, np.ndarray], most: int | None = None
) -> tuple[list[dict[str, np.ndarray]], int]:
    """Return the arrays of each run of the graph, and how many inputs all runs have together: `most` or all that are.

    A graph whose first input has a batch of fixed length runs so often as that goes into the array; arrays with as long
    a batch are cut with it, others enter every run.
    """
    first = next((entry for entry in entries if arrays[entry.name].ndim > entry.axis), None)
    if first is None:
        return [dict(arrays)], 1
    n_given = arrays[first.name].shape[first.axis]
    n_inputs = n_given if most is None else min(most, n_given)
    length = first.at_once if isinstance(first.at_once, int) else n_inputs
    if n_inputs % length:
        raise BadInput(f"takes {length} inputs at a time, got {n_inputs}: it wants {first}")
    parts = []
    for start in range(0, n_inputs, length):
        part = {}
        for entry in entries:
            array, own = arrays[entry.name], entry.at_once
            n = array.shape[entry.axis] if array.ndim > entry.axis else None
            is_cut = n == n_given and (entry is first or n != own)
            if not is_cut and isinstance(own, int) and n != own:
                raise BadInput(f"wants as many of {entry.name!r} as of {first.name!r}, got {n} and {n_given}")
            part[entry.name] = array.take(range(start, start + length), entry.axis) if is_cut else array
        parts.append(part)
    return parts, n_inputs
