"""One BLAS thread for whatever is written: with more, sums are split by their number, and so the last bits differ."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one BLAS thread; as a decorator, of a whole function."""
    with _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401 (late, as it is slow; it brings a BLAS of its own, which must be there to be found)

    return ThreadpoolController()
