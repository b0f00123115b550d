"""Are a pass's operators all that a transformer computes and moves, and do cards share them without a rest?"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads import BadInput, Shape
from workloads.transformers import config
from workloads.transformers.operators import AllReduce, Attention, Movement, Pass, check_cards, pass_of

LLAMA = config.load("llama-3-8b")
PROMPT = Pass(n_sequences=3, n_new=100, n_context=100, n_logits=3)


def flops(model, n_cards=1, work=PROMPT):
    """Return {name: operations of all its calls}."""
    told = {}
    for operator in pass_of(model, work, n_cards).operators:
        if isinstance(operator.work, Shape):
            shape = operator.work
            told[operator.name] = operator.count * 2 * shape.n_out * shape.n_in * shape.batch
        elif isinstance(operator.work, Attention):
            told[operator.name] = operator.count * operator.work.flops
    return told


def test_products_take_two_operations_a_weight_and_token():
    own = flops(LLAMA)
    blocks = sum(own[name] for name in ("qkv", "output projection", "gate and up", "down"))
    assert blocks == 2 * 300 * LLAMA.n_layers * LLAMA.n_block_weights
    assert own["logits"] == 2 * 3 * 128256 * 4096


def test_a_causal_prompt_takes_half_of_the_square_and_its_diagonal():
    # two products of n (n + 1) / 2 pairs, two operations each, in 32 heads of 128, 3 sequences, 32 blocks
    assert flops(LLAMA)["attention"] == 32 * 3 * 32 * 128 * 4 * 100 * 101 // 2


def test_an_encoder_sees_all():
    bert = config.of_config(
        {
            "model_type": "bert",
            "num_hidden_layers": 24,
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_attention_heads": 16,
            "vocab_size": 30522,
        },
        "bert",
    )
    own = flops(bert)
    assert own["attention"] == 24 * 3 * 4 * 1024 * 100 * 100
    assert "logits" not in own


def test_a_step_reads_keys_and_values_once():
    step = Attention(n_sequences=4, n_new=1, n_context=1000, n_heads=32, n_kv_heads=8, head_dim=128)
    assert step.n_cached == 2 * 4 * 8 * 128 * 1000
    assert step.flops == 4 * 4 * 32 * 128 * 1000


@given(st.integers(1, 50), st.integers(1, 200))
def test_parts_of_a_prompt_take_what_the_whole_takes(n_new, n_before):
    """The pairs of a part that sees what is before it, and those of the part before, are those of both in one."""
    sizes = {"n_sequences": 1, "n_heads": 2, "n_kv_heads": 1, "head_dim": 4}
    before = Attention(n_new=n_before, n_context=n_before, **sizes)
    part = Attention(n_new=n_new, n_context=n_before + n_new, **sizes)
    whole = Attention(n_new=n_before + n_new, n_context=n_before + n_new, **sizes)
    assert before.flops + part.flops == whole.flops


@pytest.mark.parametrize("n_cards", [2, 4, 8])
def test_cards_share_the_products(n_cards):
    alone, shared = flops(LLAMA), flops(LLAMA, n_cards)
    assert {name: n_cards * own for name, own in shared.items()} == alone


def test_cards_beyond_the_heads_of_keys_hold_copies():
    model = config.load("qwen2-7b")  # 28 heads, 4 of keys and values
    qkv = next(o for o in pass_of(model, PROMPT, 28).operators if o.name == "qkv")
    assert qkv.work.n_out == (1 + 2) * 128


def test_cards_add_up_after_both_halves_of_a_block():
    reduces = [o for o in pass_of(LLAMA, PROMPT, 2).operators if isinstance(o.work, AllReduce)]
    assert [(o.count, o.work.n_bytes, o.work.n_cards) for o in reduces] == [(64, 300 * 4096 * 2, 2)]
    side_by_side = pass_of(config.load("gpt-j-6b"), PROMPT, 2).operators
    assert [o.count for o in side_by_side if isinstance(o.work, AllReduce)] == [28]


def moved(name, **options):
    operators = {o.name: o for o in pass_of(LLAMA, PROMPT, **options).operators}
    return operators[name].count, operators[name].work.n_bytes


def test_bytes_that_move():
    assert moved("norm") == (64, 2 * 300 * 4096 * 2)
    assert moved("add") == (64, 3 * 300 * 4096 * 2)
    assert moved("activation") == (32, 3 * 300 * 14336 * 2)
    assert moved("rope") == (32, 2 * 300 * (32 + 8) * 128 * 2)
    assert moved("embedding") == (1, 2 * 300 * 4096 * 2)
    assert moved("sampling") == (1, 3 * 128256 * 2)


def test_an_add_that_goes_with_its_norm_moves_with_it():
    names = {o.name for o in pass_of(LLAMA, PROMPT, fused=frozenset({"add", "rope"})).operators}
    assert not names & {"add", "rope"}
    assert moved("norm", fused=frozenset({"add"})) == (64, 4 * 300 * 4096 * 2)


def test_narrow_activations_are_quantised_before_each_product():
    rows = [o for o in pass_of(LLAMA, PROMPT, activation_bits=8).operators if o.kind == "quantise"]
    assert {(o.work.row, o.count) for o in rows} == {(4096, 64), (4096, 32), (14336, 32)}
    assert all(o.work.n_bytes == 3 * 300 * o.work.row for o in rows)  # 16 bits in, 8 out
    fused = pass_of(LLAMA, PROMPT, activation_bits=8, fused=frozenset({"quantise"}))
    assert not any(o.kind == "quantise" for o in fused.operators)


def test_every_operator_is_of_a_known_kind():
    for name in config.describe():
        model = config.load(name)
        for operator in pass_of(model, PROMPT).operators:
            assert operator.count > 0
            assert isinstance(operator.work, Shape | Attention | Movement)
            assert operator.of_block == (operator.kind == "gemm" and operator.name != "logits")


@pytest.mark.parametrize(
    ("model", "n_cards", "match"),
    [
        (LLAMA, 3, "divide the 32 heads of llama-3-8b, got 3"),
        (config.load("qwen2-7b"), 7, "divide the 18944 feed-forward neurons"),
        (replace(LLAMA, n_heads=12, n_kv_heads=4, ffn=12), 6, "divide the 4 key-value heads"),
    ],
)
def test_cards_that_cannot_share(model, n_cards, match):
    with pytest.raises(BadInput, match=match):
        check_cards(model, n_cards)


def test_cards_that_can_share():
    check_cards(LLAMA, 16)  # twice its heads of keys and values
