"""What kernels that only move rows of features take: 128-byte transactions at L2, bytes at HBM, a launch each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from tensorcore_sim.actions import CardAction
from tensorcore_sim.sm.program import BITS
from tensorcore_sim.spec import Spec
from workloads.points.kernel_map import KernelMap

TRANSACTION_BYTES = 128  # that a warp's access moves, whether it uses them all or not (TorchSparse, 4.3.1)
WARP = 32  # threads
VECTOR_BYTES = 4  # of a thread, where it moves more than a scalar: half2


@dataclass(frozen=True)
class Stream:
    """Rows that a kernel reads or writes: how many accesses of a row, and how many rows differ."""

    accesses: int
    rows: int
    channels: int
    is_read: bool


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What kernels of moves take: transactions, time and counts."""

    transactions: int
    time_us: float
    actions: dict[str, int]


def moved(streams: Sequence[Stream], n_kernels: int, spec: Spec) -> Moved:
    """Return what it takes to move the streams with so many kernels.

    Every transaction passes L2; what is accessed again comes from there where its rows fit it, else from HBM. The time
    is that of the slower of the two, and the launches.
    """
    transactions = sum(stream.accesses * transactions_of_row(stream.channels, spec) for stream in streams)
    read, written = hbm_bytes(streams, spec, is_read=True), hbm_bytes(streams, spec, is_read=False)
    l2_us = transactions * TRANSACTION_BYTES / spec.l2_bytes_per_cycle / spec.clock_mhz
    hbm_us = (read + written) / (spec.hbm_gb_per_s * spec.hbm_share * 1e3)
    counts = dict.fromkeys(CardAction, 0) | {
        CardAction.L2_READ_BYTES: transactions * TRANSACTION_BYTES,
        CardAction.HBM_READ_BYTES: read,
        CardAction.WRITE_BYTES: written,
    }
    return Moved(transactions=transactions, time_us=max(l2_us, hbm_us) + n_kernels * spec.launch_us, actions=counts)


def transactions_of_row(channels: int, spec: Spec) -> int:
    """Return the transactions of one row: a warp moves as many bytes as its threads do, a transaction at most."""
    return ceil(channels * value_bytes(spec) / _of_warp(spec))


def value_bytes(spec: Spec) -> int:
    """Return the bytes of a feature in memory."""
    return BITS[spec.in_dtype] // 8


def hbm_bytes(streams: Sequence[Stream], spec: Spec, *, is_read: bool) -> int:
    """Return the bytes of the streams that come from HBM, or go there.

    Rows that fit L2 once each; others at every access, and with what is moved beside them where a warp does not fill
    its transactions.
    """
    total = 0
    for stream in (stream for stream in streams if stream.is_read == is_read):
        of_row = stream.channels * value_bytes(spec)
        fits = stream.rows * of_row <= spec.l2_bytes
        total += stream.rows * of_row if fits else stream.accesses * of_row * TRANSACTION_BYTES // _of_warp(spec)
    return total


def _of_warp(spec: Spec) -> int:
    """Return the bytes that a warp asks for at a time."""
    return WARP * (max(VECTOR_BYTES, value_bytes(spec)) if spec.vector_moves else value_bytes(spec))


def gather(joined: KernelMap, channels: int, spec: Spec) -> Moved:
    """Return what gathering takes: rows of inputs into a buffer, an entry of the map each; a centre needs none."""
    n = entries(joined)
    rows = min(n, len(joined.inputs))
    read = Stream(rows if spec.local_moves else n, rows, channels, True)
    return moved([read, Stream(n, n, channels, False)], _kernels(joined, spec), spec)


def scatter(joined: KernelMap, channels: int, spec: Spec) -> Moved:
    """Return what scattering takes: rows of a buffer added to outputs."""
    n = entries(joined)
    rows = min(n, len(joined.outputs))
    write = Stream(rows if spec.local_moves else n, rows, channels, False)
    return moved([Stream(n, n, channels, True), write], _kernels(joined, spec), spec)


def entries(joined: KernelMap) -> int:
    """Return the entries of a map that are moved: those of a centre lie as they are."""
    return joined.n_maps - (0 if joined.centre is None else int(joined.sizes[joined.centre]))


def _kernels(joined: KernelMap, spec: Spec) -> int:
    """Return how many kernels move: one, or one for each offset that has entries; none where nothing moves."""
    if not entries(joined):
        return 0
    some = sum(1 for place, size in enumerate(joined.sizes) if size and place != joined.centre)
    return 1 if spec.fused_moves else some
