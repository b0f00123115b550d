"""Do the networks to compress keep what they are judged by apart from what they learn from?"""

from functools import partial

import numpy as np
import pytest

from workloads import BadInput, Workload, tasks
from workloads.graphs.feed import Feed
from workloads.networks import data, lenet
from workloads.networks.decoder import untrained
from workloads.networks.transformer import Encoder
from workloads.recipes.recipe import Recipe

WIDTH, HIDDEN = 8, 12


@pytest.fixture(scope="module")
def task():
    """Return a task of an encoder of one layer, 8 wide."""
    rng = np.random.default_rng(6)
    sides = {"intermediate.dense": (HIDDEN, WIDTH), "output.dense": (WIDTH, HIDDEN)}
    arrays = {f"embeddings.{kind}_embeddings.weight": rng.normal(size=(9, WIDTH)) for kind in ("word", "position")}
    arrays["embeddings.token_type_embeddings.weight"] = rng.normal(size=(2, WIDTH))
    for name in ("embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"):
        arrays |= {f"{name}.LayerNorm.weight": np.ones(WIDTH), f"{name}.LayerNorm.bias": np.zeros(WIDTH)}
    for name in Encoder.parts():
        n_out, n_in = sides.get(name, (WIDTH, WIDTH))
        arrays[f"encoder.layer.0.{name}.weight"] = rng.normal(size=(n_out, n_in))
        arrays[f"encoder.layer.0.{name}.bias"] = rng.normal(size=n_out)
    encoder = Encoder({name: array.astype(np.float32) for name, array in arrays.items()}, n_heads=2)
    words = [rng.integers(0, 9, 5) for _ in range(12)]
    return tasks.Task(name="e", network=encoder, provenance="", inputs=words[:8], test_inputs=words[8:])


def test_the_images_of_lenet_are_parted():
    task = tasks.load("lenet-300-100-dense")
    assert (len(task.inputs), len(task.test_inputs)) == (2000, 1000)
    assert not {image.tobytes() for image in task.inputs} & {image.tobytes() for image in task.test_inputs}
    assert task.measure == "accuracy"
    assert task.quality(task.network) == pytest.approx(lenet.dense().accuracy())


def test_all_images_are_taken_where_they_were_fetched_and_never_fetched_unasked(monkeypatch):
    monkeypatch.setattr(data, "fetch", lambda *_: pytest.fail("fetched"))
    monkeypatch.setattr(data, "is_here", lambda name: False)
    with pytest.raises(BadInput, match="which are not here: fetch them with 'zeroskip data fashion-mnist', or take "):
        tasks.load("lenet-300-100-fashion-mnist")
    images = {split: np.full((n, 784), n, np.float32) for split, n in (("train", 6), ("test", 4))}
    monkeypatch.setattr(data, "is_here", lambda name: name == "fashion-mnist")
    monkeypatch.setattr(data, "fashion_mnist", lambda split: (images[split], np.arange(len(images[split]), dtype="u1")))
    task = tasks.load("lenet-300-100-fashion-mnist")
    assert (task.inputs.max(), task.labels.tolist()) == (6, list(range(6)))
    assert (task.test_inputs.max(), task.test_labels.tolist()) == (4, list(range(4)))
    shipped = tasks.load("lenet-300-100-dense").network.matrices
    assert all(np.array_equal(matrix, shipped[name]) for name, matrix in task.network.matrices.items())


@pytest.mark.parametrize(
    ("feed", "n"),
    [
        (Feed(), 256),  # one alone would drop what happens to be 0 in it
        (Feed(n=3), 3),
        (Feed(arrays={"a": np.ones((300, 4))}), 300),
        (Feed(arrays={"a": np.ones((300, 4))}, n=280), 280),
    ],
)
def test_as_many_inputs_reach_the_layers_of_a_file_as_are_given_or_asked_for(tmp_path, feed, n):
    np.savez(tmp_path / "net.npz", **{"a.weight": np.ones((2, 4)), "b.weight": np.ones((3, 5))})
    layers = {layer.name: layer for layer in tasks.load(str(tmp_path / "net.npz:a*"), feed).network.layers}
    assert {name: layer.batch for name, layer in layers.items()} == {"a": n}


def test_only_the_first_inputs_calibrate(task):
    assert len(task.first(3).inputs) == 3
    assert len(task.first(None).inputs) == 8
    assert len(task.first(3).test_inputs) == 4


