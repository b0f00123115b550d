"""Is a smaller graph of a published model the whole one whose readers take nothing from what went?"""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from tests.workloads.graphs.test_real_models import MODELS, TIMEOUT_S
from workloads import BadInput
from workloads.allocation.coupling import coupled
from workloads.allocation.smaller import smaller
from workloads.graphs import graph, rewrite
from workloads.graphs.execute import run
from workloads.graphs.feed import Feed
from workloads.networks import data
from workloads.records import Layer

# (package, file): how many widths can be turned; of Magika none, all is normalised or of a computed shape
KNOBS = {
    ("silero-vad", "silero_vad.onnx"): 3,
    ("speechmos", "sig_bak_ovr.onnx"): 9,
    ("speechmos", "model_v8.onnx"): 7,
    ("magika", "model.onnx"): 0,
    ("rapidocr", "ch_ppocr_mobile_v2.0_cls_mobile.onnx"): 25,
}
SIGMOID = np.finfo(np.float32).eps  # of 1: onnxruntime's is no better where it is close to 0


@pytest.mark.parametrize("key", KNOBS, ids=lambda key: key[1])
def test_a_third_of_each_group_goes(key, tmp_path, monkeypatch):
    package, name = key
    monkeypatch.setenv("PIP_RETRIES", "0")
    try:
        path = data.fetch(package, timeout_s=TIMEOUT_S) / name
    except BadInput as error:
        pytest.skip(str(error))
    feed = Feed(arrays=MODELS[key][0])
    whole = graph.read(path, feed)
    coupling = coupled(whole)
    assert len(coupling.knobs) == KNOBS[key]
    stays, rng, layers = np.ones(coupling.n, bool), np.random.default_rng(0), {}
    for units in coupling.groups:
        stays[rng.permutation(units)[: len(units) // 3]] = False
    for product in whole.products:
        ends = coupling.ends.get(product.name)
        if ends is None or product.groups > 1 or stays[ends.reads].all():
            continue
        matrix = product.matrix.copy()
        matrix[:, np.repeat(~stays[ends.reads], product.n_in // len(ends.reads))] = 0
        layers[product.name] = Layer(name=product.name, weights=matrix, bias=product.bias)
    (tmp_path / "silent.onnx").write_bytes(rewrite.with_weights(whole, layers).SerializeToString())
    silent = graph.read(tmp_path / "silent.onnx", feed)
    small = smaller(coupled(silent), stays)
    names = [entry.name for entry in silent.flat.graph.output]
    before, after = (run(of.flat, of.parts[0], names) for of in (silent, small))
    for output in names:
        tolerance = 1e-5 * np.abs(before[output]).max() + SIGMOID
        np.testing.assert_allclose(after[output], before[output], atol=tolerance)
    if KNOBS[key]:
        n_numbers = [sum(product.weights.size for product in of.products) for of in (silent, small)]
        assert n_numbers[1] < n_numbers[0]
