"""An array of a file that is put together when somebody wants its numbers, and what a result says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

F32 = np.dtype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """An array as a file holds it, perhaps in several parts.

    read: gives its numbers, or raises BadInput; None: they cannot be had, and `aside` says why. note: what a result
    says of them. aside: why it is no layer unless it is named, "" where nothing speaks against it. is_oriented: whether
    the format itself says that it is [out, in, ...]. parts: the arrays of the file that it is made of; is_plain:
    whether other numbers of its type can stand in its place, as its own are no codes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype = F32
    read: Callable[[], np.ndarray] | None = None
    note: str = ""
    aside: str = ""
    is_oriented: bool = False
    parts: tuple[str, ...] = ()
    is_plain: bool = False

    @property
    def ndim(self) -> int:
        return len(self.shape)


def numbers(array: np.ndarray) -> np.ndarray:
    """Return f32 of a number type that NumPy does not know as one (BF16, F8), and any other array as it is."""
    return array.astype(np.float32) if array.dtype.isbuiltin == 2 else array  # 2: registered by another package


def is_real(dtype: np.dtype) -> bool:
    """Tell whether a type is of real numbers, those included that NumPy does not know as such."""
    return dtype.kind == "f" or dtype.isbuiltin == 2
