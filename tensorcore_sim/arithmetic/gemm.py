"""What a tensor core computes, bit for bit: one instruction's output elements, and whole GEMMs through it.

The rules of the fused add, A1 to A6, stand in kernels.py; which card adds how, in instructions.py.
"""

from __future__ import annotations

import numpy as np

from tensorcore_sim.arithmetic import kernels
from tensorcore_sim.arithmetic.instructions import FusedAdd, look_up
from tensorcore_sim.arithmetic.kernels import FINITE, INFINITE, NAN, NO_EXPONENT, Operand, Widths
from tensorcore_sim.format import what_if
from tensorcore_sim.format.formats import FORMATS, Format, like, numbers, to_bits
from tensorcore_sim.format.image import compress
from tensorcore_sim.format.shapes import Instruction
from workloads.errors import BadInput


def fused_dot_add(a, b, c, *, card, in_dtype, out_dtype, instruction, saturate=False) -> np.ndarray:
    """Return sum_k a[i, k] b[i, k] + c[i] for each i, as one instruction of the card computes an output element.

    a, b: [n, k] bit patterns (u8, u16, u32) or NumPy or ml_dtypes values of in_dtype (f16, bf16, tf32, e4m3, e5m2,
    int8, int4); c: [n] likewise of out_dtype (f32, f16, s32); the result is [n], of the same kind as c. card: one of
    instructions.CARDS. instruction: mma.m16n8k16, mma.sp.m16n8k32, wgmma.m64n256k16, tcgen05.m128n256k16, ...; k is the
    instruction's k, for .sp the half of it that is kept. saturate: integers only, clamp to the ends of s32 where it
    would wrap.
    Sparse instructions are assumed to run the dense fused add over the kept products in order; nobody has published
    what they do. Raises BadInput for what the card or the instruction lacks.
    """
    parsed, rule = look_up(card, in_dtype, out_dtype, instruction)
    kind, out = FORMATS[in_dtype], FORMATS[out_dtype]
    a_bits, b_bits, c_bits = to_bits("a", a, kind), to_bits("b", b, kind), to_bits("c", c, out)
    if a_bits.ndim != 2 or a_bits.shape[1] != parsed.n_products:
        raise BadInput(f"a must be [n, {parsed.n_products}] for {instruction}, got shape {list(a_bits.shape)}")
    if b_bits.shape != a_bits.shape:
        raise BadInput(f"b must have a's shape {list(a_bits.shape)}, got {list(b_bits.shape)}")
    if c_bits.shape != a_bits.shape[:1]:
        raise BadInput(f"c must be [{a_bits.shape[0]}], one for each row of a, got shape {list(c_bits.shape)}")
    result = np.empty_like(c_bits)
    if not out.is_float:
        kernels.integer_rows(numbers(a_bits, kind), numbers(b_bits, kind), c_bits.view(np.int32), saturate, result)
    else:
        _no_saturation(saturate, out_dtype)
        order = _order(parsed.n_products, rule)
        widths = _widths(rule, kind, out_dtype)
        kernels.rows(decode(a_bits[:, order], kind), decode(b_bits[:, order], kind), c_bits, widths, result)
    return like(result, c, out)


