"""NumPy's .npy files: one array."""

from pathlib import Path

import numpy as np

KIND = ".npy array of plain numbers"


def read(path: Path) -> dict[str, np.ndarray]:
    """Return {file's name: the array}, mapped: what is not used is not loaded. Raises what NumPy does."""
    return {path.stem: np.asarray(np.lib.format.open_memmap(path, mode="r"))}
