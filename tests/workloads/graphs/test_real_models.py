"""Do the products of published models get what onnxruntime has there, and give what it computes of them?"""

from collections import Counter

import numpy as np
import pytest
from scipy.special import expit

from workloads.errors import BadInput
from workloads.graphs import graph, rewrite
from workloads.graphs.feed import Feed
from workloads.networks import data
from workloads.records import SAMPLE_SEED, Layer

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCE = 1e-5  # of the largest value: f32 sums in another order
TIMEOUT_S = 120.0  # for a package
RNG = np.random.default_rng(0)
VOICE = 0.1 * RNG.standard_normal((1, 144160), np.float32)
PICTURE = RNG.standard_normal((1, 3, 48, 32), np.float32)
SPEECH = {"input": VOICE[:, :512], "state": RNG.standard_normal((2, 1, 128), np.float32), "sr": np.array(16000)}

# (package, file): what enters, and the positions of each layer to run (None: all)
MODELS = {
    ("silero-vad", "silero_vad.onnx"): (SPEECH, None),
    ("speechmos", "sig_bak_ovr.onnx"): ({"input_1": VOICE}, 16),
    ("speechmos", "model_v8.onnx"): ({"input_1": VOICE[:, :108000].reshape(1, 900, 120)}, 16),
    ("magika", "model.onnx"): ({"bytes": RNG.integers(0, 256, (1, 2048)).astype(np.int32)}, None),
    ("rapidocr", "PP-OCRv6_rec_small.onnx"): ({"x": PICTURE}, None),
    ("rapidocr", "ch_ppocr_mobile_v2.0_cls_mobile.onnx"): ({"x": PICTURE}, None),
}
# Its products hide in branches: an STFT as a convolution, four encoders and an output; two matrices of an LSTM.
SILERO = {"Conv": 1 + 4 + 1, "LSTM": 2}


@pytest.fixture(scope="module", params=MODELS, ids=lambda key: key[1])
def case(request):
    """Return a file's graph, the model with what reaches its layers, and what enters."""
    package, name = request.param
    inputs, positions = MODELS[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_RETRIES", "0")  # offline it must be said at once
        try:
            path = data.fetch(package, timeout_s=TIMEOUT_S) / name
        except BadInput as error:
            pytest.skip(str(error))
    feed = Feed(arrays=inputs, positions=positions)
    read = graph.read(path, feed)
    return read, graph.as_model(read, feed), inputs


def values(model, inputs, names):
    """Return what onnxruntime has under those names, not rewriting the graph."""
    asking = onnx.ModelProto()
    asking.CopyFrom(model)
    del asking.graph.output[:]
    asking.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(asking.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(list(names), inputs), strict=True))


def attributes(node):
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def outputs_of(read, node):
    """Return the names under which a node's outputs may stand: its own, and that of each Add or normalisation behind.

    A layer's bias and scale are what follows it, where that is constant.
    """
    names = [node.output[0]]
    while True:
        readers = [after for after in read.flat.graph.node if names[-1] in after.input]
        if len(readers) != 1 or readers[0].op_type not in ("Add", "BatchNormalization", "Identity"):
            return names
        names.append(readers[0].output[0])


def windows(array, node, kernel, n_out):
    """Return f32[batch, positions..., channels, kernel...]: what each position of a convolution sees. A view."""
    said, n = attributes(node), len(kernel)
    strides, dilations = said.get("strides", [1] * n), said.get("dilations", [1] * n)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    before, after = np.split(np.array(said.get("pads", [0] * 2 * n)), 2)
    auto = said.get("auto_pad", b"NOTSET")
    if auto.startswith(b"SAME"):
        total = np.maximum(0, (np.array(n_out) - 1) * strides + spans - np.array(array.shape[2:]))
        less = total // 2
        before, after = (less, total - less) if auto == b"SAME_UPPER" else (total - less, less)
    padded = np.pad(array, [(0, 0), (0, 0), *zip(before, after, strict=True)])
    view = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=tuple(range(2, 2 + n)))
    view = view[(..., *(slice(None, None, s) for s in strides), *[slice(None)] * n)]
    view = view[(..., *(slice(None, None, d) for d in dilations))]
    return np.moveaxis(view, 1, 1 + n)


def places(layer):
    """Return which of all rows a layer has: all, or the sample of the one input's positions."""
    drawn = np.random.default_rng(SAMPLE_SEED).permutation(layer.positions)[: layer.rows_of_input]
    return np.sort(drawn)


