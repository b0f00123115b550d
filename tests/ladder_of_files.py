"""The lower half of the ladder: small files without a graph, one for each way in which people keep weights.

A rung says which files there are, and which matrices stand in them by an independent computation, or why it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
from scipy import sparse

from tests.reader_samples import (
    awq,
    gguf_file,
    gptq,
    mtx_file,
    npy_file,
    npz_file,
    safetensors_of,
    smtx_file,
    torch_file,
    torch_saved,
    words,
)

RNG = np.random.default_rng(16)


@dataclass(frozen=True, kw_only=True)
class Rung:
    """write: puts the files into a folder and returns the name to give; inputs: of a graph, by name.

    matrices: {layer: f32[out, in]}, all that there are; biases: {layer: f32[out]} of those that have one, None where
    others look at them; said: what the result says, or what a refusal does.
    """

    write: Callable[[Path], str]
    matrices: Mapping[str, np.ndarray] | None = None
    biases: Mapping[str, np.ndarray] | None = None
    said: str = ""
    inputs: Mapping[str, np.ndarray] | None = None


def file(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], str]:
    """Return what writes one file."""

    def write(folder: Path) -> str:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content())
        return name

    return write


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def by_groups(codes: np.ndarray, zeros: np.ndarray, scales: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return f32[out, in], number by number, of codes [in, out] with zeros and scales [groups, out]."""
    n_in, n_out = codes.shape
    weights = np.zeros((n_out, n_in), np.float32)
    for i in range(n_in):
        for j in range(n_out):
            weights[j, i] = np.float32(int(codes[i, j]) - int(zeros[group[i], j])) * np.float32(scales[group[i], j])
    return weights


# Arrays of a .safetensors file, the matrix that they stand for (None: the array itself), what the result says of it

W, SQUARE, BIAS = normal(96, 32), normal(32, 32), normal(96)
KERNEL = normal(3, 2, 5, 4)  # kh, kw, in, out
HEADS = normal(6, 2, 4)  # in, heads, width of a head
MASK = (RNG.random((96, 32)) < 0.1).astype(np.float32)
INTEGERS = RNG.integers(-128, 128, (96, 32)).astype(np.int8)
ROW_SCALES, GROUP_SCALES = abs(normal(96, 1)), abs(normal(96, 4))
EIGHTS = normal(300, 256).astype(ml_dtypes.float8_e4m3fn)
BLOCK_SCALES = abs(normal(3, 2))  # blocks of 128 x 128; 300 is no multiple of it
SPARSE = np.where(RNG.random((6, 20)) < 0.3, normal(6, 20), np.float32(0))
BITS = np.array(  # eight places a byte, the lowest bit first
    [[sum(int(row[8 * k + i] != 0) << i for i in range(8) if 8 * k + i < 20) for k in range(3)] for row in SPARSE],
    np.uint8,
)

