"""Does what the card, the instruction or the format lacks come back as one clear line?"""

import re

import numpy as np
import pytest

from tensorcore_sim import compress, decompress, fused_dot_add, gemm
from tensorcore_sim.format.image import from_metadata
from tensorcore_sim.format.metadata import contributors, pack, thread_words, to_sm80, to_sm90
from workloads.errors import BadInput

GOOD = {"card": "a100", "in_dtype": "f16", "out_dtype": "f32", "instruction": "mma.m16n8k16"}


def f16(*shape):
    return np.zeros(shape, np.float16)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"card": "h1000"}, "unknown card 'h1000', did you mean 'h100'?"),
        ({"in_dtype": "fp16"}, "unknown in_dtype 'fp16', did you mean 'f16'?"),
        ({"out_dtype": "f64"}, "unknown out_dtype 'f64', did you mean"),
        ({"in_dtype": "e4m3"}, "in_dtype must be one of bf16, f16, int4, int8, tf32 on a100, got 'e4m3'"),
        (
            {"in_dtype": "int4", "card": "h200"},
            "bf16, e4m3, e5m2, f16, int8, tf32 on h200, got 'int4', whose mma is made of other instructions there",
        ),
        (
            {"in_dtype": "int4", "instruction": "mma.sp.m16n8k32"},
            "must be mma.sp.m16n8k64 or mma.sp.m16n8k128 for int4",
        ),
        ({"in_dtype": "int4", "instruction": "mma.m16n8k32"}, "out_dtype must be s32 for int4 with mma on a100"),
        ({"in_dtype": "bf16", "out_dtype": "f16"}, "out_dtype must be f32 for bf16 with mma on a100, got 'f16'"),
        ({"out_dtype": "s32"}, "out_dtype must be f32 or f16 for f16 with mma on a100, got 's32'"),
        ({"instruction": "mma.m16n8k32"}, "must be mma.m16n8k8 or mma.m16n8k16 for f16 on a100, got 'mma.m16n8k32'"),
        ({"instruction": "mma.m16n16k16"}, "got 'mma.m16n16k16'"),
        ({"instruction": "hmma"}, "instruction must be like mma.m16n8k16"),
        ({"instruction": "wgmma.m64n64k16"}, "there is no wgmma for f16 on a100"),
        ({"card": "h100", "instruction": "wgmma.m64n12k16"}, "N a multiple of 8 from 8 to 256"),
        ({"card": "v100", "instruction": "mma.sp.m16n8k32"}, "there is no mma.sp for f16 on v100"),
        ({"card": "h200", "instruction": "tcgen05.m64n64k16"}, "there is no tcgen05 for f16 on h200"),
        ({"card": "b200", "instruction": "wgmma.m64n64k16"}, "there is no wgmma for f16 on b200"),
        ({"card": "b200", "instruction": "tcgen05.m128n24k16"}, "N a multiple of 8 (m64) or 16 (m128) up to 256"),
        ({"card": "rtx-5090", "instruction": "tcgen05.m64n64k16"}, "there is no tcgen05 for f16 on rtx-5090"),
        (
            {"card": "rtx-5090", "in_dtype": "int4"},
            "tf32 on rtx-5090, got 'int4', whose mma is made of other instructions there",
        ),
        ({"card": "t4"}, "instruction must be mma.m16n8k8 for f16 on t4, got 'mma.m16n8k16'"),
        ({"card": "t4", "in_dtype": "bf16"}, "in_dtype must be one of f16, int4, int8 on t4, got 'bf16'"),
        ({"card": "t4", "instruction": "mma.sp.m16n8k32"}, "there is no mma.sp for f16 on t4"),
        ({"card": "rtx-3090", "in_dtype": "e4m3"}, "in_dtype must be one of bf16, f16, int4, int8, tf32 on rtx-3090"),
        *(
            (
                {"card": card, "in_dtype": "e4m3", "out_dtype": "f16", "instruction": "mma.sp.m16n8k64"},
                f"out_dtype must be f32 for e4m3 with mma.sp on {card}, got 'f16'",
            )
            for card in ("l40s", "rtx-4090", "h100", "b200")
        ),
        ({"saturate": True}, "saturate must be false for out_dtype f32"),
    ],
)
def test_a_combination_that_does_not_exist(changes, line):
    with pytest.raises(BadInput, match=re.escape(line)) as caught:
        fused_dot_add(f16(2, 16), f16(2, 16), np.zeros(2, np.float32), **{**GOOD, **changes})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("a", "b", "c", "line"),
    [
        (f16(2, 8), f16(2, 8), np.zeros(2, np.float32), r"a must be \[n, 16\] for mma.m16n8k16, got shape \[2, 8\]"),
        (f16(2, 16), f16(3, 16), np.zeros(2, np.float32), r"b must have a's shape \[2, 16\], got \[3, 16\]"),
        (f16(2, 16), f16(2, 16), np.zeros(3, np.float32), r"c must be \[2\]"),
        (
            f16(2, 16),
            f16(2, 16),
            np.zeros(2),
            "c must be uint32 bit patterns or float32 values for f32, got",
        ),
        (np.zeros((2, 16)), f16(2, 16), np.zeros(2, np.float32), "a must be uint16 bit patterns or float16 values"),
    ],
)
def test_arrays_that_do_not_fit(a, b, c, line):
    with pytest.raises(BadInput, match=line):
        fused_dot_add(a, b, c, **GOOD)


