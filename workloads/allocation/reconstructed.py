"""New weights for what reads fewer channels in a smaller graph, by least squares, as nothing is tuned there."""

from __future__ import annotations

import numpy as np

from workloads.allocation.coupling import Coupling
from workloads.allocation.smaller import with_flat
from workloads.graphs.execute import run
from workloads.graphs.graph import Graph
from workloads.graphs.products import Product
from workloads.graphs.rewrite import with_weights
from workloads.pruning.reconstruct import least_squares
from workloads.records import Layer

N_ROWS = 4096  # of what reaches a layer, evenly among all, that its weights are solved from


def reconstructed(coupling: Coupling, small: Graph, stays: np.ndarray) -> Graph:
    """Return a smaller graph whose readers of fewer channels give, as nearly as they can, what they gave in the whole.

    stays: bool[units] that it was made with. One after the other in the order in which they run, each on what reaches
    it now: the weights of least squared error on the graph's inputs, and the bias where it has one (He, Zhang and Sun
    2017). Grouped ones stay as they are.
    """
    for place, whole in enumerate(coupling.graph.products):
        ends = coupling.ends.get(whole.name)
        if ends is None or whole.groups > 1 or stays[ends.reads].all():
            continue
        product = small.products[place]
        outputs = np.repeat(stays[ends.writes], len(whole.weights) // len(ends.writes))
        inputs = _rows(small, product)
        targets = _rows(coupling.graph, whole) @ whole.matrix[outputs].T
        if product.bias_at is None:  # what is constant has no place: mirrored, nothing is
            inputs, targets = (np.concatenate([array, -array]) for array in (inputs, targets))
        elif whole.bias is not None:
            targets += whole.bias[outputs]
        every = np.ones(product.n_in, bool)
        weights, bias = least_squares(inputs, targets, every, start=product.matrix)
        solved = Layer(name=product.name, weights=weights, bias=product.bias if product.bias_at is None else bias)
        small = with_flat(small, with_weights(small, {product.name: solved}))
    return small


def _rows(graph: Graph, product: Product) -> np.ndarray:
    rows = np.concatenate([product.rows(run(graph.flat, part, product.reads)) for part in graph.parts])
    return rows[np.linspace(0, len(rows) - 1, min(N_ROWS, len(rows))).astype(int)].astype(np.float32)
