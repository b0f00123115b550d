"""The instructions of each card, and the fused dot-add that it runs them with: tables and the look-up in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from tensorcore_sim.formats import format_named
from tensorcore_sim.spec import IN_DTYPES
from workloads.errors import BadInput, did_you_mean

CARDS = ("v100", "a100", "l40s", "h100", "h200")
OUT_DTYPES = ("f32", "f16", "s32")

MMA_SIM = "MMA-Sim, arXiv 2511.10909"
MATLAB = "MATLAB-tensor-core, arXiv 2512.07004"
PTX = "PTX ISA, shapes of mma, mma.sp, wgmma and wgmma.sp"


@dataclass(frozen=True, kw_only=True)
class FusedAdd:
    """How one family of instructions adds up one output element.

    n_products: products in one fused add; a longer k is a chain of them, in order. fraction_bits: F, kept below the
    largest exponent. min_exponent: {out_dtype: lower limit of that exponent}. significand_bits: of an f32 result.
    halves: the products whose index has bit 1 clear go first, on a zero accumulator; C is added last, in f16.
    dense_only: results that no sparse instruction gives.
    """

    cards: tuple[str, ...]
    units: tuple[str, ...]
    in_dtypes: tuple[str, ...]
    n_products: int
    fraction_bits: int
    min_exponent: dict[str, int]
    source: str
    significand_bits: int = 24
    halves: bool = False
    dense_only: tuple[str, ...] = ()


def _row(cards, units, in_dtypes, n_products, fraction_bits, min_exponent, source, **more) -> FusedAdd:
    return FusedAdd(
        cards=cards,
        units=units,
        in_dtypes=in_dtypes,
        n_products=n_products,
        fraction_bits=fraction_bits,
        min_exponent=min_exponent,
        source=source,
        **more,
    )


_AMPERE = ("a100", "l40s")  # Ada's f16, bf16 and tf32 are Ampere's
_HOPPER = ("h100", "h200")
_MMA, _WGMMA, _EITHER = ("mma",), ("wgmma",), ("mma", "wgmma")
_16_BIT, _FP8 = ("f16", "bf16"), ("e4m3", "e5m2")
_BOTH = f"{MMA_SIM}; {MATLAB}"  # they agree but for the limits of the exponent, which are MATLAB's

# dense_only: ptxas 13.0 takes mma.sp of fp8 to f32 for sm_89 and sm_90, and to f16 for neither.
FUSED_ADDS = (
    _row(("v100",), _MMA, ("f16",), 4, 23, {"f32": -132, "f16": -20}, _BOTH),
    _row(_AMPERE, _MMA, ("f16",), 8, 24, {"f32": -132, "f16": -20}, _BOTH),
    _row(_AMPERE, _MMA, ("bf16",), 8, 24, {"f32": -132}, _BOTH),
    _row(_AMPERE, _MMA, ("tf32",), 4, 24, {"f32": -132}, _BOTH),
    _row(("l40s",), _MMA, _FP8, 16, 13, {"f32": -133, "f16": -133}, _BOTH, significand_bits=14, dense_only=("f16",)),
    _row(_HOPPER, _EITHER, ("f16",), 16, 25, {"f32": -133, "f16": -21}, _BOTH),
    _row(_HOPPER, _EITHER, ("bf16",), 16, 25, {"f32": -133}, _BOTH),
    _row(_HOPPER, _EITHER, ("tf32",), 8, 25, {"f32": -133}, _BOTH),  # MATLAB's vectors exercise 4 of the 8 products
    # The f16 result is MMA-Sim's alone; its limit is Ada's, which no product of fp8 and no f16 C reaches.
    _row(_HOPPER, _WGMMA, _FP8, 32, 13, {"f32": -133, "f16": -133}, _BOTH, significand_bits=14),
    # To f32 the sources do not settle this path, so it has no such row.
    _row(_HOPPER, _MMA, _FP8, 16, 25, {"f16": -133}, MATLAB, halves=True, dense_only=("f16",)),
    # Exact sums of 32 bits: neither the number of products nor F matters.
    _row(_AMPERE, _MMA, ("int8", "int4"), 16, 0, {"s32": 0}, PTX),
    _row(_HOPPER, _EITHER, ("int8",), 32, 0, {"s32": 0}, PTX),
)

# {(unit, sparse): {input format: (m, k) of the shapes}} of the PTX ISA; n is 8 for mma, 8 to 256 in eights for wgmma.
SHAPES = {
    ("mma", False): {
        **dict.fromkeys(_16_BIT, ((16, 8), (16, 16))),
        "tf32": ((16, 4), (16, 8)),
        **dict.fromkeys(_FP8, ((16, 32),)),
        "int8": ((8, 16), (16, 16), (16, 32)),
        "int4": ((8, 32), (16, 32), (16, 64)),
    },
    ("mma", True): {
        **dict.fromkeys(_16_BIT, ((16, 16), (16, 32))),
        "tf32": ((16, 8), (16, 16)),
        **dict.fromkeys(_FP8, ((16, 64),)),
        "int8": ((16, 32), (16, 64)),
        "int4": ((16, 64), (16, 128)),
    },
    ("wgmma", False): {
        **dict.fromkeys(_16_BIT, ((64, 16),)),
        "tf32": ((64, 8),),
        **dict.fromkeys((*_FP8, "int8"), ((64, 32),)),
    },
    ("wgmma", True): {
        **dict.fromkeys(_16_BIT, ((64, 32),)),
        "tf32": ((64, 16),),
        **dict.fromkeys((*_FP8, "int8"), ((64, 64),)),
    },
}
_V100_SHAPES = {("mma", False): {"f16": ((8, 4),)}}

_NAME = re.compile(r"(mma|wgmma)(\.sp)?\.m(\d+)n(\d+)k(\d+)")


class Instruction(NamedTuple):
    """A parsed instruction name: the unit that runs it, whether A is sparse, its shape."""

    unit: str
    sparse: bool
    m: int
    n: int
    k: int

    @property
    def n_products(self) -> int:
        """Products of one output element: k, or the half of it that a sparse A keeps."""
        return self.k // 2 if self.sparse else self.k


def parse(name: str) -> Instruction:
    """Return the instruction of a name such as mma.m16n8k16, mma.sp.m16n8k32, wgmma.m64n256k16; raises BadInput."""
    if not isinstance(name, str) or not (found := _NAME.fullmatch(name)):
        raise BadInput(f"instruction must be like mma.m16n8k16, mma.sp.m16n8k32 or wgmma.m64n256k16, got {name!r}")
    unit, sparse, *shape = found.groups()
    return Instruction(unit, sparse is not None, *map(int, shape))


def check_shape(name: str, in_dtype: str, card: str | None = None) -> Instruction:
    """Return the instruction, its shape checked for the input format (and the card); raises BadInput."""
    found = parse(name)
    table = _V100_SHAPES if card == "v100" else SHAPES
    shapes = table.get((found.unit, found.sparse), {}).get(in_dtype, ())
    if card in ("v100", "a100", "l40s") and found.unit == "wgmma":
        shapes = ()
    family = f"{found.unit}{'.sp' if found.sparse else ''}"
    if not shapes:
        raise BadInput(f"instruction {name!r}: there is no {family} for {in_dtype}{f' on {card}' if card else ''}")
    n_fits = found.n % 8 == 0 and 8 <= found.n <= 256 if found.unit == "wgmma" else found.n == 8
    if (found.m, found.k) not in shapes or not n_fits:
        n = "N" if found.unit == "wgmma" else "8"
        names = " or ".join(f"{family}.m{m}n{n}k{k}" for m, k in shapes)
        hint = ", N a multiple of 8 from 8 to 256" if found.unit == "wgmma" else ""
        raise BadInput(f"instruction must be {names} for {in_dtype}{f' on {card}' if card else ''}{hint}, got {name!r}")
    return found


def look_up(card: str, in_dtype: str, out_dtype: str, name: str) -> tuple[Instruction, FusedAdd]:
    """Return the instruction and how the card adds it up; raises BadInput for a combination that it lacks."""
    if card not in CARDS:
        raise BadInput(f"unknown card {card!r}{did_you_mean(str(card), CARDS)}")
    format_named("in_dtype", in_dtype, IN_DTYPES)
    format_named("out_dtype", out_dtype, OUT_DTYPES)
    unit = parse(name).unit
    rules = [rule for rule in FUSED_ADDS if card in rule.cards and in_dtype in rule.in_dtypes]
    if not rules:
        takes = sorted({dtype for rule in FUSED_ADDS if card in rule.cards for dtype in rule.in_dtypes})
        cuda_cores = ", whose mma compiles to CUDA cores there" if in_dtype == "int4" and card in _HOPPER else ""
        raise BadInput(f"in_dtype must be one of {', '.join(takes)} on {card}, got {in_dtype!r}{cuda_cores}")
    instruction = check_shape(name, in_dtype, card)
    (rule,) = [rule for rule in rules if unit in rule.units]
    takes = [out for out in rule.min_exponent if not (instruction.sparse and out in rule.dense_only)]
    family = f"{unit}{'.sp' if instruction.sparse else ''}"
    if not takes:
        why = f"there is no {family} to {' or '.join(rule.dense_only)}, and no rule is known to another out_dtype"
        raise BadInput(f"instruction must be dense for {in_dtype} with {unit} on {card}, got {name!r}: {why}")
    if out_dtype not in takes:
        raise BadInput(
            f"out_dtype must be {' or '.join(takes)} for {in_dtype} with {family} on {card}, got {out_dtype!r}"
        )
    return instruction, rule