ARRAYS = {
    "plain": ({"a.weight": W, "a.bias": BIAS}, W, ""),
    "bfloat16": ({"a.weight": W.astype(ml_dtypes.bfloat16)}, W.astype(ml_dtypes.bfloat16).astype(np.float32), ""),
    "masked": ({"a.bias": BIAS, "a.weight_orig": W, "a.weight_mask": MASK}, np.where(MASK == 1, W, 0), "masked"),
    "masked bias": (
        {"a.weight": W, "a.bias_orig": BIAS, "a.bias_mask": np.ones(96, np.float32)},
        W,
        "",
    ),
    "parametrized": (
        {"a.bias": BIAS, "a.parametrizations.weight.original": W, "a.parametrizations.weight.0.mask": MASK == 1},
        np.where(MASK == 1, W, 0),
        "masked",
    ),
    "Conv1D": ({"a.weight": np.ascontiguousarray(W.T), "a.bias": BIAS}, W, "transposed, as y = x W + b"),
    "kernel": ({"a/kernel": np.ascontiguousarray(W.T), "a/bias": BIAS}, W, "transposed, as y = x kernel + bias"),
    "kernel of a convolution": (
        {"a/kernel": KERNEL, "a/bias": normal(4)},
        np.array([[KERNEL[h, w, i, o] for i in range(5) for h in range(3) for w in range(2)] for o in range(4)]),
        "one position of a convolution of 3 x 2",
    ),
    "kernel of heads": (
        {"a/kernel": HEADS, "a/bias": normal(2, 4)},
        np.array([[HEADS[i, h, d] for i in range(6)] for h in range(2) for d in range(4)]),
        "transposed, as y = x kernel + bias",
    ),
    "convolution": ({"a.weight": normal(4, 3, 2, 2)}, None, "layer a; one position of a convolution of 2 x 2; "),
    "depthwise convolution": (
        {"a.weight": normal(4, 1, 3, 3)},
        None,
        "one position of a convolution of 3 x 3, depthwise or of one channel, which the file does not say",
    ),
    "integers and a scale": (
        {"a.weight": INTEGERS, "a.weight_scale": np.float32([0.25])},
        INTEGERS.astype(np.float32) / 4,
        "8-bit integers times their scales",
    ),
    "integers and a scale a row": (
        {"a.weight": INTEGERS, "a.weight_scale": ROW_SCALES, "a.bias": BIAS},
        np.array([[np.float32(v) * s for v in row] for row, (s,) in zip(INTEGERS, ROW_SCALES, strict=True)]),
        "8-bit integers times their scales",
    ),
    "integers and a scale a group": (
        {"a.weight": INTEGERS, "a.weight_scale": GROUP_SCALES, "a.weight_zero_point": np.full((96, 4), 3, np.int8)},
        np.array([[np.float32(INTEGERS[i, j] - 3.0) * GROUP_SCALES[i, j // 8] for j in range(32)] for i in range(96)]),
        "8-bit integers times their scales",
    ),
    "integers of bitsandbytes": (
        {"a.weight": INTEGERS, "a.SCB": np.full(96, 127, np.float32)},
        INTEGERS.astype(np.float32),
        "8-bit integers times their scales",
    ),
    "8-bit floats and a scale a block": (
        {"a.weight": EIGHTS, "a.weight_scale_inv": BLOCK_SCALES},
        np.array(
            [[np.float32(EIGHTS[i, j]) * BLOCK_SCALES[i // 128, j // 128] for j in range(256)] for i in range(300)]
        ),
        "8-bit floats times their scales",
    ),
    "integers alone": (
        {"a.weight": INTEGERS, "b.weight": W},
        INTEGERS.astype(np.float32),
        "int8 as they are, without a scale",
    ),
    "a bitmask": (
        {
            "a.weight.compressed": SPARSE[SPARSE != 0],
            "a.weight.bitmask": BITS,
            "a.weight.shape": np.array([6, 20]),
            "a.weight.row_offsets": np.zeros(6, np.int64),
        },
        SPARSE,
        "of a bitmask and its values",
    ),
}

SMALL = np.float32([[1, 0, -2.5], [0, 0.5, 0]])  # what the samples hold
PACKED = RNG.integers(0, 16, (32, 16)), np.full((4, 16), 8), abs(normal(4, 16)).astype(np.float16)
ORDER = RNG.permutation(32) % 4
DRAWN = np.random.default_rng(0).standard_normal(3, np.float32)  # the generator's own, row by row
PATTERN = np.float32([[DRAWN[0], 0, DRAWN[1]], [0, DRAWN[2], 0]])
NO_VALUES = "a pattern without values, which are drawn: normal, seed 0"
GPT2 = {"attn.c_attn": (8, 24), "attn.c_proj": (8, 8), "mlp.c_fc": (8, 32), "mlp.c_proj": (32, 8)}
GPT2 = {f"h.0.{name}": normal(*shape) for name, shape in GPT2.items()}  # [in, out]


def gpt2(folder: Path) -> str:
    """Write GPT-2's names: embeddings, norms and masks beside matrices that are y = x W + b, one of them square."""
    arrays = {"wte.weight": normal(50, 8), "wpe.weight": normal(10, 8), "ln_f.weight": normal(8)}
    for name, matrix in GPT2.items():
        arrays |= {f"{name}.weight": matrix, f"{name}.bias": normal(matrix.shape[1])}
    arrays["h.0.attn.bias"] = np.tril(np.ones((1, 1, 10, 10), np.float32))
    return file("a.safetensors", safetensors_of(arrays))(folder)


def shards(folder: Path) -> str:
    """Write two files and the index that says which array lies where."""
    places = {"b.weight": "2.safetensors", "a.weight": "1.safetensors"}
    for name, array in (("a.weight", W), ("b.weight", SQUARE)):
        (folder / places[name]).write_bytes(safetensors_of({name: array, "other.weight": array}))
    (folder / "m.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return "m.safetensors.index.json"


def folder_of_two(folder: Path) -> str:
    (folder / "m").mkdir()
    for name, array in (("a", W), ("b", SQUARE)):
        (folder / f"m/{name}.safetensors").write_bytes(safetensors_of({f"{name}.weight": array}))
    return "m"


def scipy_file(folder: Path) -> str:
    sparse.save_npz(folder / "a.npz", sparse.csr_array(SPARSE))
    return "a.npz"


FILES = {
    "GPTQ": Rung(
        write=file("a.safetensors", safetensors_of(gptq(*PACKED, 4, 1) | {"a.g_idx": ORDER.astype(np.int32)})),
        matrices={"a": by_groups(*PACKED, ORDER)},
        said="4-bit GPTQ dequantised",
    ),
    "AWQ": Rung(
        write=file("a.safetensors", safetensors_of(awq(*PACKED))),
        matrices={"a": by_groups(*PACKED, np.arange(32) // 8)},
        said="4-bit AWQ dequantised",
    ),
    "compressed-tensors": Rung(
        write=file(
            "a.safetensors",
            safetensors_of(
                {
                    "a.weight_packed": words(PACKED[0].T, 4),
                    "a.weight_scale": np.ascontiguousarray(PACKED[2].T.astype(np.float32)),
                    "a.weight_shape": np.array([16, 32]),
                }
            ),
        ),
        matrices={"a": by_groups(*PACKED, np.arange(32) // 8)},
        said="4-bit compressed-tensors dequantised",
    ),
    "GPT-2": Rung(
        write=gpt2,
        matrices={name: matrix.T for name, matrix in GPT2.items()},
        said="square, transposed as the file's others are",
    ),
    "a square Conv1D of a file that does not tell": Rung(
        write=file("a.safetensors", safetensors_of({"c_proj.weight": SQUARE, "c_proj.bias": BIAS[:32]})),
        matrices={"c_proj": SQUARE},
        said="square, taken as [out, in], where GPT-2 has [in, out]",
    ),
    "an embedding": Rung(
        write=file("a.safetensors", safetensors_of({"embed_tokens.weight": SQUARE, "fc.weight": W})),
        matrices={"fc": W},
        said="embed_tokens.weight (an embedding is looked up, not multiplied)",
    ),
    "position ids": Rung(
        write=file("a.safetensors", safetensors_of({"position_ids": np.arange(9).reshape(1, 9), "fc.weight": W})),
        matrices={"fc": W},
        said="position_ids (int64 numbers are indices or packed words: store weights as float32)",
    ),
    "names that collide": Rung(
        write=file("a.safetensors", safetensors_of({"a": SQUARE, "a.weight": W})),
        matrices={"a": SQUARE, "a.weight": W},
    ),
    "an index of shards": Rung(write=shards, matrices={"b": SQUARE, "a": W}),
    "a folder": Rung(write=folder_of_two, matrices={"a": W, "b": SQUARE}),
    ".npz": Rung(write=file("a.npz", npz_file), matrices={"fc": SMALL}),
    ".npy": Rung(write=file("a.npy", npy_file), matrices={"a": SMALL}),
    "SciPy's save_npz": Rung(write=scipy_file, matrices={"a": SPARSE}),
    "Matrix Market": Rung(write=file("a.mtx", mtx_file), matrices={"a": SMALL}),
    "a pattern of Matrix Market": Rung(
        write=file("a.mtx", b"%%MatrixMarket matrix coordinate pattern general\n2 3 3\n1 1\n1 3\n2 2\n"),
        matrices={"a": PATTERN},
        said=NO_VALUES,
    ),
    "a pattern of DLMC": Rung(write=file("a.smtx", smtx_file), matrices={"a": PATTERN}, said=NO_VALUES),
    "GGUF": Rung(write=file("a.gguf", gguf_file), matrices={"fc": SMALL, "q": np.zeros((2, 32), np.float32)}),
    "a state dict of PyTorch": Rung(write=file("a.pt", torch_saved), matrices={"fc": SMALL}),
    "a whole module of PyTorch": Rung(
        write=file("a.pt", torch_file(b"\x80\x02ctorch.nn.modules.linear\nLinear\n.")),
        said="save its weights alone: torch.save(model.state_dict(), 'weights.pt')",
    ),
    "Keras": Rung(write=file("a.keras", b"PK"), said="numpy.savez("),
    "a stack of experts": Rung(
        write=file("a.safetensors", safetensors_of({"experts.up": normal(2, 3, 4)})),
        said="a stack of matrices, whose orientation the file does not say",
    ),
    "4-bit floats": Rung(
        write=file("a.safetensors", safetensors_of({"x_blocks": BITS, "x_scales": BITS})),
        said="4-bit floats with shared exponents: load the model with the library that packed it",
    ),
    "a weight norm": Rung(
        write=file("a.safetensors", safetensors_of({"x.weight_g": ROW_SCALES, "x.weight_v": W})),
        said="one half of a weight norm: torch.nn.utils.remove_weight_norm makes it whole",
    ),
}


def of_arrays(arrays: Mapping[str, np.ndarray], expected: np.ndarray | None, said: str) -> Rung:
    """Return the rung of a row of ARRAYS; a file's second matrix is as it is stored."""
    first = next(iter(arrays.values()))
    matrices = {"a": first.reshape(len(first), -1) if expected is None else expected}
    matrices |= {"b": arrays["b.weight"]} if "b.weight" in arrays else {}
    name = "a/kernel" if "a/kernel" in arrays else "a"
    matrices = {name if key == "a" else key: matrix for key, matrix in matrices.items()}
    bias = [array.ravel() for key, array in arrays.items() if "bias" in key and "mask" not in key]
    biases = dict(zip([name], bias))  # none where there is none
    write = file("a.safetensors", safetensors_of(dict(arrays)))
    return Rung(write=write, matrices=matrices, biases=biases, said=said)


RUNGS = {name: of_arrays(*row) for name, row in ARRAYS.items()} | FILES