@pytest.mark.parametrize(
    ("a", "b", "c", "line"),
    [
        (f16(2, 0), f16(0, 3), np.zeros((2, 3), np.float32), "with k at least 1"),
        (f16(2, 16), f16(15, 3), np.zeros((2, 3), np.float32), r"got \[2, 16\] and \[15, 3\]"),
        (f16(2, 16), f16(16, 3), np.zeros((3, 2), np.float32), r"c must be \[2, 3\]"),
    ],
)
def test_matrices_that_do_not_fit(a, b, c, line):
    with pytest.raises(BadInput, match=line):
        gemm(a, b, c, **GOOD)


def test_a_sparse_gemm_needs_a_sparse_a():
    with pytest.raises(BadInput, match="the group at row 0, columns 0 to 3 has 4 non-zeros"):
        gemm(f16(1, 32) + 1, f16(32, 1), np.zeros((1, 1), np.float32), **{**GOOD, "instruction": "mma.sp.m16n8k32"})


@pytest.mark.parametrize(
    ("in_dtype", "group", "line"),
    [
        ("f16", [1, 2, 0, 3], "matrix must be 2:4 for f16: the group at row 1, columns 4 to 7 has 3 non-zeros"),
        ("tf32", [0, 0, 1, 2], "matrix must be 1:2 for tf32: the group at row 1, columns 6 to 7 has 2 non-zeros"),
        (
            "int4",
            [0, 1, 0, 0, 1, 0, 1, 1],
            "4:8 in pairs for int4: the group at row 1, columns 8 to 15 has 4 non-zeros, in more than 2 pairs",
        ),
    ],
)
def test_a_group_with_too_many_non_zeros_is_named(in_dtype, group, line):
    dtype = {"f16": np.float16, "tf32": np.float32, "int4": np.uint8}[in_dtype]
    matrix = np.zeros((3, 2 * len(group)), dtype)
    matrix[1, len(group) :] = group
    matrix[2, : len(group)] = group
    with pytest.raises(BadInput, match=line):
        compress(matrix, in_dtype)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: compress(f16(2, 6), "f16"), "k a multiple of 4 for f16"),
        (lambda: compress(f16(2, 8), "f32"), "unknown in_dtype 'f32'"),
        (lambda: compress(np.zeros((2, 8)), "f16"), "matrix must be uint16 bit patterns or float16 values"),
        (lambda: compress(f16(2, 16), "f16").metadata(), "groups must be a multiple of 8"),
        (
            lambda: contributors("mma.sp.m16n8k32", "f16", 2),
            "selector must be 0 to 1 for mma.sp.m16n8k32",
        ),
        (lambda: contributors("mma.m16n8k16", "f16"), "instruction must be a sparse one"),
        (lambda: contributors("wgmma.sp.m64n8k64", "int4"), "there is no wgmma.sp for int4"),
        (lambda: thread_words(np.zeros((8, 8), np.uint8), "mma.sp.m16n8k32", "f16"), r"nibbles must be u8\[16, 8\]"),
        (lambda: thread_words(np.zeros((16, 8), np.uint8), "wgmma.sp.m64n8k32", "f16"), r"nibbles must be u8\[64, 8\]"),
        (lambda: to_sm80(np.zeros((16, 2), np.uint16)), "rows in 32s"),
        (lambda: to_sm80(np.zeros((16, 3), np.uint32)), "an even width"),
        (lambda: to_sm90(np.zeros((64, 8), np.uint8), "f16", 48), "a multiple of 32"),
        (lambda: to_sm90(np.zeros((32, 8), np.uint8), "f16", 32), "rows in 64s"),
        (lambda: to_sm90(np.zeros((64, 8), np.uint8), "int4", 64), "in the SM90 layout, got 'int4'"),
    ],
)
def test_a_format_that_does_not_fit(call, line):
    with pytest.raises(BadInput, match=line):
        call()


def test_an_illegal_nibble_is_named():
    nibbles = np.full((2, 8), 0b0100, np.uint8)
    nibbles[1, 3] = 0b0101
    with pytest.raises(BadInput, match=r"metadata must be one of 0100, .* got 0101 at row 1, group 3"):
        from_metadata(f16(2, 16), pack(nibbles), "f16")
    nibbles[1, 3] = 0b1000
    assert decompress(from_metadata(f16(2, 16), pack(nibbles), "f16")).shape == (2, 32)
    with pytest.raises(BadInput, match=r"metadata must be one of 0100, 1110, got 1000 at row 1, group 3"):
        from_metadata(np.zeros((2, 8), np.float32), pack(nibbles), "tf32")
