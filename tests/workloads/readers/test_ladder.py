"""Does every way in which people keep weights give the right matrix, from the plainest file to packed words?"""

import ml_dtypes
import numpy as np
import pytest

from tests.reader_samples import awq, gptq, safetensors_of, words
from workloads import address

RNG = np.random.default_rng(16)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def codes(n: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, n, shape)


def by_groups(values: np.ndarray, zeros: np.ndarray, scales: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return f32[out, in], number by number, of codes [in, out] with zeros and scales [groups, out]."""
    n_in, n_out = values.shape
    weights = np.zeros((n_out, n_in), np.float32)
    for i in range(n_in):
        for j in range(n_out):
            weights[j, i] = np.float32(int(values[i, j]) - int(zeros[group[i], j])) * np.float32(scales[group[i], j])
    return weights


@pytest.fixture
def stored(tmp_path):
    """Return a function that writes arrays to a file and returns its layers and what is said of the first."""

    def layers(arrays: dict[str, np.ndarray], pattern: str = ""):
        (tmp_path / "a.safetensors").write_bytes(safetensors_of(arrays))
        found = address.layers(f"{tmp_path}/a.safetensors{pattern}")
        first = next(iter(found))
        return found, address.workload(f"{tmp_path}/a.safetensors:{first}").provenance

    return layers


# Rungs: arrays of a file, the matrix that they stand for, what the result says of it

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

RUNGS = {
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


@pytest.mark.parametrize("rung", RUNGS)
def test_a_rung(stored, rung):
    arrays, expected, said = RUNGS[rung]
    found, provenance = stored(arrays)
    first = next(iter(found))
    assert said in provenance
    assert len(found) == (2 if "b.weight" in arrays else 1)  # neither masks nor scales are layers
    if expected is None:
        expected = next(iter(arrays.values())).reshape(4, -1)
    assert np.array_equal(found[first].weights, expected)
    has_bias = any("bias" in name for name in arrays)
    assert (found[first].bias is not None) == has_bias


def test_pruned_in_pytorch(stored):
    weights, mask = normal(128, 64), np.zeros(128 * 64, np.float32)
    mask[RNG.permutation(128 * 64)[:819]] = 1
    found, _ = stored({"0.weight_orig": weights, "0.weight_mask": mask.reshape(128, 64)})
    assert list(found) == ["0"]
    assert np.count_nonzero(found["0"].weights) == round(0.1 * 128 * 64)


# Packed words


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize(("less", "is_told"), [(1, True), (0, True), (1, False)])
def test_gptq(stored, bits, less, is_told):
    middle = 2 ** (bits - 1)
    values, scales = codes(2**bits, 32, 16), abs(normal(4, 16)).astype(np.float16)
    zeros = np.full((4, 16), middle) if is_told else 1 + codes(2**bits, 4, 16) % middle
    arrays = gptq(values, zeros, scales, bits, less) | {"a.bias": normal(16)}
    found, provenance = stored(arrays)
    assert np.array_equal(found["a"].weights, by_groups(values, zeros, scales, np.arange(32) // 8))
    assert np.array_equal(found["a"].bias, arrays["a.bias"])
    assert f"layer a; {bits}-bit GPTQ dequantised" in provenance
    assert ("zero points taken to be stored less one" in provenance) == (not is_told)


def test_gptq_of_sorted_inputs(stored):
    values, zeros, scales = codes(16, 32, 16), np.full((4, 16), 8), abs(normal(4, 16)).astype(np.float16)
    group = RNG.permutation(32) % 4
    found, _ = stored(gptq(values, zeros, scales, 4, 1) | {"a.g_idx": group.astype(np.int32)})
    assert np.array_equal(found["a"].weights, by_groups(values, zeros, scales, group))


def test_awq(stored):
    values, zeros, scales = codes(16, 32, 16), codes(16, 4, 16), abs(normal(4, 16)).astype(np.float16)
    found, provenance = stored(awq(values, zeros, scales))
    assert np.array_equal(found["a"].weights, by_groups(values, zeros, scales, np.arange(32) // 8))
    assert "4-bit AWQ dequantised" in provenance


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("has_zeros", [False, True])
def test_compressed_tensors(stored, bits, has_zeros):
    middle, n_out, n_in = 2 ** (bits - 1), 12, 20  # neither fills its words
    values, scales = codes(2**bits, n_in, n_out), abs(normal(5, n_out))
    zeros = codes(2**bits, 5, n_out) if has_zeros else np.full((5, n_out), middle)
    arrays = {
        "a.weight_packed": words(values.T, bits),
        "a.weight_scale": np.ascontiguousarray(scales.T),
        "a.weight_shape": np.array([n_out, n_in]),
    }
    if has_zeros:
        arrays["a.weight_zero_point"] = np.ascontiguousarray(words(zeros, bits).T)
    found, provenance = stored(arrays)
    assert np.array_equal(found["a"].weights, by_groups(values, zeros, scales, np.arange(n_in) // 4))
    assert f"{bits}-bit compressed-tensors dequantised" in provenance


# GPT-2, whose matrices are y = x W + b


def gpt2(n: int = 8) -> dict[str, np.ndarray]:
    sizes = {"attn.c_attn": (n, 3 * n), "attn.c_proj": (n, n), "mlp.c_fc": (n, 4 * n), "mlp.c_proj": (4 * n, n)}
    arrays = {"wte.weight": normal(50, n), "wpe.weight": normal(10, n), "ln_f.weight": normal(n)}
    for name, shape in sizes.items():
        arrays |= {f"h.0.{name}.weight": normal(*shape), f"h.0.{name}.bias": normal(shape[1])}
    return arrays | {"h.0.attn.bias": np.tril(np.ones((1, 1, 10, 10), np.float32)), "head.weight": normal(n, n)}


def test_gpt2(stored, tmp_path):
    arrays = gpt2()
    found, _ = stored(arrays)
    matrices = [f"h.0.{name}" for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")]
    assert list(found) == [*matrices, "head"]
    for name in matrices:
        assert np.array_equal(found[name].weights, arrays[f"{name}.weight"].T)
        assert np.array_equal(found[name].bias, arrays[f"{name}.bias"])
    assert np.array_equal(found["head"].weights, arrays["head.weight"])
    square = address.workload(f"{tmp_path}/a.safetensors:h.0.attn.c_proj").provenance
    assert "square, transposed as the file's others are" in square


def test_a_square_conv1d_of_a_file_that_does_not_tell(stored):
    found, provenance = stored({"c_proj.weight": SQUARE, "c_proj.bias": normal(32)})
    assert np.array_equal(found["c_proj"].weights, SQUARE)
    assert "square, taken as [out, in], where GPT-2 has [in, out]" in provenance


def test_a_square_matrix_beside_others_is_as_they_are(stored):
    arrays = {"a.weight": np.ascontiguousarray(W.T), "a.bias": BIAS, "s.weight": SQUARE, "s.bias": normal(32)}
    assert np.array_equal(stored(arrays)[0]["s"].weights, SQUARE.T)
    found, _ = stored(arrays | {"b.weight": W, "b.bias": BIAS})  # which lies the other way
    assert np.array_equal(found["s"].weights, SQUARE)


# Patterns, which have no values


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.smtx", b"2, 3, 3\n0 2 3\n0 2 1\n"),
        ("a.mtx", b"%%MatrixMarket matrix coordinate pattern general\n2 3 3\n1 1\n1 3\n2 2\n"),
    ],
)
def test_a_pattern_is_given_values(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    found = address.workload(tmp_path / name)
    drawn = np.random.default_rng(0).standard_normal(3, np.float32)  # the generator's own, row by row
    assert np.array_equal(found.weights, [[drawn[0], 0, drawn[1]], [0, drawn[2], 0]])
    assert "; a pattern without values, which are drawn: normal, seed 0; " in found.provenance


# What takes a package that is not everybody's


def test_gguf(tmp_path):
    library = pytest.importorskip("gguf")
    weights = normal(8, 64)
    blocks = library.quants.quantize(weights, library.GGMLQuantizationType.Q4_0)
    writer = library.GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_tensor("token_embd.weight", weights)
    writer.add_tensor("blk.0.attn_q.weight", weights)
    writer.add_tensor("blk.0.attn_q.bias", weights[0, :8].copy())
    writer.add_tensor("blk.0.attn_k.weight", blocks, raw_dtype=library.GGMLQuantizationType.Q4_0)
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()
    found = address.layers(tmp_path / "a.gguf")
    assert list(found) == ["blk.0.attn_q", "blk.0.attn_k"]
    assert np.array_equal(found["blk.0.attn_q"].weights, weights)
    assert np.array_equal(found["blk.0.attn_q"].bias, weights[0, :8])
    # A block of Q4_0 is 32 weights: a scale f16, then bytes of two codes, the low halves first; weight = (code - 8) * d
    for row, coded in zip(blocks, found["blk.0.attn_k"].weights, strict=True):
        for block, values in zip(row.reshape(2, 18), coded.reshape(2, 32), strict=True):
            halves = [*(block[2:] & 15), *(block[2:] >> 4)]
            scale = np.float32(block[:2].view(np.float16)[0])
            assert np.array_equal(values, [np.float32(int(code) - 8) * scale for code in halves])
    assert "Q4_0 dequantised" in address.workload(f"{tmp_path}/a.gguf:blk.0.attn_k").provenance


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("form", ["to_sparse", "to_sparse_csr"])
def test_sparse_tensors_of_pytorch(tmp_path, form):
    torch = pytest.importorskip("torch")
    torch.save({"a.weight": getattr(torch.tensor(SPARSE), form)()}, tmp_path / "a.pt")
    assert np.array_equal(address.layers(tmp_path / "a.pt")["a"].weights, SPARSE)
