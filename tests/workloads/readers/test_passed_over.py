"""Is what a file holds beside its layers passed over by name and with its share, and had where somebody names it?"""

import json
import re

import numpy as np
import pytest

import workloads
from tests.reader_samples import ROWS, safetensors_of, torch_file
from workloads import BadInput, address, tasks
from workloads.readers import read

WORDS = np.arange(256, dtype=np.int32).reshape(8, 32)
BYTES = np.zeros((6, 8), np.uint8)


def write(folder, **arrays):
    """Write arrays, whose names have a dot for two underscores, to a file and return its path."""
    path = folder / "a.safetensors"
    path.write_bytes(safetensors_of({name.replace("__", "."): array for name, array in arrays.items()}))
    return path


EMBEDDING = "an embedding is looked up, not multiplied"
PACKED = "load the model with the library that packed it and save its weights dequantised"


@pytest.mark.parametrize(
    "name",
    [
        "wte.weight",
        "wpe.weight",
        "model.embed_tokens.weight",
        "embeddings.word_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "token_embd.weight",
        "positional_embedding",
        "shared.weight",
    ],
)
def test_embeddings(tmp_path, name):
    path = write(tmp_path, **{name: np.ones((9, 4), np.float32)}, fc=ROWS)  # 36 numbers and 6
    assert list(address.layers(path)) == ["fc"]
    said = f"passed over 36 numbers, 85.7% of those in matrices: {name} ({EMBEDDING}); "
    assert said in address.workload(path).provenance
    named = address.workload(f"{path}:{name.removesuffix('.weight')}")
    assert np.array_equal(named.weights, np.ones((9, 4)))
    assert "passed over" not in named.provenance


@pytest.mark.parametrize("name", ["embed_out", "embedding_hidden_mapping_in", "vision.embeddings.patch", "emb"])
def test_what_only_sounds_like_one(tmp_path, name):
    assert list(address.layers(write(tmp_path, **{f"{name}.weight": ROWS}, fc=ROWS))) == [name, "fc"]


# Arrays that are none of the user's layers, why, and whether they can be had by their name
OTHERS = [
    ({"position_ids": np.arange(9).reshape(1, 9)}, "int64 numbers are indices or packed words", False),
    ({"experts.up": np.ones((2, 3, 4), np.float32)}, "a stack of matrices, whose orientation", False),
    ({"depthwise_conv2d/kernel": np.ones((3, 3, 4, 1), np.float32)}, "a depthwise kernel", False),
    ({"attn.bias": np.ones((1, 1, 9, 9), np.float32)}, "a bias or a mask, no weights", True),
    ({"causal_mask": np.ones((9, 9), bool)}, "a mask, no weights", True),
    ({"x.input_scale": np.ones((9, 1), np.float32)}, "scales of other numbers", True),
    ({"optimizer.state.0.exp_avg": ROWS}, "an optimiser's memory", True),
    ({"x.weight_g": np.ones((2, 1), np.float32), "x.weight_v": ROWS}, "one half of a weight norm", False),
    ({"x.parametrizations.weight.original": ROWS, "x.parametrizations.weight.0.base": ROWS}, "no mask", False),
    ({"x.weight_orig": ROWS, "x.weight_mask": ROWS.T}, "its mask has the shape [3, 2], not [2, 3]", False),
    ({"x.qweight": WORDS}, "packed words that are neither GPTQ's of 2, 4 or 8 bits nor AWQ's of 4: " + PACKED, False),
    (
        {"x.weight_packed": BYTES, "x.weight_scale": ROWS, "x.weight_global_scale": ROWS[:1, :1]},
        "packed words that are not compressed-tensors' integers of 4 or 8 bits: " + PACKED,
        False,
    ),
    ({"x_blocks": BYTES, "x_scales": BYTES}, "4-bit floats with shared exponents: " + PACKED, False),
    ({"x.weight": BYTES, "x.weight.absmax": ROWS[0]}, "4-bit codes of bitsandbytes: " + PACKED, False),
    ({"x.weight": ROWS, "x.weight.absmax": ROWS[0]}, "4-bit codes of bitsandbytes: " + PACKED, False),
    ({"x.weight": BYTES, "x.weight_scale": ROWS[:, :0]}, "its scales have the shape [2, 0] for [6, 8]", False),
    ({"x.compressed": ROWS, "x.bitmask": BYTES, "x.shape": np.array([9, 9])}, "its bitmask does not fit", False),
]


