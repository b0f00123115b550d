"""Small valid files of every format that workloads.readers reads, their bytes made by hand or by formula."""

import io
import json
import struct
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from workloads.readers.deep_compression import Shape

ROWS = np.array([[1, 0, -2.5], [0, 0.5, 0]], np.float32)
COUNTS = np.arange(4, dtype=np.int8)


def npz_file() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **{"fc.weight": ROWS, "counts": COUNTS})
    return stream.getvalue()


def npy_file() -> bytes:
    stream = io.BytesIO()
    np.save(stream, ROWS)
    return stream.getvalue()


def safetensors_file(header: dict | bytes | None = None, data: bytes | None = None, length: int | None = None) -> bytes:
    """Return a file of two arrays, or of another header, other bytes after it and another length in front of it."""
    if header is None:
        header = {
            "__metadata__": {"format": "pt"},
            "fc.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "counts": {"dtype": "I8", "shape": [4], "data_offsets": [24, 28]},
        }
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    data = ROWS.tobytes() + COUNTS.tobytes() if data is None else data
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def mtx_file() -> bytes:
    return b"%%MatrixMarket matrix coordinate real general\n% a comment\n\n2 3 3\n1 1 1\n1 3 -2.5\n2 2 5e-1\n"


def smtx_file() -> bytes:
    return b"2, 3, 3\n0 2 3\n0 2 1\n"


# Two layers of a .net file, fully connected and convolution, with every byte by hand.
NET_SHAPES = (Shape(name="ip", weights=(2, 20), code_bits=4), Shape(name="conv", weights=(1, 1, 3, 3), code_bits=8))


def net_file() -> bytes:
    book_4 = struct.pack("<16f", 0, 0.5, -1.5, 2, *[0] * 12)
    book_8 = struct.pack("<256f", 0, *[0] * 254, 8)
    # (code, gap): (1, 1) at 1; (2, 1) at 3; a filler (0, 15) at 19; (3, 2) at 22; (1, 0) at 23.
    ip = book_4 + struct.pack("<2f", 1, -1) + bytes([0x21, 0x30, 0x01]) + bytes([0x11, 0x2F, 0x00])
    conv = book_8 + struct.pack("<f", 3) + bytes([255]) + bytes([0x04])  # one weight, at 4
    return struct.pack("<2I", 5, 1) + ip + conv


def torch_file(pickled: bytes) -> bytes:
    """Return what torch.save writes around a pickle, without any tensor's numbers."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/version", b"3\n")
    return stream.getvalue()


KINDS = {
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "int64": "I64",
    "int32": "I32",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


def safetensors_of(arrays: dict[str, np.ndarray]) -> bytes:
    """Return a file of some arrays, back to back in their order."""
    header, data = {}, b""
    for name, array in arrays.items():
        end = len(data) + array.nbytes
        header[name] = {"dtype": KINDS[array.dtype.name], "shape": array.shape, "data_offsets": [len(data), end]}
        data += array.tobytes()
    return safetensors_file(header, data)


def words(codes: np.ndarray, bits: int, order: tuple[int, ...] | None = None) -> np.ndarray:
    """Return i32[rows, columns / n]: each n codes of a row in a word, code order[k] of them at bit k * bits."""
    n = 32 // bits
    order = order or tuple(range(n))
    rows = [
        [sum(int(row[start + place]) << bits * k for k, place in enumerate(order)) for start in range(0, len(row), n)]
        for row in np.pad(codes, ((0, 0), (0, -codes.shape[1] % n)))
    ]
    return np.array(rows, np.uint32).view(np.int32)


def gptq(codes: np.ndarray, zeros: np.ndarray, scales: np.ndarray, bits: int, less: int) -> dict[str, np.ndarray]:
    """Return what GPTQ stores of codes [in, out] with zeros and scales [groups, out]; less: 1 in its version 1."""
    return {
        "a.qweight": np.ascontiguousarray(words(codes.T, bits).T),
        "a.qzeros": words(zeros - less, bits),
        "a.scales": scales,
    }


def gptq_file() -> bytes:
    """Return a file of 4-bit codes of 16 inputs and 8 outputs in two groups, out of order."""
    codes, groups = np.arange(128).reshape(16, 8) % 16, np.arange(16, dtype=np.int32) % 2
    stored = gptq(codes, np.full((2, 8), 8), np.ones((2, 8), np.float16), 4, 1)
    return safetensors_of(stored | {"a.g_idx": groups})


def awq(codes: np.ndarray, zeros: np.ndarray, scales: np.ndarray) -> dict[str, np.ndarray]:
    """Return what AWQ stores of codes [in, out] with zeros and scales [groups, out]."""
    order = (0, 2, 4, 6, 1, 3, 5, 7)
    return {"a.qweight": words(codes, 4, order), "a.qzeros": words(zeros, 4, order), "a.scales": scales}


def onnx_file() -> bytes:
    onnx = pytest.importorskip("onnx")
    stored = [onnx.numpy_helper.from_array(ROWS.T, "w"), onnx.helper.make_tensor("b", 1, [2], [3.0, 4.0])]
    value = onnx.helper.make_tensor_value_info
    nodes = [
        onnx.helper.make_node("Relu", ["x"], ["r"]),
        onnx.helper.make_node("Gemm", ["r", "w", "b"], ["y"], alpha=2.0),
    ]
    graph = onnx.helper.make_graph(nodes, "g", [value("x", 1, ("n", 3))], [value("y", 1, ("n", 2))], stored)
    domains = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=domains, ir_version=8).SerializeToString()


def torch_saved() -> bytes:
    torch = pytest.importorskip("torch")
    stream = io.BytesIO()
    torch.save({"fc.weight": torch.tensor(ROWS), "fc.bias": torch.ones(2).bfloat16()}, stream)
    return stream.getvalue()


def gguf_file() -> bytes:
    gguf = pytest.importorskip("gguf")
    with TemporaryDirectory() as folder:
        writer = gguf.GGUFWriter(f"{folder}/a", "llama")
        writer.add_tensor("fc.weight", ROWS)
        writer.add_tensor("q.weight", np.zeros((2, 34), np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
            write()
        writer.close()
        return Path(f"{folder}/a").read_bytes()


SAMPLES = {
    "a.npz": npz_file,
    "a.npy": npy_file,
    "a.safetensors": safetensors_file,
    "gptq.safetensors": gptq_file,
    "a.mtx": mtx_file,
    "a.smtx": smtx_file,
    "a.net": net_file,
    "a.onnx": onnx_file,
    "a.pt": torch_saved,
    "a.gguf": gguf_file,
}
