"""The instructions that are measured, one line each, and the CUDA C++ that executes each of them.

The names are the model's, so that what is measured can be joined with what it says. `source` writes one struct an
instruction: its name, how many 32-bit registers a thread holds of each operand, and `run`, the instruction itself as
inline PTX. mma.cu, wgmma.cu and vectors.cu include that file and walk through its EACH list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tensorcore_sim.format.shapes import Instruction, parse

BITS = {"f32": 32, "s32": 32, "tf32": 32, "f16": 16, "bf16": 16, "e4m3": 8, "e5m2": 8, "int8": 8, "int4": 4, "b1": 1}
PTX_TYPE = {"int8": "s8", "int4": "s4"}  # where it is not the model's name
WITH_TRANSPOSE = ("f16", "bf16")  # wgmma of these types says which way A and B lie (PTX ISA)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One instruction on a card.

    instruction, in_dtype, out_dtype: as the model names them. a_from: "registers", or "shared" (wgmma only).
    selector: which threads of a quad supply the metadata of a sparse A.
    """

    instruction: str
    in_dtype: str
    out_dtype: str
    a_from: str = "registers"
    selector: int = 0

    @property
    def key(self) -> str:
        """Return the name by which the programs and files know it."""
        end = f"_selector{self.selector}" if self.selector else ""
        return f"{self.instruction}_{self.in_dtype}_{self.out_dtype}_{self.a_from}{end}"

    @property
    def shape(self) -> Instruction:
        return parse(self.instruction)

    @property
    def is_wgmma(self) -> bool:
        return self.shape.unit == "wgmma"

    @property
    def n_threads(self) -> int:
        return 128 if self.is_wgmma else 32

    @property
    def n_registers(self) -> tuple[int, int, int]:
        """Return the 32-bit words of A, B and C for each thread; B's lie in shared memory for wgmma."""
        shape, in_bits = self.shape, BITS[self.in_dtype]
        bits = (
            shape.m * shape.n_products * in_bits,
            shape.k * shape.n * in_bits,
            shape.m * shape.n * BITS[self.out_dtype],
        )
        return tuple(max(1, of_tile // (32 * self.n_threads)) for of_tile in bits)

    def runs_on(self, capability: int) -> bool:
        """Return whether a card of that compute capability (80, 86, 89, 90, ...) has it (PTX ISA, target notes)."""
        if self.is_wgmma:
            return capability == 90
        return capability >= (89 if self.in_dtype in ("e4m3", "e5m2") else 80)


def _mma(in_dtype: str, out_dtype: str, *shapes: str) -> list[Measured]:
    return [Measured(instruction=shape, in_dtype=in_dtype, out_dtype=out_dtype) for shape in shapes]


MMA = (
    *_mma("f16", "f32", "mma.m16n8k16", "mma.m16n8k8", "mma.sp.m16n8k32", "mma.sp.m16n8k16"),
    *_mma("f16", "f16", "mma.m16n8k16", "mma.m16n8k8", "mma.sp.m16n8k32", "mma.sp.m16n8k16"),
    *_mma("bf16", "f32", "mma.m16n8k16", "mma.m16n8k8", "mma.sp.m16n8k32", "mma.sp.m16n8k16"),
    *_mma("tf32", "f32", "mma.m16n8k8", "mma.m16n8k4", "mma.sp.m16n8k16", "mma.sp.m16n8k8"),
    *_mma("int8", "s32", "mma.m16n8k32", "mma.m16n8k16", "mma.sp.m16n8k64", "mma.sp.m16n8k32"),
    *_mma("int4", "s32", "mma.m16n8k64", "mma.m16n8k32", "mma.sp.m16n8k128", "mma.sp.m16n8k64"),
    *_mma("b1", "s32", "mma.m16n8k256", "mma.m16n8k128"),
    *_mma("e4m3", "f32", "mma.m16n8k32", "mma.sp.m16n8k64"),
)

SWEEP = (8, 16, 32, 64, 96, 128, 192, 256)
WGMMA = tuple(
    Measured(instruction=f"wgmma{sparse}.m64n{n}k{k}", in_dtype=in_dtype, out_dtype=out_dtype, a_from=a_from)
    for in_dtype, out_dtype, dense_k in (
        ("f16", "f32", 16),
        ("tf32", "f32", 8),
        ("e4m3", "f32", 32),
        ("int8", "s32", 32),
    )
    for sparse, k in (("", dense_k), (".sp", 2 * dense_k))
    for a_from in ("shared", "registers")
    for n in SWEEP
)

# Whose values are recorded. The dense ones are controls: what they compute is known from two published projects.
VECTORS = (
    *_mma("f16", "f32", "mma.m16n8k8", "mma.m16n8k16", "mma.sp.m16n8k16", "mma.sp.m16n8k32"),
    Measured(instruction="mma.sp.m16n8k32", in_dtype="f16", out_dtype="f32", selector=1),
    *_mma("f16", "f16", "mma.m16n8k16", "mma.sp.m16n8k16", "mma.sp.m16n8k32"),
    *_mma("bf16", "f32", "mma.m16n8k16", "mma.sp.m16n8k16", "mma.sp.m16n8k32"),
    *_mma("tf32", "f32", "mma.m16n8k8", "mma.sp.m16n8k8", "mma.sp.m16n8k16"),
    *_mma("e4m3", "f32", "mma.m16n8k32", "mma.sp.m16n8k64"),
    *_mma("e5m2", "f32", "mma.sp.m16n8k64"),
    *_mma("e4m3", "f16", "mma.m16n8k32"),  # ptxas 13.0 takes the mma.sp form for sm_120a only
    *_mma("f16", "f32", "wgmma.m64n16k16", "wgmma.sp.m64n8k32"),
    *_mma("f16", "f16", "wgmma.sp.m64n8k32"),
    *_mma("bf16", "f32", "wgmma.sp.m64n8k32"),
    *_mma("tf32", "f32", "wgmma.sp.m64n8k16"),
    *_mma("e4m3", "f32", "wgmma.m64n16k32", "wgmma.sp.m64n8k64"),
    *_mma("e5m2", "f32", "wgmma.sp.m64n8k64"),
    *_mma("e4m3", "f16", "wgmma.sp.m64n8k64"),
)


def source(rows: Iterable[Measured]) -> str:
    """Return the CUDA C++ of these instructions: a struct each, and the list EACH(X) of them."""
    rows = list(rows)
    structs = [_struct(f"I{place}", row) for place, row in enumerate(rows)]
    each = " ".join(f"X(I{place})" for place in range(len(rows)))
    return "\n".join(["#pragma once", "#include <cstdint>", *structs, f"#define EACH(X) {each}", ""])


def _struct(name: str, row: Measured) -> str:
    n_a, n_b, n_c = row.n_registers
    shape = row.shape
    constants = {
        "THREADS": row.n_threads,
        "WGMMA": int(row.is_wgmma),
        "A": n_a,
        "B": n_b,
        "C": n_c,
        "FMA": shape.m * shape.n * shape.k,
        "A_BYTES": shape.m * shape.n_products * BITS[row.in_dtype] // 8,
        "B_BYTES": shape.k * shape.n * BITS[row.in_dtype] // 8,
        "K_BYTES": shape.k * BITS[row.in_dtype] // 8,
        "KEPT_K_BYTES": shape.n_products * BITS[row.in_dtype] // 8,
    }
    texts = {
        "KEY": row.key,
        "CSV": f"{row.instruction},{row.in_dtype},{row.out_dtype}" + (f",{row.a_from}" if row.is_wgmma else ""),
    }
    return "\n".join(
        [
            f"struct {name} {{",
            *(f'  static constexpr const char *{field} = "{text}";' for field, text in texts.items()),
            *(f"  static constexpr int {field} = {value};" for field, value in constants.items()),
            _wgmma_run(row) if row.is_wgmma else _mma_run(row),
            "};",
        ]
    )


def _mma_run(row: Measured) -> str:
    n_a, n_b, n_c = row.n_registers
    shape, kind = row.shape, PTX_TYPE.get(row.in_dtype, row.in_dtype)
    d, a, b = _braced(0, n_c), _braced(n_c, n_a), _braced(n_c + n_a, n_b)
    name = f"mma{'.sp::ordered_metadata' if shape.sparse else ''}.sync.aligned.m{shape.m}n{shape.n}k{shape.k}.row.col"
    types = f".{row.out_dtype}.{kind}.{kind}.{row.out_dtype}{'.and.popc' if row.in_dtype == 'b1' else ''}"
    metadata = f", %{n_c + n_a + n_b}, {row.selector}" if shape.sparse else ""
    inputs = [*_operands("r", "a", n_a), *_operands("r", "b", n_b), *(['"r"(e)'] if shape.sparse else [])]
    return "\n".join(
        [
            "  static __device__ __forceinline__ void run(uint32_t (&d)[C], const uint32_t (&a)[A],",
            "                                             const uint32_t (&b)[B], uint32_t e) {",
            f'    asm volatile("{name}{types} {d}, {a}, {b}, {d}{metadata};"',
            f"                 : {', '.join(_operands('+r', 'd', n_c))} : {', '.join(inputs)});",
            "  }",
        ]
    )


def _wgmma_run(row: Measured) -> str:
    n_a, _, n_c = row.n_registers
    shape, kind = row.shape, PTX_TYPE.get(row.in_dtype, row.in_dtype)
    in_registers = row.a_from == "registers"
    a = _braced(n_c, n_a) if in_registers else f"%{n_c}"
    after_a = n_c + (n_a if in_registers else 1)
    name = f"wgmma.mma_async{'.sp' if shape.sparse else ''}.sync.aligned.m{shape.m}n{shape.n}k{shape.k}"
    metadata = f", %{after_a + 1}, {row.selector}" if shape.sparse else ""
    scales = "" if row.out_dtype == "s32" else ", 1, 1"
    transposes = (", 0" if in_registers else ", 0, 0") if row.in_dtype in WITH_TRANSPOSE else ""
    types = f".{row.out_dtype}.{kind}.{kind}"
    call = f"{name}{types} {_braced(0, n_c)}, {a}, %{after_a}{metadata}, add{scales}{transposes};"
    inputs = [
        *(_operands("r", "a", n_a) if in_registers else ['"l"(a_at)']),
        '"l"(b_at)',
        *(['"r"(e)'] if shape.sparse else []),
    ]
    return "\n".join(
        [
            "  static __device__ __forceinline__ void run(uint32_t (&d)[C], const uint32_t (&a)[A], uint64_t a_at,",
            "                                             uint64_t b_at, uint32_t e) {",
            '    asm volatile("{ .reg .pred add; setp.eq.b32 add, 0, 0; "',
            f'                 "{call} }}"',
            f"                 : {', '.join(_operands('+r', 'd', n_c))} : {', '.join(inputs)});",
            "  }",
        ]
    )


def _braced(first: int, count: int) -> str:
    return "{" + ", ".join(f"%{place}" for place in range(first, first + count)) + "}"


def _operands(constraint: str, name: str, count: int) -> list[str]:
    return [f'"{constraint}"({name}[{place}])' for place in range(count)]
