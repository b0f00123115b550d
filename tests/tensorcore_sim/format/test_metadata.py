"""Does every index reach the thread that must supply it, and do CUTLASS' layouts lose none?"""

import numpy as np
import pytest

from tensorcore_sim.format.metadata import (
    LEGAL,
    contributors,
    from_sm80,
    from_sm90,
    pack,
    suppliers,
    thread_words,
    to_sm80,
    to_sm90,
    unpack,
)

# PTX ISA, "Sparsity selector": instruction, format, threads of a quad for each selector
TABLE = [
    ("mma.sp.m16n8k16", "f16", [(0,), (1,), (2,), (3,)]),
    ("mma.sp.m16n8k16", "bf16", [(0,), (1,), (2,), (3,)]),
    ("mma.sp.m16n8k8", "tf32", [(0,), (1,), (2,), (3,)]),
    ("mma.sp.m16n8k32", "f16", [(0, 1), (2, 3)]),
    ("mma.sp.m16n8k32", "bf16", [(0, 1), (2, 3)]),
    ("mma.sp.m16n8k16", "tf32", [(0, 1), (2, 3)]),
    ("mma.sp.m16n8k32", "int8", [(0, 1), (2, 3)]),
    ("mma.sp.m16n8k64", "int4", [(0, 1), (2, 3)]),
    ("mma.sp.m16n8k64", "int8", [(0, 1, 2, 3)]),
    ("mma.sp.m16n8k64", "e4m3", [(0, 1, 2, 3)]),
    ("mma.sp.m16n8k64", "e5m2", [(0, 1, 2, 3)]),
    ("mma.sp.m16n8k128", "int4", [(0, 1, 2, 3)]),
    ("wgmma.sp.m64n8k32", "f16", [(0, 1), (2, 3)]),
    ("wgmma.sp.m64n256k32", "bf16", [(0, 1), (2, 3)]),
    ("wgmma.sp.m64n128k16", "tf32", [(0, 1), (2, 3)]),
    ("wgmma.sp.m64n64k64", "e4m3", [(0, 1, 2, 3)]),
    ("wgmma.sp.m64n64k64", "int8", [(0, 1, 2, 3)]),
]


def random_nibbles(rows, groups, in_dtype="f16"):
    legal = (0b0100, 0b1110) if in_dtype == "tf32" else LEGAL
    return np.random.default_rng([rows, groups]).choice(legal, (rows, groups)).astype(np.uint8)


@pytest.mark.parametrize(("instruction", "in_dtype", "threads"), TABLE)
def test_the_threads_of_each_selector(instruction, in_dtype, threads):
    assert [contributors(instruction, in_dtype, selector) for selector in range(len(threads))] == threads
    with pytest.raises(ValueError, match=f"selector must be 0 to {len(threads) - 1}"):
        contributors(instruction, in_dtype, len(threads))


