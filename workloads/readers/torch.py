"""PyTorch state dicts, through PyTorch's own loader of nothing but weights. Needs torch, which is no dependency."""

from __future__ import annotations

import pickletools
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from workloads.errors import BadInput
from workloads.readers.limits import check_dense

KIND = "PyTorch file of weights"
STATE_DICT = "save its weights alone: torch.save(model.state_dict(), 'weights.pt')"
WEIGHTS = ("torch", "collections", "numpy", "builtins", "__builtin__", "_codecs")  # packages that weights may ask for


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a file by name, those of dicts in dicts as OUTER.INNER; what is no tensor is passed over.

    Types that NumPy lacks (bfloat16, float8) come as f32, sparse tensors dense. A pickle that asks for more than
    weights is refused and nothing of it is run. Raises BadInput and what torch.load does.
    """
    if zipfile.is_zipfile(path):
        _check_weights_only(path)
    try:
        import torch
    except ImportError:
        raise BadInput(
            "is a PyTorch file, and to read it takes PyTorch: pip install '.[torch]' in a checkout"
        ) from None
    if not zipfile.is_zipfile(path):
        raise BadInput("is no zip archive, which PyTorch writes since 1.6: load it there and torch.save it anew")
    with warnings.catch_warnings(action="ignore"):  # of how long it takes to check what is sparse
        state = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    arrays: dict[str, np.ndarray] = {}
    for name, value in _flat(state, "", set()):
        if isinstance(value, torch.Tensor):
            if name in arrays:
                raise BadInput(f"holds two tensors of the name {name!r}: save one of them under another")
            arrays[name] = _array(name, value, path.stat().st_size)
    if not arrays:
        raise BadInput("holds no tensors: save a model's state_dict()")
    return arrays


def _check_weights_only(path: Path) -> None:
    """Refuse a TorchScript archive and a pickled module by what they are; nothing is unpickled."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            raise BadInput(f"is a TorchScript archive: load it with torch.jit.load and {STATE_DICT}")
        pickled = [name for name in names if name.endswith("/data.pkl")]
        n_bytes = path.stat().st_size
        if len(pickled) != 1 or archive.getinfo(pickled[0]).file_size > n_bytes:
            return
        asked_for = list(_globals(archive.read(pickled[0])))
    for module, name in asked_for:
        if module.split(".")[0] not in WEIGHTS or module.startswith("torch.nn.modules"):
            raise BadInput(
                f"holds an object of {module}.{name}, not weights alone: load it in PyTorch and {STATE_DICT}"
            )


def _globals(pickled: bytes) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of the classes and functions that a pickle asks for."""
    strings: list[str] = []
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name == "GLOBAL":
            module, _, name = argument.partition(" ")
            yield module, name
        elif operation.name == "STACK_GLOBAL" and len(strings) > 1:
            yield strings[-2], strings[-1]
        elif isinstance(argument, str):
            strings = [*strings[-1:], argument]


def _flat(value: object, name: str, seen: set[int]) -> Iterator[tuple[str, object]]:
    """Yield (dotted name, value) of dicts in dicts, each dict once, however often it is referred to."""
    if not isinstance(value, Mapping):
        yield name, value
    elif id(value) not in seen:
        seen.add(id(value))
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key), seen)


def _array(name: str, tensor, n_bytes: int) -> np.ndarray:
    tensor = tensor.detach()
    if "strided" not in str(tensor.layout):
        return _dense(name, tensor, n_bytes)
    # A view may show few stored numbers many times over.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise BadInput(f"is damaged: {name!r} has the shape {list(tensor.shape)} and fewer numbers")
    return _numpy(tensor)


def _numpy(tensor) -> np.ndarray:
    return (tensor.float() if "bfloat16" in str(tensor.dtype) or "float8" in str(tensor.dtype) else tensor).numpy()


def _dense(name: str, tensor, n_bytes: int) -> np.ndarray:
    """Return a sparse tensor, COO or CSR, as f32 or its own type [rows, columns], its indices checked."""
    from scipy.sparse import coo_array, csr_array

    layout = str(tensor.layout).removeprefix("torch.sparse_")
    if layout not in ("coo", "csr") or tensor.ndim != 2:
        raise BadInput(f"holds {name!r} in the form {layout} of {tensor.ndim} dimensions: save it as .to_dense()")
    shape = tuple(tensor.shape)
    check_dense(shape, n_bytes)
    if layout == "coo":
        return coo_array((_numpy(tensor._values()), tuple(tensor._indices().numpy())), shape).toarray()
    offsets, columns = tensor.crow_indices().numpy(), tensor.col_indices().numpy()
    matrix = csr_array((_numpy(tensor.values()), columns, offsets), shape)
    matrix.check_format(full_check=True)
    return matrix.toarray()
