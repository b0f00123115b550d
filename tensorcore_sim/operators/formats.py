"""The kernels beside a GEMM that only move bytes: a matrix brought into a format, or into 2:4, while a layer runs."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from tensorcore_sim.actions import CardAction
from tensorcore_sim.card import power
from tensorcore_sim.card.tiling import a_bits
from tensorcore_sim.format.blocks import n_bytes
from tensorcore_sim.sm.program import BITS
from tensorcore_sim.spec import IN_DTYPES, SCALED, TURING, Spec
from workloads.errors import BadInput, did_you_mean

FROM_BITS = {"f32": 32} | {name: BITS[name] for name in IN_DTYPES}


@dataclass(frozen=True, kw_only=True)
class Movement:
    """What a kernel that only moves bytes reads and writes in HBM, and what time and power it takes."""

    read_bytes: int
    write_bytes: int
    time_us: float
    power_w: float

    @property
    def energy_uj(self) -> float:
        return self.power_w * self.time_us


def quantise(rows: int, columns: int, from_dtype: str, to_dtype: str, spec: Spec) -> Movement:
    """Return what it takes to bring a matrix from one format into another, with the scales of its blocks.

    from_dtype: f32 or one of IN_DTYPES; to_dtype: of IN_DTYPES or SCALED. It is read once: a scale of more than a block
    is known before, or found while its row is on the chip. Raises BadInput.
    """
    _check(rows, columns, from_dtype, to_dtype)
    if to_dtype in SCALED:
        written = sum(n_bytes(rows, columns, to_dtype).values())
    else:
        written = rows * columns * BITS[to_dtype] / 8
    return _moved(rows * columns * FROM_BITS[from_dtype] / 8, written, spec)


def compress(rows: int, columns: int, from_dtype: str, to_dtype: str, spec: Spec) -> Movement:
    """Return what it takes to bring a dense matrix into the card's own 2:4 of a format: kept values, metadata, scales.

    Formats as in `quantise`; on the way values are rounded where the two differ. Raises BadInput.
    """
    _check(rows, columns, from_dtype, to_dtype)
    if spec.card in TURING:
        raise BadInput(f"card must be one with 2:4, got {spec.card!r}")
    if to_dtype in SCALED:
        written = sum(n_bytes(rows, columns, to_dtype, sparse=True).values())
    else:
        sparse = spec.replace(in_dtype=to_dtype, sparsity="2:4", int4_weights=False)
        written = float(rows * columns * a_bits(sparse) / 8)
    return _moved(rows * columns * FROM_BITS[from_dtype] / 8, written, spec)


def _moved(read: float, written: float, spec: Spec) -> Movement:
    """Return the movement at the bandwidth that kernels reach; a clock that power lowers costs it no time."""
    read_bytes, write_bytes = ceil(read), ceil(written)
    of_card = spec.launch_us + (read_bytes + write_bytes) / (spec.hbm_gb_per_s * spec.hbm_share * 1e3)
    time_us = max(of_card, spec.host_us) + spec.sync_us
    counts = {CardAction.MACS: 0, CardAction.HBM_READ_BYTES: read_bytes, CardAction.WRITE_BYTES: write_bytes}
    watts = power.watts(counts, time_us, spec.clock_mhz, spec)
    return Movement(
        read_bytes=read_bytes, write_bytes=write_bytes, time_us=time_us, power_w=min(watts, spec.power_limit_w)
    )


def _check(rows: int, columns: int, from_dtype: str, to_dtype: str) -> None:
    for name, value in (("rows", rows), ("columns", columns)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 2**24:
            raise BadInput(f"{name} must be a whole number from 1 to {2**24}, got {value!r}")
    for name, value, known in (("from_dtype", from_dtype, FROM_BITS), ("to_dtype", to_dtype, (*IN_DTYPES, *SCALED))):
        if value not in known:
            raise BadInput(f"unknown {name} {value!r}{did_you_mean(str(value), known)}")
