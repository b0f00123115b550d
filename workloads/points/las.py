"""Points of a .las or .laz file, by laspy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workloads.errors import BadInput

# LAS 1.4 R15, tables 3, 6 and 7: where the header counts records beside the points, and the least bytes of each.
HEADER_BYTES = 375
VLRS, VLR_BYTES = slice(100, 104), 54
EVLRS, EVLR_BYTES = slice(243, 247), 60  # of version 1.4 on
MINOR = 25


def read(path: Path) -> dict[str, np.ndarray]:
    """Return {"points": f64[n, 3]} in the file's unit. Raises BadInput where laspy is missing, and what laspy does."""
    with path.open("rb") as file:
        _check_records(file.read(HEADER_BYTES), path.stat().st_size)
    try:
        import laspy
    except ImportError:
        raise BadInput("reading it needs laspy: pip install '.[las]' in a checkout") from None
    return {"points": np.asarray(laspy.read(path).xyz)}


def _check_records(head: bytes, n_bytes: int) -> None:
    """Refuse a header that counts more records than fit the file: laspy makes an object of each. Raises BadInput."""
    counts = [(VLRS, VLR_BYTES)]
    if head[MINOR : MINOR + 1] >= b"\4":
        counts.append((EVLRS, EVLR_BYTES))
    for place, each_bytes in counts:
        n = int.from_bytes(head[place], "little")
        if n * each_bytes > n_bytes:
            raise BadInput(f"it counts {n:,} records beside its points, for which {n_bytes:,} bytes are too few")
