"""How every kernel of the project is compiled, said once.

No fastmath: two engines must agree to the bit. Compiled code is cached on disk; the cache looks at one file's time
stamp only (numba issue 1833), so a kernel calls no kernel of another file.
"""

import numba

kernel = numba.njit(cache=True, fastmath=False, nogil=True)
