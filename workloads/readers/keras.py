"""Keras' own files, which are not read: what to do instead."""

from pathlib import Path
from typing import NoReturn

from workloads.errors import BadInput

KIND = "Keras file"


def read(path: Path) -> NoReturn:
    """Raise BadInput with the line of Python that writes the weights as arrays."""
    line = "numpy.savez('model.npz', **{v.path: v.numpy() for v in model.variables})"
    raise BadInput(f"is a Keras file: load it there and write its weights with {line}")
