"""An ONNX file as a graph that stands in memory whole: every tensor checked, functions inlined, nothing run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.graphs.structure import check_functions, check_names, graphs
from workloads.readers.limits import check_dense

KIND = "ONNX model"
MOST_BYTES = 2**31 - 1  # of a protobuf message, and so of what onnxruntime is handed
LISTS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")  # of a tensor without raw bytes
EXTRA = "and to read it takes: pip install '.[onnx]' in a checkout"


def read(path: Path) -> Any:
    """Return the onnx.ModelProto of a file, with the weights that lie in files beside it. Raises BadInput."""
    try:
        import onnx
        from onnx import inliner
    except ImportError:
        raise BadInput(f"is an ONNX model, {EXTRA}") from None
    if path.stat().st_size > MOST_BYTES:
        raise BadInput("is larger than 2 GiB in one file: save it with its weights as external data, in parts")
    model = onnx.load_model_from_string(path.read_bytes())
    known = onnx.defs.onnx_opset_version()
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and not 1 <= entry.version <= known:
            raise BadInput(f"is of opset {entry.version}, known are 1 to {known}: export it with one of these")
    if not model.graph.node:
        raise BadInput("holds no operator")
    for graph in graphs(model.graph):
        for tensor in _tensors(graph):
            _check(tensor, path)
        for sparse in graph.sparse_initializer:
            _check(sparse.values, path)
            _check(sparse.indices, path)
            graph.initializer.append(_dense(sparse, path.stat().st_size))
        del graph.sparse_initializer[:]
    if model.ByteSize() > MOST_BYTES:
        raise BadInput("takes more than 2 GiB with its weights, which onnxruntime is not handed in one piece")
    if model.functions:
        check_functions(model)
        model = inliner.inline_local_functions(model)
    check_names(model)
    return model


def _dense(sparse: Any, n_file_bytes: int) -> Any:
    """Return the tensor that a sparse one stands for, its places numbered through or by axis."""
    from onnx import numpy_helper

    values, places = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    name, shape = sparse.values.name, tuple(sparse.dims)
    if any(length < 0 for length in shape):
        raise BadInput(f"is damaged: {name!r} has the shape {list(shape)}")
    check_dense(shape, n_file_bytes)
    if places.shape not in (values.shape, (*values.shape, len(shape))) or values.ndim != 1:
        raise BadInput(f"is damaged: {name!r} has {values.size} values and places of the shape {list(places.shape)}")
    dense = np.zeros(shape, values.dtype)
    if places.size and (places.min() < 0 or (places >= (dense.size if places.ndim == 1 else dense.shape)).any()):
        raise BadInput(f"is damaged: {name!r} has a place beyond its shape {list(shape)}")
    dense[np.unravel_index(places, dense.shape) if places.ndim == 1 else tuple(places.T)] = values
    return numpy_helper.from_array(dense, name)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def _check(tensor: Any, path: Path) -> None:
    """Refuse a tensor that promises other bytes than there are; bring in what lies in a file beside the model."""
    if any(length < 0 for length in tensor.dims):
        raise BadInput(f"is damaged: {tensor.name!r} has the shape {list(tensor.dims)}")
    if tensor.data_location == tensor.EXTERNAL:
        _bring_in(tensor, path)
    elif tensor.HasField("raw_data"):
        n_bytes = _n_bytes(tensor)
        if n_bytes is not None and n_bytes != len(tensor.raw_data):
            raise BadInput(
                f"is damaged: {tensor.name!r} promises {n_bytes:,} bytes ({list(tensor.dims)}), "
                f"has {len(tensor.raw_data):,}"
            )
    elif _n_bytes(tensor) is not None:
        n, n_listed = math.prod(tensor.dims), sum(len(getattr(tensor, name)) for name in LISTS)
        parts = 2 if tensor.data_type in (tensor.COMPLEX64, tensor.COMPLEX128) else 1
        if n_listed != parts * -(-n // _per_byte(tensor)):
            raise BadInput(
                f"is damaged: {tensor.name!r} promises {n:,} numbers ({list(tensor.dims)}), has {n_listed:,}"
            )


def _per_byte(tensor: Any) -> int:
    """Return how many of a tensor's numbers share a byte."""
    from onnx import TensorProto

    packed = {2: ("INT4", "UINT4", "FLOAT4E2M1"), 4: ("INT2", "UINT2")}
    known = {getattr(TensorProto, name, -1): n for n, names in packed.items() for name in names}
    return known.get(tensor.data_type, 1)


def _n_bytes(tensor: Any) -> int | None:
    """Return the bytes that a tensor's shape and type come to, None for text and for types that NumPy has not."""
    from onnx import TensorProto, helper

    if tensor.data_type == TensorProto.STRING:
        return None
    if _per_byte(tensor) > 1:
        return -(-math.prod(tensor.dims) // _per_byte(tensor))
    try:
        return math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except KeyError:
        raise BadInput(f"has {tensor.name!r} of an unknown type, number {tensor.data_type}") from None


def _bring_in(tensor: Any, path: Path) -> None:
    """Read a tensor's values from the file that it names, if that lies in the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location, folder = entries.get("location", ""), path.parent.resolve()
    file = (folder / location).resolve()
    if not location or folder not in file.parents:
        raise BadInput(f"wants {tensor.name!r} from {location!r}, which is not in the model's own folder")
    if not file.is_file():
        raise BadInput(f"keeps {tensor.name!r} in {location!r}, which is not beside it")
    try:
        offset = int(entries.get("offset", 0))
        n_bytes = int(entries.get("length", file.stat().st_size - offset))
    except ValueError:
        raise BadInput(f"is damaged: the place of {tensor.name!r} in {location!r} is no number") from None
    promised = _n_bytes(tensor)
    if offset < 0 or n_bytes != promised or offset + n_bytes > file.stat().st_size:
        raise BadInput(
            f"is damaged: {tensor.name!r} wants {promised} bytes of {location!r} from {offset:,} on, which has "
            f"{file.stat().st_size:,}"
        )
    with file.open("rb") as stream:
        stream.seek(offset)
        tensor.raw_data = stream.read(n_bytes)
    tensor.data_location = tensor.DEFAULT
    del tensor.external_data[:]
