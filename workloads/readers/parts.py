"""Weights that a file keeps in several arrays, put together: masks, scales, packed words, bitmasks, by their names.

Sources of the names: torch.nn.utils.prune and parametrize; AutoGPTQ and AutoAWQ; compressed-tensors; bitsandbytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from workloads.errors import BadInput
from workloads.readers import words
from workloads.readers.stored import F32, Stored, is_real, numbers

Arrays = Mapping[str, "np.ndarray | Stored"]
Group = tuple[str, "list[str]", Stored]  # the whole's name, its parts' names, the whole
SAVE_DENSE = "load the model with the library that packed it and save its weights dequantised"


def assembled(arrays: Arrays) -> dict[str, Stored]:
    """Return {name: Stored} of a file's arrays in their order, several that are one in the place of their main part.

    The name of what is put together is the one that it would have in one part (NAME.weight); where the file has
    another array of that name, it is that of its main part.
    """
    groups: dict[str, Group] = {}
    parts: set[str] = set()
    for name in arrays:
        for pattern, scheme in SCHEMES:
            match = pattern.fullmatch(name)
            group = scheme(match, arrays) if match else None
            if group is not None:
                groups[name] = group
                parts.update(group[1])
                break
    stored = {}
    for name, array in arrays.items():
        if name in groups:
            whole, names, item = groups[name]
            key = name if whole in arrays and whole not in names else whole
            stored[key] = replace(item, parts=item.parts or tuple(names))
        elif name not in parts:
            item = array if isinstance(array, Stored) else _plain(array)
            stored[name] = replace(item, parts=(name,))
    return stored


def _plain(array: np.ndarray) -> Stored:
    return Stored(shape=array.shape, dtype=array.dtype, read=lambda: array, is_plain=is_real(array.dtype))


def _unreadable(array: np.ndarray, reason: str) -> Stored:
    return Stored(shape=array.shape, dtype=array.dtype, aside=reason)


def _siblings(stem: str, keys: tuple[str, ...], arrays: Arrays) -> tuple[list[str], list]:
    """Return the names that there are of stem + key, and the array of each key, None where there is none."""
    return [f"{stem}{key}" for key in keys if f"{stem}{key}" in arrays], [arrays.get(f"{stem}{key}") for key in keys]


def _masked(match: re.Match, arrays: Arrays) -> Group | None:
    """NAME_orig and NAME_mask, as torch.nn.utils.prune keeps them."""
    mask = f"{match[1]}_mask"
    return (match[1], [match[0], mask], _product(arrays[match[0]], [arrays[mask]])) if mask in arrays else None


def _parametrized(match: re.Match, arrays: Arrays) -> Group:
    """MODULE.parametrizations.NAME.original, as torch.nn.utils.parametrize keeps it, and its masks."""
    whole, start = f"{match[1]}{match[2]}", f"{match[1]}parametrizations.{match[2]}."
    names = [name for name in arrays if name.startswith(start)]
    masks = [arrays[name] for name in names if name.endswith(".mask")]
    if masks and len(masks) == len(names) - 1:
        return whole, names, _product(arrays[match[0]], masks)
    reason = "of a parametrization that is no mask: torch.nn.utils.parametrize.remove_parametrizations makes it whole"
    return whole, names, _unreadable(max((arrays[name] for name in names), key=lambda array: array.size), reason)


def _product(array: np.ndarray, masks: list[np.ndarray]) -> Stored:
    for mask in masks:
        if mask.shape != array.shape:
            return _unreadable(array, f"its mask has the shape {list(mask.shape)}, not {list(array.shape)}")

    def read() -> np.ndarray:
        product = numbers(array)
        for mask in masks:
            product = product * numbers(mask)
        return product

    is_plain = is_real(array.dtype)
    dtype = array.dtype if is_plain else F32
    return Stored(shape=array.shape, dtype=dtype, read=read, note="masked", is_plain=is_plain)


def _weight_norm(match: re.Match, arrays: Arrays) -> Group | None:
    """NAME_g and NAME_v, a length and a direction: told, not put together."""
    names, (length, _) = _siblings(match[1], ("_g", "_v"), arrays)
    reason = "one half of a weight norm: torch.nn.utils.remove_weight_norm makes it whole"
    return None if length is None else (match[1], names, _unreadable(arrays[match[0]], reason))


def _codes(match: re.Match, arrays: Arrays) -> Group:
    """NAME.qweight, qzeros, scales and perhaps g_idx, of GPTQ or AWQ."""
    names, parts = _siblings(match[1], ("qweight", "qzeros", "scales", "g_idx"), arrays)
    reason = f"packed words that are neither GPTQ's of 2, 4 or 8 bits nor AWQ's of 4: {SAVE_DENSE}"
    return f"{match[1]}weight", names, words.gptq_or_awq(*parts) or _unreadable(arrays[match[0]], reason)


def _packed(match: re.Match, arrays: Arrays) -> Group:
    """NAME.weight_packed and what goes with it, of compressed-tensors."""
    keys = ("packed", "scale", "shape", "zero_point", "g_idx", "global_scale")
    names, parts = _siblings(f"{match[1]}weight_", keys, arrays)
    reason = f"packed words that are not compressed-tensors' integers of 4 or 8 bits: {SAVE_DENSE}"
    item = words.compressed_tensors(*parts[:5]) if parts[5] is None else None
    return f"{match[1]}weight", names, item or _unreadable(arrays[match[0]], reason)


def _bitmask(match: re.Match, arrays: Arrays) -> Group | None:
    """NAME.compressed, bitmask and shape, of compressed-tensors: the values left, a bit for each place."""
    names, (values, bits, shape, _) = _siblings(match[1], ("compressed", "bitmask", "shape", "row_offsets"), arrays)
    if bits is None:
        return None
    whole, lengths = f"{match[1].removesuffix('weight.')}weight", words.shape_in(shape)
    if lengths is None or bits.dtype != np.uint8 or bits.shape != (lengths[0], -(-lengths[1] // 8)):
        return whole, names, _unreadable(values, "its bitmask does not fit its shape")

    def read() -> np.ndarray:
        places = np.unpackbits(bits, axis=1, count=lengths[1], bitorder="little").view(bool)
        if np.count_nonzero(places) != values.size:
            raise BadInput(f"its bitmask names {np.count_nonzero(places):,} places for {values.size:,} values")
        weights = np.zeros(lengths, np.float32)
        weights[places] = numbers(values).ravel()
        return weights

    return whole, names, Stored(shape=lengths, read=read, note="of a bitmask and its values", is_oriented=True)


def _bytes(match: re.Match, arrays: Arrays) -> Group | None:
    """NAME.weight of 8 bits and its scale; a wider one stays as it is, and bitsandbytes' 4-bit codes are told."""
    weight = arrays[match[0]]
    if weight.ndim < 2:
        return None
    if f"{match[0]}.absmax" in arrays:
        names = [name for name in arrays if name == match[0] or name.startswith(f"{match[0]}.")]
        return match[0], names, _unreadable(weight, f"4-bit codes of bitsandbytes: {SAVE_DENSE}")
    keys = ("weight", "weight_zero_point", "weight_scale", "weight_scale_inv", "SCB")
    names, (_, zero, *scales) = _siblings(match[1], keys, arrays)
    if all(scale is None for scale in scales):
        return None
    scale = next(scale for scale in scales if scale is not None)
    if weight.dtype.itemsize > 1:
        note = f"as they are, not multiplied by {' and '.join(names[1:])}"
        item = weight if isinstance(weight, Stored) else _plain(weight)
        return match[0], names, replace(item, note=note, parts=(match[0],))
    unit = 1 if scales[2] is None else 1 / 127  # bitsandbytes keeps the largest size in a row
    item = words.eight_bits(weight, scale, zero, unit)
    reason = f"its scales have the shape {list(scale.shape)} for {list(weight.shape)}"
    return match[0], names, item or _unreadable(weight, reason)


def _four_bit_floats(match: re.Match, arrays: Arrays) -> Group | None:
    """NAME_blocks and NAME_scales (MXFP4): told, not put together."""
    names, (codes, scales) = _siblings(match[1], ("_blocks", "_scales"), arrays)
    reason = f"4-bit floats with shared exponents: {SAVE_DENSE}"
    return None if scales is None or codes.dtype != np.uint8 else (match[1], names, _unreadable(codes, reason))


Scheme = Callable[[re.Match, Arrays], "Group | None"]
SCHEMES: tuple[tuple[re.Pattern, Scheme], ...] = (
    (re.compile(r"(.+)_orig"), _masked),
    (re.compile(r"(.*?)parametrizations\.(\w+)\.original0?"), _parametrized),
    (re.compile(r"(.*weight\w*)_v"), _weight_norm),
    (re.compile(r"((?:.*\.)?)qweight"), _codes),
    (re.compile(r"((?:.*\.)?)weight_packed"), _packed),
    (re.compile(r"((?:.*\.)?)compressed"), _bitmask),
    (re.compile(r"((?:.*\.)?)weight"), _bytes),
    (re.compile(r"(.+)_blocks"), _four_bit_floats),
)
