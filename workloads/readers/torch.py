"""PyTorch state dicts, through PyTorch's own loader of nothing but weights. Needs torch, which is no dependency."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from workloads.errors import BadInput

KIND = "PyTorch file of weights"


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a file by name, those of dicts in dicts as OUTER.INNER; what is no tensor is passed over.

    Types that NumPy lacks (bfloat16, float8) come as f32. A pickle that asks for more than weights is refused by
    PyTorch and nothing of it is run. Raises BadInput and what torch.load does.
    """
    try:
        import torch
    except ImportError:
        raise BadInput("is a PyTorch file, and to read it takes PyTorch: pip install 'zeroskip[torch]'") from None
    if not zipfile.is_zipfile(path):
        raise BadInput("is no zip archive, which PyTorch writes since 1.6: load it there and torch.save it anew")
    state = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    arrays = {name: _array(name, value) for name, value in _flat(state, "", set()) if isinstance(value, torch.Tensor)}
    if not arrays:
        raise BadInput("holds no tensors: save a model's state_dict()")
    return arrays


def _flat(value: object, name: str, seen: set[int]) -> Iterator[tuple[str, object]]:
    """Yield (dotted name, value) of dicts in dicts, each dict once, however often it is referred to."""
    if not isinstance(value, Mapping):
        yield name, value
    elif id(value) not in seen:
        seen.add(id(value))
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key), seen)


def _array(name: str, tensor) -> np.ndarray:
    tensor = tensor.detach()
    # A view may show few stored numbers many times over.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise BadInput(f"is damaged: {name!r} has the shape {list(tensor.shape)} and fewer numbers")
    return (tensor.float() if "bfloat16" in str(tensor.dtype) or "float8" in str(tensor.dtype) else tensor).numpy()
