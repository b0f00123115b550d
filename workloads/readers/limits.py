"""How much memory a sparse file may ask for: an honest one is not millions of times smaller than its dense form."""

from workloads.errors import BadInput

CELLS_PER_BYTE = 1000  # the sparsest file that is believed; the sparsest published ones have about 20
CELLS_ALWAYS = 2**18  # up to here any file may


def check_dense(shape: tuple[int, ...], n_bytes: int) -> None:
    """Refuse a matrix that is far larger than the file of n_bytes that describes it. Raises BadInput."""
    n_cells = 1
    for length in shape:
        n_cells *= length
    if n_cells > max(CELLS_ALWAYS, CELLS_PER_BYTE * n_bytes):
        words = " x ".join(f"{length:,}" for length in shape)
        raise BadInput(f"promises a matrix of {words}, which {n_bytes:,} bytes are too few for")
