"""Vectors of fused adds: seeded tiles that push an instruction to where its rules show, and the files they are kept in.

A file holds the tiles of one instruction as bit patterns and the result of every output element, so a tile of m16n8 is
128 vectors. Its order of products is that of the kept columns, ascending.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.hardware import fragments
from benchmarks.hardware.instructions import Measured
from tensorcore_sim.format.formats import FORMATS, Format
from tensorcore_sim.format.image import Compressed
from tensorcore_sim.format.metadata import LEGAL, LEGAL_TF32

# What each family is for. `exact` checks the harness itself: its sums are the same in any order and width, so that a
# difference there is a wrong layout, and says nothing on arithmetic.
FAMILIES = {
    "exact": "whole numbers from -4 to 4: no rounding anywhere",
    "random": "exponents within 4 of 1.0",
    "wide": "exponents far apart: what is cut off when terms are aligned",
    "subnormal": "A zero, subnormal or of the least normal exponent; C of the size of the products",
    "cancelling": "the second half of the kept products is minus the first, but for one bit of A",
    "zeros": "mostly zeros of both signs",
    "large": "the largest finite exponents: overflow",
    "infinite": "infinities and NaNs among random values",
}
ROWS = 64  # of each family: four tiles of mma, one of wgmma
_WIDE = {"f16": 14, "bf16": 40, "tf32": 40, "e4m3": 6, "e5m2": 14}
_WHOLE = np.arange(-4, 5).astype(np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class Tiles:
    """Operands of one instruction as bit patterns.

    values: A or its kept values, [tiles, m, k or k / 2]; nibbles: u8[tiles, m, groups], no groups where A is dense;
    b: [tiles, k, n]; c: [tiles, m, n]; family: the family of each tile, str[tiles].
    """

    values: np.ndarray
    nibbles: np.ndarray
    b: np.ndarray
    c: np.ndarray
    family: np.ndarray


def make(measured: Measured, seed: int = 0) -> Tiles:
    """Return ROWS rows of each family, as tiles; the same seed gives the same tiles."""
    shape = measured.shape
    n_tiles = ROWS // shape.m
    tiles = []
    for place, family in enumerate(FAMILIES):
        for repeat in range(n_tiles):
            rng = np.random.default_rng([seed, place, repeat])
            nibbles = _nibbles(rng, measured, same_rows=family == "cancelling")
            compressed_shape = (shape.m, shape.n_products)
            a, b, c = _operands(rng, family, measured, compressed_shape)
            if family == "cancelling":
                _cancel(a, b, _columns(a, nibbles, measured)[0])
            tiles.append((a, nibbles, b, c))
    values, nibbles, b, c = (np.stack(arrays) for arrays in zip(*tiles, strict=True))
    return Tiles(values=values, nibbles=nibbles, b=b, c=c, family=np.repeat(list(FAMILIES), n_tiles))


def records(tiles: Tiles, measured: Measured) -> np.ndarray:
    """Return what vectors.cu reads, u32[tiles, threads, A + B + 1 + C]."""
    return np.concatenate(
        [
            fragments.to_registers(tiles.values, fragments.a_places(measured)),
            fragments.to_registers(tiles.b, fragments.b_places(measured)),
            fragments.metadata_registers(tiles.nibbles, measured),
            fragments.to_registers(tiles.c, fragments.c_places(measured)),
        ],
        axis=2,
    )


def results(written: np.ndarray, measured: Measured) -> np.ndarray:
    """Return the bit patterns [tiles, m, n] of what vectors.cu wrote, u32, flat."""
    shape = measured.shape
    registers = written.reshape(-1, measured.n_threads, measured.n_registers[2])
    dtype = FORMATS[measured.out_dtype].bits
    return fragments.from_registers(registers, fragments.c_places(measured), dtype, (shape.m, shape.n))


def flat(tiles: Tiles, measured: Measured) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a, b [n, products] and c [n] of every output element, in the order of the result's elements."""
    n_columns = measured.shape.n
    a = np.repeat(tiles.values[:, :, None, :], n_columns, axis=2)
    rows = [
        of_b[_columns(values, nibbles, measured)].transpose(0, 2, 1)
        for values, nibbles, of_b in zip(tiles.values, tiles.nibbles, tiles.b, strict=True)
    ]
    return a.reshape(-1, a.shape[-1]), np.stack(rows).reshape(-1, a.shape[-1]), tiles.c.ravel()


def save(path: Path, measured: Measured, tiles: Tiles, result: np.ndarray, card: dict[str, str]) -> None:
    """Write tiles, result [tiles, m, n] and what the card was (strings), compressed."""
    arrays = {name: getattr(tiles, name) for name in Tiles.__annotations__}
    texts = {name: str(getattr(measured, name)) for name in Measured.__annotations__}
    np.savez_compressed(path, **arrays, result=result, **texts, **card)


def load(path: Path) -> tuple[Measured, Tiles, np.ndarray]:
    """Return the instruction, its tiles and the card's result from a file that save wrote."""
    with np.load(path) as file:
        texts = {name: str(file[name]) for name in Measured.__annotations__}
        tiles = Tiles(**{name: file[name] for name in Tiles.__annotations__})
        return Measured(**{**texts, "selector": int(texts["selector"])}), tiles, file["result"]


