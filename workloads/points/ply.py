"""Vertices of a .ply file, as text or binary: x, y, z; what else a vertex has is passed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workloads.errors import BadInput

MOST_HEADER = 1 << 16  # bytes
TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}


def read(path: Path) -> dict[str, np.ndarray]:
    """Return {"points": f64[n, 3]}; raises BadInput for a file without vertices of x, y and z."""
    content = path.read_bytes()
    end = content.find(b"end_header", 0, MOST_HEADER)
    if not content.startswith(b"ply") or end < 0:
        raise BadInput("it has no header of a .ply file")
    body = content.index(b"\n", end) + 1
    order, n_vertices, columns = _header(content[:end].decode("ascii", "replace"))
    if order:
        kind = np.dtype([(name, order + TYPES[of_type]) for name, of_type in columns])
        if len(content) - body < n_vertices * kind.itemsize:
            raise BadInput(f"it is cut short: {n_vertices:,} vertices take {n_vertices * kind.itemsize:,} bytes")
        vertices = np.frombuffer(content, kind, n_vertices, body)
        return {"points": np.stack([vertices[axis].astype(np.float64) for axis in "xyz"], axis=1)}
    lines = content[body:].split(b"\n")[:n_vertices]
    names = [name for name, _ in columns]
    rows = [line.split() for line in lines]
    if len(rows) < n_vertices or any(len(row) < len(names) for row in rows):
        raise BadInput(f"it is cut short: it must have {n_vertices:,} lines of {len(names)} numbers")
    return {"points": np.array([[float(row[names.index(axis)]) for axis in "xyz"] for row in rows])}


def _header(text: str) -> tuple[str, int, list[tuple[str, str]]]:
    """Return the byte order ("" of text), how many vertices there are, and (name, type) of what each has."""
    order, n_vertices, columns, element = None, 0, [], None
    for words in (line.split() for line in text.splitlines()):
        match words:
            case ["format", name, _]:
                order = ORDERS.get(name)
            case ["element", name, count]:
                if name == "vertex" and element is not None:
                    raise BadInput("its vertices must come first")
                element = name
                n_vertices = int(count) if name == "vertex" else n_vertices
            case ["property", of_type, name] if element == "vertex":
                columns.append((name, of_type))
            case ["property", "list", *_] if element == "vertex":
                raise BadInput("a vertex must have numbers only, no list")
    if order is None or not {"x", "y", "z"} <= {name for name, _ in columns}:
        raise BadInput("its header must name a format and vertices of x, y and z")
    if unknown := next((of_type for _, of_type in columns if of_type not in TYPES), None):
        raise BadInput(f"its header has an unknown type {unknown!r}")
    return order, n_vertices, columns
