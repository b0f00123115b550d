"""How units of channels pass through a graph: a rule for each operator, and what stays where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from workloads.allocation.channels import Channels, Ends, Place, Units
from workloads.graphs.execute import run
from workloads.graphs.graph import Graph, shapes
from workloads.graphs.nodes import Nodes, attributes
from workloads.graphs.products import Product
from workloads.graphs.structure import OWN, read_by


class Walk:
    """The units that a graph's values hold so far: {value: Channels} of those whose channels may go.

    ends: the products passed; places: the constants in which units stand; refused: {product: why it is not followed}.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self.nodes = Nodes(graph.flat, frozenset(node.op_type for node in graph.flat.graph.node))
        self.products: dict[int, list[Product]] = {}
        for product in graph.products:
            self.products.setdefault(id(product.node), []).append(product)
        self.names = graph.names
        self.shapes = _shapes(graph, self.nodes)
        self.opset = next((entry.version for entry in graph.flat.opset_import if entry.domain in OWN), 1)
        self.units, self.channels = Units(), dict[str, Channels]()
        self.ends: list[Ends] = []
        self.refused: dict[str, str] = {}
        self.places: list[Place] = []

    def follow(self, node: Any) -> None:
        """Give the node's outputs the units that they hold; all that it reads stays where no rule knows it."""
        reads, products = read_by(node), self.products.get(id(node), [])
        if node.op_type == "Shape" or not (products or any(name in self.channels for name in reads)):
            return
        rule = RULES.get(node.op_type)
        refusal = rule(self, node) if rule else "is not understood"
        if refusal:
            reason = f"{node.op_type} {self.label(node)} {refusal}"
            self.refused |= {product.name: reason for product in products}
            for name in reads:
                self.keep(name, reason)

    def label(self, node: Any) -> str:
        """Return what the node is called."""
        return self.names.get(id(node), node.name or node.output[0])

    def keep(self, value: str, reason: str) -> None:
        """Let all channels of a value stay."""
        if value in self.channels:
            self.units.keep(self.channels[value].units, reason)

    def give(self, node: Any, axis: int, units: np.ndarray) -> None:
        """Say what units the node's first output holds."""
        self.channels[node.output[0]] = Channels(axis, units)

    def held(self, value: str, axis: int) -> np.ndarray:
        """Return the units along an axis of a value: its own, or where it has none there new ones that stay."""
        own = self.channels.get(value)
        if own is not None and own.axis == axis:
            return own.units
        self.keep(value, f"{value} is cut along another axis")
        units = self.units.new(self.shapes[value][axis])
        self.units.keep(units, f"{value} keeps its width")
        return units

    def put(self, node: Any, operand: int, axis: int, units: np.ndarray) -> None:
        """Note units along an axis of a constant that the node reads."""
        self.places.append(Place(node=node, operand=operand, axis=axis, units=units))

    def is_constant(self, node: Any, operand: int) -> bool:
        """Tell whether a node reads a known constant there, or nothing."""
        return operand >= len(node.input) or not node.input[operand] or node.input[operand] in self.nodes.values


def _shapes(graph: Graph, nodes: Nodes) -> dict[str, tuple[int, ...]]:
    """Return the shape of every value for the first run's inputs: inferred, or else as it turns out."""
    known = {name: shape for name, (shape, _) in shapes(graph).items()}
    known |= {name: array.shape for name, array in nodes.values.items()}
    used = {name for node in graph.nodes.computing for name in (*node.input, *node.output) if name}
    missing = sorted(used - known.keys() - nodes.constant_names)
    return known | {name: np.shape(array) for name, array in run(graph.flat, graph.parts[0], missing).items()}


def _conv(walk: Walk, node: Any) -> str | None:
    if not (walk.is_constant(node, 1) and walk.is_constant(node, 2)):
        return "has computed weights"
    is_transposed = node.op_type == "ConvTranspose"
    array, groups = walk.nodes.constant(node, 1), attributes(node).get("group", 1)
    reads = walk.held(node.input[0], 1)
    writes = walk.units.new(array.shape[1] * groups if is_transposed else len(array))
    if groups > 1:
        for units in (reads.reshape(groups, -1), writes.reshape(groups, -1)):  # a block goes whole
            walk.units.join(reads.reshape(groups, -1)[:, :1].repeat(units.shape[1], 1).ravel(), units.ravel())
        walk.put(node, 1, 0, reads if is_transposed else writes)
    else:
        walk.put(node, 1, 0 if is_transposed else 1, reads)
        walk.put(node, 1, 1 if is_transposed else 0, writes)
    return _product(walk, node, reads, writes, 1, 2)


def _matmul(walk: Walk, node: Any) -> str | None:
    place = 1 if walk.nodes.constant(node, 1) is not None else 0
    array = walk.nodes.constant(node, place)
    value = node.input[1 - place]
    shape = walk.shapes[value]
    if array is None or array.ndim != 2 or len(shape) < 2:
        return "is a product of two computed values" if array is None else "has a stack of matrices"
    reads, writes = walk.held(value, len(shape) - 1 - (1 - place)), walk.units.new(array.shape[place])
    walk.put(node, place, 1 - place, reads)
    walk.put(node, place, place, writes)
    return _product(walk, node, reads, writes, len(shape) - 1 - (1 - place), None)