def gemm(a, b, c, *, card, in_dtype, out_dtype, instruction, saturate=False, pattern=None) -> np.ndarray:
    """Return a b + c, each output element computed by a chain of instructions along k.

    a: [m, k], b: [k, n], c: [m, n], in the kinds that fused_dot_add takes; the result is of the same kind as c. A k
    that is no multiple of the instruction's is padded with zeros. With a sparse instruction a must have the pattern
    (2:4; 1:2 for tf32; 4:8 in pairs for int4), is compressed and multiplied with the elements of b that its metadata
    select, as fused_dot_add assumes. pattern: (N, M), a what-if that no card has (what_if.py): a dense instruction gets
    only the N elements that a keeps of every M, and those of b that meet them. Raises BadInput.
    """
    parsed, rule = look_up(card, in_dtype, out_dtype, instruction)
    kind, out = FORMATS[in_dtype], FORMATS[out_dtype]
    a_bits, b_bits, c_bits = to_bits("a", a, kind), to_bits("b", b, kind), to_bits("c", c, out)
    if a_bits.ndim != 2 or b_bits.ndim != 2 or a_bits.shape[1] != b_bits.shape[0] or not a_bits.size:
        raise BadInput(
            f"a and b must be [m, k] and [k, n] with k at least 1, got {list(a_bits.shape)} and {list(b_bits.shape)}"
        )
    if c_bits.shape != (a_bits.shape[0], b_bits.shape[1]):
        raise BadInput(f"c must be [{a_bits.shape[0]}, {b_bits.shape[1]}], got shape {list(c_bits.shape)}")
    if pattern is not None and parsed.sparse:
        raise BadInput(f"instruction must be a dense one with pattern {pattern}, got {instruction!r}")
    k = parsed.k if pattern is None else what_if.columns_of_instructions(*pattern, parsed.k)
    a_bits = _padded(a_bits, k)
    b_bits = np.ascontiguousarray(_padded(b_bits.T, k))
    columns = np.zeros((0, 0), np.int32)
    if pattern is not None:
        values, columns = what_if.compress(numbers(a_bits, kind), *pattern)
        a_bits = values.view(kind.bits)
    elif parsed.sparse:
        compressed = compress(a_bits, in_dtype)
        a_bits, columns = compressed.values, compressed.columns()
    result = np.empty_like(c_bits)
    if not out.is_float:
        operands = (numbers(a_bits, kind), numbers(b_bits, kind), columns, c_bits.view(np.int32))
        kernels.integer_gemm(*operands, parsed.n_products, saturate, result)
    else:
        _no_saturation(saturate, out_dtype)
        order = _gemm_order(a_bits.shape[1], parsed, rule)
        if columns.size:
            columns = columns[:, order]
        else:
            b_bits = b_bits[:, order]
        left, right = decode(a_bits[:, order], kind), decode(b_bits, kind)
        # A fused add never reaches over the end of an instruction.
        widths = _widths(rule, kind, out_dtype)._replace(n_products=min(rule.n_products, parsed.n_products))
        kernels.gemm(left, right, columns, c_bits, parsed.n_products, widths, result)
    return like(result, c, out)


def decode(bits: np.ndarray, kind: Format) -> Operand:
    """Return the patterns of a float format, [n, k], taken apart."""
    width = 1 + kind.exponent_bits + kind.fraction_bits
    bits = np.ascontiguousarray(bits)
    pattern = (bits >> bits.dtype.type(kind.unused_bits)).astype(np.int32)
    fraction = pattern & ((1 << kind.fraction_bits) - 1)
    field = pattern >> kind.fraction_bits & ((1 << kind.exponent_bits) - 1)
    negative = pattern >> (width - 1) & 1
    bias = (1 << (kind.exponent_bits - 1)) - 1
    magnitude = fraction | (field > 0).astype(np.int32) << kind.fraction_bits
    exponents = np.where(magnitude == 0, NO_EXPONENT, np.maximum(field, 1) - bias).astype(np.int32)
    kinds = np.zeros(bits.shape, np.uint8)
    top = field == (1 << kind.exponent_bits) - 1
    if kind.has_infinity:
        kinds[top] = np.where(fraction[top] == 0, INFINITE, NAN)
        magnitude[top] = 1
    else:
        kinds[top & (fraction == (1 << kind.fraction_bits) - 1)] = NAN
    significands = np.where(negative == 1, -magnitude, magnitude).astype(np.int32)
    return Operand(significands, exponents, kinds, (kinds != FINITE).any(axis=1))


def _no_saturation(saturate: bool, out_dtype: str) -> None:
    if saturate:
        raise BadInput(f"saturate must be false for out_dtype {out_dtype}: only s32 can wrap")


def _widths(rule: FusedAdd, kind: Format, out_dtype: str) -> Widths:
    return Widths(
        n_products=rule.n_products,
        fraction_bits=rule.fraction_bits,
        min_exponent=rule.min_exponent[out_dtype],
        in_fraction_bits=kind.fraction_bits,
        to_f16=out_dtype == "f16",
        significand_bits=rule.significand_bits,
        halves=rule.halves,
    )


def _order(k: int, rule: FusedAdd) -> np.ndarray:
    """Return in which order the k products of an instruction enter the fused adds."""
    places = np.arange(k)
    return np.concatenate([places[places & 2 == 0], places[places & 2 != 0]]) if rule.halves else places


def _gemm_order(k: int, instruction: Instruction, rule: FusedAdd) -> np.ndarray:
    starts = np.arange(0, k, instruction.n_products)[:, None]
    return (starts + _order(instruction.n_products, rule)).ravel()


def _padded(rows: np.ndarray, k: int) -> np.ndarray:
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % k)))
