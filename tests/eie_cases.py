"""Small EIE layers and designs for the tests: made by hand, or drawn by Hypothesis."""

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from eie_sim import Spec, capacity, encode
from eie_sim.simulate import ENGINES
from workloads import BadInput, Workload


def layer(n, *, bias=None, name="layer", activations=None) -> Workload:
    """Return a layer whose PE p has n[p][j] entries in column j, from local row 0 on, without padding."""
    n = np.asarray(n)
    n_pes, n_in = n.shape
    local_rows = max(1, n.max(), 0 if bias is None else max(bias))
    weights = np.zeros((local_rows * n_pes, n_in), np.float32)
    for p in range(n_pes):
        for j in range(n_in):
            weights[p::n_pes, j][: n[p, j]] = 1
    column = None
    if bias is not None:
        column = np.zeros(len(weights), np.float32)
        for p in range(n_pes):
            column[p::n_pes][: bias[p]] = 1
    return Workload(
        name=name, weights=weights, bias=column, activations=np.ones(n_in) if activations is None else activations
    )


def lay_out(workload: Workload, spec: Spec):
    """Return what an engine takes: the image, the non-zero activations of the first input, the pauses.

    A drawn row of activations whose columns can never fit the SRAM at once is given back to Hypothesis.
    """
    image = encode(workload, spec)
    try:
        pauses = capacity.pauses(image, spec)
    except BadInput:
        reject()
    return image, workload.activations[0] != 0, pauses


def play(engine: str, workload: Workload, spec: Spec):
    """Return the Timeline that an engine gives for the workload's first input."""
    return ENGINES[engine](*lay_out(workload, spec), spec)


@st.composite
def specs(draw) -> Spec:
    """Draw a design with everything that timing depends on, small enough that every limit is met sometimes."""
    return Spec(
        n_pes=draw(st.integers(1, 9)),
        queue_depth=draw(st.integers(2, 6)),
        spmat_width_bits=draw(st.sampled_from((8, 16, 64))),
        n_pointer_banks=draw(st.integers(1, 2)),
        broadcast_latency_cycles=draw(st.integers(0, 3)),
        lnzd_latency_cycles=draw(st.integers(0, 3)),
        register_file_entries=draw(st.integers(1, 4)),
        batches=draw(st.booleans()),
        refills=draw(st.booleans()),
        load_phase=draw(st.booleans()),
        spmat_bytes=draw(st.sampled_from((64, 131072))),
        pointer_bytes=draw(st.sampled_from((24, 32768))),
        dma_width_bits=draw(st.sampled_from((16, 64))),
    )


@st.composite
def workloads(draw, max_in=24, max_out=40) -> Workload:
    """Draw a layer of up to 15 values with empty rows, empty columns and zero activations among it."""
    n_in, n_out = draw(st.integers(1, max_in)), draw(st.integers(1, max_out))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density, act_density = draw(st.sampled_from((0.0, 0.05, 0.3, 1.0))), draw(st.sampled_from((0.0, 0.2, 0.7, 1.0)))
    values = rng.integers(-7, 8, (n_out, n_in)) / 4
    keep = rng.random((n_out, n_in)) < density * rng.random((n_out, 1)) * 2
    activations = rng.integers(-300, 300, n_in) / 256 * (rng.random(n_in) < act_density)
    bias = rng.integers(-7, 8, n_out) / 4 if draw(st.booleans()) else None
    return Workload(name="drawn", weights=values * keep, activations=activations, bias=bias, relu=draw(st.booleans()))