def test_an_encoder_is_judged_by_the_cosine_to_itself(task):
    assert task.measure == "cosine"
    assert task.quality(task.network) == pytest.approx(1)
    text = '[[step]]\ndo = "prune"\ndensity = 0.5\ncriterion = '
    found = {c: Recipe.parse(text + f'"{c}"').fit(task.network, task.inputs) for c in ("wanda", "random", "sparsegpt")}
    assert all(0 < task.quality(fitted.apply()) < 1 for fitted in found.values())
    assert [layer.activations.shape for layer in found["wanda"].workloads(task.test_inputs, 4)] == [
        (4, HIDDEN if name == "output.dense" else WIDTH) for name in Encoder.parts()
    ]


def test_the_feed_forward_part_of_an_encoder_is_permuted(task):
    text = '[[step]]\ndo = "permute"\ntargets = ["*.0.output.dense"]'
    found = Recipe.parse(text).fit(task.network, task.inputs).apply()
    name = "encoder.layer.0.output.dense"
    assert not np.array_equal(found.matrices[name], task.network.matrices[name])
    assert task.quality(found) == pytest.approx(1, abs=1e-5)


def test_what_an_encoder_is_shared_to_is_its_arrays(task):
    fitted = Recipe.parse('[[step]]\ndo = "share"').fit(task.network, task.inputs)
    layers = fitted.workloads(task.test_inputs)
    assert all(len(np.unique(layer.weights)) <= 15 and layer.codes is not None for layer in layers)


def test_the_sentences_that_a_decoder_is_judged_by_are_none_that_it_learns_from(monkeypatch):
    # Without merges the tokens are bytes.
    monkeypatch.setattr(tasks.language, "corpus", partial(tasks.language.corpus, n_merges=0))
    monkeypatch.setattr(tasks.language, "decoder", lambda tokens, seed: untrained(256, 8, 1, 2, 1, 4, 8, seed))
    task = tasks.load("docstrings-decoder")
    own, others = (
        set(bytes(np.append(part[:, :-1].ravel(), part[-1, -1]).astype(np.uint8)).split(b"\n"))
        for part in (task.inputs, task.test_inputs)
    )
    assert len(others) == 250
    assert not own & others - {b""}
    assert (task.measure, task.labels) == ("perplexity", None)
    assert task.quality(task.network) == pytest.approx(np.exp(task.network.losses(task.test_inputs).mean()), rel=1e-5)
    assert task.first(3).inputs.shape == (3, 33)


def test_an_encoder_is_not_trained_here(task):
    with pytest.raises(BadInput, match=r"step 1 \(tune\): tune takes modules in a row"):
        Recipe.parse('[[step]]\ndo = "tune"').fit(task.network, task.inputs, np.zeros(8, int))
    with pytest.raises(BadInput, match="network 'e' takes no file of inputs"):
        task.calibrated("c.npz")


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        (np.ones((2, 7)), r"inputs must be f32\[batch, 784\]"),
        (np.full((2, 784), np.nan), "inputs must be finite"),
        (np.array([["a"] * 784]), "inputs must be real numbers"),
        (np.ones((2, 784), complex), "inputs must be real numbers"),
        (np.ones((0, 784)), "inputs must not be empty"),
    ],
)
def test_a_calibration_that_does_not_fit(tmp_path, inputs, complaint):
    np.savez(tmp_path / "inputs.npz", inputs=inputs)
    with pytest.raises(BadInput, match=complaint):
        tasks.load("lenet-300-100-dense").calibrated(tmp_path / "inputs.npz")


def test_a_file_of_weights_brings_layers_apart(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.ones((2, 4)), b=np.ones((3, 4)), c=np.ones((3, 4)))
    found = tasks.load(f"{tmp_path / 'w.npz'}:[ab]")
    assert [layer.name for layer in found.network.layers] == ["a", "b"]
    assert all(isinstance(layer, Workload) for layer in found.network.layers)
    assert (found.inputs, found.measure, found.quality(found.network)) == (None, None, None)
    assert found.first(3) is found


def test_a_file_without_activations_keeps_its_columns_where_inputs_weigh(tmp_path):
    # One drawn input, 65% of it zeros, would look as if those 65% of the columns never mattered.
    np.savez(tmp_path / "net.npz", fc=np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32))
    task = tasks.load(str(tmp_path / "net.npz"))
    made = Recipe.parse('[[step]]\ndo = "prune"\npattern = "2:4"\ncriterion = "sparsegpt"').fit(task.network)
    assert made.masks["fc"].mean() == 0.5


def test_an_unknown_network_names_what_is_near():
    with pytest.raises(BadInput, match="unknown network 'lenet-300-100-dens', did you mean 'lenet-300-100-dense'"):
        tasks.load("lenet-300-100-dens")
