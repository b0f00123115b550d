"""Is a block with a variant the network that the formulas say, and are scores what that one variant loses?"""

from dataclasses import replace

import numpy as np
import pytest

from tests.small_transformers import drawn_decoder, drawn_samples
from workloads.errors import BadInput
from workloads.networks.language import TRAINING, fit
from workloads.recipes import variants

SAMPLES = drawn_samples()
OUTPUT, DOWN = "model.layers.1.self_attn.o_proj", "model.layers.1.mlp.down_proj"


def silent(decoder, *names):
    """Return the decoder whose matrices of these names give nothing."""
    arrays = {f"{name}.{kind}": 0 * decoder.arrays[f"{name}.{kind}"] for name in names for kind in ("weight", "bias")}
    return replace(decoder, arrays={**decoder.arrays, **arrays})


@pytest.fixture
def decoder():
    return drawn_decoder(np.float64, biases=True)


@pytest.mark.parametrize(
    ("sizes", "names"),
    [
        ({(1, "n_kv_heads"): 0}, [OUTPUT]),
        ({(1, "ffn"): 0}, [DOWN]),
        ({(1, "ffn"): 0, (1, "n_kv_heads"): 0}, [OUTPUT, DOWN]),
    ],
)
def test_a_part_that_is_gone_adds_nothing(decoder, sizes, names):
    cut, zeroed = variants.varied(decoder, sizes, SAMPLES), silent(decoder, *names)
    assert sum(matrix.size for matrix in cut.matrices.values()) < sum(m.size for m in decoder.matrices.values())
    loss, gradients = cut.loss_and_gradients(SAMPLES)
    expected, others = zeroed.loss_and_gradients(SAMPLES)
    assert loss == pytest.approx(expected, rel=1e-12)
    for name in cut.names:  # those of the matrices that are there
        assert gradients[f"{name}.weight"] == pytest.approx(others[f"{name}.weight"], abs=1e-12)


def test_a_block_without_both_parts_is_not_there(decoder):
    cut = variants.varied(decoder, {(1, "ffn"): 0, (1, "n_kv_heads"): 0}, SAMPLES)
    assert cut.loss(SAMPLES) == pytest.approx(decoder.without([1]).loss(SAMPLES), rel=1e-12)


def test_heads_of_keys_that_are_equal_are_one(decoder):
    arrays = dict(decoder.arrays)
    for name in ("k", "v"):
        for kind in ("weight", "bias"):
            key = f"model.layers.1.self_attn.{name}_proj.{kind}"
            arrays[key] = np.concatenate([arrays[key][:4]] * 2)
    equal = replace(decoder, arrays=arrays)
    cut = variants.varied(equal, {(1, "n_kv_heads"): 1}, SAMPLES)
    assert cut.arrays["model.layers.1.self_attn.k_proj.weight"].shape == (4, 8)
    assert cut.loss(SAMPLES) == pytest.approx(equal.loss(SAMPLES), rel=1e-5)  # what is solved for is float32


def test_neurons_that_nobody_reads_go_for_nothing(decoder):
    weights = decoder.matrices[DOWN].copy()
    weights[:, [1, 4, 5]] = 0
    inputs = {
        f"model.layers.1.mlp.{name}_proj": decoder.matrices[f"model.layers.1.mlp.{name}_proj"].copy()
        for name in ("gate", "up")
    }
    for matrix in inputs.values():
        matrix[[1, 4, 5]] *= 1e-3  # so that they score least, too
    idle = decoder.with_matrices({DOWN: weights, **inputs})
    biases = {f"{name}.bias": idle.arrays[f"{name}.bias"] * np.isin(np.arange(6), [0, 2, 3]) for name in inputs}
    idle = replace(idle, arrays={**idle.arrays, **biases})
    cut = variants.varied(idle, {(1, "ffn"): 3}, SAMPLES)
    assert cut.matrices[DOWN].shape == (8, 3)
    assert cut.loss(SAMPLES) == pytest.approx(idle.loss(SAMPLES), rel=1e-5)


def test_least_squares_come_nearer_than_what_was_cut(decoder):
    cut = variants.varied(decoder, {(1, "ffn"): 4}, SAMPLES)
    stay = [
        np.flatnonzero((row == decoder.matrices["model.layers.1.mlp.up_proj"]).all(axis=1))[0]
        for row in cut.matrices["model.layers.1.mlp.up_proj"]
    ]
    reaching, whole = decoder.inputs(SAMPLES)[DOWN], decoder.matrices[DOWN]
    wanted = reaching @ whole.T + decoder.biases[DOWN]

    def error(weights, bias):
        return np.square(reaching[:, stay] @ weights.T + bias - wanted).sum()

    assert error(cut.matrices[DOWN], cut.biases[DOWN]) < 0.9 * error(whole[:, stay], decoder.biases[DOWN])


def test_scores_are_what_the_loss_rises_by_with_one_variant_alone():
    decoder = drawn_decoder()
    rows = variants.scores(decoder, SAMPLES)
    sizes = [("n_kv_heads", 1), ("n_kv_heads", 0), ("ffn", 4), ("ffn", 3), ("ffn", 2), ("ffn", 0)]
    assert [row[:3] for row in rows] == [(block, *size) for block in range(3) for size in sizes]
    whole = decoder.loss(SAMPLES)
    for block, field, size, rise in rows:
        if not size:
            part = "self_attn.o_proj" if field == "n_kv_heads" else "mlp.down_proj"
            name = f"model.layers.{block}.{part}"
            gone = decoder.with_matrices({name: np.zeros_like(decoder.matrices[name])})
            assert rise == pytest.approx(gone.loss(SAMPLES) - whole, abs=1e-6)
        else:
            assert rise == variants.varied(decoder, {(block, field): size}, SAMPLES).loss(SAMPLES) - whole


def test_blocks_of_unlike_sizes_learn():
    cut = variants.varied(drawn_decoder(), {(0, "n_kv_heads"): 0, (1, "ffn"): 0, (2, "n_kv_heads"): 1}, SAMPLES)
    tuned = fit(cut, SAMPLES, replace(TRAINING, learning_rate=1e-2))
    assert tuned.loss(SAMPLES) < cut.loss(SAMPLES)
    assert {name: array.shape for name, array in tuned.arrays.items()} == {
        name: array.shape for name, array in cut.arrays.items()
    }


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({(3, "ffn"): 2}, "a part must be n_kv_heads or ffn of block 0, 1, 2, got 'ffn' of 3"),
        ({(0, "heads"): 2}, "got 'heads' of 0"),
        ({(0, "ffn"): 7}, "ffn of block 0 must be 0 to 6, heads a divisor, got 7"),
    ],
)
def test_what_cannot_be_is_refused(sizes, message):
    with pytest.raises(BadInput, match=message):
        variants.varied(drawn_decoder(), sizes, SAMPLES)
