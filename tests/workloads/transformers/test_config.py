"""Does a config.json, or a name, become the sizes that were published, and does one that says too little say so?"""

import json

import pytest

from workloads import BadInput
from workloads.transformers import config

LLAMA = {
    "model_type": "llama",
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_attention_heads": 32,
    "vocab_size": 32000,
}


def test_llama_2_7b_has_the_weights_that_it_is_published_with():
    model = config.of_config(LLAMA, "llama")
    # 6,738,415,616 parameters, of which 65 norms of 4,096 are no matrices
    assert model.n_layers * model.n_block_weights + model.n_other_weights == 6_738_415_616 - 65 * 4096
    assert model.n_kv_heads == 32
    assert model.head_dim == 128
    assert model.gated
    assert model.rotary


def test_a_name_and_its_config_give_the_same_sizes():
    named = config.load("llama-2-7b")
    read = config.of_config(LLAMA, "llama-2-7b")
    assert named == read


@pytest.mark.parametrize(
    ("name", "millions"),
    [("llama-2-70b", 855.6), ("llama-2-70b-mlperf-pruned", 503.3)],  # a block's, by NVIDIA's shapes
)
def test_a_block_of_70b_has_its_weights(name, millions):
    assert config.load(name).n_block_weights / 1e6 == pytest.approx(millions, abs=0.05)


def test_what_a_token_leaves_in_the_cache():
    assert config.load("llama-2-70b").n_cached == 2 * 80 * 8 * 128


def test_heads_may_be_wider_than_the_hidden_size():
    model = config.load("qwen3-32b")
    assert model.n_heads * model.head_dim == 8192 > model.hidden == 5120
    assert model.qk_norm


def test_gpt_2_writes_null_for_four_times_the_hidden_size():
    model = config.of_config(
        {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12, "n_inner": None, "vocab_size": 50257}, "gpt2"
    )
    assert model.ffn == 3072
    assert not model.gated
    assert not model.rotary
    assert model.tied
    # GPT-2 small: 12 blocks of 12 x 768^2, and one matrix for embedding and logits
    assert model.n_layers * model.n_block_weights == 12 * 12 * 768**2
    assert model.n_other_weights == 50257 * 768


def test_a_folder_with_a_config_and_a_byte_order_mark(tmp_path):
    folder = tmp_path / "my-llama"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8-sig")
    assert config.load(str(folder)).name == "my-llama"
    assert config.load(str(folder / "config.json")).ffn == 11008


@pytest.mark.parametrize("field", sorted(set(LLAMA) - {"model_type"}))
def test_a_field_that_is_missing_is_named(field):
    with pytest.raises(BadInput, match=f"{field}.* missing in the config.json, which has"):
        config.of_config({name: value for name, value in LLAMA.items() if name != field}, "it")


@pytest.mark.parametrize("value", [0, -1, "32", 1.5, True])
def test_a_size_that_is_none_is_named(value):
    with pytest.raises(BadInput, match="vocab_size must be a whole number of at least 1"):
        config.of_config(LLAMA | {"vocab_size": value}, "it")


def test_an_unknown_type_says_which_are_known():
    with pytest.raises(BadInput, match=r"model_type must be one of llama, mistral, .* got 'mamba'"):
        config.of_config(LLAMA | {"model_type": "mamba"}, "it")


def test_heads_that_do_not_divide_the_hidden_size():
    with pytest.raises(BadInput, match="head_dim is missing, and hidden_size 4096 is no multiple of 31 heads"):
        config.of_config(LLAMA | {"num_attention_heads": 31}, "it")


@pytest.mark.parametrize("text", ["nope", "[1]", "[" * 100_000, ""])
def test_a_file_that_is_no_config(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"c\.json (is no JSON|must hold an object)"):
        config.load(str(path))


def test_a_file_too_large_to_be_one(tmp_path):
    path = tmp_path / "c.json"
    path.write_bytes(b" " * (2**20 + 1))
    with pytest.raises(BadInput, match="at most 1,048,576 bytes"):
        config.load(str(path))


def test_an_unknown_name_suggests_one():
    with pytest.raises(BadInput, match="did you mean 'llama-2-7b'"):
        config.load("llama-2-7")


def test_a_cut_is_said_and_keeps_the_rest():
    model = config.load("llama-2-70b").cut(layers=32, ffn=14336)
    pruned = config.load("llama-2-70b-mlperf-pruned")
    assert (model.n_block_weights, model.n_layers) == (pruned.n_block_weights, pruned.n_layers)
    assert model.notes == ("cut: n_layers 80 -> 32, ffn 28672 -> 14336",)


def test_heads_with_keys_of_their_own_are_cut_together():
    assert config.load("llama-2-7b").cut(heads=24).n_kv_heads == 24
    with pytest.raises(BadInput, match="n_heads must be a multiple of n_kv_heads, 8"):
        config.load("llama-3-8b").cut(heads=30)


def test_a_cut_cannot_grow():
    with pytest.raises(BadInput, match="ffn must be at most 11008, which llama-2-7b has, got 11009"):
        config.load("llama-2-7b").cut(ffn=11009)