def state_after(gates, initial):
    """Return the state that an LSTM's sums of one step lead to. Source: ONNX operators, LSTM (gates i, o, f, c)."""
    i, o, f, c = np.split(gates, 4, axis=-1)
    i, o, f = map(expit, (i, o, f))
    return o * np.tanh(f * initial + i * np.tanh(c))


def stored(net):
    """Return the names of the values of a graph that hang on no input."""
    names = {tensor.name for tensor in net.initializer}
    for node in net.node:
        if names.issuperset(filter(None, node.input)):
            names |= {*node.output}
    return names


def sums(layer):
    added = 0.0 if layer.bias is None else layer.bias.astype(np.float64)
    return layer.activations.astype(np.float64) @ layer.weights.T.astype(np.float64) + added


def is_close(own, expected):
    return np.abs(own - expected).max() <= TOLERANCE * np.abs(expected).max()


def test_every_product_gets_what_onnxruntime_has_there_and_gives_what_it_computes(case):
    read, model, inputs = case
    layers = model.layers
    assert [layer.name for layer in layers] == [product.name for product in read.products]
    nodes = {product.name: product.node for product in read.products}
    names = {name for node in nodes.values() for name in [*outputs_of(read, node), *filter(None, node.input)]}
    all_values = values(read.flat, inputs, sorted(names))
    by_node = {}
    for layer in layers:
        node, rows = nodes[layer.name], places(layer)
        by_node.setdefault(id(node), []).append(layer)
        if node.op_type == "LSTM":
            continue
        signal, own = all_values[node.input[0]], all_values[node.output[0]]
        if node.op_type == "Conv":
            kernel = all_values[node.input[1]].shape[2:]
            seen = windows(signal, node, kernel, own.shape[2:])
            expected = seen[np.unravel_index(rows, (1, *own.shape[2:]))].reshape(len(rows), -1)
        else:
            expected = signal.reshape(-1, signal.shape[-1])[rows]
        assert np.array_equal(layer.activations, expected), layer.name
        computed = [all_values[name] for name in outputs_of(read, node)]
        if node.op_type == "Conv":
            computed = [np.moveaxis(array, 1, -1) for array in computed]
        flat = [array.reshape(-1, layer.n_out)[rows] for array in computed if array.size == own.size]
        assert any(is_close(sums(layer), array) for array in flat), layer.name
    for from_input, from_state in (own for own in by_node.values() if len(own) == 2):
        node = nodes[from_input.name]
        assert np.array_equal(from_input.activations, all_values[node.input[0]][0])
        assert np.array_equal(from_state.activations, all_values[node.input[5]][0])
        state = state_after(sums(from_input) + sums(from_state), all_values[node.input[6]][0])
        assert is_close(state, all_values[node.output[0]][0, 0])


def test_all_products_of_the_model_are_layers(case):
    read, model, _ = case
    counts = Counter(
        node.op_type
        for node in read.model.graph.node
        if node.op_type in ("Conv", "MatMul", "Gemm") and not stored(read.model.graph).isdisjoint(node.input[:2])
    )
    assert Counter(layer.kind for layer in model.layers) == (SILERO if "silero" in read.path.name else counts)


def test_a_flat_graph_computes_what_the_file_does(case):
    read, _, inputs = case
    names = [entry.name for entry in read.model.graph.output]
    whole, flat = values(read.model, inputs, names), values(read.flat, inputs, names)
    for name in names:
        assert np.array_equal(whole[name], flat[name])


def test_our_weights_put_back_compute_what_the_file_does(case):
    """Every weight is its next number, so that all are written anew: through transposes, scales, groups, branches."""
    read, model, _ = case
    moved = {
        layer.name: Layer(
            name=layer.name,
            weights=np.where(layer.weights == 0, 0, np.nextafter(layer.weights, np.float32(np.inf))),
            bias=layer.bias,
        )
        for layer in model.layers
    }
    rows = rewrite.compared(read, changed := rewrite.with_weights(read, moved))
    assert changed.SerializeToString() != read.model.SerializeToString()
    assert rows
    assert all(row["relative_error"] <= TOLERANCE for row in rows)


def test_attention_is_named_and_counted(case):
    # PP-OCRv6 ends in two blocks of attention over a picture's columns, an eighth of its width, 120 wide: each
    # multiplies queries with keys, and what comes of it with values.
    read, model, _ = case
    of_computed = [other for other in model.others if other.reason == "a product of two computed values"]
    n_columns = PICTURE.shape[-1] // 8
    expected = [n_columns * n_columns * 120] * 4 if "rec" in read.path.name else []
    assert [other.n_macs for other in of_computed] == expected
    assert any(f"4 products of two computed values, {sum(expected):,} MACs" in note for note in model.notes) == any(
        expected
    )
