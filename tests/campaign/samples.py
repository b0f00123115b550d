"""Sound samples of what fuzz.py damages, beside the files of tests/reader_samples.py."""

import io
import struct

import numpy as np

from tests.reader_samples import torch_file

SWEEP = b"""machine = "eie"
workloads = ["layer.npz"]
engine = "schedule"
inputs = 1
workers = 1
into = "rows.db"
out = "rows.csv"
[vary]
n_pes = "1,2,4,...,16"
queue_depth = [2, 3, 8]
spmat_width_bits = "8:64:x2"
clock_mhz = "800:900:+10"
[set]
batches = true
"""
RECIPE = b"""seed = 1
[[step]]
do = "prune"
pattern = "element"
density = {"*" = 0.5}
criterion = "magnitude"
p = 2
within = "row"
[[step]]
do = "reconstruct"
method = "sweep"
[[step]]
do = "quantise"
per = 5
[[step]]
do = "share"
bits = 4
"""
INDEX = b'{"metadata": {"total_size": 28}, "weight_map": {"fc.weight": "shard.safetensors"}}'
CONFIG = b"""{"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128,
"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 100}"""
# What a reader refuses by what it is: a Keras file of either kind, and a pickle that asks for more than weights.
REFUSED = {
    "a.h5": b"\x89HDF\r\n\x1a\n" + bytes(88),
    "a.keras": torch_file(b"{}"),
    "pickled.pt": torch_file(b"ctorch.nn.modules.linear\nLinear\n."),
}
PLY = ("ascii", "binary_little_endian")
SETTINGS = tuple(b"n_pes=4|queue_depth=2|clock_mhz=800|batches=true|capacity=enforce|spmat_bytes=64".split(b"|"))
VARIED = tuple(b"n_pes=1,2,4,...,256|queue_depth=2:256:x2|clock_mhz=1:2:+0.1|batches=true,false|n_pes=4".split(b"|"))


def clouds() -> dict[str, bytes]:
    """Return {name: bytes} of the same few points in each format of clouds, and of their voxels."""
    points = np.arange(12, dtype="<f4").reshape(4, 3) % 5
    axes = "".join(f"property float {axis}\n" for axis in "xyz")
    heads = [f"ply\nformat {kind} 1.0\nelement vertex 4\n{axes}end_header\n" for kind in PLY]
    voxels = io.BytesIO()
    np.savez(voxels, coordinates=points.astype(np.int32), features=points)
    return {
        "text.ply": (heads[0] + "\n".join(" ".join(map(str, point)) for point in points.tolist())).encode(),
        "a.ply": heads[1].encode() + points.tobytes(),
        "a.bin": np.column_stack([points, np.ones(4, "<f4")]).tobytes(),
        "cloud.npz": voxels.getvalue(),
        "1.2.las": las(2, points),
        "1.4.las": las(4, points),
    }


def las(minor: int, points: np.ndarray) -> bytes:
    """Return a file of LAS 1.2 or 1.4, points of format 0: x, y, z in mm and 8 bytes of what is not read."""
    size = 227 if minor == 2 else 375
    head = b"LASF" + bytes(20) + bytes([1, minor]) + bytes(64)
    head += struct.pack("<3H2IBHI", 1, 2026, size, size, 0, 0, 20, len(points)) + bytes(20)
    head += struct.pack("<12d", *[1e-3] * 3, *[0] * 3, *[4, 0] * 3)
    if minor == 4:  # no waveforms, no extended records
        head += bytes(8 + 8 + 4) + struct.pack("<Q", len(points)) + bytes(15 * 8)
    return head + b"".join(struct.pack("<3i", *(1000 * point.astype(int))) + bytes(8) for point in points)
