"""Deep Compression's .net files: pruned, shared weights as Han et al. published AlexNet and SqueezeNet.

A file is the number of entries of each layer (u32), then for each layer its codebook (f32[16] of a fully connected one,
f32[256] of a convolution), its biases (f32[out]), the entries' codes (4 bits or 8) and their gaps (4 bits); halves of a
byte come low one first. An entry stands gap + 1 places after the one before in the flat weights [out, in, kh, kw];
code 0 is no weight but a step on the way. Source: decode.py of the repositories SqueezeNet-Deep-Compression and
Deep-Compression-AlexNet of songhan.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workloads.errors import BadInput
from workloads.files import read_table
from workloads.readers.limits import check_dense

KIND = "Deep Compression .net file"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A layer of a .net file: its name, the shape of its weights and the bits of a code, 4 or 8."""

    name: str
    weights: tuple[int, ...]
    code_bits: int

    def n_bytes(self, n_entries: int) -> int:
        """Return the length of the layer's part of the file."""
        return (
            4 * (2**self.code_bits + self.weights[0]) + math.ceil(n_entries * self.code_bits / 8) + -(-n_entries // 2)
        )


def published() -> dict[str, tuple[Shape, ...]]:
    """Return {network: its layers in the file's order} of the two that were published."""
    shapes: dict[str, tuple[Shape, ...]] = {}
    for row in read_table("workloads", "deep_compression_shapes"):
        weights = tuple(int(length) for length in row["weights"].split())
        shape = Shape(name=row["layer"], weights=weights, code_bits=int(row["code_bits"]))
        shapes[row["network"]] = (*shapes.get(row["network"], ()), shape)
    return shapes


def read(path: Path, shapes: tuple[Shape, ...] | None = None) -> dict[str, np.ndarray]:
    """Return LAYER.weight f32[out, in, ...] and LAYER.bias f32[out]; every byte of the file is accounted for.

    shapes: the layers in the file's order; a file does not say them. None: those of the published network whose layers
    take exactly the file's bytes. Raises BadInput.
    """
    content = path.read_bytes()
    known = published() if shapes is None else {"the given layers": shapes}
    fitting = [layers for layers in known.values() if _n_bytes(content, layers) == len(content)]
    if not fitting:
        raise BadInput(f"has {len(content):,} bytes, which is not what {' or '.join(known)} would take")
    check_dense((sum(math.prod(shape.weights) for shape in fitting[0]),), len(content))
    arrays, at = {}, 4 * len(fitting[0])
    for shape, n_entries in zip(fitting[0], _counts(content, fitting[0]), strict=True):
        part = content[at : at + shape.n_bytes(n_entries)]
        arrays[f"{shape.name}.weight"], arrays[f"{shape.name}.bias"] = _layer(shape, n_entries, part)
        at += len(part)
    return arrays


def _counts(content: bytes, layers: tuple[Shape, ...]) -> list[int]:
    return np.frombuffer(content, "<u4", len(layers)).tolist()


def _n_bytes(content: bytes, layers: tuple[Shape, ...]) -> int:
    """Return how long the file must be, by the counts at its start, if these are its layers."""
    if len(content) < 4 * len(layers):
        return 4 * len(layers)
    counts = _counts(content, layers)
    return 4 * len(layers) + sum(shape.n_bytes(count) for shape, count in zip(layers, counts, strict=True))


def _layer(shape: Shape, n_entries: int, part: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights and biases in a layer's part of the file."""
    n_book, n_bias = 2**shape.code_bits, shape.weights[0]
    values = np.frombuffer(part, "<f4", n_book + n_bias).astype(np.float32)
    stream = np.frombuffer(part, np.uint8, offset=4 * (n_book + n_bias))
    n_code_bytes = math.ceil(n_entries * shape.code_bits / 8)
    codes = stream[:n_code_bytes] if shape.code_bits == 8 else _halves(stream[:n_code_bytes])[:n_entries]
    places = np.cumsum(_halves(stream[n_code_bytes:])[:n_entries].astype(np.int64) + 1) - 1
    book, n_weights = values[:n_book], math.prod(shape.weights)
    if book[0] != 0:
        raise BadInput(f"is damaged: code 0 of {shape.name} must be 0, got {book[0]}")
    if n_entries and places[-1] >= n_weights:
        raise BadInput(f"is damaged: {shape.name} has {n_weights:,} weights and an entry at {places[-1]:,}")
    weights = np.zeros(n_weights, np.float32)
    weights[places] = book[codes]
    return weights.reshape(shape.weights), values[n_book:]


def _halves(packed: np.ndarray) -> np.ndarray:
    return np.column_stack([packed & 15, packed >> 4]).ravel()
