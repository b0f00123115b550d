"""Is a model's memory its weights', its cache's and its activations', and is what it lacks told with what would do?"""

import pytest

from cyclekit.serving.memory import Bits, check_fits, memory_of
from workloads import BadInput
from workloads.transformers import config

SIXTEEN = Bits(block=16, other=16, cached=16)


def of(name, batch=1, n_tokens=1, n_cards=1, bits=SIXTEEN, room=80e9):
    sizes = {"batch": batch, "n_tokens": n_tokens, "n_cards": n_cards, "chunk_tokens": 8192}
    return memory_of(config.load(name), **sizes, bits=bits, room=room)


def test_weights_of_llama_2_7b():
    assert of("llama-2-7b").weights == 2 * (6_738_415_616 - 65 * 4096)


def test_the_cache_of_llama_2_7b_is_half_a_megabyte_a_token():
    assert of("llama-2-7b", batch=16, n_tokens=2048).kv == 16 * 2048 * 2**19


def test_narrow_formats_and_cards_divide():
    narrow = of("llama-2-70b", batch=8, n_tokens=100, n_cards=2, bits=Bits(block=9, other=16, cached=8))
    model = config.load("llama-2-70b")
    assert narrow.weights == (80 * model.n_block_weights * 9 / 8 + model.n_other_weights * 2) / 2
    assert narrow.kv == 8 * 100 * 163_840 / 2


def test_cards_beyond_the_heads_of_keys_hold_copies():
    assert of("qwen2-7b", n_cards=28).kv == 2 * 28 * 1 * 128 * 2


def test_what_is_lacking_is_told():
    with pytest.raises(BadInput, match=r"it lacks 58\.\d GB on each card \(weights 138\.0.*more --cards"):
        check_fits(of("llama-2-70b"), "it")
    with pytest.raises(BadInput, match="a smaller batch or --batch max, shorter sequences"):
        check_fits(of("llama-2-7b", batch=64, n_tokens=4096), "it")
    check_fits(of("llama-2-7b"), "it")
