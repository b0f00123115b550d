"""The tensor core's arithmetic said as plainly as possible, in exact fractions: the twin that the fast code must equal.

The wrong models, which tests must be able to tell from the right one, are this twin with one word changed.
"""

from __future__ import annotations

from fractions import Fraction

FIELDS = {"f32": (8, 23), "f16": (5, 10), "bf16": (8, 7), "tf32": (8, 10), "e4m3": (4, 3), "e5m2": (5, 2)}
CANONICAL_NAN = {"f32": 0x7FFFFFFF, "f16": 0x7FFF}
INFINITY = {"f32": 0x7F800000, "f16": 0x7C00}

HALVES = ("h100", "b200")  # their mma of fp8 goes through the f16 unit, half by half; C comes last
# (cards, input, outputs, instructions, products per fused add, F, least exponent by output, f32 significand bits)
AMPERE = ("a100", "l40s")
NEWER = ("h100", "h200", "b200", "rtx-5090")
ROWS = [
    (("v100",), "f16", ("f32", "f16"), ("mma.m8n8k4",), 4, 23, {"f32": -132, "f16": -19}, 24),
    (("t4", *AMPERE), "f16", ("f32", "f16"), ("mma.m16n8k8",), 8, 24, {"f32": -132, "f16": -20}, 24),
    (
        AMPERE,
        "f16",
        ("f32", "f16"),
        ("mma.m16n8k16", "mma.sp.m16n8k16", "mma.sp.m16n8k32"),
        8,
        24,
        {"f32": -132, "f16": -20},
        24,
    ),
    (AMPERE, "bf16", ("f32",), ("mma.m16n8k16", "mma.sp.m16n8k32"), 8, 24, {"f32": -132}, 24),
    (AMPERE, "tf32", ("f32",), ("mma.m16n8k4", "mma.m16n8k8", "mma.sp.m16n8k16"), 4, 24, {"f32": -132}, 24),
    (("l40s",), "e4m3", ("f32", "f16"), ("mma.m16n8k32",), 16, 13, {"f32": -133, "f16": -133}, 14),
    (("l40s",), "e4m3", ("f32",), ("mma.sp.m16n8k64",), 16, 13, {"f32": -133}, 14),
    (("l40s",), "e5m2", ("f32", "f16"), ("mma.m16n8k32",), 16, 13, {"f32": -133, "f16": -133}, 14),
    (NEWER, "f16", ("f32", "f16"), ("mma.m16n8k16",), 16, 25, {"f32": -133, "f16": -21}, 24),
    (NEWER, "bf16", ("f32",), ("mma.m16n8k8",), 16, 25, {"f32": -133}, 24),
    (NEWER, "tf32", ("f32",), ("mma.m16n8k8",), 8, 25, {"f32": -133}, 24),
    (
        ("h100", "h200"),
        "f16",
        ("f32", "f16"),
        ("wgmma.m64n256k16", "wgmma.sp.m64n8k32"),
        16,
        25,
        {"f32": -133, "f16": -21},
        24,
    ),
    (("h100", "h200"), "bf16", ("f32",), ("wgmma.m64n64k16",), 16, 25, {"f32": -133}, 24),
    (("h100", "h200"), "tf32", ("f32",), ("wgmma.m64n64k8",), 8, 25, {"f32": -133}, 24),
    (("h100", "h200"), "e4m3", ("f32", "f16"), ("wgmma.m64n64k32",), 32, 13, {"f32": -133, "f16": -133}, 14),
    (("h100", "h200"), "e5m2", ("f32", "f16"), ("wgmma.sp.m64n64k64",), 32, 13, {"f32": -133, "f16": -133}, 14),
    (
        ("b200",),
        "f16",
        ("f32", "f16"),
        ("tcgen05.m128n256k16", "tcgen05.sp.m64n8k32"),
        16,
        25,
        {"f32": -133, "f16": -21},
        24,
    ),
    (("b200",), "tf32", ("f32",), ("tcgen05.m64n64k8",), 8, 25, {"f32": -133}, 24),
    (("b200",), "e4m3", ("f32", "f16"), ("tcgen05.m128n64k32",), 32, 25, {"f32": -133, "f16": -21}, 24),
    (("b200",), "e5m2", ("f32", "f16"), ("tcgen05.sp.m64n64k64",), 32, 25, {"f32": -133, "f16": -21}, 24),
    (("rtx-5090",), "e4m3", ("f32", "f16"), ("mma.m16n8k32",), 32, 25, {"f32": -133, "f16": -21}, 24),
    (("rtx-5090",), "e5m2", ("f32", "f16"), ("mma.sp.m16n8k64",), 32, 25, {"f32": -133, "f16": -21}, 24),
    (HALVES, "e4m3", ("f32", "f16"), ("mma.m16n8k32",), 16, 25, {"f32": -133, "f16": -133}, 24),
    (HALVES, "e4m3", ("f32",), ("mma.sp.m16n8k64",), 16, 25, {"f32": -133}, 24),
    (HALVES, "e5m2", ("f32", "f16"), ("mma.m16n8k32",), 16, 25, {"f32": -133, "f16": -133}, 24),
]
CASES = [
    (card, kind, out, instruction, n_products, F, least[out], significand_bits)
    for cards, kind, outs, instructions, n_products, F, least, significand_bits in ROWS
    for card in cards
    for out in outs
    for instruction in instructions
]


