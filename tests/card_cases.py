"""What the tests of the card share: Plans written by hand, and random ones small enough for many ties."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tensorcore_sim.card.choose import tiling
from tensorcore_sim.card.plan import order, plan
from tensorcore_sim.card.tiling import Problem
from tensorcore_sim.card.timeline import Plan
from tensorcore_sim.spec import PRESETS

# One SM, one tile of one k-step: a chunk of A has 10 bytes and holds L2 for 4 ticks and HBM for 20, one of B 20 bytes,
# 6 and 30 ticks, a result 5 bytes, 7 and 9 ticks; data come 30 ticks after L2 and 50 after HBM; a k-step takes 100.
SMALL = {
    "n_sms": 1,
    "n_resident": 1,
    "n_sharing": 1,
    "n_stages": 2,
    "n_steps": 1,
    "begin": 0,
    "step": 100,
    "overhead": 0,
    "turn": 0,
    "l2_latency": 30,
    "hbm_latency": 50,
    "l2_bytes": 1000,
}
SIZES = {"a_bytes": 10, "a_l2": 4, "a_hbm": 20, "b_bytes": 20, "b_l2": 6, "b_hbm": 30}
STORES = {"store_bytes": 5, "store_l2": 7, "store_hbm": 9, "sums_l2": 11}
FAST_HBM = {"hbm_latency": 1, "a_hbm": 1, "b_hbm": 1, "store_hbm": 1}


def card(tiles=((0, 0),), blocks=None, in_l2=(), **changes) -> Plan:
    """Return a Plan of tiles (row, column), as SMALL but for the changes; a chunk's size may be [places, 2].

    blocks: each a list of parts (tile, first k-step, length); None: one for each tile.
    """
    fields = {**SMALL, **SIZES, **STORES, **changes}
    row, column = np.array(tiles, np.int64).T
    places = {"a": row.max() + 1, "b": column.max() + 1}
    for name in SIZES:
        fields[name] = np.array(np.broadcast_to(fields[name], (places[name[0]], 2)), np.int64)
    for name in STORES:
        fields[name] = np.array(np.broadcast_to(fields[name], len(row)), np.int64)
    blocks = [[(tile, 0, fields["n_steps"])] for tile in range(len(row))] if blocks is None else blocks
    tile, first, length = np.array([part for parts in blocks for part in parts], np.int64).T
    starts = np.cumsum([0] + [len(parts) for parts in blocks])
    of_parts = {"tile": tile, "first": first, "length": length, "blocks": starts}
    return Plan(row=row, column=column, in_l2=np.array(in_l2, np.int64), **of_parts, **fields)


@st.composite
def cards(draw, most_sms: int = 6, most_resident: int = 3) -> Plan:
    """Draw a Plan whose times are a few ticks or cycles, so that requests and arrivals fall together."""
    n_rows, n_columns = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    tiles = np.array(order(n_rows, n_columns, draw(st.integers(1, 3)))).T

    def sizes(name: str, most: int) -> list:
        shape = {"a": (n_rows, 2), "b": (n_columns, 2), "s": (len(tiles),)}[name[0]]
        drawn = draw(st.lists(st.integers(1, most), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
        unit = draw(st.sampled_from([1, 1, 5, 10]))
        return unit * np.array(drawn).reshape(shape)

    n_steps = draw(st.integers(1, 5))
    cuts = [sorted(draw(st.sets(st.integers(1, n_steps - 1)))) if n_steps > 1 else [] for _ in tiles]
    parts = [
        (tile, first, until - first)
        for tile, inner in enumerate(cuts)
        for first, until in zip([0, *inner], [*inner, n_steps])
    ]
    parts = draw(st.permutations(parts))
    edges = sorted(draw(st.sets(st.integers(1, len(parts) - 1)))) if len(parts) > 1 else []
    blocks = [parts[first:until] for first, until in zip([0, *edges], [*edges, len(parts)])]
    chunks = draw(st.permutations(range((n_rows + n_columns) * n_steps)))
    of_sizes = {name: sizes(name, 12) for name in (*SIZES, *STORES)}
    by_line = np.concatenate([of_sizes["a_bytes"], of_sizes["b_bytes"]])
    l2_bytes = draw(st.integers(0, 60))
    held = np.cumsum([by_line[chunk // n_steps, int(chunk % n_steps == n_steps - 1)] for chunk in chunks])
    fits = int((held <= l2_bytes).sum())

    numbers = {"begin": 40, "step": 400, "overhead": 30, "turn": 50, "l2_latency": 90, "hbm_latency": 120}
    return card(
        tiles,
        blocks=draw(st.sampled_from([None, blocks])),
        in_l2=chunks[: draw(st.integers(0, fits))],
        n_sms=draw(st.integers(1, most_sms)),
        n_resident=draw(st.integers(1, most_resident)),
        n_sharing=draw(st.integers(1, 4)),
        n_stages=draw(st.integers(1, 4)),
        n_steps=n_steps,
        l2_bytes=l2_bytes,
        **{
            name: draw(st.integers(1, most) | st.integers(1, most // 10).map(lambda value: 10 * value))
            for name, most in numbers.items()
        },
        **of_sizes,
    )


@st.composite
def gemms(draw) -> Plan:
    """Draw the Plan of a GEMM on one of two cards, with edge tiles and tails."""
    spec = draw(st.sampled_from([PRESETS["a100-sxm-80gb"], PRESETS["h100-sxm"]])).replace(
        sparsity=draw(st.sampled_from(["dense", "2:4", "1:4"])),
        in_dtype=draw(st.sampled_from(["f16", "tf32", "int8"])),
        tile_m=draw(st.sampled_from([0, 64, 128])),
        n_stages=draw(st.integers(0, 3)),
        n_sms=draw(st.integers(1, 40)),
        n_sms_sharing_reads=draw(st.integers(1, 4)),
        l2_bytes=draw(st.sampled_from([0, 10_000, 100_000, 50 * 2**20])),
        hbm_gb_per_s=draw(st.sampled_from([10.0, 2039.0])),
        raster_tiles=draw(st.integers(1, 4)),
    )
    n = draw(st.integers(1, 700) | st.lists(st.integers(0, 200), min_size=1, max_size=5).filter(any).map(tuple))
    problem = Problem(m=draw(st.integers(1, 700)), n=n, k=draw(st.integers(1, 700)))
    return plan(problem, tiling(problem, spec), draw(st.integers(1, 20_000)), spec)
