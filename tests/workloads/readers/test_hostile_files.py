"""Is a damaged or forged file of weights refused in one line, in little memory and without running anything in it?"""

import pickle
import re
import struct
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reader_samples import (
    NET_SHAPES,
    ROWS,
    SAMPLES,
    mtx_file,
    net_file,
    safetensors_file,
    torch_file,
)
from workloads.address import layers
from workloads.catalogue import load
from workloads.errors import BadInput
from workloads.readers import deep_compression, read

MOST_BYTES = 4e6


@pytest.fixture(scope="module")
def survives(tmp_path_factory):
    """Return a function that reads a file of the given name and bytes: layers or one line, in little memory."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "a.mtx").write_bytes(mtx_file())
    read(folder / "a.mtx")  # so that the memory of SciPy's modules is not counted, nor onnxruntime's
    pytest.importorskip("onnxruntime")

    def reader(name: str, content: bytes) -> str | None:
        path = folder / name
        path.write_bytes(content)
        complaint = None
        tracemalloc.start()
        try:
            if name.endswith(".net"):
                deep_compression.read(path, NET_SHAPES)
            else:
                layers(path)
                if name.endswith(".onnx"):
                    load(path)
        except BadInput as error:
            complaint = str(error)
        finally:
            _, peak_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak_bytes < MOST_BYTES + 50 * len(content)
        assert complaint is None or ("\n" not in complaint and len(complaint) < 600)
        return complaint

    return reader


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_sound(survives, name):
    assert survives(name, SAMPLES[name]()) is None


@pytest.mark.parametrize("name", SAMPLES)
def test_bytes_changed_or_cut(survives, name):
    sample = SAMPLES[name]()

    @given(
        st.lists(st.tuples(st.integers(0, len(sample) - 1), st.integers(0, 255)), max_size=4),
        st.just(len(sample)) | st.integers(0, len(sample)),
    )
    def check(changes, length):
        content = bytearray(sample)
        for place, byte in changes:
            content[place] = byte
        survives(name, bytes(content[:length]))

    check()


@pytest.mark.parametrize("name", ["a.mtx", "a.smtx", "a.safetensors"])
def test_numbers_changed(survives, name):
    """Text formats: any number may become any other, so that the rest still makes sense."""
    parts = re.split(rb"(\d+)", SAMPLES[name]())
    odd = [b"0", b"1", b"3", b"7", b"-1", b"65536", b"999999999999", b"18446744073709551616", b"9" * 5000, b"1e9", b""]

    @given(st.dictionaries(st.integers(0, len(parts) // 2 - 1), st.sampled_from(odd), max_size=3))
    def check(changes):
        changed = list(parts)
        for place, number in changes.items():
            changed[2 * place + 1] = number
        survives(name, b"".join(changed))

    check()


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("content", [b"", b"\0", b"{}", b"\n" * 9, b"\xff" * 99, b"PK\3\4" + bytes(99)])
def test_something_else_by_that_name(survives, name, content):
    SAMPLES[name]()  # skips what cannot be read here
    assert survives(name, content) is not None


# .safetensors: every rule of the format, and the place where the header breaks it


def entry(dtype="F32", shape=(2, 3), offsets=(0, 24), **more) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ([1], "its header must be a JSON object, got list"),
        ({"x": 1}, "'x' must have dtype, shape and data_offsets"),
        ({"x": entry(more=1)}, "'x' must have dtype, shape and data_offsets"),
        ({"x": entry("F31")}, "has 'x' of an unknown type 'F31', did you mean 'F32'?"),
        ({"x": entry(None)}, "has 'x' of an unknown type None"),
        ({"x": entry(shape=(2, -3))}, "the shape and the two offsets of 'x' must be whole numbers, none below 0"),
        ({"x": entry(shape=(2, 3.0))}, "the shape and the two offsets of 'x' must be whole numbers, none below 0"),
        ({"x": entry(shape=(True, 6))}, "the shape and the two offsets of 'x' must be whole numbers, none below 0"),
        ({"x": entry(offsets=(0, 24, 24))}, "the shape and the two offsets of 'x' must be whole numbers"),
        ({"x": entry(offsets=(24, 0))}, "'x' promises 24 bytes, has -24"),
        ({"x": entry(shape=(2**40, 2**40))}, "'x' promises 4,835,703,278,458,516,698,824,704 bytes, has 24"),
        ({"x": entry(shape=(2**62,), offsets=(0, 2**64))}, "its arrays take 18,446,744,073,709,551,616 bytes"),
        ({"x": entry(), "y": entry()}, "'y' starts at byte 0 and must at 24"),
        ({"x": entry(), "y": entry(offsets=(12, 36))}, "'y' starts at byte 12 and must at 24"),
        ({"x": entry(offsets=(4, 28))}, "'x' starts at byte 4 and must at 0"),
        ({"x": entry(shape=(5,), offsets=(0, 20))}, "its arrays take 20 bytes, the file has 24 for them"),
        (b'{"x":1,"x":2}', "its header says a name twice"),
        (b"[" * 100_000, "is no readable .safetensors file: "),
        (b'{"x":' + b"9" * 9999 + b"}", "is no readable .safetensors file: "),
        (b'{"\xff":1}', "is no readable .safetensors file: "),
    ],
)
def test_a_forged_header_of_safetensors(survives, header, complaint):
    assert complaint in survives("a.safetensors", safetensors_file(header, ROWS.tobytes()))


@pytest.mark.parametrize("length", [2**64 - 1, 2**40, 1000])
def test_a_header_of_safetensors_longer_than_the_file(survives, length):
    content = safetensors_file(length=length)
    said = f"its header promises {length:,} bytes, the file has {len(content):,}"
    assert said in survives("a.safetensors", content)


# Sparse text


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"%%MatrixMarket matrix coordinate complex general\n1 1 0\n", "must begin with '%%MatrixMarket matrix'"),
        (b"%%MatrixMarket vector coordinate real general\n1 1 0\n", "must begin with '%%MatrixMarket matrix'"),
        (b"%%MatrixMarket matrix coordinate real general\n1 1\n", "must say rows, columns"),
        (b"%%MatrixMarket matrix coordinate real general\n-1 1 0\n", "must say rows, columns"),
        (b"%%MatrixMarket matrix coordinate real general\n9 9 999999999\n", "promises 999,999,999 entries"),
        (b"%%MatrixMarket matrix array real general\n99999 99999\n1\n", "promises 9,999,800,001 entries"),
        (b"%%MatrixMarket matrix coordinate real general\n99999 99999 0\n", "promises a matrix of 99,999 x 99,999"),
        (b"%%MatrixMarket matrix coordinate real general\n2 2 1\n3 1 1\n", "Row index out of bounds"),
        (
            b"%%MatrixMarket matrix coordinate real symmetric\n2 3 1\n2 1 5\n",
            "symmetric matrix must be square, got 2 x 3",
        ),
        (b"%%MatrixMarket matrix coordinate pattern symmetric\n2 2 2\n1 2\n2 1\n", "it names a place twice"),
        # On this one SciPy 1.17 reads past the end of its memory.
        (b"%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 5e-1\x1b", "it holds something that is no number"),
    ],
)
def test_a_forged_matrix_market_file(survives, content, complaint):
    assert complaint in survives("a.mtx", content)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"2, 3\n0 2 3\n0 2 1\n", "must say rows, columns and non-zeros"),
        (b"2, 3, -3\n0 2 3\n0 2 1\n", "must hold whole numbers, none below 0"),
        (b"3, 3, 3\n0 2 3\n0 2 1\n", "promises 3 rows and 3 non-zeros, has 2 and 3"),
        (b"2, 3, 2\n0 2 3\n0 2 1\n", "promises 2 rows and 2 non-zeros, has 2 and 3"),
        (b"2, 3, 3\n0 2 2\n0 2 1\n", "row offsets must rise from 0 to 3"),
        (b"2, 3, 3\n0 4 3\n0 2 1\n", "row offsets must rise from 0 to 3"),
        (b"2, 3, 3\n1 2 3\n0 2 1\n", "row offsets must rise from 0 to 3"),
        (b"2, 3, 3\n0 2 3\n0 3 1\n", "column indices must be below 3, got 3"),
        (b"2, 3, 3\n0 2 3\n2 2 1\n", "names a place twice"),
        (b"2, 3, 3\n0 2 3\n0 2 1\n9", "must have three lines"),
        (b"2, 999999999999, 3\n0 2 3\n0 2 1\n", "promises a matrix of 2 x 999,999,999,999"),
        (b"2, 99999999999999999999, 3\n0 2 3\n0 2 1\n", "is no readable .smtx pattern: "),
    ],
)
def test_a_forged_smtx_file(survives, content, complaint):
    assert complaint in survives("a.smtx", content)


# Deep Compression


@pytest.mark.parametrize(
    ("place", "changed", "complaint"),
    [
        (0, b"\x09", "which is not what the given layers would take"),
        (3, b"\xff", "which is not what the given layers would take"),
        (8, b"\x01", "code 0 of ip must be 0, got "),
        # Behind the counts, 16 + 2 numbers and 3 bytes of codes: five gaps of 15, so that entries stand 16 apart.
        (8 + 4 * 18 + 3, b"\xff\xff\x0f", "ip has 40 weights and an entry at 79"),
    ],
)
def test_a_forged_net_file(survives, place, changed, complaint):
    content = bytearray(net_file())
    content[place : place + len(changed)] = changed
    assert complaint in survives("a.net", bytes(content))


def test_a_net_file_far_smaller_than_its_network(tmp_path):
    parts = [bytes(shape.n_bytes(0)) for shape in deep_compression.published()["AlexNet"]]
    (tmp_path / "a.net").write_bytes(bytes(4 * len(parts)) + b"".join(parts))
    # AlexNet has 60,965,224 parameters, 10,568 of them biases; 8 counts, 5 codebooks of 256 and 3 of 16.
    n_bytes = 4 * (8 + 5 * 256 + 3 * 16 + 10_568)
    with pytest.raises(BadInput, match=f"promises a matrix of 60,954,656, which {n_bytes:,} bytes are too few for"):
        read(tmp_path / "a.net")


def test_a_name_of_a_million_letters_does_not_fill_the_terminal(survives):
    assert survives("a.safetensors", safetensors_file({"x" * 10**6: 1})) is not None


def test_many_comments_take_no_time(survives):
    assert survives("a.mtx", mtx_file().replace(b"\n", b"\n" + b"%\n" * 10**5, 1)) is None


# Pickles


class Trap:
    """A pickle of it that is loaded ends the tests."""

    def __reduce__(self):
        return sys.exit, ("the file was unpickled",)


@pytest.mark.parametrize("wrap", [bytes, torch_file])
@pytest.mark.parametrize("name", ["a.pt", "a.npz"])
@pytest.mark.parametrize("trapped", [Trap(), {"fc.weight": Trap()}])
def test_no_pickle_is_run(survives, wrap, name, trapped):
    assert survives(name, wrap(pickle.dumps(trapped))) is not None


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.array([[Trap()]]))
    with pytest.raises(BadInput, match="must hold plain numbers"):
        read(tmp_path / "a.npz")


def test_dicts_that_hold_one_another_many_times_over(tmp_path):
    torch = pytest.importorskip("torch")
    state = {"w": torch.ones(2, 2)}
    for _ in range(64):
        state = {"a": state, "b": state}
    torch.save(state, tmp_path / "a.pt")
    assert list(read(tmp_path / "a.pt")) == [".".join("a" * 64) + ".w"]


def test_a_tensor_that_shows_one_number_many_times_over(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.ones(1).expand(10**6, 10**6)}, tmp_path / "a.pt")
    with pytest.raises(BadInput, match=re.escape("'w' has the shape [1000000, 1000000] and fewer numbers")):
        read(tmp_path / "a.pt")


@pytest.mark.filterwarnings("ignore:Sparse")
def test_a_sparse_tensor_far_smaller_than_its_dense_form(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.sparse_coo_tensor([[0], [0]], [1.0], (10**6, 10**6))}, tmp_path / "a.pt")
    with pytest.raises(BadInput, match="promises a matrix of 1,000,000 x 1,000,000, which"):
        read(tmp_path / "a.pt")


# .gguf: the counts that make a reader go on behind the end of the file

FORGED_GGUF = {
    "values": (0, 2**50, b""),
    "tensors": (2**50, 0, b""),
    "an array": (0, 1, struct.pack("<Q1sIIQ", 1, b"k", 9, 0, 2**50)),
    "an array of arrays": (0, 1, struct.pack("<Q1sIIQIQ", 1, b"k", 9, 9, 1, 4, 2**40)),
    "a name": (0, 1, struct.pack("<Q", 2**60)),
}


@pytest.mark.parametrize(("n_tensors", "n_values", "more"), FORGED_GGUF.values(), ids=FORGED_GGUF)
def test_counts_of_gguf_beyond_its_end(survives, n_tensors, n_values, more):
    pytest.importorskip("gguf")
    content = b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_values) + more
    assert "is damaged: it ends before what it holds by its header" in survives("a.gguf", content)
