"""Points of a .las or .laz file, by laspy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workloads.errors import BadInput


def read(path: Path) -> dict[str, np.ndarray]:
    """Return {"points": f64[n, 3]} in the file's unit. Raises BadInput where laspy is missing."""
    try:
        import laspy
    except ImportError:
        raise BadInput("reading it needs laspy: pip install '.[las]' in a checkout") from None
    return {"points": np.asarray(laspy.read(path).xyz)}