@pytest.mark.parametrize(("arrays", "reason", "is_readable"), OTHERS, ids=lambda value: None)
def test_others(tmp_path, arrays, reason, is_readable):
    path = write(tmp_path, fc=ROWS, **arrays)
    assert list(address.layers(path)) == ["fc"]
    assert reason in address.workload(path).provenance
    name = re.search(r"those in matrices: (\S+) \(", address.workload(path).provenance)[1]
    if is_readable:
        assert list(address.layers(f"{path}:{name}")) == [name]
    else:
        with pytest.raises(BadInput, match=re.escape(f"array {name!r}: ") + ".*" + re.escape(reason)):
            address.layers(f"{path}:{name}")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_scale_beside_wide_numbers_is_named_and_not_used(tmp_path, dtype):
    path = write(tmp_path, a__weight=ROWS.astype(dtype), a__weight_scale=np.ones((2, 1), np.float32), fc=ROWS)
    layer = address.workload(f"{path}:a")
    assert np.array_equal(layer.weights, ROWS)
    assert "as they are, not multiplied by a.weight_scale" in layer.provenance


def test_a_file_of_nothing_else(tmp_path):
    path = write(tmp_path, wte__weight=ROWS, wpe__weight=ROWS)
    said = f"holds no layer: passed over 12 numbers, 100.0% of those in matrices: wte.weight, wpe.weight ({EMBEDDING})"
    with pytest.raises(BadInput, match=re.escape(said)):
        address.layers(path)
    with pytest.raises(BadInput, match=re.escape("holds no layer 'w*': passed over 12 numbers")):
        address.layers(f"{path}:w*")


def test_only_what_the_pattern_means_is_said_to_be_passed_over(tmp_path):
    path = write(tmp_path, wte__weight=ROWS, h__0__weight=ROWS, h__ids=WORDS)
    assert "passed over 256 numbers, 95.5%" in address.workload(f"{path}:h*").provenance  # of 6 + 6 + 256
    assert "wte" not in address.workload(f"{path}:h*").provenance


def test_several_layers_say_what_is_said_of_any_of_them(tmp_path):
    path = write(tmp_path, wte__weight=ROWS, conv__weight=np.ones((2, 3, 1, 1), np.float32), fc__weight=ROWS)
    assert tasks.load(str(path)).provenance == (
        "file a.safetensors; one position of a convolution of 1 x 1; "
        f"passed over 6 numbers, 33.3% of those in matrices: wte.weight ({EMBEDDING}); "
        "activations drawn: half-normal, 35% of them not zero, seed 0"
    )


def test_the_only_matrix_of_a_file_is_what_it_is_for(tmp_path):
    np.save(tmp_path / "counts.npy", WORDS)
    found = workloads.load(tmp_path / "counts.npy")
    assert found.name == "counts"
    assert np.array_equal(found.weights, WORDS)
    assert "int32 as they are, without a scale" in found.provenance


def test_a_bias_that_fits_neither_side(tmp_path):
    path = write(tmp_path, fc__weight=ROWS, fc__bias=np.ones(5, np.float32), b=ROWS)
    with pytest.raises(BadInput, match=re.escape("'fc': its bias 'fc.bias' has 5 numbers for 2 outputs and 3 inputs")):
        address.layers(path)
    assert list(address.layers(f"{path}:b")) == ["b"]


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        (
            {"x.qweight": WORDS, "x.qzeros": WORDS[:1, :4], "x.scales": np.ones((1, 32), np.float16)}
            | {"x.g_idx": np.arange(64, dtype=np.int32)},
            "g_idx must be below 1, the number of groups, and at least 0",
        ),
        (
            {"x.compressed": ROWS[0], "x.bitmask": np.uint8([[1], [4]]), "x.shape": np.array([2, 3])},
            "its bitmask names 2 places for 3 values",
        ),
    ],
)
def test_parts_that_contradict_each_other(tmp_path, arrays, complaint):
    with pytest.raises(BadInput, match=f"layer 'x': {complaint}"):
        address.layers(write(tmp_path, **arrays))


def test_names_that_collide_both_stand(tmp_path):
    path = write(tmp_path, emb=np.ones((8, 16), np.float32), emb__weight=np.ones((12, 20), np.float32))
    shapes = {name: layer.weights.shape for name, layer in address.layers(path).items()}
    assert shapes == {"emb": (8, 16), "emb.weight": (12, 20)}
    for name, shape in shapes.items():
        assert address.workload(f"{path}:{name}").weights.shape == shape


