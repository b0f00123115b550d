"""Gather, multiply, scatter through DRAM: the flow that fetch on demand is held against."""

from __future__ import annotations

import numpy as np

from pointacc_sim.image import Image
from pointacc_sim.plan import Steps, channel_tiles
from pointacc_sim.spec import ENTRY_BYTES, FEATURE_BYTES, Spec


def gather_scatter(image: Image, of_offset: np.ndarray, spec: Spec) -> tuple[Steps, np.ndarray]:
    """Return the steps of a layer, and the bytes that each of its tiles writes and moves afterwards.

    An offset at a time, and of its entries as many as half of the accumulators hold: features are read and written as
    gathered rows, those are read once for each tile of output channels, partial sums are written, read again and added
    to the outputs in DRAM. The centre's rows lie as they are: neither gathered nor scattered.
    """
    layer, maps = image.layer, image.maps
    ins, outs = channel_tiles(layer.in_channels, spec.n_rows), channel_tiles(layer.out_channels, spec.n_columns)
    has_map = len(layer.map.sizes) > 1
    rows: list[tuple[int, ...]] = []
    written: list[int] = []
    for offset in range(len(maps.starts) - 1):
        is_plain = offset == layer.map.centre or not has_map
        for n in channel_tiles(int(maps.starts[offset + 1] - maps.starts[offset]), spec.tile_outputs):
            for co, n_out in enumerate(outs):
                for ci, n_in in enumerate(ins):
                    moves = 1 if is_plain else 3 if co == 0 else 1  # read, written gathered, read gathered
                    features = n * n_in * FEATURE_BYTES * moves
                    entries = 0 if is_plain or co or ci else 2 * n * ENTRY_BYTES  # to gather by and to scatter by
                    weights = n_in * n_out * FEATURE_BYTES
                    rows.append(
                        (of_offset[offset], n, len(written), weights, entries, features, n, offset, n_in, n_out)
                    )
                written.append(n * n_out * FEATURE_BYTES * (1 if is_plain else 3))  # written, read, added
    columns = np.array(rows, np.int64).reshape(-1, 10).T
    return Steps(**dict(zip(Steps.__dataclass_fields__, columns, strict=True))), np.array(written, np.int64)
