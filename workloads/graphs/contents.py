"""What is in an ONNX file, product by product: sizes, positions and densities, with no product computed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.graphs.feed import Feed
from workloads.graphs.graph import Graph, passed_over, read, shapes, stored
from workloads.graphs.inputs import RECURRENT


def contents(path: Path, feed: Feed) -> tuple[list[dict[str, Any]], str]:
    """Return a row for each product, and a remark on other weights and unknown positions.

    Positions are those of the feed's inputs, by the shapes that can be inferred from them. Raises BadInput.
    """
    try:
        graph, unknown = read(path, feed), ""
    except BadInput as error:
        if feed.arrays is not None:
            raise
        graph, unknown = None, f"positions are not known without inputs: it {error}"
    if graph is None:
        products, aside = stored(path, feed)
    else:
        products, aside = graph.products, passed_over(graph.products, graph.nodes, graph.names, graph.passed_over)
    if not products:
        raise BadInput(f"shows no product with stored weights without being run: give --inputs ({unknown or 'none'})")
    counts = {} if graph is None else _positions(graph)
    rows = []
    for product in products:
        n_out, n = len(product.weights), counts.get(product.name)
        rows.append(
            {
                "layer": product.name,
                "kind": product.node.op_type,
                "n_out": n_out,
                "n_in": product.n_in,
                "groups": product.groups,
                "positions": n,
                "density": float(np.count_nonzero(product.weights) / product.weights.size),
                "weight_bits": product.bits,
                "relu": product.relu,
                "macs": None if n is None else n * product.weights.size,
            }
        )
    return rows, "; ".join(filter(None, [aside, unknown]))


def _positions(graph: Graph) -> dict[str, int]:
    """Return {product: how many positions an input has} of those whose shapes can be inferred."""
    known, counts = shapes(graph), {}
    for product in graph.products:
        node = product.node
        value, n = product.output or node.output[0], len(product.weights)
        if node.op_type in RECURRENT:
            value = node.input[0]
            n = known[value][0][-1] if value in known else 1
        elif node.op_type == "ConvTranspose" or (value not in known and "Conv" not in node.op_type):
            value, n = product.reads[0], product.n_in
        if value in known:
            rows = math.prod(known[value][0]) // n * len(graph.parts)
            counts[product.name] = max(1, rows // graph.n_inputs)
    return counts
