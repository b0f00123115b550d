"""How many bits a sequence of codes or of gaps takes, and a shared layer: index gaps, entropy and Huffman codes."""

import heapq

import numpy as np

from workloads.errors import BadInput
from workloads.records import Workload, blocks_of

GAP_BITS = 5  # Deep Compression, part 3: of fully connected layers


def index_gaps(codes: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the stored codes and, for each, how many zeros stand before it: the codes' dtype [n] and i64[n].

    codes: int[...], 0 for the value zero, taken in C order. A gap of more zeros than `bits` can say takes fillers,
    code 0 with the gap 2**bits - 1, and zeros after the last code cost nothing. Raises BadInput.
    Source: Deep Compression, Han et al. 2016, figure 2.
    """
    if bits not in range(1, 33):
        raise BadInput(f"bits must be 1 to 32, got {bits!r}")
    flat, places = np.ravel(codes), np.flatnonzero(codes)
    n_fillers, gaps = np.divmod(np.diff(places, prepend=-1) - 1, 2**bits)
    entries = np.cumsum(n_fillers + 1) - 1  # where among all entries, fillers included, each code comes to lie
    n_entries = len(places) + int(n_fillers.sum())
    stored, all_gaps = np.zeros(n_entries, flat.dtype), np.full(n_entries, 2**bits - 1)
    stored[entries], all_gaps[entries] = flat[places], gaps
    return stored, all_gaps


def entropy(symbols: np.ndarray) -> float:
    """Return the Shannon entropy of the symbols' frequencies in bits per symbol, 0 for none; symbols: int[...]."""
    counts = np.unique(symbols, return_counts=True)[1]
    shares = counts / counts.sum() if counts.size else np.ones(1)
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def code_lengths(counts: np.ndarray) -> np.ndarray:
    """Return i64[n]: how many bits a Huffman code gives each symbol that occurs counts[i] times.

    counts: int[n], none negative. A symbol that never occurs has no code, 0 bits; one that occurs alone takes 1 bit.
    Raises BadInput. Source: Huffman 1952.
    """
    counts = np.asarray(counts)
    if counts.ndim != 1 or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise BadInput(f"counts must be int[n], none negative, got {counts.dtype}{list(counts.shape)}")
    lengths = np.zeros(len(counts), np.int64)
    # (count, tie-break, members): merging two subtrees puts their members one bit deeper.
    heap = [(int(counts[i]), int(i), [int(i)]) for i in np.flatnonzero(counts)]
    if len(heap) == 1:
        lengths[heap[0][2]] = 1
    heapq.heapify(heap)
    for tie in range(len(counts), len(counts) + len(heap) - 1):
        count, _, members = heapq.heappop(heap)
        other_count, _, other_members = heapq.heappop(heap)
        members += other_members
        lengths[members] += 1
        heapq.heappush(heap, (count + other_count, tie, members))
    return lengths


def coded_bits(symbols: np.ndarray) -> int:
    """Return the bits that the symbols int[...] take in their own Huffman code, the table of the code left out."""
    counts = np.unique(symbols, return_counts=True)[1]
    return int((counts * code_lengths(counts)).sum())


def huffman_bytes(layer: Workload) -> int:
    """Return the size of a shared layer in bytes: codes and gaps, Huffman-coded apart, codebook and bias as f32.

    Gaps are those of `index_gaps` with 5 bits; the tables of the two codes are left out. Raises BadInput for a layer
    without codes. Source: Deep Compression, Han et al. 2016, part 4.
    """
    if layer.codes is None:
        raise BadInput(f"layer {layer.name!r} must be shared to be Huffman-coded, got no codes")
    n_bits = sum(map(coded_bits, index_gaps(blocks_of(layer.codes, layer.groups), GAP_BITS)))
    return -(-n_bits // 8) + layer.codebook.nbytes + (0 if layer.bias is None else layer.bias.nbytes)