def _columns(values: np.ndarray, nibbles: np.ndarray, measured: Measured) -> np.ndarray:
    """Return the column of A that each value comes from, [m, products]."""
    if not measured.shape.sparse:
        return np.broadcast_to(np.arange(values.shape[1]), values.shape)
    return Compressed(values=values, nibbles=nibbles, in_dtype=measured.in_dtype, dtype=values.dtype).columns()


def _nibbles(rng: np.random.Generator, measured: Measured, same_rows: bool) -> np.ndarray:
    if not measured.shape.sparse:
        return np.zeros((measured.shape.m, 0), np.uint8)
    legal = np.array(LEGAL_TF32 if measured.in_dtype == "tf32" else LEGAL, np.uint8)
    nibbles = rng.choice(legal, (measured.shape.m, fragments.n_groups(measured)))
    return np.repeat(nibbles[:1], len(nibbles), axis=0) if same_rows else nibbles


def _operands(rng: np.random.Generator, family: str, measured: Measured, of_a: tuple[int, int]) -> list[np.ndarray]:
    """Return patterns of A (kept), B and C of a family."""
    kind, out = FORMATS[measured.in_dtype], FORMATS[measured.out_dtype]
    of_b, of_c = (measured.shape.k, measured.shape.n), (measured.shape.m, measured.shape.n)
    if family == "exact":
        return [_pattern_of(rng.choice(_WHOLE, size), fmt) for size, fmt in ((of_a, kind), (of_b, kind), (of_c, out))]
    near = 2 * _WIDE[kind.name] if family == "wide" else 8
    fields = {"a": _around(kind, near // 2), "b": _around(kind, near // 2), "c": _around(out, near)}
    if family == "subnormal":
        fields["a"] = (0, 1)
        fields["c"] = _around(out, 8, 1 - _bias(kind))
    elif family == "large":
        fields = {"a": _top(kind), "b": _top(kind), "c": _top(out)}
    a, b, c = (
        patterns(rng, size, fmt, *fields[name])
        for name, size, fmt in (("a", of_a, kind), ("b", of_b, kind), ("c", of_c, out))
    )
    one_a_sum = 1 / (2 * measured.shape.n_products)  # about one infinity or NaN among the factors of an output element
    for bits, fmt, share in ((a, kind, one_a_sum), (b, kind, one_a_sum), (c, out, 1 / 8)):
        if family == "zeros":
            bits[rng.random(bits.shape) < 0.8] &= _sign(fmt)
        elif family == "infinite":
            chosen = rng.random(bits.shape) < share
            bits[chosen] = rng.choice(specials(fmt), chosen.sum())
    return [a, b, c]


def patterns(rng: np.random.Generator, size: tuple[int, ...], kind: Format, lowest: int, highest: int) -> np.ndarray:
    """Return bit patterns of random sign and fraction, their exponent fields from lowest to highest; all finite."""
    width = kind.fraction_bits + kind.unused_bits
    fraction = rng.integers(0, 1 << width, size, dtype=np.int64)
    field = rng.integers(lowest, highest + 1, size, dtype=np.int64)
    sign = rng.integers(0, 2, size, dtype=np.int64)
    bits = (sign << (width + kind.exponent_bits) | field << width | fraction).astype(kind.bits)
    if not kind.has_infinity:  # e4m3: all ones is its NaN
        bits[bits & ~_sign(kind) == kind.bits.type(specials(kind)[0])] ^= 1
    return bits


def specials(kind: Format) -> np.ndarray:
    """Return the infinities and one NaN of each sign; e4m3 has only the NaNs."""
    top = ((1 << kind.exponent_bits) - 1) << kind.fraction_bits
    nan = top | (1 << kind.fraction_bits) - 1 if not kind.has_infinity else top | 1 << (kind.fraction_bits - 1)
    bit_patterns = np.array([top, nan] if kind.has_infinity else [nan], np.uint64) << np.uint64(kind.unused_bits)
    bit_patterns = bit_patterns.astype(kind.bits)
    return np.concatenate([bit_patterns, bit_patterns | _sign(kind)])


def _cancel(a: np.ndarray, b: np.ndarray, columns: np.ndarray) -> None:
    """Make the products of the second half of the kept columns minus those of the first, but for the last one's a."""
    half = len(columns) // 2
    a[:, half:] = a[:, :half] ^ a.dtype.type(1 << (8 * a.itemsize - 1))
    b[columns[half:]] = b[columns[:half]]
    a[:, -1] ^= a.dtype.type(1 << 13 if a.itemsize == 4 else 1)  # tf32 ignores what is below


def _pattern_of(values: np.ndarray, kind: Format) -> np.ndarray:
    return values.astype(kind.value).view(kind.bits)


def _sign(kind: Format) -> np.integer:
    return kind.bits.type(1 << (8 * kind.bits.itemsize - 1))


def _bias(kind: Format) -> int:
    return (1 << (kind.exponent_bits - 1)) - 1


def _around(kind: Format, steps: int, exponent: int = 0) -> tuple[int, int]:
    """Return the exponent fields within so many steps of an exponent, finite ones only."""
    middle, (_, highest) = _bias(kind) + exponent, _top(kind)
    return min(max(middle - steps, 0), highest), min(max(middle + steps, 0), highest)


def _top(kind: Format) -> tuple[int, int]:
    """Return the four largest exponent fields of finite numbers."""
    highest = (1 << kind.exponent_bits) - (2 if kind.has_infinity else 1)
    return highest - 3, highest
