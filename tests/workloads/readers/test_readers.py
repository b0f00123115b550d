"""Does a file of weights come back as its bytes say, and as the format's own library reads it?"""

import math
import re
import struct
import sys

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.reader_samples import (
    COUNTS,
    NET_SHAPES,
    ROWS,
    mtx_file,
    net_file,
    npz_file,
    safetensors_file,
    smtx_file,
)
from workloads.errors import BadInput
from workloads.readers import READERS, deep_compression, read


@pytest.fixture
def read_bytes(tmp_path):
    """Return a function that writes bytes to a file of the given name and reads it."""

    def reader(name: str, content: bytes) -> dict[str, np.ndarray]:
        (tmp_path / name).write_bytes(content)
        return read(tmp_path / name)

    return reader


def same(found: dict, expected: dict) -> bool:
    return list(found) == list(expected) and all(
        found[name].dtype == array.dtype and np.array_equal(found[name], array) for name, array in expected.items()
    )


# The door


@pytest.mark.parametrize("name", ["a.NPZ", "a.npz"])
def test_the_suffix_chooses_in_either_case(read_bytes, name):
    assert same(read_bytes(name, npz_file()), {"fc.weight": ROWS, "counts": COUNTS})


def test_an_unknown_suffix(read_bytes):
    with pytest.raises(BadInput, match=re.escape("has an unknown suffix, did you mean '.safetensors'?")):
        read_bytes("a.safetensor", b"")
    with pytest.raises(BadInput, match=re.escape("has an unknown suffix: one of " + ", ".join(sorted(READERS)))):
        read_bytes("a", b"")


# .safetensors


def test_safetensors_by_hand(read_bytes):
    assert same(read_bytes("a.safetensors", safetensors_file()), {"fc.weight": ROWS, "counts": COUNTS})


# One number of each type, with the bytes that its format's definition gives it.
@pytest.mark.parametrize(
    ("kind", "content", "value"),
    [
        ("F64", "000000000000f83f", 1.5),
        ("F32", "0000c0bf", -1.5),
        ("F16", "003e", 1.5),
        ("BF16", "c03f", 1.5),
        ("F8_E4M3", "3c", 1.5),  # 0 0111 100: 2**0 * 1.5
        ("F8_E5M2", "3e", 1.5),  # 0 01111 10
        ("F8_E4M3FNUZ", "44", 1.5),  # 0 1000 100: the bias is one more
        ("F8_E5M2FNUZ", "42", 1.5),  # 0 10000 10
        ("I64", "feffffffffffffff", -2),
        ("U64", "0200000000000000", 2),
        ("I32", "feffffff", -2),
        ("U32", "02000000", 2),
        ("I16", "feff", -2),
        ("U16", "0200", 2),
        ("I8", "fe", -2),
        ("U8", "02", 2),
        ("BOOL", "01", 1),
    ],
)
def test_every_type_of_safetensors(read_bytes, kind, content, value):
    data = bytes.fromhex(content)
    header = {"x": {"dtype": kind, "shape": [], "data_offsets": [0, len(data)]}}
    assert read_bytes("a.safetensors", safetensors_file(header, data))["x"].astype(np.float64) == value


@pytest.mark.parametrize("n_spaces", range(4))
def test_arrays_are_aligned_wherever_the_header_ends(read_bytes, n_spaces):
    header = b'{"x":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}' + b" " * n_spaces
    found = read_bytes("a.safetensors", safetensors_file(header, ROWS.tobytes()))["x"]
    assert found.flags.aligned
    assert np.array_equal(found, ROWS)


def test_arrays_without_numbers(read_bytes):
    header = {"x": {"dtype": "F32", "shape": [0, 3], "data_offsets": [0, 0]}}
    assert read_bytes("a.safetensors", safetensors_file(header, b""))["x"].shape == (0, 3)
    assert read_bytes("a.safetensors", safetensors_file({}, b"")) == {}


NUMBERS = [np.float32, np.float16, np.float64, np.int8, np.int64, np.uint8, np.bool_]


@given(
    st.dictionaries(st.text(max_size=5), st.sampled_from(NUMBERS).flatmap(lambda t: hnp.arrays(t, (2, 3))), min_size=1)
)
def test_safetensors_as_its_library_writes_them(tmp_path_factory, arrays):
    library = pytest.importorskip("safetensors.numpy")
    path = tmp_path_factory.mktemp("st") / "a.safetensors"
    library.save_file(arrays, path)
    found = read(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes()


# Sparse text


def test_matrix_market_by_hand(read_bytes):
    assert same(read_bytes("a.mtx", mtx_file()), {"a": ROWS})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"%%MatrixMarket matrix coordinate pattern general\n2 2 2\n1 2\n2 1\n", [[0, 1], [1, 0]]),
        (b"%%MatrixMarket matrix coordinate pattern symmetric\n2 2 2\n1 1\n2 1\n", [[1, 1], [1, 0]]),
        (b"%%MatrixMarket matrix coordinate integer symmetric\n2 2 2\n1 1 3\n2 1 4\n", [[3, 4], [4, 0]]),
        (b"%%MatrixMarket matrix coordinate real skew-symmetric\r\n2 2 1\r\n2 1 4\r\n", [[0, -4], [4, 0]]),
        (b"%%MatrixMarket matrix array real general\n2 3\n1\n0\n0\n.5\n-2.5\n0", [[1, 0, -2.5], [0, 0.5, 0]]),
        (b"%%MATRIXMARKET MATRIX COORDINATE REAL GENERAL\n%\n%\n1 1 0\n", [[0]]),
    ],
)
def test_forms_of_matrix_market(read_bytes, content, expected):
    assert np.array_equal(read_bytes("a.mtx", content)["a"], expected)


