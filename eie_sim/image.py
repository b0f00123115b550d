"""The weights as they lie in EIE before cycle 0: relative-indexed, 4-bit, interleaved over the PEs. Encode and decode.

Han et al., ISCA 2016, section III-B. Row i lies in PE i mod N, at the PE's local row i div N. Each PE keeps, per
column, 8-bit entries of a weight code (upper half) and the run of zeros before it. A gap of g zeros costs g div 16
padding entries (code 0, run 15, each covering 16 rows) and leaves run g mod 16. Every column starts at local row 0;
trailing zeros cost nothing. Columns lie back to back. A bias is one more column after the inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cyclekit.jit import kernel
from cyclekit.run import identity
from eie_sim.spec import CODE_BITS, RUN_BITS, Spec
from workloads.errors import BadInput
from workloads.quantisation.share import assign, bias_codes, centroids, coded
from workloads.records import Workload

N_CODES = 1 << CODE_BITS
MAX_RUN = (1 << RUN_BITS) - 1
PADDING_ENTRY = MAX_RUN  # code 0, run 15
MAX_ROWS = 1 << 20  # of a layer in one PE: the model counts a column's paddings in 16 bits


@dataclass(frozen=True, eq=False)
class Image:
    """One layer in the SRAMs of P PEs; C columns (the inputs, then the bias if there is one).

    layer: as it was given. entries: u8[n], code << 4 | run, PE after PE. pe_start: i64[P+1], where a
    PE's entries begin. pointers: i32[C+1, P], where a column begins among its PE's entries (the logical address; a
    pointer's width is a matter of capacity). paddings: u16[C, P], padding entries of a column. codebook: f32[16].
    shared: whether its values stand for others, the layer's own.
    weights_stay, pointers_stay: whether they stay in the SRAMs, beside the network's other layers, from run to run.
    notes: what the user should know.
    """

    layer: Workload
    n_pes: int
    entries: np.ndarray
    pe_start: np.ndarray
    pointers: np.ndarray
    paddings: np.ndarray
    codebook: np.ndarray
    shared: bool
    notes: tuple[str, ...]
    weights_stay: bool = True
    pointers_stay: bool = True

    @property
    def workload(self) -> Workload:
        """The layer with the values that the image holds; made anew each time where they are shared here."""
        return coded(self.layer, self.codebook[self.codebook != 0], CODE_BITS) if self.shared else self.layer

    @property
    def n_columns(self) -> int:
        return self.paddings.shape[0]

    @property
    def n_entries(self) -> int:
        return len(self.entries)

    @property
    def n_paddings(self) -> int:
        return int(self.paddings.sum(dtype=np.int64))

    @property
    def nbytes(self) -> int:
        arrays = (self.entries, self.pe_start, self.pointers, self.paddings)
        return sum(array.nbytes for array in arrays)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in the image that a result can depend on."""
        layer, stays = self.layer, [self.weights_stay, self.pointers_stay]
        return identity(self.entries, self.pointers, self.codebook, layer.n_out, layer.relu, stays)


def placed(image: Image, notes: tuple[str, ...], *, weights_stay: bool, pointers_stay: bool) -> Image:
    """Return the image as it lies beside the other layers of its network."""
    return replace(image, notes=image.notes + notes, weights_stay=weights_stay, pointers_stay=pointers_stay)


@dataclass(frozen=True, eq=False)
class NonZeros:
    """The non-zeros of a layer row by row, coded; what images for different numbers of PEs are made from.

    row_start: i64[out+1]; columns: i32[nnz] (n_in for the bias); codes: u8[nnz]; codebook: f32[16]; shared: see Image.
    """

    layer: Workload
    row_start: np.ndarray
    columns: np.ndarray
    codes: np.ndarray
    codebook: np.ndarray
    shared: bool = False
    notes: tuple[str, ...] = ()


def encode(workload: Workload, spec: Spec) -> Image:
    """Encode one layer for `spec.n_pes` PEs."""
    return interleave(compress(workload), spec.n_pes)


def compress(workload: Workload) -> NonZeros:
    """List and code the non-zeros of a layer.

    A workload's own codes stay as they are. Weights and bias of at most 15 distinct non-zero values are kept exactly,
    coded in ascending order; more are shared in 4 bits (workloads.quantisation.share), and a note says so.
    """
    if workload.codes is not None:
        return _as_coded(workload)
    row_start, columns, values = _list_non_zeros(workload.weights, workload.bias)
    if exact := _code(values):
        return NonZeros(workload, row_start, columns, *exact)
    is_bias = columns == workload.n_in
    few = centroids(values[~is_bias], values[is_bias], N_CODES - 1)
    codes, book = assign(values, few), np.zeros(N_CODES, np.float32)
    book[1 : 1 + len(few)] = few
    note = _sharing_note(workload, values, book[codes], is_bias)
    return NonZeros(workload, row_start, columns, codes, book, True, (note,))


def _as_coded(workload: Workload) -> NonZeros:
    if len(workload.codebook) > N_CODES:
        raise BadInput(f"codebook must have at most {N_CODES} entries for EIE, got {len(workload.codebook)}")
    book = np.zeros(N_CODES, np.float32)
    book[: len(workload.codebook)] = workload.codebook
    codes = None if workload.bias is None else bias_codes(workload)
    return NonZeros(workload, *_list_non_zeros(workload.codes, codes), book)


def interleave(non_zeros: NonZeros, n_pes: int) -> Image:
    """Lay a layer's non-zeros out over the PEs."""
    workload, row_start, columns = non_zeros.layer, non_zeros.row_start, non_zeros.columns
    n_columns = workload.n_in + (workload.bias is not None)
    if workload.n_out > MAX_ROWS * n_pes:
        least = -(-workload.n_out // MAX_ROWS)
        raise BadInput(
            f"n_pes must be at least {least} for the {workload.n_out:,} rows of {workload.name}, got {n_pes}"
        )
    counts, paddings = _count(row_start, columns, n_columns, n_pes)
    pe_start = np.zeros(n_pes + 1, np.int64)
    np.cumsum(counts.sum(axis=1, dtype=np.int64), out=pe_start[1:])
    if np.diff(pe_start).max() > np.iinfo(np.int32).max:
        raise BadInput(f"n_pes must be larger than {n_pes} for {workload.name}: a PE would hold 2**31 entries or more")
    pointers = np.zeros((n_columns + 1, n_pes), np.int32)
    np.cumsum(counts.T, axis=0, out=pointers[1:])
    entries = np.empty(pe_start[-1], np.uint8)
    _fill(row_start, columns, non_zeros.codes, counts, pe_start, entries)
    return Image(
        layer=workload,
        n_pes=n_pes,
        entries=entries,
        pe_start=pe_start,
        pointers=pointers,
        paddings=np.ascontiguousarray(paddings.T, dtype=np.uint16),
        codebook=non_zeros.codebook,
        shared=non_zeros.shared,
        notes=non_zeros.notes,
    )


def decode(image: Image) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes u8[out, in] and the bias codes u8[out] (zeros where there is no bias).

    Raises BadInput where the image is not canonical: a padding where none is needed or at a column's end, or an entry
    beyond the layer's last row.
    """
    workload = image.layer
    codes = np.zeros((workload.n_out, image.n_columns), np.uint8)
    if (bad := _scatter(image.entries, image.pe_start, image.pointers, codes)) >= 0:
        raise BadInput(
            f"image is not canonical: entry {bad} is a stray padding or lies beyond row {workload.n_out - 1}"
        )
    bias_codes = codes[:, workload.n_in :].sum(axis=1, dtype=np.uint8)
    return codes[:, : workload.n_in], bias_codes


def _sharing_note(workload: Workload, values: np.ndarray, shared: np.ndarray, is_bias: np.ndarray) -> str:
    """Say what sharing did to the non-zero values [nnz], those of the bias among them."""
    text = (
        f"{workload.name} has more than {N_CODES - 1} distinct non-zero values: shared by exact k-means in "
        f"{len(np.unique(shared))}, "
        f"rms error {_rms(values[~is_bias], shared[~is_bias]):.3g} a weight"
    )
    if workload.bias is not None:
        text += f", {_rms(values[is_bias], shared[is_bias]):.3g} a bias"
    return text


def _rms(before: np.ndarray, after: np.ndarray) -> float:
    """Return the root of the mean squared difference."""
    return float(np.sqrt(np.square(after - before, dtype=np.float64).mean())) if before.size else 0.0


def _list_non_zeros(matrix: np.ndarray, column: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the non-zeros row by row, `column` last: row_start i64[out+1], columns i32[nnz], values [nnz]."""
    last = np.zeros(0, matrix.dtype) if column is None else column
    row_start = _count_rows(matrix, last)
    # One spare place: the kernel writes every element there and moves on only past the non-zeros.
    columns, values = np.empty(row_start[-1] + 1, np.int32), np.empty(row_start[-1] + 1, matrix.dtype)
    _copy_non_zeros(matrix, last, columns, values)
    return row_start, columns[:-1], values[:-1]


@kernel
def _count_rows(weights, bias):
    n_out, n_in = weights.shape
    row_start = np.zeros(n_out + 1, np.int64)
    for i in range(n_out):
        n = 0
        for j in range(n_in):
            n += weights[i, j] != 0
        if len(bias):
            n += bias[i] != 0
        row_start[i + 1] = row_start[i] + n
    return row_start


@kernel
def _copy_non_zeros(weights, bias, columns, values):
    n_out, n_in = weights.shape
    n = 0
    for i in range(n_out):
        for j in range(n_in):
            columns[n] = j
            values[n] = weights[i, j]
            n += weights[i, j] != 0
        if len(bias):
            columns[n] = n_in
            values[n] = bias[i]
            n += bias[i] != 0


def _code(values: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return codes u8[nnz] and the codebook f32[16] of non-zero values, ascending; None where there are 16 or more."""
    # In order of appearance; a value is never 0, so free places match none.
    unsorted_book = np.zeros(N_CODES, np.float32)
    codes = np.empty(len(values), np.uint8)
    n_distinct = _look_up(values, unsorted_book, codes)
    if n_distinct < 0:
        return None
    order = np.argsort(unsorted_book[1 : n_distinct + 1])
    new_code = np.zeros(N_CODES, np.uint8)
    new_code[1 + order] = np.arange(1, n_distinct + 1)
    book = np.zeros(N_CODES, np.float32)
    book[1 : n_distinct + 1] = unsorted_book[1 + order]
    return new_code[codes], book


@kernel
def _look_up(values, book, codes):
    """Code every value by its place in `book`, adding new ones; return how many, or -1 when they do not fit."""
    n_distinct = 0
    for i in range(len(values)):
        code = 0
        for place in range(1, len(book)):
            code += place * (book[place] == values[i])
        if code == 0:
            if n_distinct == len(book) - 1:
                return -1
            n_distinct += 1
            book[n_distinct] = values[i]
            code = n_distinct
        codes[i] = code
    return n_distinct


@kernel
def _count(row_start, columns, n_columns, n_pes):
    """Count entries (paddings included) and paddings of every column in every PE: i32[P, C] twice."""
    counts = np.zeros((n_pes, n_columns), np.int32)
    paddings = np.zeros((n_pes, n_columns), np.int32)
    last = np.empty(n_columns, np.int32)
    for pe in range(n_pes):
        last[:] = -1
        for local, row in enumerate(range(pe, len(row_start) - 1, n_pes)):
            for e in range(row_start[row], row_start[row + 1]):
                column = columns[e]
                n_paddings = (local - last[column] - 1) >> RUN_BITS
                last[column] = local
                counts[pe, column] += n_paddings + 1
                paddings[pe, column] += n_paddings
    return counts, paddings


@kernel
def _fill(row_start, columns, codes, counts, pe_start, entries):
    n_pes, n_columns = counts.shape
    last = np.empty(n_columns, np.int32)
    place = np.empty(n_columns, np.int64)
    for pe in range(n_pes):
        at = pe_start[pe]
        for column in range(n_columns):
            place[column] = at
            at += counts[pe, column]
        last[:] = -1
        for local, row in enumerate(range(pe, len(row_start) - 1, n_pes)):
            for e in range(row_start[row], row_start[row + 1]):
                column = columns[e]
                gap = local - last[column] - 1
                last[column] = local
                for _ in range(gap >> RUN_BITS):
                    entries[place[column]] = PADDING_ENTRY
                    place[column] += 1
                entries[place[column]] = codes[e] << RUN_BITS | gap & MAX_RUN
                place[column] += 1


@kernel
def _scatter(entries, pe_start, pointers, codes):
    """Write every entry's code to its dense place; return the first non-canonical entry, or -1."""
    n_pes = len(pe_start) - 1
    for pe in range(n_pes):
        for column in range(len(pointers) - 1):
            row = -1
            for e in range(pe_start[pe] + pointers[column, pe], pe_start[pe] + pointers[column + 1, pe]):
                code, run = entries[e] >> RUN_BITS, entries[e] & MAX_RUN
                row += run + 1
                ends_column = e + 1 == pe_start[pe] + pointers[column + 1, pe]
                if row * n_pes + pe >= len(codes) or (code == 0 and (run != MAX_RUN or ends_column)):
                    return e
                codes[row * n_pes + pe, column] = code
    return -1
