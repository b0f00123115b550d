"""What finding a kernel map takes: voxels put into a table, and looked up for every offset and output."""

from __future__ import annotations

import numpy as np

from tensorcore_sim.actions import CardAction
from tensorcore_sim.cloud_fields import GRID
from tensorcore_sim.clouds.moves import Moved
from tensorcore_sim.spec import Spec
from workloads.points.convolution import SparseConvolution

SECTOR_BYTES = 32  # of a random access to memory (CUDA C++ Best Practices Guide)
GRID_CELL_BYTES, ENTRY_BYTES, COORDINATE_BYTES = 4, 8, 16  # of a cell; of an entry; x, y, z and the batch, 32 bits each
GRID_ACCESSES = 1.0  # of a look-up: the grid has no collisions (TorchSparse, 4.4)
HASH_ACCESSES = 2.7  # by the part gain of the grid over the hash map (TorchSparse, 4.4): not judged on it
HASH_L2_HITS = 0.36  # of TorchSparse's hash map (Minuet, arXiv 2401.06145)


def search(layer: SparseConvolution, spec: Spec) -> Moved:
    """Return what the search takes of a layer that has no earlier layer's map; nothing for others.

    A kernel fills the table, one looks up; before a strided layer's two more construct its outputs.
    """
    joined = layer.map
    none = Moved(transactions=0, time_us=0.0, actions=dict.fromkeys(CardAction, 0))
    if layer.map_from is not None or len(joined.sizes) == 1:
        return none
    fine, coarse = (joined.outputs, joined.inputs) if joined.is_transposed else (joined.inputs, joined.outputs)
    offsets = len(joined.sizes) - (joined.centre is not None)
    if spec.map_symmetry and joined.centre is not None:
        offsets //= 2
    lookups = offsets * len(coarse)
    if spec.map_search == GRID:
        extent = (fine.max(axis=0) - fine.min(axis=0) + 1).astype(np.int64)
        hits = 1.0 if int(extent.prod()) * GRID_CELL_BYTES <= spec.l2_bytes else 0.0
        accesses = GRID_ACCESSES
    else:
        hits, accesses = HASH_L2_HITS, HASH_ACCESSES
    sectors = round((lookups + len(fine)) * accesses)
    streamed = (len(fine) + len(coarse)) * COORDINATE_BYTES
    read = round(sectors * SECTOR_BYTES * (1 - hits)) + streamed
    written = joined.n_maps * ENTRY_BYTES
    l2_us = sectors * SECTOR_BYTES / spec.l2_bytes_per_cycle / spec.clock_mhz
    hbm_us = (read + written) / (spec.hbm_gb_per_s * spec.hbm_share * 1e3)
    n_kernels = 2 if joined.is_submanifold else 4
    counts = dict.fromkeys(CardAction, 0) | {
        CardAction.L2_READ_BYTES: sectors * SECTOR_BYTES,
        CardAction.HBM_READ_BYTES: read,
        CardAction.WRITE_BYTES: written,
    }
    return Moved(transactions=sectors, time_us=max(l2_us, hbm_us) + n_kernels * spec.launch_us, actions=counts)