def _gemm(walk: Walk, node: Any) -> str | None:
    place, settings = 1 if walk.nodes.constant(node, 1) is not None else 0, attributes(node)
    array, transposed = walk.nodes.constant(node, place), [settings.get("transA", 0), settings.get("transB", 0)]
    if array is None:
        return "is a product of two computed values"
    outputs_at = place ^ bool(transposed[place])  # A [outputs, inputs], B [inputs, outputs], or turned
    reads = walk.held(node.input[1 - place], place ^ bool(transposed[1 - place]))
    writes = walk.units.new(array.shape[outputs_at])
    if len(node.input) > 2 and node.input[2] and (refusal := _aligned(walk, node, 2, 2, place, writes)):
        return refusal
    walk.put(node, place, 1 - outputs_at, reads)
    walk.put(node, place, outputs_at, writes)
    return _product(walk, node, reads, writes, place, None)


def _product(walk: Walk, node: Any, reads: np.ndarray, writes: np.ndarray, axis: int, bias: int | None) -> str | None:
    """Note a product between units, of which the node's output holds those it writes along an axis."""
    walk.give(node, axis, writes)
    if bias is not None and bias < len(node.input) and node.input[bias]:
        walk.put(node, bias, 0, writes)
    products = walk.products.get(id(node), [])
    for product in products:
        walk.ends.append(Ends(product=product, reads=reads, writes=writes))
    if len(products) != 1 or products[0].bits:
        reason = f"{node.op_type} {walk.label(node)} " + ("is quantised" if products else "is not understood")
        for units in (reads, writes):
            walk.units.keep(units, reason)
    return None


def _only(walk: Walk, node: Any) -> Channels | None:
    """Return the channels of a node's first input, None where another holds some."""
    others = read_by(node) - {node.input[0]}
    return None if any(name in walk.channels for name in others) else walk.channels.get(node.input[0])


def _same(walk: Walk, node: Any) -> str | None:
    """What leaves each channel in its place: activation functions, pooling, padding of positions."""
    own, before, after = _only(walk, node), walk.shapes[node.input[0]], walk.shapes[node.output[0]]
    if own is None:
        return "is not understood"
    if len(before) != len(after) or before[own.axis] != after[own.axis]:
        return "changes how many there are"
    if node.op_type in POOLS and own.axis != 1:
        return "pools over them"
    if node.op_type == "Resize" and len(node.input) > 3 and node.input[3]:
        return _counted(walk, node, 3, own.axis, own)
    walk.give(node, own.axis, own.units)
    return None


def _slice(walk: Walk, node: Any) -> str | None:
    """What takes some positions, and of the channels all as they stand."""
    steps = walk.nodes.constant(node, 4)
    if len(node.input) > 4 and (steps is None or (steps < 0).any()):
        return "may turn them about"
    return _same(walk, node)


def _along(walk: Walk, node: Any) -> str | None:
    """Softmax and its like, which mix the channels where they run along or from their axis on."""
    own = _only(walk, node)
    if own is None:
        return "has computed parameters"
    default = 1 if node.op_type != "LayerNormalization" and walk.opset < 13 else -1
    if own.axis >= attributes(node).get("axis", default) % len(walk.shapes[node.input[0]]):
        return "normalises over them"
    walk.give(node, own.axis, own.units)
    return None


def _of_channels(walk: Walk, node: Any) -> str | None:
    """A normalisation whose constants have a number for each channel."""
    if not all(walk.is_constant(node, place) for place in range(1, len(node.input))):
        return "has computed parameters"
    units = walk.held(node.input[0], 1)
    for place in range(1, len(node.input)):
        walk.put(node, place, 0, units)
    walk.give(node, 1, units)
    return None


def _broadcast(walk: Walk, node: Any) -> str | None:
    """Element by element: what stands at the same place of the channels' axis goes together."""
    n = len(walk.shapes[node.output[0]])
    shape = walk.shapes[node.output[0]]
    held = {name: walk.channels[name] for name in node.input if name in walk.channels}
    axes = {own.axis - len(walk.shapes[name]) + n for name, own in held.items()}
    if len(axes) != 1:
        return "meets them along other axes"
    axis = axes.pop()
    units = walk.units.new(shape[axis])
    for operand in range(len(node.input)):
        refusal = _aligned(walk, node, operand, n, axis, units)
        if refusal:
            return refusal
    walk.give(node, axis, units)
    return None


def _aligned(walk: Walk, node: Any, operand: int, n: int, axis: int, units: np.ndarray) -> str | None:
    """Join an operand's places along an axis of the output, of n axes, with its units; one place stands for all."""
    name = node.input[operand]
    if name not in walk.shapes:
        return "reads what is not known"
    own_axis = axis - n + len(walk.shapes[name])
    if own_axis < 0 or walk.shapes[name][own_axis] == 1:
        walk.keep(name, f"{name} is spread over channels" if len(units) > 1 else "it has one output")
        return None
    if name in walk.nodes.values:
        walk.put(node, operand, own_axis, units)
    else:
        walk.units.join(units, walk.held(name, own_axis))
    return None


