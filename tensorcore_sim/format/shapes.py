"""Instructions by name, and the shapes that the PTX ISA gives them for each input format and card."""

from __future__ import annotations

import re
from typing import NamedTuple

from workloads.errors import BadInput

PTX = "PTX ISA, shapes of mma, mma.sp, wgmma and wgmma.sp; CUTLASS, mma_sm100_umma.hpp, of tcgen05.mma"
FP8 = ("e4m3", "e5m2")
_16_BIT, _FP4 = ("f16", "bf16"), ("nvfp4", "mxfp4")

# {(unit, sparse): {input format: (m, k) of the shapes}}; n is 8 for mma, 8 to 256 in eights for wgmma and tcgen05, in
# sixteens for tcgen05 with m = 128. Of tcgen05 only what one SM runs (cta_group::1).
SHAPES = {
    ("mma", False): {
        **dict.fromkeys(_16_BIT, ((16, 8), (16, 16))),
        "tf32": ((16, 4), (16, 8)),
        **dict.fromkeys(FP8, ((16, 32),)),
        "int8": ((8, 16), (16, 16), (16, 32)),
        "int4": ((8, 32), (16, 32), (16, 64)),
        **dict.fromkeys(_FP4, ((16, 64),)),
        "mxfp8": ((16, 32),),
    },
    ("mma", True): {
        **dict.fromkeys(_16_BIT, ((16, 16), (16, 32))),
        "tf32": ((16, 8), (16, 16)),
        **dict.fromkeys(FP8, ((16, 64),)),
        "int8": ((16, 32), (16, 64)),
        "int4": ((16, 64), (16, 128)),
        **dict.fromkeys(_FP4, ((16, 128),)),
        "mxfp8": ((16, 64),),
    },
    ("wgmma", False): {
        **dict.fromkeys(_16_BIT, ((64, 16),)),
        "tf32": ((64, 8),),
        **dict.fromkeys((*FP8, "int8"), ((64, 32),)),
    },
    ("wgmma", True): {
        **dict.fromkeys(_16_BIT, ((64, 32),)),
        "tf32": ((64, 16),),
        **dict.fromkeys((*FP8, "int8"), ((64, 64),)),
    },
    ("tcgen05", False): {
        **dict.fromkeys(_16_BIT, ((64, 16), (128, 16))),
        "tf32": ((64, 8), (128, 8)),
        **dict.fromkeys((*FP8, "int8"), ((64, 32), (128, 32))),
        **dict.fromkeys(_FP4, ((128, 64),)),
        "mxfp8": ((128, 32),),
    },
    ("tcgen05", True): {
        **dict.fromkeys(_16_BIT, ((64, 32), (128, 32))),
        "tf32": ((64, 16), (128, 16)),
        **dict.fromkeys((*FP8, "int8"), ((64, 64), (128, 64))),
        **dict.fromkeys(_FP4, ((128, 128),)),
        "mxfp8": ((128, 64),),
    },
}
_OLDER_SHAPES = {
    "v100": {("mma", False): {"f16": ((8, 4),)}},
    "t4": {("mma", False): {"f16": ((16, 8),), "int8": ((8, 16),), "int4": ((8, 32),)}},
}
_CARDS_OF = {"wgmma": ("h100", "h200", "gh200"), "tcgen05": ("b200",)}  # of sm_90a and of sm_100a alone
_SCALED_MMA = ("rtx-5090",)  # mma with block_scale: of sm_120a alone (ptxas 13.0)

_NAME = re.compile(r"(mma|wgmma|tcgen05)(\.sp)?\.m(\d+)n(\d+)k(\d+)")


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
    if not isinstance(name, str) or not (match := _NAME.fullmatch(name)):
        raise BadInput(f"instruction must be like mma.m16n8k16, mma.sp.m16n8k32 or wgmma.m64n256k16, got {name!r}")
    unit, sparse, *shape = match.groups()
    return Instruction(unit, sparse is not None, *map(int, shape))


def check_shape(name: str, in_dtype: str, card: str | None = None) -> Instruction:
    """Return the instruction, its shape checked for the input format (and the card); raises BadInput."""
    instruction = parse(name)
    table = _OLDER_SHAPES.get(card, SHAPES)
    shapes = table.get((instruction.unit, instruction.sparse), {}).get(in_dtype, ())
    scaled = instruction.unit == "mma" and in_dtype in (*_FP4, "mxfp8")
    if card is not None and card not in (_SCALED_MMA if scaled else _CARDS_OF.get(instruction.unit, (card,))):
        shapes = ()
    family = f"{instruction.unit}{'.sp' if instruction.sparse else ''}"
    if not shapes:
        raise BadInput(f"instruction {name!r}: there is no {family} for {in_dtype}{f' on {card}' if card else ''}")
    if (instruction.m, instruction.k) not in shapes or instruction.n not in _widths(instruction.unit, instruction.m):
        n = "8" if instruction.unit == "mma" else "N"
        names = " or ".join(f"{family}.m{m}n{n}k{k}" for m, k in shapes)
        raise BadInput(
            f"instruction must be {names} for {in_dtype}{f' on {card}' if card else ''}{_HINTS[instruction.unit]}, "
            f"got {name!r}"
        )
    return instruction


def largest(unit: str, sparse: bool, in_dtype: str, card: str) -> str:
    """Return the name of the card's instruction of the most products; raises BadInput where it has none."""
    family = f"{unit}{'.sp' if sparse else ''}"
    if not (shapes := _OLDER_SHAPES.get(card, SHAPES).get((unit, sparse), {}).get(in_dtype, ())):
        raise BadInput(f"in_dtype {in_dtype!r} has no {family} on {card}")
    m, k = shapes[-1]
    return f"{family}.m{m}n{_widths(unit, m)[-1]}k{k}"


def smallest(unit: str, in_dtype: str) -> tuple[int, int]:
    """Return m and n of the smallest dense instruction of an input format."""
    m, _ = SHAPES[unit, False][in_dtype][0]
    return m, _widths(unit, m)[0]


_HINTS = {
    "mma": "",
    "wgmma": ", N a multiple of 8 from 8 to 256",
    "tcgen05": ", N a multiple of 8 (m64) or 16 (m128) up to 256",
}


def _widths(unit: str, m: int) -> range:
    """Return the n that an instruction of that m may have."""
    step = 16 if (unit, m) == ("tcgen05", 128) else 8
    return range(8, 9) if unit == "mma" else range(step, 257, step)
