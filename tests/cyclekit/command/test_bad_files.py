"""Is a file that holds no sound workload refused in one line, whatever is wrong with it, and a strange one run?"""

import io
import json
import math
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def refused_file(refused, tmp_path):
    """Return a function that writes bytes to an .npz file, runs it, and returns the complaint."""

    def command(content: bytes) -> str:
        path = tmp_path / "bad.npz"
        path.write_bytes(content)
        complaint = refused("run", "eie", path)
        return complaint.replace(repr(str(path)), "FILE")

    return command


def npz(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def header(shape: tuple, dtype: str = "<f4") -> bytes:
    """Return the start of an .npy file that promises an array."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def archive(forged: dict | None = None, /, **members: bytes) -> bytes:
    """Return a zip archive of .npy files, whatever they hold; `forged` is what its directory says wrongly of each."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for name, content in members.items():
            opened.writestr(f"{name}.npy", content)
        for member in opened.infolist():
            for field, value in (forged or {}).items():
                setattr(member, field, value)
    return stream.getvalue()


# The file


@pytest.mark.parametrize("name", ["missing.npz", "no/such/folder.npz"])
def test_a_missing_file(refused, tmp_path, name):
    path = tmp_path / name
    assert refused("run", "eie", path) == f"workload file {str(path)!r} does not exist"


def test_a_folder_instead_of_a_file(refused, tmp_path):
    assert (
        refused("run", "eie", tmp_path)
        == f"workload file {str(tmp_path)!r} is a folder without arrays in .safetensors files"
    )


@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file(refused_file, layer, share):
    content = npz(**layer)
    assert "FILE is no readable .npz archive" in refused_file(content[: int(share * len(content))])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"these are no numbers", id="text"),
        pytest.param(header((2, 2)) + bytes(16), id="an .npy file"),
        pytest.param(archive(weights=b"these are no numbers", activations=b""), id="a zip file of text"),
        pytest.param(archive(weights=header((2, 2))[:20], activations=b""), id="a cut header"),
    ],
)
def test_something_else_by_that_name(refused_file, content):
    assert "FILE is no readable .npz archive of plain numbers: " in refused_file(content)


def test_objects_are_not_unpickled(refused_file, layer):
    class Trap:
        def __reduce__(self):
            return sys.exit, ("the file was unpickled",)

    complaint = refused_file(npz(**layer | {"weights": np.array([[Trap()]])}))
    assert complaint == "workload file FILE must hold plain numbers, weights.npy holds Python objects"


def test_a_header_that_promises_more_than_the_file_holds(refused_file):
    content = archive(weights=header((2**20, 2**20)) + bytes(8), activations=header((2**20,)) + bytes(8))
    assert refused_file(content) == "workload file FILE is damaged: weights.npy promises 4,398,046,511,104 bytes, has 8"


@pytest.mark.parametrize("fields", [{"file_size"}, {"file_size", "compress_size"}])
def test_a_header_and_an_archive_that_promise_more_than_the_file_holds(refused_file, fields):
    shape = (2**24, 2**24)
    n_bytes = len(header(shape)) + 4 * math.prod(shape)
    content = archive(dict.fromkeys(fields, n_bytes), weights=header(shape), activations=header(shape))
    assert refused_file(content).startswith("workload file FILE is damaged: ")


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param({"flag_bits": 1}, id="locked with a password"),
        pytest.param({"compress_type": zipfile.ZIP_DEFLATED}, id="garbage to inflate"),
        pytest.param({"compress_type": zipfile.ZIP_BZIP2}, id="garbage to unpack with bzip2"),
        pytest.param({"compress_type": zipfile.ZIP_LZMA}, id="garbage to unpack with LZMA"),
        pytest.param({"compress_type": 99}, id="packed in an unknown way"),
    ],
)
def test_an_archive_that_cannot_be_unpacked(refused_file, forged):
    array = header((2, 2)) + bytes(16)
    assert "FILE is no readable .npz archive" in refused_file(archive(forged, weights=array, activations=array))


