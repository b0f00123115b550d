"""How every kernel of the project is compiled, said once.

No fastmath: two engines must agree to the bit. Compiled code is cached on disk; the cache looks at one file's time
stamp only (numba issue 1833), so a kernel calls no kernel of another file.
"""

import numba


def kernel(function):
    """Return the function, to be compiled at its first call; the compiled code is kept if there is a place."""
    try:
        return numba.njit(cache=True, fastmath=False, nogil=True)(function)
    except RuntimeError:  # a read-only installation, and no home to write to: numba finds no place for its cache
        return numba.njit(fastmath=False, nogil=True)(function)