@pytest.mark.parametrize("form", ["coordinate real general\n1 2 1\n1 2 ", "array real general\n1 2\n1\n"])
def test_a_number_of_matrix_market_beyond_f32(read_bytes, form):
    content = f"%%MatrixMarket matrix {form}-1e39\n".encode()
    with pytest.raises(BadInput, match=r"must hold finite f32 numbers, got -1e\+39$"):
        read_bytes("a.mtx", content)


@settings(max_examples=30)
@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(-2, 2)))
def test_matrix_market_as_scipy_writes_it(tmp_path_factory, matrix):
    from scipy.io import mmwrite
    from scipy.sparse import csc_array

    path = tmp_path_factory.mktemp("mtx") / "a.mtx"
    for form in (csc_array(matrix), matrix):
        mmwrite(path, form)
        assert np.array_equal(read(path)["a"], matrix)


def test_smtx_by_hand(read_bytes):
    assert same(read_bytes("a.smtx", smtx_file()), {"a": ROWS != 0})


@pytest.mark.parametrize("content", [b"2, 3, 0\n0 0 0\n\n", b"2, 3, 0\n0 0 0", b"2 3 0 \r\n0 0 0 \r\n \r\n"])
def test_an_empty_pattern(read_bytes, content):
    assert same(read_bytes("a.smtx", content), {"a": np.zeros((2, 3), bool)})


# Deep Compression


def test_net_by_hand(tmp_path):
    (tmp_path / "a.net").write_bytes(net_file())
    ip, conv = np.zeros(40, np.float32), np.zeros(9, np.float32)
    ip[[1, 3, 22, 23]], conv[4] = [0.5, -1.5, 2, 0.5], 8
    expected = {
        "ip.weight": ip.reshape(2, 20),
        "ip.bias": np.array([1, -1], np.float32),
        "conv.weight": conv.reshape(1, 1, 3, 3),
        "conv.bias": np.array([3], np.float32),
    }
    assert same(deep_compression.read(tmp_path / "a.net", NET_SHAPES), expected)


def test_the_published_networks_have_their_published_numbers_of_parameters():
    sizes = {
        name: sum(math.prod(shape.weights) + shape.weights[0] for shape in layers)
        for name, layers in deep_compression.published().items()
    }
    # Caffe's bvlc_alexnet and SqueezeNet 1.0, as their models' tables give them.
    assert sizes == {"AlexNet": 60_965_224, "SqueezeNet": 1_248_424}


def encode(weights: np.ndarray, bias: np.ndarray, book: np.ndarray) -> bytes:
    """Return a layer's part of a .net file, entry by entry, with an 8-bit code for each value of the book."""
    codes, gaps, last = [], [], -1
    code_of = {value: code for code, value in enumerate(book.tolist())}
    for place in np.flatnonzero(weights).tolist():
        gap = place - last - 1
        codes += [0] * (gap // 16) + [code_of[weights.ravel()[place].item()]]
        gaps += [15] * (gap // 16) + [gap % 16]
        last = place
    gaps += [0] * (len(gaps) % 2)
    halves = bytes(low | high << 4 for low, high in zip(gaps[::2], gaps[1::2], strict=True))
    return struct.pack("<I", len(codes)), book.tobytes() + bias.tobytes() + bytes(codes) + halves


def test_a_whole_squeezenet_is_known_by_its_length(read_bytes):
    rng = np.random.default_rng(0)
    book = np.append(np.float32(0), rng.standard_normal(255, np.float32))
    expected, parts = {}, []
    for shape in deep_compression.published()["SqueezeNet"]:
        kept = rng.random(shape.weights) < 0.03
        expected[f"{shape.name}.weight"] = np.where(kept, book[rng.integers(1, 256, shape.weights)], np.float32(0))
        expected[f"{shape.name}.bias"] = rng.standard_normal(shape.weights[0], np.float32)
        parts.append(encode(expected[f"{shape.name}.weight"], expected[f"{shape.name}.bias"], book))
    counts, layers = zip(*parts, strict=True)
    content = b"".join((*counts, *layers))
    assert same(read_bytes("a.net", content), expected)
    with pytest.raises(BadInput, match="which is not what AlexNet or SqueezeNet would take"):
        read_bytes("a.net", content + b"\0")


# What takes a package that is not everybody's


@pytest.mark.parametrize(("name", "package"), [("a.pt", "torch"), ("a.pth", "torch"), ("a.bin", "torch")])
def test_one_line_says_what_to_install(read_bytes, monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BadInput, match=re.escape(f"pip install '.[{package}]' in a checkout")):
        read_bytes(name, b"")


def test_state_dicts_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    weights = torch.tensor(ROWS)
    state = {"model": {"fc.weight": weights, "half": weights.bfloat16(), "tied": weights.T}, "epoch": 3}
    torch.save(state, tmp_path / "a.pt")
    expected = {
        "model.fc.weight": ROWS,
        "model.half": ROWS.astype(ml_dtypes.bfloat16).astype(np.float32),
        "model.tied": ROWS.T,
    }
    assert same(read(tmp_path / "a.pt"), expected)
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(BadInput, match=r"is no zip archive, which PyTorch writes since 1.6"):
        read(tmp_path / "a.pt")
    torch.save({"epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(BadInput, match="holds no tensors"):
        read(tmp_path / "a.pt")
