"""Does the encoder compute attention, normalisation and pooling as the formulas say, sentence by sentence?"""

import math

import numpy as np
import pytest

from workloads.errors import BadInput
from workloads.networks.lowering import lower_blocks
from workloads.networks.transformer import EPSILON, Encoder

N_LAYERS, WIDTH, N_HEADS, N_HIDDEN, N_WORDS, N_PLACES = 2, 8, 2, 12, 20, 10
SENTENCES = [np.array([1, 7, 3, 9, 2]), np.array([1, 2]), np.array([1, 4, 4, 2])]


def arrays():
    rng = np.random.default_rng(6)

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": draw(N_WORDS, WIDTH),
        "embeddings.position_embeddings.weight": draw(N_PLACES, WIDTH),
        "embeddings.token_type_embeddings.weight": draw(2, WIDTH),
        "embeddings.LayerNorm.weight": draw(WIDTH),
        "embeddings.LayerNorm.bias": draw(WIDTH),
    }
    for layer in range(N_LAYERS):
        for name in Encoder.parts():
            n_out = N_HIDDEN if name == "intermediate.dense" else WIDTH
            n_in = N_HIDDEN if name == "output.dense" else WIDTH
            found[f"encoder.layer.{layer}.{name}.weight"] = draw(n_out, n_in)
            found[f"encoder.layer.{layer}.{name}.bias"] = draw(n_out)
        for part in ("attention.output", "output"):
            found[f"encoder.layer.{layer}.{part}.LayerNorm.weight"] = draw(WIDTH)
            found[f"encoder.layer.{layer}.{part}.LayerNorm.bias"] = draw(WIDTH)
    return found


@pytest.fixture(scope="module")
def encoder():
    return Encoder(arrays(), n_heads=N_HEADS)


