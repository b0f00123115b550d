"""Is a graph that is a chain of modules trained as those modules are, and is every other refused with the reason?"""

import numpy as np
import pytest

from tests.onnx_models import helper, model_of, normal, reference
from workloads import BadInput, tasks
from workloads.graphs import rewrite
from workloads.graphs.feed import Feed
from workloads.networks.lowering import fold
from workloads.networks.modules import BatchNorm, Conv1d, Conv2d, Linear
from workloads.networks.sequential import Add, AvgPool2d, Flatten, MaxPool2d, ReLU, Sequential
from workloads.recipes.chain import of_graph
from workloads.recipes.recipe import Recipe

LABELS = np.random.default_rng(1).integers(0, 3, 12)
TUNE = '[[step]]\ndo = "tune"\nepochs = 2\nbatch = 5\nlearning_rate = 0.01\nheld_out = 0\n'
W = normal(5, 3)
NORM = {name: np.abs(normal(4, seed=i)) + np.float32(0.5) for i, name in enumerate("gbmv")}


def node(kind, reads, leaves, **settings):
    return helper.make_node(kind, reads.split(), leaves.split(), **settings)


# Nodes, stored arrays, shape of an input, and the modules that they are
CHAINS = {
    "matrices": (
        [
            node("Gemm", "x w1 b1", "h", transB=1),
            node("Relu", "h", "r"),
            node("Dropout", "r", "d"),
            node("MatMul", "d w2", "m"),
            node("Add", "b2 m", "a"),
            node("Softmax", "a", "y"),
        ],
        {"w1": normal(5, 6), "b1": normal(5), "w2": normal(5, 3), "b2": normal(3)},
        (6,),
        lambda a: [Linear(weights=a["w1"], bias=a["b1"]), ReLU(), Linear(weights=a["w2"].T, bias=a["b2"])],
    ),
    "images": (
        [
            node("Conv", "x c1", "h", pads=[1, 1, 1, 1]),
            node("BatchNormalization", "h g b m v", "n"),
            node("Relu", "n", "r"),
            node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
            node("Conv", "p c2 b2", "k", strides=[2, 2]),
            node("Relu", "k", "q"),
            node("GlobalAveragePool", "q", "o"),
            node("Flatten", "o", "f"),
            node("Gemm", "f w b3", "y"),
        ],
        {"c1": normal(4, 2, 3, 3), "c2": normal(5, 4, 2, 2), "b2": normal(5), "w": W, "b3": normal(3), **NORM},
        (2, 8, 8),
        lambda a: [
            Conv2d(weights=a["c1"], padding=1),
            BatchNorm(gamma=a["g"], beta=a["b"], mean=a["m"], variance=a["v"]),
            ReLU(),
            MaxPool2d(2),
            Conv2d(weights=a["c2"], bias=a["b2"], stride=2),
            ReLU(),
            AvgPool2d(2),
            Flatten(),
            Linear(weights=a["w"].T, bias=a["b3"]),
        ],
    ),
    "blocks": (
        [
            node("Conv", "x c1", "h", pads=[1, 1, 1, 1]),
            node("Relu", "h", "r"),
            node("Conv", "r c2 b2", "k", pads=[1, 1, 1, 1]),
            node("BatchNormalization", "k g b m v", "n"),
            node("Add", "r n", "s"),
            node("Relu", "s", "q"),
            node("Conv", "q c3", "o"),
            node("Add", "o q", "t"),
            node("Identity", "t", "i"),
            node("Add", "i s", "u"),
            node("Flatten", "u", "f"),
            node("Gemm", "f w", "y"),
        ],
        {
            "c1": normal(4, 2, 3, 3),
            "c2": normal(4, 4, 3, 3),
            "b2": normal(4),
            **NORM,
            "c3": normal(4, 4, 1, 1),
            "w": normal(36, 3),
        },
        (2, 3, 3),
        lambda a: [
            Conv2d(weights=a["c1"], padding=1),
            ReLU(),
            Conv2d(weights=a["c2"], bias=a["b2"], padding=1),
            BatchNorm(gamma=a["g"], beta=a["b"], mean=a["m"], variance=a["v"]),
            Add("1"),
            ReLU(),
            Conv2d(weights=a["c3"]),
            Add("5"),
            Add("4"),
            Flatten(),
            Linear(weights=a["w"].T),
        ],
    ),
    "sequences": (
        [
            node("Conv", "x c b1", "h", pads=[1, 1], strides=[2]),
            node("Relu", "h", "r"),
            node("Reshape", "r s", "f"),
            node("MatMul", "f w", "y"),
        ],
        {"c": normal(2, 3, 3), "b1": normal(2), "s": np.array([0, -1]), "w": normal(8, 3)},
        (3, 8),
        lambda a: [
            Conv1d(weights=a["c"], bias=a["b1"], stride=2, padding=1), ReLU(), Flatten(), Linear(weights=a["w"].T)
        ],
    ),
}  # fmt: skip


