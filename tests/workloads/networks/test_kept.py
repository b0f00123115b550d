"""Is a shipped network trained once a machine, and again whenever anything that it is made of is another?"""

from dataclasses import replace

import numpy as np
import pytest

from workloads.networks import language, nets
from workloads.networks.decoder import untrained
from workloads.networks.kept import once
from workloads.networks.train import Recipe, fit

RECIPE = Recipe(n_epochs=1, learning_rate=1e-3)
RNG = np.random.default_rng(3)
IMAGES, DIGITS = RNG.random((16, 1, 4, 4), np.float32), RNG.integers(0, 3, 16)
CONVNET = nets.convnet((1, 4, 4), (2,), 3, seed=0)
TOKENS = RNG.integers(0, 12, (4, 9))
DECODER = untrained(12, width=8, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=4, n_neurons=8, seed=0)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "zeroskip" / "trained"


@pytest.fixture
def counting():
    calls = []

    def of(train):
        def counted(*args):
            calls.append(args)
            return train(*args)

        return counted

    return calls, of


def arrays(network):
    if hasattr(network, "arrays"):
        return dict(network.arrays)
    return {(name, field): value for name, module in network.modules.items() for field, value in vars(module).items()}


@pytest.mark.parametrize(
    ("train", "start", "data"),
    [(fit, CONVNET, (IMAGES, DIGITS)), (language.fit, DECODER, (TOKENS,))],
    ids=["convnet", "decoder"],
)
def test_the_second_time_it_is_read_and_equal(counting, train, start, data):
    calls, of = counting
    first, second = (once(of(train), start, *data, recipe=RECIPE) for _ in range(2))
    assert len(calls) == 1
    expected = arrays(train(start, *data, RECIPE))
    for network in (first, second):
        assert type(network) is type(start)
        found = arrays(network)
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], value) for name, value in expected.items())
    first_array = next(value for value in arrays(first).values() if isinstance(value, np.ndarray))
    assert not any(np.shares_memory(first_array, value) for value in arrays(second).values())


def test_another_start_input_label_or_recipe_is_trained(counting):
    calls, of = counting
    train = of(fit)
    others = [
        (CONVNET, IMAGES, DIGITS, RECIPE),
        (nets.convnet((1, 4, 4), (2,), 3, seed=1), IMAGES, DIGITS, RECIPE),
        (CONVNET, IMAGES + np.float32(1e-3), DIGITS, RECIPE),
        (CONVNET, IMAGES, DIGITS[::-1], RECIPE),
        (CONVNET, IMAGES, DIGITS, replace(RECIPE, seed=1)),
    ]
    for start, images, labels, recipe in others:
        once(train, start, images, labels, recipe=recipe)
    assert len(calls) == len(others)


def test_a_damaged_file_is_made_anew(counting, cache):
    calls, of = counting
    train = of(fit)
    sound = once(train, CONVNET, IMAGES, DIGITS, recipe=RECIPE)
    (file,) = cache.iterdir()
    content = file.read_bytes()
    for damaged in (b"", content[:100], content[: len(content) // 2], b"no archive"):
        file.write_bytes(damaged)
        again = once(train, CONVNET, IMAGES, DIGITS, recipe=RECIPE)
        assert np.array_equal(again.modules["ip"].weights, sound.modules["ip"].weights)
        assert file.read_bytes() == content
    assert len(calls) == 5
    assert list(cache.iterdir()) == [file]


def test_a_cache_that_cannot_be_written_stops_nothing(cache):
    cache.parent.mkdir()
    cache.write_text("a file where a folder should be")
    network = once(fit, CONVNET, IMAGES, DIGITS, recipe=RECIPE)
    assert np.array_equal(network.modules["ip"].weights, fit(CONVNET, IMAGES, DIGITS, RECIPE).modules["ip"].weights)
