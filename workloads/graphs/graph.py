"""An ONNX file as a Model: its products with what reaches them on given inputs, and all its other operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from workloads import readers
from workloads.errors import BadInput
from workloads.graphs import architectures, model_file
from workloads.graphs import inputs as entering
from workloads.graphs.branches import flattened
from workloads.graphs.execute import run
from workloads.graphs.feed import Feed
from workloads.graphs.nodes import Nodes
from workloads.graphs.products import MAKERS, Product, of_node
from workloads.graphs.structure import graphs, read_by, subgraphs
from workloads.readers import npz
from workloads.records import RANDOM, REAL, Model, Other, Workload

Shapes = Mapping[str, tuple[tuple[int, ...], int]]  # {value: its shape and the bytes of an element}
DATA_LABELS = "labels"  # what an .npz file of inputs may hold besides
N_NAMED = 3  # operators of weights that no product has, which a note names


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A flat graph whose products are known, and what enters it.

    model: as the file has it; flat: with taken branches in the place of Ifs; originals: names that this changed;
    parts: the arrays of each run, of n_inputs together; said: what they are; passed_over: {node: reason}.
    """

    path: Path
    model: Any
    flat: Any
    originals: Mapping[str, str]
    products: Sequence[Product]
    nodes: Nodes
    names: Mapping[int, str]
    passed_over: Mapping[str, str]
    parts: Sequence[Mapping[str, np.ndarray]]
    n_inputs: int
    reached: str
    said: str
    labels: np.ndarray | None = None

    @cached_property
    def multiplied(self) -> set[str]:
        """The names of the stored arrays that products take their weights from."""
        return self.nodes.behind(product.node.input[product.operand] for product in self.products)


def stored(path: Path, feed: Feed) -> tuple[list[Product], str]:
    """Return a graph's products without running it, and what is said of other weights.

    An If is looked into where its condition is stored.
    """
    nodes = Nodes(flattened(_source(path, feed), None)[0], frozenset(MAKERS))
    products, *of_nodes = products_of(nodes)
    return products, passed_over(products, nodes, *of_nodes)


def _source(path: Path, feed: Feed) -> Any:
    """Return the model of a file: its own, or that of the architecture which the feed says that its weights are of."""
    if feed.architecture is None:
        return model_file.read(path)
    return architectures.build(feed.architecture, readers.read(path))


def read(path: Path, feed: Feed) -> Graph:
    """Return a file's graph with the inputs of the feed: its arrays, or random ones. Raises BadInput."""
    model = _source(path, feed)
    wanted = entering.wanted(model.graph)
    labels = None
    if feed.arrays is None:
        arrays, reached = entering.random(wanted, feed.seed, feed.n), RANDOM
        said = f"inputs random: standard normal, seed {feed.seed}"
    else:
        given, said = _given(feed)
        labels = given.pop(DATA_LABELS, None) if DATA_LABELS not in {entry.name for entry in wanted} else None
        arrays, reached = entering.given(wanted, given), REAL
    parts, n_inputs = entering.runs(wanted, arrays, feed.n)
    labels = None if labels is None else labels[:n_inputs]
    flat, originals = flattened(model, parts)
    for node in flat.graph.node:  # the states of each step are needed, and need a name
        if node.op_type in entering.RECURRENT and not (node.output and node.output[0]):
            node.output[:] = [f"{'.'.join(filter(None, [node.name, *node.output]))}.Y", *node.output[1:]]
    nodes = Nodes(flat, frozenset(MAKERS))
    products, names, passed_over = products_of(nodes)
    return Graph(
        path=path,
        model=model,
        flat=flat,
        originals=originals,
        products=products,
        nodes=nodes,
        names=names,
        passed_over=passed_over,
        parts=parts,
        n_inputs=n_inputs,
        reached=reached,
        said=said,
        labels=labels,
    )


