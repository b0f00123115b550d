"""How each card adds up an instruction: the fused dot-add of every family, a table and the look-up in it."""

from __future__ import annotations

from dataclasses import dataclass

from tensorcore_sim.format.formats import format_named
from tensorcore_sim.format.shapes import FP8, PTX, Instruction, check_shape, parse
from tensorcore_sim.spec import IN_DTYPES, SCALED
from workloads.errors import BadInput, did_you_mean

_A100, _ADA, _HOPPER = ("a100", "rtx-3090"), ("l40s", "rtx-4090"), ("h100", "h200", "gh200")
_AMPERE = (*_A100, *_ADA)  # Ada's f16, bf16 and tf32 are Ampere's
_NEWER = (*_HOPPER, "b200", "rtx-5090")
CARDS = ("v100", "t4", *_AMPERE, *_NEWER)
OUT_DTYPES = ("f32", "f16", "s32")

MMA_SIM = "MMA-Sim 2.1.1, arXiv 2511.10909"
MATLAB = "MATLAB-tensor-core, arXiv 2512.07004"
PTXAS = "what ptxas 13.0 assembles for sm_90a and sm_100a"


@dataclass(frozen=True, kw_only=True)
class FusedAdd:
    """How one family of instructions adds up one output element.

    n_products: products in one fused add; a longer k is a chain of them, in order. fraction_bits: F, kept below the
    largest exponent. min_exponent: {out_dtype: lower limit of that exponent}. significand_bits: of an f32 result.
    halves: the products whose index has bit 1 clear go first, on a zero accumulator; C is added last, in the output's
    format and to nearest even.
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


_MMA, _WGMMA, _TCGEN05, _ANY = ("mma",), ("wgmma",), ("tcgen05",), ("mma", "wgmma", "tcgen05")
_BOTH = f"{MMA_SIM}; {MATLAB}"  # they agree but for the limits of the exponent, which are MATLAB's

# dense_only: ptxas 13.0 takes mma.sp of fp8 to f32 for sm_89, sm_90 and sm_100, and to f16 for none of them.
FUSED_ADDS = (
    _row(("v100",), _MMA, ("f16",), 4, 23, {"f32": -132, "f16": -19}, _BOTH),
    _row(("t4",), _MMA, ("f16",), 8, 24, {"f32": -132, "f16": -20}, MMA_SIM),
    _row(_AMPERE, _MMA, ("f16",), 8, 24, {"f32": -132, "f16": -20}, _BOTH),
    _row(_AMPERE, _MMA, ("bf16",), 8, 24, {"f32": -132}, _BOTH),
    _row(_AMPERE, _MMA, ("tf32",), 4, 24, {"f32": -132}, _BOTH),
    _row(_ADA, _MMA, FP8, 16, 13, {"f32": -133, "f16": -133}, _BOTH, significand_bits=14, dense_only=("f16",)),
    _row(_NEWER, _ANY, ("f16",), 16, 25, {"f32": -133, "f16": -21}, _BOTH),
    _row(_NEWER, _ANY, ("bf16",), 16, 25, {"f32": -133}, _BOTH),
    _row(_NEWER, _ANY, ("tf32",), 8, 25, {"f32": -133}, _BOTH),  # MATLAB's vectors exercise 4 of the 8 products
    # The f16 result is MMA-Sim's alone; its limit is Ada's, which no product of fp8 and no f16 C reaches.
    _row(_HOPPER, _WGMMA, FP8, 32, 13, {"f32": -133, "f16": -133}, _BOTH, significand_bits=14),
    _row(("b200",), _TCGEN05, FP8, 32, 25, {"f32": -133, "f16": -21}, MMA_SIM),
    _row(("rtx-5090",), _MMA, FP8, 32, 25, {"f32": -133, "f16": -21}, MMA_SIM),
    # No fp8 unit behind this mma: f16 holds every e4m3 and e5m2, and the f16 one takes them.
    _row(
        (*_HOPPER, "b200"),
        _MMA,
        FP8,
        16,
        25,
        {"f32": -133, "f16": -133},
        f"{MATLAB}; {PTXAS}",
        halves=True,
        dense_only=("f16",),
    ),
    # Exact sums of 32 bits: neither the number of products nor F matters.
    _row(("t4", *_AMPERE), _MMA, ("int8", "int4"), 16, 0, {"s32": 0}, PTX),
    _row(_NEWER, _ANY, ("int8",), 32, 0, {"s32": 0}, PTX),
)


def look_up(card: str, in_dtype: str, out_dtype: str, name: str) -> tuple[Instruction, FusedAdd]:
    """Return the instruction and how the card adds it up; raises BadInput for a combination that it lacks."""
    if card not in CARDS:
        raise BadInput(f"unknown card {card!r}{did_you_mean(str(card), CARDS)}")
    if in_dtype in SCALED:
        raise BadInput(f"in_dtype {in_dtype!r} is not computed: how it is added up, one source alone says ({MMA_SIM})")
    format_named("in_dtype", in_dtype, IN_DTYPES)
    format_named("out_dtype", out_dtype, OUT_DTYPES)
    unit = parse(name).unit
    rules = [rule for rule in FUSED_ADDS if card in rule.cards and in_dtype in rule.in_dtypes]
    if not rules:
        takes = sorted({dtype for rule in FUSED_ADDS if card in rule.cards for dtype in rule.in_dtypes})
        others = ", whose mma is made of other instructions there" if in_dtype == "int4" and card in _NEWER else ""
        raise BadInput(f"in_dtype must be one of {', '.join(takes)} on {card}, got {in_dtype!r}{others}")
    instruction = check_shape(name, in_dtype, card)
    (rule,) = [rule for rule in rules if unit in rule.units]
    takes = [out for out in rule.min_exponent if not (instruction.sparse and out in rule.dense_only)]
    family = f"{unit}{'.sp' if instruction.sparse else ''}"
    if out_dtype not in takes:
        raise BadInput(
            f"out_dtype must be {' or '.join(takes)} for {in_dtype} with {family} on {card}, got {out_dtype!r}"
        )
    return instruction, rule