# The arrays


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"weights": [[1j]]}, "weights must be real numbers (f32), got dtype complex128"),
        ({"weights": [["1"]]}, "weights must be real numbers (f32), got dtype <U1"),
        ({"activations": np.array(["2020"], "M8")}, "activations must be real numbers (f32), got dtype datetime64"),
        ({"bias": np.zeros(4, [("a", "f4")])}, "bias must be real numbers (f32), got dtype [('a', '<f4')]"),
        ({"weights": np.ones((1, 4, 6))}, "weights must be 2-D, got shape (1, 4, 6)"),
        ({"weights": np.ones(6)}, "weights must be 2-D, got shape (6,)"),
        ({"weights": np.float32(1)}, "weights must be 2-D, got shape ()"),
        ({"activations": np.ones((1, 1, 6))}, "activations must be 1-D or 2-D, got shape (1, 1, 6)"),
        ({"activations": np.ones(5)}, "activations must be f32[6] or f32[batch, 6] for weights (4, 6), got (5,)"),
        (
            {"activations": np.ones((6, 4))},
            "activations must be f32[6] or f32[batch, 6] for weights (4, 6), got (6, 4)",
        ),
        ({"bias": np.ones(6)}, "bias must be f32[4] for weights (4, 6), got (6,)"),
        ({"bias": np.ones((4, 1))}, "bias must be 1-D, got shape (4, 1)"),
        ({"weights": np.diag([1, np.inf])}, "weights must be finite f32, got inf at index (1, 1)"),
        ({"activations": [0, 0, np.nan, 0, 0, 0]}, "activations must be finite f32, got nan at index (2,)"),
        ({"activations": [0, 0, 0, -np.inf, 0, 0]}, "activations must be finite f32, got -inf at index (3,)"),
        ({"bias": [0, 1e39, 0, 0]}, "bias must be finite f32, got "),
        ({"weights": np.ones((0, 6))}, "weights must not be empty, got shape (0, 6)"),
        ({"weights": np.ones((4, 0)), "activations": []}, "weights must not be empty, got shape (4, 0)"),
        ({"activations": np.ones((0, 6))}, "activations must not be empty, got shape (0, 6)"),
        ({"weights": None}, "workload file FILE has no array 'weights'; it holds activations"),
        ({"activations": None}, "workload file FILE has no array 'activations'; it holds weights"),
        ({"weight": [[1]]}, "workload file FILE has an unknown array 'weight', did you mean 'weights'?"),
        ({"bais": [1]}, "workload file FILE has an unknown array 'bais', did you mean 'bias'?"),
        ({"zzz": [1]}, "workload file FILE has an unknown array 'zzz': one of activations, bias, weights"),
    ],
)
def test_arrays_that_are_no_workload(refused_file, layer, change, complaint):
    arrays = {name: array for name, array in (layer | change).items() if array is not None}
    assert refused_file(npz(**arrays)).startswith(complaint)


# What is unusual, but legal


@pytest.mark.parametrize(
    ("change", "n_runs"),
    [
        pytest.param({"activations": np.zeros(6)}, 1, id="no active input"),
        pytest.param({"weights": np.zeros((4, 6))}, 1, id="no weights"),
        pytest.param({"weights": np.zeros((4, 6)), "bias": np.zeros(4), "activations": np.zeros(6)}, 1, id="nothing"),
        pytest.param({"activations": np.ones((1, 6))}, 1, id="a batch of one"),
        pytest.param({"activations": np.ones((3, 6))}, 3, id="a batch"),
        pytest.param({"weights": np.eye(4, 6, dtype=np.int64)}, 1, id="integers"),
        pytest.param({"weights": np.eye(4, 6, dtype=bool)}, 1, id="booleans"),
        pytest.param({"weights": np.eye(4, 6, dtype=">f8")}, 1, id="the other byte order"),
        pytest.param({"weights": np.asfortranarray(np.eye(4, 6))}, 1, id="columns first"),
        pytest.param({"weights": np.full((4, 6), 3e38)}, 1, id="values far beyond 16 bits"),
        pytest.param({"weights": np.full((4, 6), 1e-45)}, 1, id="values far below 16 bits"),
        pytest.param({"weights": [[1]], "activations": [1]}, 1, id="a single weight"),
        pytest.param({"bias": np.arange(4)}, 1, id="a bias"),
    ],
)
@pytest.mark.parametrize("engine", ["events", "schedule"])
def test_unusual_layers_run_and_their_values_are_right(zeroskip, layer, tmp_path, change, n_runs, engine):
    np.savez(tmp_path / "unusual.npz", **layer | change)
    ended = zeroskip("run", "eie", tmp_path / "unusual.npz", "--engine", engine, "--check", "--json", "-")
    assert ended.code == 0
    runs = json.loads(ended.out)
    runs = [runs] if n_runs == 1 else runs
    assert [run["check"]["passed"] for run in runs] == [True] * n_runs


# Damage of any kind


@pytest.fixture(scope="module")
def survives(zeroskip, tmp_path_factory):
    """Return a function that runs a file of the given bytes: they run or are refused in one line, in little memory."""
    path = tmp_path_factory.mktemp("damaged") / "damaged.npz"

    def command(content: bytes) -> None:
        path.write_bytes(content)
        tracemalloc.start()
        try:
            ended = zeroskip("run", "eie", path, "--engine", "schedule", "--set", "n_pes=4")
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        if ended.code == 0:
            assert ended.err == ""
        else:
            ended.complaint()
        assert peak_bytes < 50e6

    return command


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """Return the content with a few bytes changed, or cut, at places that Hypothesis chooses."""
    content = bytearray(content)
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)
    ):
        content[place] = byte
    return bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])


@given(st.data())
def test_a_damaged_archive_runs_or_is_refused(survives, layer_npz, data):
    survives(damaged(data, layer_npz.read_bytes()))


@given(st.data(), st.sampled_from(["weights", "activations"]))
def test_a_damaged_array_in_a_sound_archive_runs_or_is_refused(survives, layer_npz, data, name):
    with zipfile.ZipFile(layer_npz) as opened:
        members = {member.removesuffix(".npy"): opened.read(member) for member in opened.namelist()}
    survives(archive(**members | {name: damaged(data, members[name])}))
