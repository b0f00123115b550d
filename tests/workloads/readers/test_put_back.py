"""Do new weights go back into a file's arrays as the others lie, and does all else stay to the bit?"""

import ml_dtypes
import numpy as np
import pytest

from tests.reader_samples import gptq, safetensors_of
from workloads import BadInput, address, readers
from workloads.readers import put_back, safetensors
from workloads.readers.stored import Stored
from workloads.records import Layer

RNG = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


W, SQUARE, KERNEL, HEADS = normal(6, 4), normal(4, 4), normal(3, 2, 5, 4), normal(6, 2, 4)
CONV = normal(4, 3, 2, 2)
MASK = (RNG.random((6, 4)) < 0.5).astype(np.float32)
REST = {
    "ids": np.arange(5),
    "is_causal": np.tri(3, dtype=bool),
    "norm.weight": normal(6).astype(ml_dtypes.bfloat16),
    "f8": normal(7).astype(ml_dtypes.float8_e4m3fn),
    "step": np.float64(0.1).reshape(()),
    "nothing": np.zeros(0, np.float16),
}


@pytest.fixture
def stored(tmp_path):
    """Return a function that writes arrays to a file, and returns its path and its layers."""

    def write(arrays, said=None):
        (tmp_path / "a.safetensors").write_bytes(safetensors.to_bytes(arrays, said or {}))
        return tmp_path / "a.safetensors", address.layers(tmp_path / "a.safetensors")

    return write


def changed(layer: Layer, weights: np.ndarray, bias: np.ndarray | None = None) -> Layer:
    return Layer(name=layer.name, weights=weights, bias=layer.bias if bias is None else bias)


# Arrays of a file, the one that is a layer's weights, and where its element of a place in the file stands in the layer
WAYS = {
    "as it is": ({"a.weight": W, "a.bias": normal(6)}, "a.weight", lambda o, i: (o, i)),
    "bfloat16": ({"a.weight": W.astype(ml_dtypes.bfloat16)}, "a.weight", lambda o, i: (o, i)),
    "float16": ({"a.weight": W.astype(np.float16)}, "a.weight", lambda o, i: (o, i)),
    "float64": ({"a.weight": W.astype(np.float64) / 3}, "a.weight", lambda o, i: (o, i)),
    "convolution": ({"a.weight": CONV}, "a.weight", lambda o, i, h, w: (o, 4 * i + 2 * h + w)),
    "Conv1D": ({"a.weight": W.T.copy(), "a.bias": normal(6)}, "a.weight", lambda i, o: (o, i)),
    "kernel": ({"a/kernel": W.T.copy(), "a/bias": normal(6)}, "a/kernel", lambda i, o: (o, i)),
    "kernel of a convolution": (
        {"a/kernel": KERNEL, "a/bias": normal(4)},
        "a/kernel",
        lambda h, w, i, o: (o, 6 * i + 2 * h + w),
    ),
    "kernel of heads": ({"a/kernel": HEADS, "a/bias": normal(2, 4)}, "a/kernel", lambda i, h, d: (4 * h + d, i)),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_pruned_layer_lies_as_it_did(stored, way):
    library = pytest.importorskip("safetensors")
    arrays, name, place = WAYS[way]
    path, layers = stored(arrays | REST)
    (layer,) = (layer for layer in layers.values() if layer.name in (name, "a"))
    expected, weights = arrays[name].copy(), layer.weights.copy()
    for at in np.ndindex(expected.shape):
        if RNG.random() < 0.5:
            expected[at] = weights[place(*at)] = 0
    new, rounded = put_back.with_layers(readers.read(path), {layer.name: changed(layer, weights)})
    assert not rounded
    assert new.keys() == {*arrays, *REST}
    content = safetensors.to_bytes(new, {})
    entries = dict(library.deserialize(content))  # by the format's own library
    for key, array in (arrays | REST | {name: expected}).items():
        assert bytes(entries[key]["data"]) == array.tobytes()
        assert entries[key]["shape"] == list(array.shape)
        assert new[key].dtype == array.dtype


def test_arrays_of_numpy_are_as_the_library_reads_them(tmp_path):
    of_numpy = pytest.importorskip("safetensors.numpy")
    arrays = {"a": W, "b": np.arange(3, dtype=np.int8), "c": W.astype(">f8"), "d": np.asfortranarray(SQUARE)}
    content = safetensors.to_bytes(arrays, {"format": "pt"})
    (tmp_path / "a.safetensors").write_bytes(content)
    for read in (of_numpy.load(content), readers.read(tmp_path / "a.safetensors")):
        assert read.keys() == arrays.keys()
        assert all(np.array_equal(read[name], array) for name, array in arrays.items())


@pytest.mark.parametrize(
    "parts",
    [
        {"a.weight_orig": W, "a.weight_mask": MASK},
        {"a.parametrizations.weight.0.mask": MASK == 1, "a.parametrizations.weight.original": W},
    ],
)
def test_a_mask_is_multiplied_in(stored, parts):
    bias, of_bias = normal(6), np.float32([1, 0, 1, 1, 1, 0])
    path, layers = stored({"b.weight": SQUARE, **parts, "a.bias_orig": bias, "a.bias_mask": of_bias})
    half = MASK * (np.arange(24).reshape(6, 4) % 2)
    new, _ = put_back.with_layers(readers.read(path), layers | {"a": changed(layers["a"], W * half)})
    assert new.keys() == {"b.weight", "a.weight", "a.bias"}
    assert np.array_equal(new["a.weight"], W * half)
    assert np.array_equal(new["a.bias"], bias * of_bias)


def test_what_no_step_changed_stays_in_its_parts(stored):
    arrays = {"a.weight_orig": W, "a.weight_mask": MASK, "b.weight": W.astype(np.float64) / 3}
    path, layers = stored(arrays)
    new, _ = put_back.with_layers(readers.read(path), layers)
    assert new.keys() == arrays.keys()
    assert all(np.array_equal(new[name], array) for name, array in arrays.items())


def test_a_new_bias_goes_with_its_layer(stored):
    path, layers = stored({"a.weight": W, "a.bias": normal(6)})
    new, _ = put_back.with_layers(readers.read(path), {"a": changed(layers["a"], 0 * W, np.arange(6))})
    assert np.array_equal(new["a.bias"], np.arange(6))


def test_a_scale_that_wide_numbers_do_not_take_stays(stored):
    arrays = {"a.weight": W, "a.weight_scale": np.ones((6, 1), np.float32)}
    path, layers = stored(arrays)
    new, _ = put_back.with_layers(readers.read(path), {"a": changed(layers["a"], 0 * W)})
    assert new.keys() == arrays.keys()
    assert not new["a.weight"].any()
    assert np.array_equal(new["a.weight_scale"], arrays["a.weight_scale"])


def test_what_a_type_cannot_hold_is_said(stored):
    path, layers = stored({"a.weight": np.ones((6, 4), ml_dtypes.bfloat16), "b.weight": np.ones((6, 4), np.float16)})
    new = {"a": np.full((6, 4), 1 + 2**-9), "b": np.full((6, 4), 1 + 2**-9)}  # 8 and 11 bits of a mantissa
    layers = {name: changed(layers[name], weights) for name, weights in new.items()}
    written, rounded = put_back.with_layers(readers.read(path), layers)
    assert rounded == ["a to bfloat16"]
    assert (written["a.weight"] == 1).all()
    assert (written["b.weight"] == 1 + 2**-9).all()
    with pytest.raises(BadInput, match="layer 'b' has a value beyond float16"):
        put_back.with_layers(readers.read(path), {"b": changed(layers["b"], np.full((6, 4), 1e5))})


INT8 = {"a.weight": RNG.integers(-9, 9, (6, 4)).astype(np.int8), "a.weight_scale": np.float32([0.5])}
WORDS = gptq(RNG.integers(0, 16, (32, 16)), np.full((4, 16), 8), abs(normal(4, 16)).astype(np.float16), 4, 1)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (INT8, "layer 'a' is no plain numbers in its file (8-bit integers times their scales): prune it before"),
        (WORDS, "(4-bit GPTQ dequantised)"),
        ({"a.weight": INT8["a.weight"]}, "(int8 as they are)"),
        ({"a.weight": MASK == 1}, "(a pattern without values)"),
    ],
)
def test_codes_are_refused(stored, arrays, said):
    path, layers = stored(arrays)
    with pytest.raises(BadInput) as refused:
        put_back.with_layers(readers.read(path), {"a": changed(layers["a"], 0 * layers["a"].weights)})
    assert said in str(refused.value)


