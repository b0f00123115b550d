"""What is in an ONNX file, product by product: sizes, positions and densities, with no product computed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.graphs.feed import Feed
from workloads.graphs.graph import Graph, passed_over, read, shapes, stored


def contents(path: Path, feed: Feed) -> tuple[list[dict[str, Any]], str]:
    """Return a row for each product, and a remark: what is passed over, or why positions are not known.

    Positions are those of the feed's inputs, by the shapes that can be inferred from them. Raises BadInput.
    """
    try:
        graph = read(path, feed)
        remark = passed_over(graph)
    except BadInput as error:
        if feed.arrays is not None:
            raise
        graph, remark = None, f"positions are not known without inputs: it {error}"
    products = stored(path, feed)[0] if graph is None else graph.products
    if not products:
        raise BadInput(f"shows no product with stored weights without being run: give --inputs ({remark or 'none'})")
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
    return rows, remark


def _positions(graph: Graph) -> dict[str, int]:
    """Return {product: how many positions an input has} of those whose shapes can be inferred."""
    known, counts = shapes(graph), {}
    for product in graph.products:
        value, n = (product.output, len(product.weights)) if product.output else (product.reads[0], product.n_in)
        if value in known:
            rows = math.prod(known[value][0]) // n * len(graph.parts)
            counts[product.name] = max(1, rows // graph.n_inputs)
    return counts