def _concat(walk: Walk, node: Any) -> str | None:
    own = next(walk.channels[name] for name in node.input if name in walk.channels)
    axis = attributes(node)["axis"] % len(walk.shapes[node.output[0]])
    if any(name not in walk.shapes for name in node.input):
        return "reads what is not known"
    parts = [walk.held(name, own.axis) for name in node.input]
    if axis == own.axis:
        walk.give(node, axis, np.concatenate(parts))
        return None
    for part in parts[1:]:
        walk.units.join(parts[0], part)
    walk.give(node, own.axis, parts[0])
    return None


def _split(walk: Walk, node: Any) -> str | None:
    own = _only(walk, node)
    if own is None:
        return "is not understood"
    axis = attributes(node).get("axis", 0) % len(walk.shapes[node.input[0]])
    sizes = [walk.shapes[name][own.axis] for name in node.output]
    parts = np.split(own.units, np.cumsum(sizes)[:-1]) if axis == own.axis else [own.units] * len(sizes)
    if axis == own.axis:
        if walk.nodes.constant(node, 1) is None:
            return "splits them without stored sizes"
        walk.places += [Place(node=node, operand=1, index=i, units=units) for i, units in enumerate(parts)]
    walk.channels |= {name: Channels(own.axis, units) for name, units in zip(node.output, parts, strict=True)}
    return None


def _reshape(walk: Walk, node: Any) -> str | None:
    """What keeps the channels an axis, or lays positions in a row with them: Flatten, Reshape, Squeeze, Unsqueeze."""
    own, before, after = _only(walk, node), walk.shapes[node.input[0]], walk.shapes[node.output[0]]
    if own is None:
        return "is not understood"
    fitting = []
    for axis, size in enumerate(after):
        n_ahead, rest = divmod(math.prod(before[: own.axis]), math.prod(after[:axis]))  # positions laid before channels
        each = size // (n_ahead * len(own.units)) if n_ahead else 0  # and those of a channel
        is_whole = not rest and size == n_ahead * each * len(own.units)
        mixes_inputs = n_ahead > 1 and (axis == 0 or math.prod(after[:axis]) % before[0])
        if each and is_whole and not mixes_inputs and math.prod(before[own.axis + 1 :]) % each == 0:
            fitting.append((size, axis, np.tile(np.repeat(own.units, each), n_ahead)))
    if not fitting:
        return "spreads them over several axes"
    _, axis, units = max(fitting, key=lambda fit: fit[0])
    if node.op_type == "Reshape":
        return _counted(walk, node, 1, axis, Channels(axis, units))
    walk.give(node, axis, units)
    return None


def _counted(walk: Walk, node: Any, operand: int, index: int, channels: Channels) -> str | None:
    """Note that a vector of sizes says how many channels there are, and give the output its units."""
    name = node.input[operand]
    sizes = walk.nodes.constant(node, operand)
    if sizes is None and (sizes := run(walk.graph.flat, walk.graph.parts[0], [name])[name])[index] > 0:
        return "has a computed shape"
    if sizes[index] == 0 and index != walk.channels[node.input[0]].axis:
        return "takes their number from another axis"
    if sizes[index] > 0:
        walk.places.append(Place(node=node, operand=operand, index=index, units=channels.units))
    walk.give(node, channels.axis, channels.units)
    return None


def _transpose(walk: Walk, node: Any) -> str | None:
    own, n = walk.channels[node.input[0]], len(walk.shapes[node.input[0]])
    walk.give(node, list(attributes(node).get("perm", range(n)[::-1])).index(own.axis), own.units)
    return None


def _reduce(walk: Walk, node: Any) -> str | None:
    own, n, settings = _only(walk, node), len(walk.shapes[node.input[0]]), attributes(node)
    if own is None:
        return "is not understood"
    axes = settings.get("axes", walk.nodes.constant(node, 1))
    if axes is None or own.axis in (axes := {int(axis) % n for axis in axes}):
        return "sums over them"
    n_gone = 0 if settings.get("keepdims", 1) else sum(axis < own.axis for axis in axes)
    walk.give(node, own.axis - n_gone, own.units)
    return None


POOLS = ("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
ELEMENTWISE = (
    "Relu", "LeakyRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Gelu", "Erf", "Clip",
    "Softplus", "Softsign", "Mish", "ThresholdedRelu", "Identity", "Dropout", "Cast", "Abs", "Neg", "Exp", "Log",
    "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Sign", "Sin", "Cos",
)  # fmt: skip
RULES: dict[str, Callable[[Walk, Any], str | None]] = {
    "Conv": _conv,
    "ConvTranspose": _conv,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "BatchNormalization": _of_channels,
    "InstanceNormalization": _of_channels,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Transpose": _transpose,
    **dict.fromkeys(("Softmax", "LogSoftmax", "LayerNormalization"), _along),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"), _reduce),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Mean", "Where", "PRelu"), _broadcast),
    **dict.fromkeys((*ELEMENTWISE, *POOLS, "Pad", "Resize", "Upsample"), _same),
}