def task_of(folder, name, labels=LABELS):
    """Return the task of a chain's file, with inputs and perhaps labels."""
    nodes, stored, shape, _ = CHAINS[name]
    (folder / "c.onnx").write_bytes(model_of(nodes, {"x": ("n", *shape)}, stored).SerializeToString())
    inputs = {"x": normal(len(LABELS), *shape, seed=9)} | ({} if labels is None else {"labels": labels})
    return tasks.load(str(folder / "c.onnx"), Feed.of(inputs=inputs))


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_its_modules(tmp_path, name):
    chain = of_graph(task_of(tmp_path, name).graph)
    nodes, stored, shape, modules = CHAINS[name]
    kinds = [type(module) for module in modules(stored) if not isinstance(module, BatchNorm)]  # it is in the matrices
    assert [type(module) for module in chain.network.modules.values()] == kinds
    value = "a" if name == "matrices" else "y"
    (expected,) = reference(model_of(nodes, {"x": ("n", *shape)}, stored), {"x": chain.inputs}, value)
    np.testing.assert_allclose(chain.network.forward(chain.inputs), expected, rtol=1e-4, atol=1e-5)
    assert np.array_equal(chain.labels, LABELS)


@pytest.mark.parametrize("name", CHAINS)
def test_tuning_it_is_tuning_them(tmp_path, name):
    task = task_of(tmp_path, name)
    prune = '[[step]]\ndo = "prune"\ndensity = 0.5\n'
    tuned = task.fit(Recipe.parse(prune + TUNE)).apply()
    _, stored, shape, modules = CHAINS[name]
    network = Sequential({str(place): module for place, module in enumerate(modules(stored))})
    inputs = normal(len(LABELS), *shape, seed=9)
    by_hand = Recipe.parse(prune + TUNE).fit(fold(network), inputs, LABELS).apply()
    for layer, (place, matrix) in zip(tuned.layers, by_hand.matrices.items(), strict=True):
        np.testing.assert_allclose(layer.weights, matrix, rtol=1e-4, atol=1e-6)
        assert np.array_equal(layer.weights == 0, matrix == 0)
        assert np.count_nonzero(layer.weights) == round(0.5 * matrix.size)
        bias = by_hand.modules[place].bias
        assert (layer.bias is None) == (bias is None)
        assert bias is None or np.allclose(layer.bias, bias, rtol=1e-4, atol=1e-5)
    # and back in the graph it computes what the modules do
    value = "a" if name == "matrices" else "y"
    changed = rewrite.with_weights(task.graph, {layer.name: layer for layer in tuned.layers})
    (outputs,) = reference(changed, {"x": inputs}, value)
    np.testing.assert_allclose(outputs, by_hand.forward(inputs), rtol=1e-3, atol=1e-4)


def test_shared_values_stay_shared(tmp_path):
    tuned = task_of(tmp_path, "images").fit(Recipe.parse('[[step]]\ndo = "share"\nbits = 3\n' + TUNE)).apply()
    for layer in tuned.layers:
        assert len(np.unique(layer.weights)) <= 7


def test_it_learns(tmp_path):
    task = task_of(tmp_path, "images")
    tuned = task.fit(Recipe.parse(TUNE.replace("epochs = 2", "epochs = 60"))).apply()
    assert task.quality(tuned) > task.quality(task.network)