def decode(bits: int, kind: str):
    """Return "nan", "inf", "-inf", or (value as a Fraction, exponent); a zero's exponent is None."""
    exponent_bits, fraction_bits = FIELDS[kind]
    if kind == "tf32":
        bits >>= 13
    fraction = bits % 2**fraction_bits
    field = (bits >> fraction_bits) % 2**exponent_bits
    sign = -1 if (bits >> (fraction_bits + exponent_bits)) % 2 else 1
    bias = 2 ** (exponent_bits - 1) - 1
    if field == 2**exponent_bits - 1:
        if kind == "e4m3":
            if fraction == 7:
                return "nan"
        else:
            return "nan" if fraction else ("inf" if sign > 0 else "-inf")
    exponent = max(field, 1) - bias
    significand = Fraction(fraction, 2**fraction_bits) + (1 if field else 0)
    return sign * significand * Fraction(2) ** exponent, exponent if significand else None


def floor_log2(value: Fraction) -> int:
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= value else exponent - 1


def cut(value: Fraction, step: Fraction, how: str) -> Fraction:
    """Return a multiple of the step: toward zero, down, or to nearest with ties to even."""
    steps = value / step
    if how == "zero":
        whole = abs(steps.numerator) // steps.denominator
        return (whole if steps >= 0 else -whole) * step
    return (steps.numerator // steps.denominator if how == "down" else round(steps)) * step


def encode(value: Fraction, out: str, how: str, significand_bits: int) -> int:
    """Return the bits of a value rounded to an output format."""
    exponent_bits, fraction_bits = FIELDS[out]
    bias = 2 ** (exponent_bits - 1) - 1
    sign = 2 ** (exponent_bits + fraction_bits) if value < 0 else 0
    if value == 0:
        return 0  # +0, as what rounds to zero
    exponent = max(floor_log2(abs(value)), 1 - bias)
    rounded = cut(abs(value), Fraction(2) ** (exponent - significand_bits + 1), how)
    if rounded >= Fraction(2) ** (bias + 1):
        return sign + INFINITY[out]
    if rounded < Fraction(2) ** (1 - bias):
        return 0 if rounded == 0 else sign + int(rounded / Fraction(2) ** (1 - bias - fraction_bits))
    exponent = floor_log2(rounded)
    fraction = int((rounded / Fraction(2) ** exponent - 1) * 2**fraction_bits)
    return sign + (exponent + bias) * 2**fraction_bits + fraction


def special(pairs, c):
    """Return what the infinities and NaNs among the terms make of the sum, or None where there are none."""
    found = {c} if isinstance(c, str) else set()
    for a, b in pairs:
        if "nan" in (a, b):
            return "nan"
        if isinstance(a, str) or isinstance(b, str):
            signs = [x == "-inf" if isinstance(x, str) else x[0] < 0 for x in (a, b)]
            if any(not isinstance(x, str) and x[0] == 0 for x in (a, b)):
                return "nan"
            found.add("-inf" if signs[0] != signs[1] else "inf")
    if "nan" in found or len(found) == 2:
        return "nan"
    return found.pop() if found else None


def fused_add(
    a_bits, b_bits, c_bits, kind, out, F, least, significand_bits, *, align="zero", final=None, normalise=False
) -> int:
    """Return the bits of one fused add. The keywords make it wrong."""
    pairs = [(decode(a, kind), decode(b, kind)) for a, b in zip(a_bits, b_bits, strict=True)]
    c = decode(c_bits, out)
    if found := special(pairs, c):
        if found == "nan":
            return CANONICAL_NAN[out]
        return INFINITY[out] + (2 ** sum(FIELDS[out]) if found == "-inf" else 0)
    terms = [c] if c[0] else []
    for a, b in pairs:
        if a[0] and b[0]:
            product, exponent = a[0] * b[0], a[1] + b[1]
            if normalise and abs(product) >= Fraction(2) ** (exponent + 1):
                exponent += 1
            terms.append((product, exponent))
    largest = max([least, *(exponent for _, exponent in terms)])
    step = Fraction(2) ** (largest - F)
    total = sum((cut(value, step, align) for value, _ in terms), Fraction(0))
    if final is None:
        final = "zero" if out == "f32" else "nearest"
    return encode(total, out, final, significand_bits if out == "f32" else 11)


def add(x_bits: int, y_bits: int, out: str) -> int:
    """Return an IEEE sum of two f16 or f32, any NaN as the canonical one and any zero as +0."""
    x, y = decode(x_bits, out), decode(y_bits, out)
    found = {value for value in (x, y) if isinstance(value, str)}
    if found:
        if "nan" in found or len(found) == 2:
            return CANONICAL_NAN[out]
        return INFINITY[out] + (2 ** sum(FIELDS[out]) if found == {"-inf"} else 0)
    return encode(x[0] + y[0], out, "nearest", FIELDS[out][1] + 1)


def dot_add(a_bits, b_bits, c_bits, case, **wrong) -> int:
    """Return the bits of one output element of an instruction."""
    card, kind, out, instruction, n_products, F, least, significand_bits = case
    k = len(a_bits)
    rest = (kind, out, F, least, significand_bits)
    if card in HALVES and instruction.startswith("mma") and kind in ("e4m3", "e5m2"):
        result = 0
        for bit_1 in (0, 2):
            places = [place for place in range(k) if place & 2 == bit_1]
            result = fused_add([a_bits[p] for p in places], [b_bits[p] for p in places], result, *rest, **wrong)
        return add(result, c_bits, out)
    for start in range(0, k, n_products):
        end = start + n_products
        c_bits = fused_add(a_bits[start:end], b_bits[start:end], c_bits, *rest, **wrong)
    return c_bits