def test_a_bias_that_the_file_has_no_place_for_is_refused(stored):
    path, layers = stored({"a.weight": W, "b.weight": W, "b.bias": normal(1)})  # one number for all outputs
    for name in "ab":
        layer = Layer(name=name, weights=layers[name].weights, bias=np.arange(6))
        with pytest.raises(BadInput, match=f"layer '{name}' has another bias than its file, which has no place for it"):
            put_back.with_layers(readers.read(path), {name: layer})


def test_what_stays_packed_is_refused():
    arrays = {"a.weight": W, "b.weight": Stored(shape=(2, 32), read=lambda: np.zeros((2, 32)), note="Q4_0 dequantised")}
    with pytest.raises(BadInput, match=r"array 'b\.weight' is packed in its file"):
        put_back.with_layers(arrays, {"a": Layer(name="a", weights=0 * W)})
    with pytest.raises(BadInput, match=r"array 'z' is of the type complex64, which no \.safetensors file holds"):
        safetensors.to_bytes({"z": np.zeros(2, np.complex64)}, {})


def test_metadata_are_the_source_s_own(stored, tmp_path):
    path, _ = stored({"a.weight": W}, {"format": "pt", "by": "me"})
    assert put_back.metadata(path) == put_back.metadata(tmp_path) == {"format": "pt", "by": "me"}
    (tmp_path / "m.safetensors.index.json").write_text('{"weight_map": {"a.weight": "a.safetensors"}}')
    assert put_back.metadata(tmp_path / "m.safetensors.index.json") == {"format": "pt", "by": "me"}
    np.savez(tmp_path / "a.npz", **{"a.weight": W})
    assert put_back.metadata(tmp_path / "a.npz") == {"format": "pt"}
    path.write_bytes(safetensors_of({"a.weight": W}))
    assert put_back.metadata(path) == {}
