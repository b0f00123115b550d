"""Does the decoder compute what the formulas say, token by token, and do its gradients agree with its losses?"""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.small_transformers import drawn_decoder, drawn_samples
from workloads.errors import BadInput
from workloads.networks.decoder import HEAD, Decoder, untrained
from workloads.networks.functions import EPSILON, THETA
from workloads.networks.lowering import lower_blocks


def naive_losses(decoder, sample):
    """Return [tokens] of one sample: loops over blocks, heads, tokens and pairs of values, in float64."""
    a = {name: array.astype(float) for name, array in decoder.arrays.items()}
    n_heads, n_groups = decoder.n_heads, decoder.n_kv_heads

    def norm(name, x):
        return x / math.sqrt(sum(v * v for v in x) / len(x) + EPSILON) * a[f"{name}.weight"]

    def linear(name, x):
        return a[f"{name}.weight"] @ x + a.get(f"{name}.bias", 0)

    def turned(head, place):
        half = len(head) // 2
        out = np.zeros(2 * half)
        for i in range(half):
            angle = place * THETA ** (-2 * i / len(head))
            c, s = math.cos(angle), math.sin(angle)
            out[i], out[i + half] = head[i] * c - head[i + half] * s, head[i + half] * c + head[i] * s
        return out

    x = [a["model.embed_tokens.weight"][token] for token in sample[:-1]]
    for layer in decoder.layers:
        at = f"model.layers.{layer}."
        normal = [norm(f"{at}input_layernorm", token) for token in x]
        q, k, v = ([linear(f"{at}self_attn.{n}_proj", token) for token in normal] for n in "qkv")
        after = []
        for i, token in enumerate(x):
            mixed = []
            for head in range(n_heads):
                group = head // (n_heads // n_groups)
                dim = len(q[0]) // n_heads
                own, shared = slice(head * dim, (head + 1) * dim), slice(group * dim, (group + 1) * dim)
                likeness = [
                    math.exp(turned(q[i][own], i) @ turned(k[j][shared], j) / math.sqrt(dim)) for j in range(i + 1)
                ]
                mixed.append(sum(w * v[j][shared] for j, w in enumerate(likeness)) / sum(likeness))
            token = token + linear(f"{at}self_attn.o_proj", np.concatenate(mixed))
            normal_token = norm(f"{at}post_attention_layernorm", token)
            gate, up = (linear(f"{at}mlp.{n}_proj", normal_token) for n in ("gate", "up"))
            hidden = np.array([g / (1 + math.exp(-g)) * u for g, u in zip(gate, up, strict=True)])
            after.append(token + linear(f"{at}mlp.down_proj", hidden))
        x = after
    losses = []
    for token, label in zip(x, sample[1:], strict=True):
        logits = linear("lm_head", norm("model.norm", token))
        losses.append(math.log(sum(math.exp(value) for value in logits)) - logits[label])
    return losses


@pytest.mark.parametrize("biases", [False, True])
def test_the_losses_are_the_naive_twins(biases):
    decoder, samples = drawn_decoder(np.float64, biases), drawn_samples()
    assert decoder.losses(samples) == pytest.approx(np.array([naive_losses(decoder, s) for s in samples]), abs=1e-10)


@pytest.mark.parametrize("biases", [False, True])
def test_the_gradient_is_the_finite_difference_of_the_loss(biases):
    decoder, samples = drawn_decoder(np.float64, biases), drawn_samples()
    rng = np.random.default_rng(3)
    loss, gradients = decoder.loss_and_gradients(samples)
    assert loss == pytest.approx(decoder.loss(samples), rel=1e-12)
    assert set(gradients) == set(decoder.arrays)
    for name, array in decoder.arrays.items():
        way = rng.normal(size=array.shape)
        ahead, back = (
            replace(decoder, arrays={**decoder.arrays, name: array + step * way}).loss(samples)
            for step in (1e-5, -1e-5)
        )
        assert (gradients[name] * way).sum() == pytest.approx((ahead - back) / 2e-5, rel=1e-6, abs=1e-8)


def test_no_token_sees_a_later_one_or_another_sample():
    decoder, samples = drawn_decoder(), drawn_samples()
    changed = samples.copy()
    changed[0, 4:] = (changed[0, 4:] + 1) % 11
    before, behind = decoder.losses(samples), decoder.losses(changed)
    assert np.array_equal(before[0, :3], behind[0, :3])  # whose labels are tokens 1 to 3
    assert before[0, 3:] != pytest.approx(behind[0, 3:])
    assert before[1:] == pytest.approx(behind[1:], abs=1e-6)