def as_model(graph: Graph, feed: Feed, chosen: Callable[[str], bool] = lambda name: True) -> Model:
    """Return the graph's operators in the order in which they run, the products that are chosen with what reaches them.

    Each is a Workload of all positions of all inputs, or of the sample that the feed wants. Raises BadInput.
    """
    products = [product for product in graph.products if chosen(product.name)]
    reads = [name for product in products for name in product.reads if name]
    with np.errstate(over="ignore", invalid="ignore"):  # the layer refuses what is beyond f32
        values = [_in_f32(run(graph.flat, part, reads)) for part in graph.parts]
        layers = {}
        for product in products:  # one after the other: the rows of all positions are many times what reaches them
            rows = np.concatenate([np.asarray(product.rows(of_part), np.float32) for of_part in values])
            layers[product.name] = _workload(product, rows, graph, feed)
    own: dict[int, list[Workload]] = {}
    for product in products:
        own.setdefault(id(product.node), []).append(layers[product.name])
    multiplied = {id(product.node) for product in graph.products}
    known = _measured(graph, shapes(graph))
    operators: list[Workload | Other] = []
    for node in graph.nodes.computing:
        if id(node) not in multiplied:
            operators.append(_other(node, graph, known))
        operators += own.get(id(node), [])
    name = graph.path.stem
    return Model(
        name=name,
        operators=tuple(operators),
        is_graph=True,
        provenance=f"file {graph.path.name}, executed by onnxruntime; {graph.said}",
        notes=_notes(operators, graph, len(products)),
    )


def _in_f32(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in values.items()}


def _given(feed: Feed) -> tuple[dict[str, np.ndarray], str]:
    if isinstance(feed.arrays, Path):
        try:
            return npz.read(feed.arrays), f"inputs of {feed.arrays.name}"
        except FileNotFoundError:
            raise BadInput(f"is to run on {str(feed.arrays)!r}, which does not exist") from None
        except BadInput as error:
            raise BadInput(f"is to run on {str(feed.arrays)!r}, which {error}") from None
        except Exception as error:  # the zip archive's own
            raise BadInput(f"is to run on {str(feed.arrays)!r}, which is no .npz archive: {error}") from None
    return dict(feed.arrays), "inputs given"


def products_of(nodes: Nodes) -> tuple[list[Product], dict[int, str], dict[str, str]]:
    """Return the products in order, the name of every node by its id, and {name: reason} of those passed over."""
    products, names, passed_over, used = [], {}, {}, set()
    for node in nodes.computing:
        name = _free(_label(node, nodes), used)
        names[id(node)] = name
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # a layer refuses what is not finite
            of_this = of_node(node, nodes, name)
        if isinstance(of_this, str):
            passed_over[name] = of_this
        else:
            products += of_this
    return products, names, passed_over


def _label(node: Any, nodes: Nodes) -> str:
    """Return what a node is called: as its weights are, without ".weight", else by its own name or its output's.

    A slash becomes a dot: before one, an address has a network's name.
    """
    stored = nodes.stored
    if node.op_type in MAKERS:
        for name in node.input:
            if name in stored and name.endswith(".weight"):
                return _dotted(name.removesuffix(".weight"))
        named = [name for name in node.input if name in stored and "::" not in name and nodes.values[name].ndim >= 2]
        if named and node.op_type not in entering.RECURRENT:
            return _dotted(named[0])
    return _dotted(node.name or node.output[0] or node.op_type)


def _dotted(name: str) -> str:
    return name.strip("/").replace("/", ".")


def _free(name: str, used: set[str]) -> str:
    own, n = name, 2
    while own in used:
        own, n = f"{name}#{n}", n + 1
    used.add(own)
    return own


def _workload(product: Product, rows: np.ndarray, graph: Graph, feed: Feed) -> Workload:
    n_rows, said, reached = len(rows), graph.said, graph.reached
    positions = n_rows // graph.n_inputs if n_rows % graph.n_inputs == 0 else n_rows
    density = feed.density(product.name)
    if density is not None:
        rng = np.random.default_rng(feed.seed)
        drawn = np.abs(rng.standard_normal(rows.shape, np.float32))
        rows = np.where(rng.random(rows.shape, np.float32) < density, drawn, np.float32(0))
        reached, said = feed.drawn(density)
    bits = f"{product.bits}-bit weights dequantised" if product.bits else ""
    try:
        return Workload(
            name=product.name,
            weights=product.matrix,
            bias=product.bias,
            relu=product.relu,
            activations=rows,
            positions=positions,
            groups=product.groups,
            kernel=product.kernel,
            kind=product.node.op_type,
            reached=reached,
            weight_bits=product.bits,
            provenance="; ".join(filter(None, (f"file {graph.path.name}, layer {product.name}", bits, said))),
        ).sample(feed.positions)
    except BadInput as error:
        raise BadInput(f"layer {product.name!r}: {error}") from None