@pytest.mark.parametrize("bits", [16, 32])
def test_words_hold_the_lowest_group_lowest(bits):
    nibbles = random_nibbles(4, 16)
    words = pack(nibbles, bits)
    for row in range(4):
        for group in range(16):
            assert int(words[row, group * 4 // bits]) >> (group * 4 % bits) & 15 == nibbles[row, group]
    assert np.array_equal(unpack(words, "f16"), nibbles)


@pytest.mark.parametrize(("instruction", "in_dtype", "threads"), TABLE)
def test_every_index_of_a_tile_is_with_one_thread(instruction, in_dtype, threads):
    k, columns = int(instruction.rsplit("k", 1)[1]), {"tf32": 2, "int4": 8}.get(in_dtype, 4)
    m, groups = 64 if instruction.startswith("wgmma") else 16, k // columns
    assert thread_words(random_nibbles(m, groups, in_dtype), instruction, in_dtype).shape == (m // 2, len(threads[0]))
    supplied = suppliers(instruction, in_dtype)
    for row in range(m):
        quad, upper = row // 16 * 8 + row % 8, row // 8 % 2  # eight quads for each 16 rows
        for group in range(groups):
            lone = np.zeros((m, groups), np.uint8)
            lone[row, group] = 15
            if in_dtype in ("f16", "bf16", "tf32"):  # four groups of rows q and q + 8 to a thread
                thread, shift = group // 4, group % 4 * 4 + upper * 16
            else:  # eight groups of one row to a thread, the next thread has the other row
                thread, shift = group // 8 * 2 + upper, group % 8 * 4
            expected = np.zeros((m // 2, len(threads[0])), np.uint32)
            expected[quad, thread] = 15 << shift
            assert np.array_equal(thread_words(lone, instruction, in_dtype), expected)
            told = [(of_quad, place) for of_quad, place, of, which in supplied if row in of and group in which]
            assert told == [(quad, thread)]


# CuTe, mma_traits_sm90_gmma_sparse.hpp, ELayout_64x64, 64x32, 64x16: (size, stride) of the thread, of the columns that
# its word describes, lowest bits first; they add up to row + 64 x column of A.
ELAYOUTS = {
    64: ([(2, 8), (2, 2048), (8, 1), (4, 16)], [(32, 64)]),
    32: ([(2, 1024), (2, 0), (8, 1), (4, 16)], [(16, 64), (2, 8)]),
    16: ([(2, 512), (2, 0), (8, 1), (4, 16)], [(8, 64), (2, 8)]),
}


def in_layout(index, modes):
    offset = 0
    for size, stride in modes:
        offset += index % size * stride
        index //= size
    return offset


@pytest.mark.parametrize(("instruction", "in_dtype", "threads"), [row for row in TABLE if row[0].startswith("wgmma")])
def test_the_threads_of_wgmma_hold_what_cute_says(instruction, in_dtype, threads):
    k, columns = int(instruction.rsplit("k", 1)[1]), 2 if in_dtype == "tf32" else 4
    of_thread, of_value = ELAYOUTS[k]
    nibbles = random_nibbles(64, k // columns, in_dtype)
    words = thread_words(nibbles, instruction, in_dtype)
    for thread in range(128):
        (of_selector,) = [quad for quad in threads if thread % 4 in quad]
        word = int(words[thread // 4, of_selector.index(thread % 4)])
        for place in range(8):
            offset = in_layout(thread, of_thread) + in_layout(place * columns, of_value)
            assert word >> (4 * place) & 15 == nibbles[offset % 64, offset // 64 // columns]


@pytest.mark.parametrize(("instruction", "in_dtype", "threads"), [row for row in TABLE if row[0].startswith("wgmma")])
def test_each_warp_of_wgmma_holds_what_mma_holds_of_its_16_rows(instruction, in_dtype, threads):
    k = int(instruction.rsplit("k", 1)[1])
    nibbles = random_nibbles(64, k // (2 if in_dtype == "tf32" else 4), in_dtype)
    words = thread_words(nibbles, instruction, in_dtype)
    for warp in range(4):
        of_mma = thread_words(nibbles[16 * warp : 16 * warp + 16], f"mma.sp.m16n8k{k}", in_dtype)
        assert np.array_equal(words[8 * warp : 8 * warp + 8], of_mma)


def naive_sm80(elements):
    """Return the layout as the literature states it, one element at a time."""
    rows, columns = elements.shape
    group, interleave = (32, 4) if elements.itemsize == 2 else (16, 2)
    flat = np.zeros(rows * columns, elements.dtype)
    for m in range(rows):
        for e in range(columns):
            row, column = m // group * group + m % 8 * interleave + m % group // 8, e
            if row % 2 == 0 and column % 2 == 1:
                row, column = row + 1, column - 1
            elif row % 2 == 1 and column % 2 == 0:
                row, column = row - 1, column + 1
            flat[column // 2 * (2 * rows) + row * 2 + column % 2] = elements[m, e]
    return flat


@pytest.mark.parametrize(
    ("dtype", "shape"), [(np.uint16, (32, 2)), (np.uint16, (96, 6)), (np.uint32, (16, 2)), (np.uint32, (48, 8))]
)
def test_the_sm80_layout_is_a_bijection(dtype, shape):
    elements = np.arange(1, shape[0] * shape[1] + 1, dtype=dtype).reshape(shape)
    flat = to_sm80(elements)
    assert sorted(flat.tolist()) == elements.ravel().tolist()
    assert flat.tolist() == naive_sm80(elements).tolist()
    assert np.array_equal(from_sm80(flat, shape[0]), elements)


def test_the_sm80_layout_by_hand():
    elements = np.arange(64, dtype=np.uint16).reshape(32, 2)  # element (m, e) holds 2 m + e
    # 16 bytes are rows 0, 8, 16, 24 of both columns; their 2 x 2 blocks turned from Z to N
    assert to_sm80(elements)[:16].tolist() == [0, 16, 1, 17, 32, 48, 33, 49, 2, 18, 3, 19, 34, 50, 35, 51]


def test_ldmatrix_hands_each_thread_its_word_from_the_sm80_layout():
    """One 8 x 8 matrix of 16-bit elements: thread t of quad q gets the t-th 32 bits of the q-th 16 bytes."""
    nibbles = random_nibbles(32, 8)
    delivered = to_sm80(pack(nibbles, 16)).view(np.uint32).reshape(8, 4)
    for selector, tile in enumerate((nibbles[:16], nibbles[16:])):
        threads = contributors("mma.sp.m16n8k32", "f16", selector)
        assert np.array_equal(delivered[:, threads], thread_words(tile, "mma.sp.m16n8k32", "f16"))
    nibbles = random_nibbles(16, 16)
    delivered = to_sm80(pack(nibbles, 32)).reshape(8, 4)
    assert np.array_equal(delivered, thread_words(nibbles, "mma.sp.m16n8k64", "int8"))


def naive_sm90_byte(row, column, n_rows, in_dtype, tile_k):
    """Return the byte that describes an element, from the strides of the published layout."""
    elements_per_byte = 4 if in_dtype == "tf32" else 8
    block = row // 64 * 64 * tile_k + column // tile_k * n_rows * tile_k
    m, k = row % 64, column % tile_k
    if in_dtype in ("int8", "e4m3", "e5m2"):
        return (block + m * tile_k + k) // elements_per_byte
    # shape ((8, 2, 4), (w, 2, NumK)), order ((3, 1, 5), (0, 4, 2)): the lower the order the smaller the stride
    w = 8 if in_dtype == "tf32" else 16
    num_k = tile_k // (2 * w)
    sizes = {0: w, 1: 2, 2: num_k, 3: 8, 4: 2, 5: 4}
    place = {0: k % w, 4: k // w % 2, 2: k // w // 2, 3: m % 8, 1: m // 8 % 2, 5: m // 16}
    offset, stride = 0, 1
    for order in range(6):
        offset += place[order] * stride
        stride *= sizes[order]
    return (block + offset) // elements_per_byte


@pytest.mark.parametrize(
    ("in_dtype", "tile_k"), [("f16", 32), ("bf16", 128), ("tf32", 16), ("tf32", 64), ("e4m3", 64), ("int8", 128)]
)
def test_the_sm90_layout_is_a_bijection_with_the_published_strides(in_dtype, tile_k):
    rows, columns = 128, 2 * tile_k
    group = 2 if in_dtype == "tf32" else 4
    nibbles = random_nibbles(rows, columns // group, in_dtype)
    flat = to_sm90(nibbles, in_dtype, tile_k)
    assert flat.shape == (nibbles.size // 2,)
    assert np.array_equal(from_sm90(flat, rows, in_dtype, tile_k), nibbles)
    for row in range(rows):
        for pair in range(columns // group // 2):
            byte = naive_sm90_byte(row, pair * 2 * group, rows, in_dtype, tile_k)
            assert flat[byte] == nibbles[row, 2 * pair] | nibbles[row, 2 * pair + 1] << 4