def naive_states(a, sentence):
    """Return a list of states [tokens][width] for one sentence: loops over layers, heads, tokens, in float64."""

    def norm(name, x):
        mean = sum(x) / len(x)
        variance = sum((v - mean) ** 2 for v in x) / len(x)
        return (x - mean) / math.sqrt(variance + EPSILON) * a[f"{name}.weight"] + a[f"{name}.bias"]

    def linear(name, x):
        return a[f"{name}.weight"] @ x + a[f"{name}.bias"]

    a = {name: array.astype(float) for name, array in a.items()}
    words, places, types = (a[f"embeddings.{k}_embeddings.weight"] for k in ("word", "position", "token_type"))
    x = [norm("embeddings.LayerNorm", words[t] + places[i] + types[0]) for i, t in enumerate(sentence)]
    for layer in range(N_LAYERS):
        at = f"encoder.layer.{layer}."
        q, k, v = ([linear(f"{at}attention.self.{n}", t) for t in x] for n in ("query", "key", "value"))
        after = []
        for i, token in enumerate(x):
            mixed = np.zeros(WIDTH)
            for start in range(0, WIDTH, WIDTH // N_HEADS):
                head = slice(start, start + WIDTH // N_HEADS)
                likeness = [math.exp(q[i][head] @ other[head] / math.sqrt(WIDTH // N_HEADS)) for other in k]
                mixed[head] = sum(s / sum(likeness) * value[head] for s, value in zip(likeness, v, strict=True))
            token = norm(f"{at}attention.output.LayerNorm", token + linear(f"{at}attention.output.dense", mixed))
            hidden = [h * (1 + math.erf(h / math.sqrt(2))) / 2 for h in linear(f"{at}intermediate.dense", token)]
            after.append(norm(f"{at}output.LayerNorm", token + linear(f"{at}output.dense", np.array(hidden))))
        x = after
    return x


def test_an_embedding_is_the_naive_twins(encoder):
    for sentence, embedding in zip(SENTENCES, encoder.embed(SENTENCES), strict=True):
        mean = np.mean(naive_states(arrays(), sentence), axis=0)
        assert embedding == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_a_sentence_does_not_see_its_neighbours(encoder):
    alone = np.concatenate([encoder.embed([sentence]) for sentence in SENTENCES])
    assert encoder.embed(SENTENCES) == pytest.approx(alone, abs=1e-6)


def test_the_matrices_are_six_a_layer_by_their_published_names(encoder):
    assert len(encoder.matrices) == 6 * N_LAYERS
    assert next(iter(encoder.matrices)) == "encoder.layer.0.attention.self.query"
    assert encoder.matrices["encoder.layer.1.output.dense"].shape == (WIDTH, N_HIDDEN)


def test_what_reaches_a_matrix_gives_what_leaves_it(encoder):
    inputs, states = encoder.inputs(SENTENCES), list(encoder.states(SENTENCES))
    assert list(inputs) == encoder.names
    for layer in range(N_LAYERS):
        at = f"encoder.layer.{layer}."
        for name in ("query", "key", "value"):
            assert np.array_equal(inputs[f"{at}attention.self.{name}"], states[layer])
        # The last sub-layer again, from what reaches its two matrices.
        a, x = arrays(), inputs[f"{at}intermediate.dense"]
        sums = x + inputs[f"{at}output.dense"] @ a[f"{at}output.dense.weight"].T + a[f"{at}output.dense.bias"]
        normal = (sums - sums.mean(axis=1, keepdims=True)) / sums.std(axis=1, keepdims=True)
        again = normal * a[f"{at}output.LayerNorm.weight"] + a[f"{at}output.LayerNorm.bias"]
        assert states[layer + 1] == pytest.approx(again, abs=1e-4)
    assert {len(x) for x in inputs.values()} == {sum(map(len, SENTENCES))}


def test_lowered_matrices_are_those_of_the_encoder(encoder):
    workloads = lower_blocks(encoder, SENTENCES, n_columns=7)
    assert [workload.name for workload in workloads] == encoder.names
    for workload in workloads:
        assert not workload.relu
        assert np.array_equal(workload.activations, encoder.inputs(SENTENCES)[workload.name][:7])
        assert np.array_equal(workload.weights, encoder.matrices[workload.name])
        assert np.array_equal(workload.bias, encoder.arrays[f"{workload.name}.bias"])


def test_replacing_a_matrix_leaves_the_encoder_alone(encoder):
    name = "encoder.layer.0.intermediate.dense"
    before = encoder.embed(SENTENCES)
    changed = encoder.with_matrices({name: np.zeros((N_HIDDEN, WIDTH), np.float32)})
    assert not changed.matrices[name].any()
    assert np.array_equal(encoder.embed(SENTENCES), before)
    assert not np.allclose(changed.embed(SENTENCES), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda e: Encoder({}), "arrays must hold encoder.layer.0"),
        (lambda e: Encoder({k: v for k, v in arrays().items() if "position" not in k}), "must hold 'embeddings.pos"),
        (lambda e: Encoder(arrays(), n_heads=3), "n_heads must divide the 8 outputs of a query, got 3"),
        (lambda e: e.with_matrices({"encoder.layer.0.output.dens": None}), "unknown matrix .* did you mean"),
        (lambda e: e.with_matrices({e.names[0]: np.ones((2, 8))}), r"must be f32\[8, 8\], got \[2, 8\]"),
        (lambda e: lower_blocks(e, SENTENCES, n_columns=0), "n_columns must be at least 1, got 0"),
        (lambda e: e.embed([]), "sentences must be at least one, of 1 to 10 tokens each"),
        (lambda e: e.embed([np.ones(11, int)]), "sentences must be at least one, of 1 to 10 tokens each"),
        (lambda e: e.embed([np.array([1, 20])]), "tokens must be 0 to 19, got 1 to 20"),
    ],
)
def test_what_does_not_fit_is_named(encoder, make, message):
    with pytest.raises(BadInput, match=message):
        make(encoder)


def test_a_state_of_equal_numbers_is_normalised_to_the_bias(encoder):
    """Nothing deviates from its mean: 0 over the root of what is added to the variance, and not 0 over 0."""
    name = "encoder.layer.0.output.LayerNorm"
    normal = encoder._normalised(name, np.full((1, WIDTH), 3, np.float32))
    assert np.array_equal(normal[0], encoder.arrays[f"{name}.bias"])