def shapes(graph: Graph) -> Shapes:
    """Return the shapes that can be inferred for the first run's inputs."""
    import onnx
    from onnx import helper

    model = onnx.ModelProto()
    model.CopyFrom(graph.flat)
    del model.graph.value_info[:]
    for entry in model.graph.input:
        if entry.name in graph.parts[0]:
            shape = graph.parts[0][entry.name].shape
            entry.CopyFrom(helper.make_tensor_value_info(entry.name, entry.type.tensor_type.elem_type, shape))
    for entry in model.graph.output:
        entry.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # of an operator that it knows wrongly: sizes are then not known
        return {}
    known = {}
    for entry in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output):
        tensor = entry.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            try:
                size = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)).itemsize
            except (KeyError, TypeError):
                continue
            known[entry.name] = tuple(d.dim_value for d in tensor.shape.dim), size
    return known


def _measured(graph: Graph, known: Shapes) -> Shapes:
    """Return the shapes with those, as the first run has them, that products of computed values lack."""
    products = [node for node in graph.nodes.computing if _is_of_computed(node, graph)]
    names = [name for node in products for name in (node.input[0], node.output[0]) if name not in known]
    values = run(graph.flat, graph.parts[0], names) if names else {}
    return dict(known) | {name: (array.shape, array.itemsize) for name, array in values.items()}


def _is_of_computed(node: Any, graph: Graph) -> bool:
    return node.op_type == "MatMul" and graph.nodes.constant_names.isdisjoint(node.input)


def _other(node: Any, graph: Graph, measured: Shapes) -> Other:
    name = graph.names[id(node)]
    known = [measured[output] for output in node.output if output in measured]
    is_known = len(known) == len([output for output in node.output if output])
    n_macs = 0
    if _is_of_computed(node, graph):
        n_macs = math.prod(known[0][0]) * measured[node.input[0]][0][-1]
    reason = graph.passed_over.get(name, "")
    if n_macs and not reason:
        reason = "a product of two computed values"
    return Other(
        name=name,
        kind=node.op_type,
        n_elements=sum(math.prod(shape) for shape, _ in known) if is_known else None,
        n_bytes=sum(math.prod(shape) * size for shape, size in known) if is_known else None,
        n_macs=n_macs,
        n_weights=_n_weights(node, graph.nodes, graph.multiplied),
        reason=reason,
    )


def _n_weights(node: Any, nodes: Nodes, multiplied: Set[str]) -> int:
    """Return how many numbers stand in the matrices that a node reads, those in the graphs that it holds as well.

    What a product multiplies is its own: a table that is read at the beginning may be multiplied at the end.
    """
    inner = [within for held in subgraphs(node).values() for within in graphs(held)]
    shapes = [tuple(tensor.dims) for holder in inner for tensor in holder.initializer]
    for name in read_by(node) - multiplied:
        if name in nodes.stored:
            shapes.append(tuple(nodes.stored[name].dims))
        elif name in nodes.values:
            shapes.append(nodes.values[name].shape)
    return sum(math.prod(shape) for shape in shapes if sum(length > 1 for length in shape) >= 2)


def passed_over(products: Sequence[Product], nodes: Nodes, names: Mapping[int, str], why: Mapping[str, str]) -> str:
    """Return what is said of weights that no product has, with their share of all; "" where there are none.

    names, why: of each node by its id, and the reasons by a node's name.
    """
    taken = {id(product.node) for product in products}
    behind = nodes.behind(product.node.input[product.operand] for product in products)
    aside = [
        (names[id(node)], node.op_type, n)
        for node in nodes.computing
        if id(node) not in taken and (n := _n_weights(node, nodes, behind))
    ]
    if not aside:
        return ""
    listed = [f"{name} ({kind}{f': {why[name]}' if name in why else ''})" for name, kind, _ in aside[:N_NAMED]]
    more = f" and {len(aside) - N_NAMED} more" if len(aside) > N_NAMED else ""
    n_aside = sum(n for *_, n in aside)
    share = 100 * n_aside / (n_aside + sum(product.weights.size for product in products))
    return f"passed over, with {share:.1f}% of the weights: {', '.join(listed)}{more}"


def _notes(operators: Iterable[Workload | Other], graph: Graph, n_chosen: int) -> tuple[str, ...]:
    """Return what is said of weights that no product has, and of products of computed values."""
    notes = []
    if n_chosen == len(graph.products):
        notes.append(passed_over(graph.products, graph.nodes, graph.names, graph.passed_over))
    computed = [other for other in operators if isinstance(other, Other) and other.n_macs]
    if computed:
        n_macs = sum(other.n_macs for other in computed)
        notes.append(
            f"not run: {len(computed)} products of two computed values, {n_macs:,} MACs for one run of the graph"
        )
    return tuple(filter(None, notes))
