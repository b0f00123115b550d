"""How much memory a file may ask for: what its bytes can honestly come to, and half of what the machine has."""

import os

from workloads.errors import BadInput

CELLS_PER_BYTE = 1000  # the sparsest file that is believed; the sparsest published ones have about 20
CELLS_ALWAYS = 2**18  # up to here any file may


def most_bytes() -> int:
    """Return half of the machine's memory, 8 GiB where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return 2**33


def check_bytes(what: str, n_bytes: int) -> None:
    """Refuse what would take more than half of the machine's memory. Raises BadInput."""
    if n_bytes > most_bytes():
        raise BadInput(f"asks for {n_bytes:,} bytes, {what}, which is more than half of this machine's memory")


def check_dense(shape: tuple[int, ...], n_bytes: int) -> None:
    """Refuse a matrix that is far larger than the file of n_bytes that describes it. Raises BadInput."""
    n_cells = 1
    for length in shape:
        n_cells *= length
    if n_cells > max(CELLS_ALWAYS, CELLS_PER_BYTE * n_bytes):
        words = " x ".join(f"{length:,}" for length in shape)
        raise BadInput(f"promises a matrix of {words}, which {n_bytes:,} bytes are too few for")
