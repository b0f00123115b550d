"""What every machine's timeline can do: say in which of its arrays it differs from another one, and be copied."""

from __future__ import annotations

from dataclasses import fields
from typing import Self

import numpy as np


class Compared:
    """Base of a timeline, a dataclass of arrays and numbers."""

    def differences(self, other: Compared) -> list[str]:
        """Return the names of the fields that are not equal, element for element."""
        names = (entry.name for entry in fields(self))
        return [name for name in names if not np.array_equal(getattr(self, name), getattr(other, name))]

    def copy(self) -> Self:
        """Return the same in arrays of its own."""
        values = (getattr(self, entry.name) for entry in fields(self))
        return type(self)(*(value.copy() if isinstance(value, np.ndarray) else value for value in values))