X = {"x": ("n", 4, 6, 6)}
REFUSED = {
    "a sum of two": (
        [node("Conv", "x c", "h", pads=[1, 1, 1, 1]), node("Add", "h x", "y")],
        "Add 'y' adds what no module before it gives",
    ),
    "a sum that spreads": (
        [
            node("Conv", "x c", "h", pads=[1, 1, 1, 1]),
            node("Conv", "h e", "k", kernel_shape=[6, 6]),
            node("Relu", "k", "r"),
            node("Add", "r h", "y"),
        ],
        "module 'y': inputs must have the shape of what 'c' gave",
    ),
    "a branch": (
        [node("Relu", "x", "h"), node("Conv", "h c", "k"), node("Conv", "h c", "l"), node("Add", "k l", "y")],
        "what reaches Conv 'c' goes elsewhere, too",
    ),
    "a sum within a product": (
        [node("Conv", "x c", "h"), node("Add", "h b", "k"), node("Relu", "k", "r"), node("Add", "r h", "y")],
        "Add 'k' is none of the modules",
    ),
    "a product of two": (
        [node("Conv", "x c", "h"), node("Mul", "h h", "y")],
        "Mul 'y' takes more than one computed value",
    ),
    "a sigmoid": ([node("Conv", "x c", "h"), node("Sigmoid", "h", "y")], "Sigmoid 'y' is none of the modules"),
    "groups": ([node("Conv", "x d", "y", group=4)], "Conv 'd' is in groups, which is not trained here"),
    "dilations": ([node("Conv", "x c", "y", dilations=[2, 2])], "Conv 'c' has dilations, or strides or pads"),
    "windows that overlap": (
        [node("Conv", "x c", "h"), node("MaxPool", "h", "y", kernel_shape=[3, 3], strides=[1, 1])],
        "MaxPool 'y' has windows that overlap, or no squares",
    ),
    "rows": ([node("MatMul", "x m", "y")], "MatMul 'm' multiplies more than one row of an input"),
    "an output in its midst": (
        [node("Relu", "x", "y"), node("Conv", "y c", "z")],
        "what reaches Conv 'c' goes elsewhere, too",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_chain_says_why(tmp_path, case):
    nodes, said = REFUSED[case]
    stored = {
        "c": normal(4, 4, 3, 3),
        "e": normal(4, 4, 6, 6),
        "b": normal(4, 1, 1),
        "d": normal(4, 1, 3, 3),
        "m": normal(6, 2),
    }
    used = {name for n in nodes for name in n.input}
    leaves = ("y", "z") if case == "an output in its midst" else ("y",)
    model = model_of(nodes, X, {name: array for name, array in stored.items() if name in used}, leaves)
    (tmp_path / "n.onnx").write_bytes(model.SerializeToString())
    inputs = {"x": normal(3, 4, 6, 6), "labels": np.arange(3)}
    task = tasks.load(str(tmp_path / "n.onnx"), Feed.of(inputs=inputs))
    with pytest.raises(BadInput) as refused:
        task.fit(Recipe.parse(TUNE))
    assert f"step 1 (tune): tune takes a graph that is a chain of modules: {said}" in str(refused.value)


def test_labels_the_whole_graph_and_a_graph_are_needed(tmp_path):
    with pytest.raises(BadInput, match="tune takes labels to learn from"):
        task_of(tmp_path, "matrices", labels=None).fit(Recipe.parse(TUNE))
    task_of(tmp_path, "matrices")
    inputs = {"x": normal(12, 6, seed=9), "labels": LABELS}
    part = tasks.load(f"{tmp_path}/c.onnx:w1", Feed.of(inputs=inputs))
    with pytest.raises(BadInput, match="tune trains a whole graph, of which 'w2' is not named"):
        part.fit(Recipe.parse(TUNE))
    np.savez(tmp_path / "w.npz", **{"a.weight": normal(4, 4)})
    with pytest.raises(BadInput, match="the layers of a file without a graph stand apart"):
        tasks.load(f"{tmp_path}/w.npz").fit(Recipe.parse(TUNE))
