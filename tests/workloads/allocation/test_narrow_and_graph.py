"""Do modules in a row become narrower as their ONNX graph does: the same groups, and the same outputs?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnxruntime")

from tests.onnx_models import reference
from workloads.allocation.coupling import coupled
from workloads.allocation.narrow import channels, narrowed
from workloads.allocation.smaller import smaller
from workloads.graphs import graph as graphs
from workloads.graphs.feed import Feed
from workloads.networks.exported import as_onnx
from workloads.networks.modules import BatchNorm, Conv2d, Linear
from workloads.networks.nets import resnet
from workloads.networks.sequential import Add, AvgPool2d, Flatten, ReLU, Sequential, with_statistics

IMAGES = np.random.default_rng(0).standard_normal((3, 2, 4, 4)).astype(np.float32)


@st.composite
def drawn(draw):
    """Return a network of convolutions and sums with whatever earlier signal has their shape."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width, modules, widths = 2, {}, {}
    for i in range(draw(st.integers(2, 9))):
        fitting = [name for name, n in widths.items() if n == width]
        kind = draw(st.sampled_from(["conv", "norm", "relu", *(["add"] if fitting else [])]))
        if kind == "conv":
            n_in, width = width, draw(st.sampled_from([2, 3]))
            weights = rng.standard_normal((width, n_in, 3, 3), np.float32)
            module = Conv2d(weights=weights, padding=1)
        elif kind == "add":
            module = Add(draw(st.sampled_from(fitting)))
        else:
            module = BatchNorm.identity(width) if kind == "norm" else ReLU()
        modules[f"{kind}{i}"] = module
        widths[f"{kind}{i}"] = width
    modules |= {"pool": AvgPool2d(2), "flatten": Flatten()}
    modules["ip"] = Linear(weights=rng.standard_normal((3, 4 * width), np.float32), bias=np.float32([1, 2, 3]))
    return with_statistics(Sequential(modules), IMAGES)


def read(network, folder):
    path = folder / "f.onnx"
    path.write_bytes(as_onnx(network, IMAGES.shape[1:]).SerializeToString())
    return coupled(graphs.read(path, Feed.of(inputs={"input": IMAGES})))


def check(network, folder, seed):
    coupling, rng, known = read(network, folder), np.random.default_rng(seed), channels(network)
    assert {name: (len(units),) for name, (units,) in coupling.knobs.items()} == {
        name: (len(network.modules[name].weights),) for name in known.writers
    }
    assert {
        name: {writer for writer, ends in coupling.ends.items() if np.isin(ends.writes, units).any()}
        for name, (units,) in coupling.knobs.items()
    } == {name: set(writers) for name, writers in known.writers.items()}
    stays, kept = np.ones(coupling.n, bool), {}
    for name in known.writers:
        n = len(network.modules[name].weights)
        kept[name] = np.sort(rng.permutation(n)[: rng.integers(1, n + 1)])
        stays[np.delete(coupling.ends[name].writes, kept[name])] = False
    (few,) = reference(smaller(coupling, stays).model, {"input": IMAGES}, "output")
    wanted = narrowed(network, kept).forward(IMAGES)
    np.testing.assert_allclose(few, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@settings(max_examples=40, deadline=None)
@given(drawn(), st.integers(0, 2**32 - 1))
def test_a_drawn_network(tmp_path_factory, network, seed):
    check(network, tmp_path_factory.mktemp("graph"), seed)


def test_the_residual_network_of_two_stages(tmp_path):
    network = with_statistics(resnet((2, 4, 4), (4, 6), 3, seed=0), IMAGES)
    assert list(channels(network).writers.values()) == [("conv1", "conv3"), ("conv2",), ("conv4", "conv6"), ("conv5",)]
    check(network, tmp_path, seed=1)
