"""Does SqueezeNet, as Deep Compression published it, see a picture, and take the cycles known from outside?

The network stands in ../shared beside the project, the picture comes with scikit-learn: without either, passed over.
"""

from pathlib import Path

import numpy as np
import pytest

import eie_sim
from cyclekit.positions import inputs_of, played
from workloads.address import graph_of, model
from workloads.graphs.execute import run
from workloads.graphs.feed import Feed

NET = Path(__file__).parents[3] / "shared/networks/compressed_SqueezeNet.net"
MEAN = np.float32([104, 117, 123])  # of ImageNet, blue first
CYCLES = 8.68e6  # on 64 PEs, as an issue has it, by sampled columns of this simulator
BELL_COTE, STUPA = 442, 832  # of ImageNet's 1,000 classes


@pytest.fixture(scope="module")
def feed():
    pytest.importorskip("onnxruntime")
    if not NET.is_file():
        pytest.skip("there is no ../shared/networks")
    image = pytest.importorskip("PIL.Image")
    picture = pytest.importorskip("sklearn.datasets").load_sample_image("china.jpg")
    small = np.asarray(image.fromarray(picture).resize((227, 227), image.BILINEAR)).astype(np.float32)
    data = np.ascontiguousarray((small[:, :, ::-1] - MEAN).transpose(2, 0, 1)[None])
    return Feed(arrays={"data": data}, architecture="squeezenet-1.0", positions=24)


def test_a_chinese_temple_is_recognised(feed):
    graph = graph_of(NET, feed)
    scores = run(graph.flat, graph.parts[0], ["scores"])["scores"].ravel()
    assert scores.argsort()[-2:].tolist() == [STUPA, BELL_COTE]


def test_its_layers_and_their_cycles(feed):
    layers = model(NET, "*", feed).layers
    assert (len(layers), layers[0].positions, layers[-1].positions) == (26, 111 * 111, 13 * 13)
    assert sum(np.count_nonzero(layer.weights) for layer in layers) == 415_921
    spec = eie_sim.Spec(n_pes=64)
    cycles = 0
    for layer in layers:
        (signal,) = inputs_of(layer)
        image = eie_sim.encode(layer, spec)
        cycles += played(eie_sim.MACHINE.simulate, image, signal, spec, engine="schedule").cycles
    assert cycles == pytest.approx(CYCLES, rel=0.1)
