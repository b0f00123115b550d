"""Do packed words of every width, and what takes a package to read, give the right matrix?"""

import numpy as np
import pytest

from tests.ladder_of_files import BIAS, SPARSE, SQUARE, W, by_groups, normal
from tests.reader_samples import gptq, safetensors_of, words
from workloads import address

RNG = np.random.default_rng(17)


def codes(n: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, n, shape)


@pytest.fixture
def stored(tmp_path):
    """Return a function that writes arrays to a file and returns its layers and what is said of the first."""

    def layers(arrays: dict[str, np.ndarray], pattern: str = ""):
        (tmp_path / "a.safetensors").write_bytes(safetensors_of(arrays))
        found = address.layers(f"{tmp_path}/a.safetensors{pattern}")
        first = next(iter(found))
        return found, address.workload(f"{tmp_path}/a.safetensors:{first}").provenance

    return layers


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


def test_a_square_matrix_beside_others_is_as_they_are(stored):
    arrays = {"a.weight": np.ascontiguousarray(W.T), "a.bias": BIAS, "s.weight": SQUARE, "s.bias": normal(32)}
    assert np.array_equal(stored(arrays)[0]["s"].weights, SQUARE.T)
    found, _ = stored(arrays | {"b.weight": W, "b.bias": BIAS})  # which lies the other way
    assert np.array_equal(found["s"].weights, SQUARE)


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
