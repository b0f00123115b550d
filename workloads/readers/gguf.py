"""GGUF files of llama.cpp, through its own reader. Needs gguf, which is no dependency."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workloads.errors import BadInput
from workloads.readers.stored import Stored

KIND = "GGUF file"


def read(path: Path) -> dict[str, np.ndarray | Stored]:
    """Return the tensors by name, [out, in]; those of quantised blocks are dequantised when they are wanted.

    Raises BadInput and what the reader does.
    """
    try:
        from gguf import GGUFReader
    except ImportError:
        raise BadInput("is a GGUF file, and to read it takes gguf: pip install '.[gguf]' in a checkout") from None

    class Bounded(GGUFReader):
        """Ends where the file does: on its own it goes on for as many values as a damaged header tells it of."""

        def _get(self, offset, dtype, count=1, override_order=None):
            if int(offset) + int(count) * np.dtype(dtype).itemsize > len(self.data):
                raise BadInput("is damaged: it ends before what it holds by its header")
            return super()._get(offset, dtype, count, override_order)

    return {str(tensor.name): _tensor(tensor) for tensor in Bounded(path).tensors}


def _tensor(tensor) -> np.ndarray | Stored:
    from gguf.quants import dequantize

    shape = tuple(int(length) for length in reversed(tensor.shape))
    if tensor.data.dtype != np.uint8:
        return np.asarray(tensor.data)
    kind = tensor.tensor_type

    def values() -> np.ndarray:
        try:
            return dequantize(tensor.data, kind).reshape(shape)
        except NotImplementedError:
            raise BadInput(f"{tensor.name} is of the type {kind.name}, which gguf does not dequantise") from None

    return Stored(shape=shape, read=values, note=f"{kind.name} dequantised", is_oriented=True)