def test_a_shared_key_and_value_are_those_of_each_head_of_its_group():
    decoder, samples = drawn_decoder(), drawn_samples()
    arrays = dict(decoder.arrays)
    for name in (f"{decoder.prefix(i)}{part}.weight" for i in decoder.layers for part in (decoder.KEY, decoder.VALUE)):
        arrays[name] = np.repeat(arrays[name].reshape(2, 1, 4, 8), 2, axis=1).reshape(16, 8)
    alone = Decoder(arrays, n_heads=4, n_kv_heads=4)
    assert alone.losses(samples) == pytest.approx(decoder.losses(samples), abs=1e-5)


def test_without_a_preference_the_perplexity_is_the_number_of_words():
    decoder = drawn_decoder()
    flat = decoder.with_matrices({HEAD: np.zeros_like(decoder.matrices[HEAD])})
    assert flat.perplexity(drawn_samples()) == pytest.approx(11)


def test_the_losses_of_many_samples_are_those_of_each():
    decoder = drawn_decoder()
    many = np.tile(drawn_samples(), (300, 1))  # more tokens than go through together
    assert decoder.losses(many) == pytest.approx(np.tile(decoder.losses(drawn_samples()), (300, 1)), abs=1e-5)


def test_what_reaches_a_matrix_and_the_first_tokens_of_it():
    decoder, samples = drawn_decoder(), drawn_samples()
    reaching = decoder.inputs(samples)
    assert list(reaching) == decoder.names
    assert reaching[HEAD].shape == (30, 8)
    workloads = lower_blocks(decoder, samples, n_columns=8)
    assert [workload.activations.shape[0] for workload in workloads] == [8] * len(decoder.names)
    for workload in workloads:
        assert workload.activations == pytest.approx(reaching[workload.name][:8], abs=1e-6)


def test_blocks_that_are_left_keep_their_names_until_they_are_stored():
    left = drawn_decoder(biases=True).without([1])
    assert left.layers == (0, 2)
    assert left.names[7] == "model.layers.2.self_attn.q_proj"
    stored = Decoder(left.stored(), 4, 2)
    assert stored.layers == (0, 1)
    assert stored.loss(drawn_samples()) == left.loss(drawn_samples())
    assert len(stored.arrays) == len(left.arrays)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: Decoder({}, 4, 2), "arrays must hold model.layers.0 and on, got 0 others"),
        (
            lambda d: Decoder({k: v for k, v in d.arrays.items() if k != "model.norm.weight"}, 4, 2),
            "'model.norm.weight'",
        ),
        (lambda d: replace(d, n_kv_heads=3), "n_kv_heads must divide the 4 heads, got 3"),
        (lambda d: replace(d, n_heads=6), r"heads must divide the 16 outputs of self_attn.q_proj .* got 6"),
        (
            lambda d: replace(d, n_kv_heads=1),
            "self_attn.k_proj of block 0 must have 1 heads of 4 values, or a divisor of that, got 8 outputs",
        ),
        (lambda d: d.loss(np.array([[1, 11]])), "tokens must be 0 to 10, got 1 to 11"),
        (lambda d: d.loss(np.array([1, 2])), r"samples must be int\[n, tokens \+ 1\], got int64\[2\]"),
        (lambda d: d.loss(np.array([[1.0, 2.0]])), r"got float64\[1, 2\]"),
        (lambda d: d.loss(np.ones((0, 3), int)), r"got int64\[0, 3\]"),
        (lambda d: d.loss(np.ones((3, 1), int)), r"got int64\[3, 1\]"),
        (lambda d: d.without([3]), "block must be one of 0, 1, 2, got 3"),
        (lambda d: d.without([0, 1, 2]), "a network must have a block left"),
        (lambda d: d.with_matrices({"lm_hea": None}), "unknown matrix 'lm_hea', did you mean 'lm_head'"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(BadInput, match=message):
        make(drawn_decoder())


def test_an_untrained_decoder_has_the_drawn_variances():
    decoder = untrained(50, 64, 8, 8, 2, 8, 128, seed=0)
    stds = {part: decoder.matrices[f"model.layers.3.{part}"].std() for part in decoder.parts()}
    assert stds["mlp.up_proj"] == pytest.approx(1 / 8, rel=0.03)
    assert stds["mlp.down_proj"] == pytest.approx(1 / math.sqrt(128 * 16), rel=0.03)
    assert (decoder.n_neurons, decoder.head_dim, decoder.n_groups, decoder.width) == (128, 8, 2, 64)
