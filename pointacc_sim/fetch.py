"""Fetch on demand: the steps of a layer whose partial sums stay on the chip, and what each fetches by the cache."""

from __future__ import annotations

from math import ceil

import numpy as np

from pointacc_sim.cache import misses
from pointacc_sim.fusion import on_chip
from pointacc_sim.image import Image
from pointacc_sim.plan import Steps, channel_tiles
from pointacc_sim.spec import CHOSEN, ENTRY_BYTES, FEATURE_BYTES, Spec
from workloads.errors import BadInput
from workloads.points.convolution import SparseConvolution

BLOCKS = (1, 2, 4, 8, 16, 32, 64)  # points of a cache block that are tried where it is chosen


def fetch_on_demand(image: Image, of_offset: np.ndarray, spec: Spec) -> tuple[Steps, np.ndarray, int]:
    """Return steps and written bytes of a layer whose partial sums stay on the chip, and the points of a cache block.

    From the outside in: tiles of output channels, tiles of outputs, offsets, tiles of input channels.
    """
    layer, maps = image.layer, image.maps
    ins, outs = channel_tiles(layer.in_channels, spec.n_rows), channel_tiles(layer.out_channels, spec.n_columns)
    n_out_tiles, n_offsets = ceil(layer.positions / spec.tile_outputs), len(maps.starts) - 1
    first_outputs = np.arange(n_out_tiles + 1) * spec.tile_outputs
    # Where each offset's entries pass from one tile of outputs to the next, i64[offsets, tiles + 1].
    borders = np.stack(
        [
            maps.starts[k] + np.searchsorted(maps.outs[maps.starts[k] : maps.starts[k + 1]], first_outputs)
            for k in range(n_offsets)
        ]
    )
    rows_of = np.diff(borders, axis=1)
    co, tile, offset, ci = (
        axis.ravel()
        for axis in np.meshgrid(
            np.arange(len(outs)), np.arange(n_out_tiles), np.arange(n_offsets), np.arange(len(ins)), indexing="ij"
        )
    )
    some = rows_of[offset, tile] > 0
    co, tile, offset, ci = co[some], tile[some], offset[some], ci[some]
    rows, first = rows_of[offset, tile], borders[offset, tile]
    n_in, n_out = np.array(ins)[ci], np.array(outs)[co]
    input_stays, output_stays = on_chip(layer, spec)
    n_misses, feature_bytes, block = np.zeros_like(rows), np.zeros_like(rows), 0
    if not input_stays:
        n_misses, feature_bytes, block = _features(image, rows, first, ci, n_in, spec)
    steps = Steps(
        map_pass=of_offset[offset],
        rows=rows,
        tile=co * n_out_tiles + tile,
        weight_bytes=_weights(layer, co, tile, n_in, n_out, spec),
        map_bytes=np.where((ci == 0) & _has_map(layer, offset), rows * ENTRY_BYTES, 0),
        feature_bytes=feature_bytes,
        misses=n_misses,
        offset=offset,
        in_channels=n_in,
        out_channels=n_out,
    )
    n_outputs = np.array(channel_tiles(layer.positions, spec.tile_outputs))
    written = np.outer(outs, n_outputs).ravel() * FEATURE_BYTES * (not output_stays)
    return _only_tiles_with_steps(steps, written, block)


def _only_tiles_with_steps(steps: Steps, written: np.ndarray, block: int) -> tuple[Steps, np.ndarray, int]:
    """Return the same with tiles numbered that have a step; the bytes of one without (no entry) go with the next."""
    some = np.unique(steps.tile)
    numbered = np.searchsorted(some, steps.tile)
    place = np.minimum(np.searchsorted(some, np.arange(len(written))), len(some) - 1)
    bytes_of = np.bincount(place, weights=written, minlength=len(some)).astype(np.int64)
    values = {name: getattr(steps, name) for name in Steps.__dataclass_fields__}
    return Steps(**values | {"tile": numbered}), bytes_of, block


def _has_map(layer: SparseConvolution, offset: np.ndarray) -> np.ndarray:
    """Tell of which offsets entries lie in DRAM: the centre's and a pointwise layer's need none."""
    if len(layer.map.sizes) == 1:
        return np.zeros(len(offset), bool)
    return offset != (-1 if layer.map.centre is None else layer.map.centre)


def _weights(
    layer: SparseConvolution, co: np.ndarray, tile: np.ndarray, n_in: np.ndarray, n_out: np.ndarray, spec: Spec
) -> np.ndarray:
    """Return the bytes of weights that each step fetches: all of them once, where those of a column tile fit."""
    own = n_in * n_out * FEATURE_BYTES
    all_of_column = layer.n_in * np.minimum(layer.out_channels, spec.n_columns) * FEATURE_BYTES
    if all_of_column > spec.weight_bytes:
        return own
    return np.where(tile == 0, own, 0)


def _features(
    image: Image, rows: np.ndarray, first: np.ndarray, ci: np.ndarray, n_in: np.ndarray, spec: Spec
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return misses and bytes of features that each step fetches, i64[steps], and the points of a block."""
    if not spec.cache:
        return rows.copy(), rows * _bursts(n_in * FEATURE_BYTES, spec), 0
    starts = np.append(0, np.cumsum(rows))
    accesses = np.repeat(first - starts[:-1], rows) + np.arange(starts[-1])
    points = image.maps.ins[accesses]
    n_points = len(image.layer.map.inputs)
    tried = BLOCKS if spec.cache_block_points == CHOSEN else (spec.cache_block_points,)
    best = None
    for block in tried:
        # A line has room for a block of a whole tile of channels.
        n_lines = spec.cache_bytes // (block * min(spec.n_rows, image.layer.in_channels) * FEATURE_BYTES)
        if n_lines < spec.cache_ways:
            continue
        n_misses = misses(points, starts, ci, n_points, block, n_lines, spec.cache_ways)
        n_bytes = n_misses * _bursts(block * n_in * FEATURE_BYTES, spec)
        if best is None or n_bytes.sum() < best[1].sum():
            best = n_misses, n_bytes, block
    if best is None:
        raise BadInput(f"cache_block_points {spec.cache_block_points} does not fit a cache of {spec.cache_bytes} bytes")
    return best


def _bursts(n_bytes: np.ndarray, spec: Spec) -> np.ndarray:
    """Return bytes rounded up to whole bursts."""
    return -(-n_bytes // spec.dram_burst_bytes) * spec.dram_burst_bytes
