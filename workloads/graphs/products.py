"""The products with stored weights in a graph: each one's matrix, bias, activation function, and rows that reach it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workloads.graphs import quantised
from workloads.graphs.lowering import Window, block_diagonal, rows
from workloads.graphs.nodes import Nodes, as_bias, attributes

Values = Mapping[str, np.ndarray]
ACTIVATIONS = (
    "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Gelu", "Erf", "Clip",
    "Softmax", "Softplus", "Mish",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Product:
    """One matrix of a node.

    weights: f32[out, in / groups] as the graph multiplies them, scale f32[out] apart; bias: f32[out] or None; reads:
    values that `rows` takes to give f32[batch * positions, in]; operand: the place of the weights among the node's
    inputs; stored: them f32[out, in / groups], and the operand's own array -> the array with them, None where they
    cannot be put back; kernel: columns of an input channel; bits: of a quantised weight; axis_from_end: where the
    outputs lie in what the node computes; output: its name; followers: the nodes behind it that scale and add;
    bias_at: node and place of the constant that is added last, bias_factor: times what.
    """

    name: str
    node: Any
    weights: np.ndarray
    reads: tuple[str, ...]
    rows: Callable[[Values], np.ndarray]
    operand: int
    stored: Callable[[np.ndarray, np.ndarray], np.ndarray] | None
    bias: np.ndarray | None = None
    scale: np.ndarray | None = None
    groups: int = 1
    kernel: int = 1
    relu: bool = False
    activation: str = ""
    bits: int | None = None
    axis_from_end: int = 1
    output: str = ""
    followers: tuple[Any, ...] = ()
    bias_at: tuple[Any, int] | None = None
    bias_factor: float = 1.0

    @property
    def n_in(self) -> int:
        """How many numbers reach it at a position."""
        return self.weights.shape[1] * self.groups

    @property
    def matrix(self) -> np.ndarray:
        """f32[out, in]: a normalisation that follows is in it, groups are blocks on its diagonal."""
        blocks = self.weights if self.scale is None else self.weights * self.scale[:, None]
        return block_diagonal(np.ascontiguousarray(blocks, np.float32), self.groups)


def of_node(node: Any, nodes: Nodes, name: str) -> list[Product] | str:
    """Return the products of a node with stored weights, or why they are passed over; [] for no product at all."""
    make = MAKERS.get(node.op_type)
    if make is None:
        return []
    products = make(node, nodes, name)
    return [_with_followers(product, nodes) for product in products] if isinstance(products, list) else products


def _with_followers(product: Product, nodes: Nodes) -> Product:
    """Return the product with an addition, a normalisation and an activation function that follow it."""
    after = nodes.follower(product.output) if product.output else None
    n_out = len(product.weights)
    if after is not None and after.op_type == "Add":
        added = as_bias(nodes.added(after), n_out, product.axis_from_end)
        if added is not None:
            bias = added if product.bias is None else product.bias + added
            place = 0 if after.input[0] in nodes.values else 1
            product = replace(product, bias=bias, bias_at=(after, place), bias_factor=1.0, followers=(after,))
            after = nodes.follower(after.output[0])
    if after is not None and after.op_type == "BatchNormalization" and len(after.output) == 1:
        parts = [nodes.constant(after, place) for place in range(1, 5)]
        if all(part is not None and part.shape == (n_out,) for part in parts):
            gamma, beta, mean, variance = (part.astype(np.float64) for part in parts)
            scale = gamma / np.sqrt(variance + attributes(after).get("epsilon", 1e-5))
            bias = beta + scale * ((0 if product.bias is None else product.bias) - mean)
            scaled = {"scale": scale.astype(np.float32), "bias": bias.astype(np.float32)}
            followers = (*product.followers, after)
            product = replace(product, **scaled, bias_at=(after, 2), bias_factor=1.0, followers=followers)
            after = nodes.follower(after.output[0])
    if after is not None and after.op_type in ACTIVATIONS:
        product = replace(product, relu=after.op_type == "Relu", activation=after.op_type)
    return product


def _matmul(node: Any, nodes: Nodes, name: str) -> list[Product] | str:
    right, left = nodes.constant(node, 1), nodes.constant(node, 0)
    if right is None and left is None:
        return []
    array, place = (right, 1) if right is not None else (left, 0)
    shape, value = array.shape, node.input[1 - place]
    if array.ndim < 2 or array.size != shape[-1] * shape[-2]:
        return f"a stack of matrices {list(shape)}" if array.ndim > 2 else f"a vector {list(shape)}"
    flat = array.reshape(shape[-2:])
    weights = flat.T if place else flat

    def rows_of(values: Values) -> np.ndarray:
        signal = np.atleast_2d(values[value]) if place else np.swapaxes(np.atleast_2d(values[value]), -1, -2)
        return signal.reshape(-1, weights.shape[1])

    product = Product(
        name=name,
        node=node,
        weights=weights,
        reads=(value,),
        rows=rows_of,
        operand=place,
        stored=lambda new, _: (new.T if place else new).reshape(shape),
        bits=quantised.bits_of(node.input[place], nodes),
        axis_from_end=1 if place else 2,
        output=node.output[0],
    )
    return [product]


def _gemm(node: Any, nodes: Nodes, name: str) -> list[Product] | str:
    settings = attributes(node)
    place = 1 if nodes.constant(node, 1) is not None else 0
    array = nodes.constant(node, place)
    if array is None:
        return []
    alpha, beta = settings.get("alpha", 1.0), settings.get("beta", 1.0)
    # y = A B: the weights are the columns of B, or where they are A its rows.
    is_out_in = bool(settings.get("transB", 0)) if place else not settings.get("transA", 0)
    lies_across = bool(settings.get("transA", 0)) if place else not settings.get("transB", 0)
    value, added = node.input[1 - place], nodes.constant(node, 2)
    weights = np.float32(alpha) * (array if is_out_in else array.T)
    bias = as_bias(added, len(weights), 1 if place else 2)

    def stored(new: np.ndarray, _: np.ndarray) -> np.ndarray:
        new = new / np.float32(alpha)
        return new if is_out_in else new.T

    product = Product(
        name=name,
        node=node,
        weights=weights,
        reads=(value,),
        rows=lambda values: values[value].T if lies_across else values[value],
        operand=place,
        stored=stored,
        bias=None if bias is None else np.float32(beta) * bias,
        bias_at=None if bias is None or not beta else (node, 2),
        bias_factor=beta,
        bits=quantised.bits_of(node.input[place], nodes),
        axis_from_end=1 if place else 2,
        # Behind an addition that is no bias, nothing that follows is the product's own.
        output=node.output[0] if bias is not None or len(node.input) < 3 or not node.input[2] else "",
    )
    return [product]


def _conv(node: Any, nodes: Nodes, name: str) -> list[Product] | str:
    array = nodes.constant(node, 1)
    if array is None:
        return []
    settings, value, n_out, kernel = attributes(node), node.input[0], len(array), array.shape[2:]
    groups = settings.get("group", 1)
    bias = nodes.constant(node, 2)
    product = Product(
        name=name,
        node=node,
        weights=array.reshape(n_out, -1),
        reads=(value,),
        rows=lambda values: rows(values[value], Window.of(settings, kernel, values[value].shape[2:])),
        operand=1,
        stored=lambda new, _: new.reshape(array.shape),
        bias=None if bias is None else bias.astype(np.float32),
        bias_at=None if bias is None else (node, 2),
        groups=groups,
        kernel=math.prod(kernel),
        bits=quantised.bits_of(node.input[1], nodes),
        axis_from_end=1 + len(kernel),
        output=node.output[0],
    )
    return [product]


def _conv_transpose(node: Any, nodes: Nodes, name: str) -> list[Product] | str:
    """Each position of the input gives out * kernel numbers, which are added where they overlap."""
    array = nodes.constant(node, 1)
    if array is None:
        return []
    value, groups = node.input[0], attributes(node).get("group", 1)
    n_in, n_of_group = len(array), len(array) // groups
    parts = array.reshape(groups, n_of_group, -1)

    def rows_of(values: Values) -> np.ndarray:
        return np.moveaxis(values[value], 1, -1).reshape(-1, n_in)

    def stored(new: np.ndarray, _: np.ndarray) -> np.ndarray:
        return new.reshape(groups, -1, n_of_group).swapaxes(1, 2).reshape(array.shape)

    weights = parts.swapaxes(1, 2).reshape(-1, n_of_group)
    product = Product(
        name=name, node=node, weights=weights, reads=(value,), rows=rows_of, operand=1, stored=stored, groups=groups
    )
    return [replace(product, bits=quantised.bits_of(node.input[1], nodes))]


def _recurrent(node: Any, nodes: Nodes, name: str) -> list[Product] | str:
    """The matrices of each direction: W multiplies what enters, R the state of the step before."""
    weights = quantised.recurrent(node, nodes)
    if isinstance(weights, str):
        return weights
    (from_inputs, from_state, bits), settings = weights, attributes(node)
    if settings.get("layout", 0):
        return "its layout is [batch, steps], of which the steps' states are not read"
    if len(node.input) > 4 and node.input[4]:
        return "its sequences have lengths of their own"
    direction = settings.get("direction", "forward")
    n_hidden, both = from_state.shape[2], nodes.constant(node, 3)
    if node.op_type == "GRU" and not settings.get("linear_before_reset", 0):
        n_state = 2 * n_hidden  # the third gate multiplies a state that a gate has scaled inside the node
    else:
        n_state = from_state.shape[1]
    value, states, initial = node.input[0], node.output[0], node.input[5] if len(node.input) > 5 else ""
    products = []
    for place in range(len(from_inputs)):
        is_backward = direction == "reverse" or place == 1
        suffix = "" if len(from_inputs) == 1 else ".backward" if is_backward else ".forward"
        half = None if both is None else np.split(both[place].astype(np.float32), 2)

        def stored(new: np.ndarray, before: np.ndarray, place: int = place) -> np.ndarray:
            array = before.copy()
            array[place, : len(new)] = new
            return array

        def before(values: Values, place: int = place, is_backward: bool = is_backward) -> np.ndarray:
            steps = values[states][:, place]
            start = values[initial][place : place + 1] if initial else np.zeros_like(steps[:1])
            earlier = [steps[1:], start] if is_backward else [start, steps[:-1]]
            return np.concatenate(earlier).swapaxes(0, 1).reshape(-1, n_hidden)

        common = {"node": node, "activation": node.op_type, "bits": bits, "stored": None if bits else stored}
        products.append(
            Product(
                name=f"{name}.W{suffix}",
                weights=from_inputs[place],
                reads=(value,),
                rows=lambda values: values[value].swapaxes(0, 1).reshape(-1, from_inputs.shape[2]),
                operand=1,
                bias=None if half is None else half[0],
                **common,
            )
        )
        products.append(
            Product(
                name=f"{name}.R{suffix}",
                weights=from_state[place][:n_state],
                reads=(states, initial) if initial else (states,),
                rows=before,
                operand=2,
                bias=None if half is None else half[1][:n_state],
                **common,
            )
        )
    return products


def _quantised(node: Any, nodes: Nodes, name: str) -> list[Product] | str:
    parts = quantised.OPERANDS[node.op_type](node, nodes)
    if parts is None or isinstance(parts, str):
        return parts or []
    array, bits = parts.weights, parts.bits
    if "Conv" in node.op_type:
        settings, kernel = attributes(node), array.shape[2:]
        weights, groups, n_of_channel = array.reshape(len(array), -1), settings.get("group", 1), math.prod(kernel)

        def rows_of(values: Values) -> np.ndarray:
            signal = parts.real(values)
            return rows(signal, Window.of(settings, kernel, signal.shape[2:]))

    else:
        if array.size != array.shape[-1] * array.shape[-2]:
            return f"a stack of matrices {list(array.swapaxes(-1, -2).shape)}"
        weights, groups, n_of_channel = array.reshape(array.shape[-2:]), 1, 1

        def rows_of(values: Values) -> np.ndarray:
            return parts.real(values).reshape(-1, weights.shape[1])

    product = Product(
        name=name,
        node=node,
        weights=weights,
        reads=parts.reads,
        rows=rows_of,
        operand=parts.operand,
        stored=None,
        bias=parts.bias,
        groups=groups,
        kernel=n_of_channel,
        bits=bits,
    )
    return [product]


MAKERS: dict[str, Callable[[Any, Nodes, str], list[Product] | str]] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "DynamicQuantizeLSTM": _recurrent,
    **dict.fromkeys(quantised.OPERANDS, _quantised),
}
