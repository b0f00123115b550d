"""The upper half of the ladder: small ONNX graphs, one for each place and form in which weights stand.

Matrices come from the arrays that a graph is made of, by the definitions of its operators, and not from the code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.ladder_of_files import Rung, file
from tests.onnx_models import CONTRIB, TensorProto, helper, model_of, normal, onnx, tensor

X = normal(3, 5)
W = normal(5, 4)  # [in, out], as a MatMul multiplies it
CODES = np.random.default_rng(1).integers(-127, 128, (5, 4)).astype(np.int8)
SCALE = np.float32(0.02)
LINEAR = helper.make_node("MatMul", ["x", "w"], ["y"], "fc")
SIGNAL = {"xs": np.float32(0.02), "xz": np.uint8(120), "ys": np.float32(0.25), "yz": np.uint8(128)}


def node(kind: str, reads: str, leaves: str, **settings) -> onnx.NodeProto:
    return helper.make_node(kind, reads.split(), leaves.split(), **settings)


def graph(
    nodes: Sequence[onnx.NodeProto],
    stored: Mapping[str, np.ndarray],
    x: np.ndarray,
    matrices: Mapping[str, np.ndarray] | None,
    said: str = "",
    change=lambda model: None,
    kind: int = TensorProto.FLOAT,
) -> Rung:
    """Return the rung of a graph with one input x."""
    model = model_of(nodes, {"x": x.shape}, stored, kind=kind)
    change(model)
    return Rung(write=file("f.onnx", model.SerializeToString()), matrices=matrices, said=said, inputs={"x": x})


def behind(nodes: Sequence[onnx.NodeProto], stored: Mapping[str, np.ndarray], matrix: np.ndarray = W.T, **more) -> Rung:
    """Return the rung of a product whose weights w come from other nodes."""
    return graph([*nodes, LINEAR], stored, X, {more.pop("name", "fc"): matrix}, **more)


def sparse(model: onnx.ModelProto) -> None:
    """Put a matrix of four numbers into a model, at their places numbered through."""
    array = onnx.SparseTensorProto(dims=(5, 4))
    array.values.CopyFrom(tensor("w", np.float32([1, -2, 3, 4])))
    array.indices.CopyFrom(tensor("", np.array([1, 6, 7, 19])))
    model.graph.sparse_initializer.append(array)


OF_FOUR = np.float32([[0, 1, 0, 0], [0, 0, -2, 3], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 4]])


def external(folder: Path, location: str = "f.bin") -> str:
    """Write a model whose weights lie in another file."""
    model = model_of([LINEAR], {"x": X.shape}, {"w": W})
    onnx.save_model(model, folder / "f.onnx", save_as_external_data=True, location="f.bin", size_threshold=0)
    if location != "f.bin":
        model = onnx.load(folder / "f.onnx", load_external_data=False)
        next(entry for entry in model.graph.initializer[0].external_data if entry.key == "location").value = location
        (folder / "f.onnx").write_bytes(model.SerializeToString())
    return "f.onnx"


def branches() -> list[onnx.NodeProto]:
    """Return an If that takes the matrix 2 w where the sum of the inputs is above 0, else w."""
    parts = [
        helper.make_graph(
            [helper.make_node("MatMul", ["x", name], ["inner"], "node")],
            name,
            [],
            [helper.make_empty_tensor_value_info("inner")],
            [tensor(name, array)],
        )
        for name, array in (("a", 2 * W), ("b", W))
    ]
    return [
        node("ReduceSum", "x", "sum", keepdims=0),
        node("Greater", "sum zero", "cond"),
        node("If", "cond", "y", then_branch=parts[0], else_branch=parts[1]),
    ]


def depthwise() -> tuple[np.ndarray, np.ndarray]:
    """Return the kernels of four channels, and the matrix with each in its own channel's columns."""
    kernels, matrix = normal(4, 1, 3, 3), np.zeros((4, 36), np.float32)
    for channel in range(4):
        for place in range(9):
            matrix[channel, 9 * channel + place] = kernels[channel, 0, place // 3, place % 3]
    return kernels, matrix


def transposed() -> tuple[np.ndarray, np.ndarray]:
    """Return weights [in, out, kernel] of a transposed convolution, and what a place of its input is multiplied by."""
    weights = normal(3, 2, 4)
    return weights, np.array([[weights[i, o, k] for i in range(3)] for o in range(2) for k in range(4)])


KERNELS, DEPTHWISE = depthwise()
UP, OF_UP = transposed()
CONV, NORM = normal(4, 3, 2, 2), {name: np.abs(normal(4, seed=i)) + np.float32(0.5) for i, name in enumerate("gbmv")}
FOLDED = CONV.reshape(4, -1) * (NORM["g"] / np.sqrt(NORM["v"].astype(np.float64) + 1e-5))[:, None]
IMAGE, STEPS = normal(1, 3, 5, 5), normal(2, 1, 5)  # steps, batch, in
OF_INPUT, OF_STATE = normal(1, 12, 5), normal(1, 12, 3)
OF_INPUT8, OF_STATE8 = (np.random.default_rng(n).integers(-127, 128, (1, n, 12)).astype(np.int8) for n in (5, 3))
RNN8 = ["x", "W8", "R8", "", "", "", "", "", "s", "z", "s", "z"]
NIBBLES = np.random.default_rng(2).integers(0, 16, (4, 16))  # of each output
BYTES = (NIBBLES[:, ::2] + 16 * NIBBLES[:, 1::2]).astype(np.uint8).reshape(4, 1, 8)  # the low half first
Q, DQ = node("QuantizeLinear", "x xs xz", "q"), node("DequantizeLinear", "w8 ws wz", "w")
QUANTISED = {"w8": CODES, "ws": SCALE, "wz": np.int8(0)}

RUNGS = {
    "MatMul": graph([LINEAR], {"w": W}, X, {"w": W.T}),
    "Gemm": graph([node("Gemm", "x w b", "y", alpha=2.0, transB=1)], {"w": W.T, "b": W[0]}, X, {"w": 2 * W.T}),
    "behind an Identity": behind([node("Identity", "s", "w")], {"s": W}),
    "behind a Transpose": behind([node("Transpose", "s", "w", perm=[1, 0])], {"s": W.T}),
    "behind a Cast": behind(
        [node("Cast", "s", "w", to=TensorProto.FLOAT)], {"s": W.astype(np.float16)}, W.T.astype(np.float16)
    ),
    "behind a Reshape": behind([node("Reshape", "s shape", "w")], {"s": W.ravel(), "shape": np.array([5, 4])}),
    "behind a DequantizeLinear": behind([DQ], QUANTISED, CODES.T * SCALE),
    "in a branch": graph(branches(), {"zero": np.float32(0)}, np.abs(X), {"a": 2 * W.T}),
    "a sparse initializer": graph([LINEAR], {}, X, {"w": OF_FOUR.T}, change=sparse),
    "in a file beside the model": Rung(write=external, matrices={"w": W.T}, inputs={"x": X}),
    "a convolution": graph([node("Conv", "x c", "y")], {"c": CONV}, IMAGE, {"c": CONV.reshape(4, -1)}),
    "a normalised convolution": graph(
        [node("Conv", "x c", "h"), node("BatchNormalization", "h g b m v", "n"), node("Relu", "n", "y")],
        {"c": CONV, **NORM},
        IMAGE,
        {"c": FOLDED},
    ),
    "a depthwise convolution": graph(
        [node("Conv", "x c", "y", group=4)], {"c": KERNELS}, normal(1, 4, 5, 5), {"c": DEPTHWISE}
    ),
    "a transposed convolution": graph([node("ConvTranspose", "x u", "y")], {"u": UP}, normal(1, 3, 6), {"u": OF_UP}),
    "LSTM": graph(
        [helper.make_node("LSTM", ["x", "W", "R"], ["y"], "rnn", hidden_size=3)],
        {"W": OF_INPUT, "R": OF_STATE},
        STEPS,
        {"rnn.W": OF_INPUT[0], "rnn.R": OF_STATE[0]},
    ),
    "LSTM in both directions": graph(
        [helper.make_node("LSTM", ["x", "W", "R"], ["y"], "rnn", hidden_size=3, direction="bidirectional")],
        {"W": np.concatenate([OF_INPUT, -OF_INPUT]), "R": np.concatenate([OF_STATE, -OF_STATE])},
        STEPS,
        {
            "rnn.W.forward": OF_INPUT[0],
            "rnn.R.forward": OF_STATE[0],
            "rnn.W.backward": -OF_INPUT[0],
            "rnn.R.backward": -OF_STATE[0],
        },
    ),
    "DynamicQuantizeLSTM": graph(
        [helper.make_node("DynamicQuantizeLSTM", RNN8, ["y"], "rnn", hidden_size=3, domain=CONTRIB)],
        {"W8": OF_INPUT8, "R8": OF_STATE8, "s": SCALE[None], "z": np.int8([2])},
        STEPS,
        {"rnn.W": (OF_INPUT8[0].T - np.float32(2)) * SCALE, "rnn.R": (OF_STATE8[0].T - np.float32(2)) * SCALE},
    ),
    "GRU": graph(  # the last gate multiplies a state that the node has scaled
        [helper.make_node("GRU", ["x", "W", "R"], ["y"], "rnn", hidden_size=3)],
        {"W": OF_INPUT[:, :9], "R": OF_STATE[:, :9]},
        STEPS,
        {"rnn.W": OF_INPUT[0, :9], "rnn.R": OF_STATE[0, :6]},
    ),
    "MatMulNBits": graph(
        [node("MatMulNBits", "x w ws", "y", domain=CONTRIB, K=16, N=4, bits=4, block_size=16)],
        {"w": BYTES, "ws": np.full((4, 1), SCALE)},
        normal(3, 16),
        {"w": (NIBBLES - 8) * SCALE},
    ),
    "QLinearMatMul": graph(
        [Q, node("QLinearMatMul", "q xs xz w8 ws wz ys yz", "y")], QUANTISED | SIGNAL, X, {"w8": CODES.T * SCALE}
    ),
    "QGemm": graph(
        [Q, node("QGemm", "q xs xz w8 ws wz b ys yz", "y", domain=CONTRIB, alpha=0.5)],
        QUANTISED | SIGNAL | {"b": np.int32([100, -200, 300, 0])},
        X,
        {"w8": CODES.T * SCALE / 2},
    ),
    "QLinearConv": graph(
        [Q, node("QLinearConv", "q xs xz c ws wz ys yz", "y")],
        {"c": CODES.T.reshape(4, 5, 1), "ws": SCALE, "wz": np.int8(0), **SIGNAL},
        normal(1, 5, 7),
        {"c": CODES.T * SCALE},
    ),
    "MatMulInteger": graph(
        [
            node("DynamicQuantizeLinear", "x", "q qs qz"),
            node("MatMulInteger", "q w8 qz", "i"),
            node("Cast", "i", "f", to=TensorProto.FLOAT),
            node("Mul", "qs ws", "s"),
            node("Mul", "f s", "y"),
        ],
        {"w8": CODES, "ws": SCALE},
        X,
        {"w8": CODES.T * SCALE},
    ),
    "DynamicQuantizeMatMul": graph(
        [node("DynamicQuantizeMatMul", "x w8 ws wz", "y", domain=CONTRIB)], QUANTISED, X, {"w8": CODES.T * SCALE}
    ),
    "a product of two computed values": graph(
        [LINEAR, node("Transpose", "y", "t", perm=[1, 0]), node("MatMul", "y t", "z")],
        {"w": W},
        X,
        {"w": W.T},
        said="not run: 1 products of two computed values, 36 MACs for one run of the graph",
        change=lambda model: model.graph.output[0].CopyFrom(onnx.ValueInfoProto(name="z")),
    ),
    "an embedding of a graph": graph(
        [node("Gather", "table x", "h"), node("MatMul", "h w", "y")],
        {"table": normal(16, 5), "w": W},
        np.array([3, 4]),
        {"w": W.T},
        said="passed over, with 80.0% of the weights: h (Gather)",
        kind=TensorProto.INT64,
    ),
    "a stack of matrices": graph(
        [LINEAR, node("MatMul", "y s", "z")],
        {"w": W, "s": normal(2, 4, 3)},
        X,
        {"w": W.T},
        said="a stack of matrices [2, 4, 3]",
        change=lambda model: model.graph.output[0].CopyFrom(onnx.ValueInfoProto(name="z")),
    ),
    "a file outside the model's folder": Rung(
        write=lambda folder: external(folder, "../f.bin"),
        said="wants 'w' from '../f.bin', which is not in the model's own folder",
        inputs={"x": X},
    ),
    "an unknown opset": graph(
        [LINEAR],
        {"w": W},
        X,
        None,
        said="is of opset 999, known are 1 to",
        change=lambda model: setattr(model.opset_import[0], "version", 999),
    ),
    "no product": graph([node("Relu", "x", "y")], {}, X, None, said="holds no product with stored weights"),
}
