"""What every machine's timeline can do: say in which of its arrays it differs from another one."""

from __future__ import annotations

from dataclasses import fields

import numpy as np


class Compared:
    """Base of a timeline, a dataclass of arrays and numbers."""

    def differences(self, other: Compared) -> list[str]:
        """Return the names of the fields that are not equal, element for element."""
        names = (entry.name for entry in fields(self))
        return [name for name in names if not np.array_equal(getattr(self, name), getattr(other, name))]
