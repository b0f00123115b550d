"""Does `prune` write a file of weights again, with what it pruned in its place?"""

import json

import ml_dtypes
import numpy as np
import pytest

from tests.reader_samples import safetensors_of
from workloads import readers

RNG = np.random.default_rng(5)
WEIGHTS, MASK = RNG.standard_normal((16, 8), np.float32), (RNG.random((16, 8)) < 0.75).astype(np.float32)
ARRAYS = {
    "embed_tokens.weight": RNG.standard_normal((9, 8), np.float32).astype(ml_dtypes.bfloat16),
    "a.weight_orig": WEIGHTS,
    "a.weight_mask": MASK,
    "a.bias": RNG.standard_normal(16, np.float32),
    "b.weight": RNG.standard_normal((8, 16), np.float32).astype(np.float16),
}
INTEGERS = {"c.weight": RNG.integers(-9, 9, (16, 8)).astype(np.int8), "c.weight_scale": np.float32([0.5])}


@pytest.fixture
def prune(zeroskip, tmp_path):
    """Return a function that prunes to 2:4 by magnitude, of a file m.safetensors of arrays or of something else."""
    (tmp_path / "r.toml").write_text('[[step]]\ndo = "prune"\npattern = "2:4"\n')

    def command(what, *options, out="out.safetensors"):
        if not isinstance(what, str):
            (tmp_path / "m.safetensors").write_bytes(safetensors_of(what))
            what = tmp_path / "m.safetensors"
        words = ["--recipe", tmp_path / "r.toml", "--out", tmp_path / out, "--machines", "none"]
        return zeroskip("prune", what, *words, *options)

    return command


def two_of_four(weights):
    """Return the weights without the two of each group of four that are smallest, one group after the other."""
    groups = weights.reshape(-1, 4).astype(np.float32)
    for group in groups:
        group[np.argsort(np.abs(group), kind="stable")[:2]] = 0
    return groups.reshape(weights.shape)


def test_the_file_is_as_it_was_but_for_the_weights(prune, tmp_path, zeroskip):
    ended = prune(ARRAYS)
    assert ended.code == 0, ended.err
    arrays = readers.read(tmp_path / "out.safetensors")
    expected = {"a.weight": two_of_four(WEIGHTS * MASK), "b.weight": two_of_four(ARRAYS["b.weight"])}
    expected |= {name: ARRAYS[name] for name in ("embed_tokens.weight", "a.bias")}
    assert arrays.keys() == expected.keys()
    assert all(np.array_equal(arrays[name], array) for name, array in expected.items())
    assert arrays["b.weight"].dtype == np.float16
    listed = json.loads(zeroskip("list", tmp_path / "out.safetensors", "--json", "-").out)["layers"]
    assert [(row["layer"], row["density"]) for row in listed] == [("a", 0.5), ("b", 0.5)]


def test_layers_that_the_address_leaves_out_stay(prune, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(safetensors_of(ARRAYS))
    assert prune(f"{tmp_path}/m.safetensors:b").code == 0
    arrays = readers.read(tmp_path / "out.safetensors")
    assert arrays.keys() == ARRAYS.keys()
    assert all(np.array_equal(arrays[name], array) for name, array in ARRAYS.items() if name != "b.weight")
    assert np.array_equal(arrays["b.weight"], two_of_four(ARRAYS["b.weight"]))


def test_shared_values_are_rounded_to_the_file_s_type_and_that_is_said(prune, tmp_path):
    (tmp_path / "r.toml").write_text('[[step]]\ndo = "share"\nbits = 3\n')
    ended = prune({"b.weight": ARRAYS["b.weight"]})
    assert "note: new values are rounded to the file's own types: b to float16" in ended.out
    assert len(np.unique(readers.read(tmp_path / "out.safetensors")["b.weight"])) == 7  # 3 bits, of which 0 is one


@pytest.mark.parametrize(
    ("what", "options", "out", "said"),
    [
        (INTEGERS, (), "out.safetensors", "layer 'c' is no plain numbers in its file (8-bit integers times their"),
        (ARRAYS, ("--compact",), "out.safetensors", "--out must name an .npz file: .safetensors is written of a file"),
        (
            "lenet-300-100-dense",
            (),
            "out.safetensors",
            ".safetensors is written of a file of weights, and lenet-300-100-dense is none",
        ),
        (ARRAYS, (), "out.onnx", ".onnx is written of an ONNX model, and m is none"),
        (ARRAYS, (), "out.pt", "--out must name a file of .npz, .onnx, .safetensors, got"),
        (ARRAYS, (), "m.safetensors", "--out must name another file than one that is read"),
    ],
)
def test_what_it_cannot_write_is_one_line(prune, tmp_path, what, options, out, said):
    ended = prune(what, *options, out=out)
    assert said in ended.complaint()
    assert not (tmp_path / "out.safetensors").exists()