def test_a_mask_beside_weights_that_were_made_whole(tmp_path):
    path = write(tmp_path, fc__weight=2 * ROWS, fc__weight_orig=ROWS, fc__weight_mask=np.ones((2, 3), np.float32))
    found = address.layers(path)
    assert {name: layer.weights[0, 0] for name, layer in found.items()} == {"fc": 2, "fc.weight_orig": 1}


# Several files


@pytest.fixture
def shards(tmp_path):
    """Return a folder of two shards and their index."""
    (tmp_path / "m-1.safetensors").write_bytes(safetensors_of({"a.weight": ROWS, "more": ROWS}))
    (tmp_path / "m-2.safetensors").write_bytes(safetensors_of({"b.weight": 2 * ROWS, "a.bias": ROWS[:, 0].copy()}))
    places = {"b.weight": "m-2.safetensors", "a.weight": "m-1.safetensors", "a.bias": "m-2.safetensors"}
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return tmp_path


@pytest.mark.parametrize("name", ["m.safetensors.index.json", ""])
def test_shards(shards, name):
    found = address.layers(shards / name)
    assert list(found) == ["b", "a"]  # what the index does not name is not meant
    assert np.array_equal(found["a"].bias, ROWS[:, 0])
    assert np.array_equal(address.workload(f"{shards / name}:b").weights, 2 * ROWS)
    assert np.array_equal(workloads.load(f"{shards / name}:b").weights, 2 * ROWS)


def test_a_folder_without_an_index(shards):
    (shards / "m.safetensors.index.json").unlink()
    assert list(address.layers(shards)) == ["a", "more", "b"]
    (shards / "m-3.safetensors").write_bytes(safetensors_of({"a.weight": ROWS}))
    with pytest.raises(BadInput, match=r"has the array 'a\.weight' in two files, one of them m-3\.safetensors"):
        read(shards)


@pytest.mark.parametrize(
    ("index", "complaint"),
    [
        ([], "must hold a weight_map"),
        ({"weight_map": {"a": 1}}, "must hold a weight_map"),
        ({"weight_map": {"a": "../a.safetensors"}}, "names the shard '../a.safetensors', which must be a .safetensors"),
        (
            {"weight_map": {"a": "/a.safetensors"}},
            "names the shard '/a.safetensors', which must be a .safetensors file",
        ),
        ({"weight_map": {"a": "m.bin"}}, "names the shard 'm.bin', which must be a .safetensors file beside it"),
        ({"weight_map": {"a": "m-3.safetensors"}}, "names the shard 'm-3.safetensors', which is not in its folder"),
        ({"weight_map": {"a": "m-1.safetensors"}}, "names the array 'a', which is not in its shard m-1.safetensors"),
    ],
)
def test_an_index_that_leads_nowhere(shards, index, complaint):
    (shards / "m.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadInput, match=re.escape(complaint)):
        read(shards)


def test_a_shard_that_is_damaged(shards):
    (shards / "m-2.safetensors").write_bytes(b"\xff" * 9)
    with pytest.raises(BadInput, match=r"has the shard m-2.safetensors, which is damaged: its header promises"):
        read(shards)


# What is refused with what to do instead


@pytest.mark.parametrize("name", ["a.keras", "a.h5", "a.weights.h5"])
def test_keras(tmp_path, name):
    (tmp_path / name).touch()
    said = "numpy.savez('model.npz', **{v.path: v.numpy() for v in model.variables})"
    with pytest.raises(BadInput, match=re.escape(said)):
        read(tmp_path / name)


SAVE = re.escape("torch.save(model.state_dict(), 'weights.pt')")


@pytest.mark.parametrize("module", ["torch.nn.modules.linear", "__main__"])
def test_a_whole_module_of_pytorch(tmp_path, module):
    (tmp_path / "a.pt").write_bytes(torch_file(f"\x80\x02c{module}\nLinear\n.".encode("latin-1")))
    with pytest.raises(BadInput, match=rf"holds an object of {re.escape(module)}.Linear, not weights alone.*{SAVE}"):
        read(tmp_path / "a.pt")


def test_a_torchscript_archive(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("net/constants.pkl", b"\x80\x02).")
    with pytest.raises(BadInput, match=f"is a TorchScript archive: load it with torch.jit.load and .*{SAVE}"):
        read(tmp_path / "a.pt")
