"""Small clouds, layers, designs and plans of PointAcc for the tests."""

import numpy as np
from hypothesis import strategies as st

from pointacc_sim.plan import MERGE, RANK, READY, SORT, Passes, Steps, of
from pointacc_sim.spec import Spec
from workloads.points.chain import Chain
from workloads.points.clouds import Cloud
from workloads.points.convolution import SparseConvolution
from workloads.points.kernel_map import kernel_map

SHAPES = ((3, 1, "floor"), (2, 2, "floor"), (3, 2, "floor"), (3, 2, "dilating"), (1, 1, "floor"))


def voxels(n: int, seed: int, side: int = 6) -> np.ndarray:
    """Return voxels i32[at most n, 3] in no order."""
    rng = np.random.default_rng(seed)
    return rng.permutation(np.unique(rng.integers(0, side, (n, 3)), axis=0)).astype(np.int32)


def layer(n=30, seed=0, *, shape=(3, 1, "floor"), channels=(4, 6), transposed=False, relu=True, side=6, **fields):
    """Return a layer on random voxels with random features and weights."""
    kernel_size, stride, convention = shape
    joined = kernel_map(voxels(n, seed, side), kernel_size, stride, convention=convention)
    joined = joined.transposed() if transposed else joined
    rng = np.random.default_rng(seed)
    return SparseConvolution(
        name="layer",
        weights=rng.standard_normal((len(joined.sizes), *channels)),
        bias=rng.standard_normal(channels[1]),
        relu=relu,
        map=joined,
        features=rng.standard_normal((len(joined.inputs), channels[0])),
        **fields,
    )


def pointwise(*channels: int, n: int = 50) -> list[SparseConvolution]:
    """Return a run of pointwise layers of those channels, the first of them the input's."""
    chain = Chain(Cloud(name="tiny", coordinates=voxels(n, 0)), channels=channels[0])
    x = chain.input
    for place, n_out in enumerate(channels[1:]):
        x = chain.convolution(f"mlp.{place}", x, n_out, kernel_size=1)
    return list(chain.model("mlp").layers)


@st.composite
def layers(draw) -> SparseConvolution:
    """Draw a small layer of any kind."""
    shape = draw(st.sampled_from(SHAPES))
    return layer(
        draw(st.integers(1, 60)),
        draw(st.integers(0, 99)),
        shape=shape,
        channels=(draw(st.integers(1, 9)), draw(st.integers(1, 9))),
        transposed=shape[1] == 2 and draw(st.booleans()),
        map_from=draw(st.sampled_from([None, "before"])),
        relu=draw(st.booleans()),
    )


@st.composite
def specs(draw) -> Spec:
    """Draw a small design."""
    return Spec(
        n_rows=draw(st.integers(1, 5)),
        n_columns=draw(st.integers(1, 5)),
        merger_width=draw(st.sampled_from([4, 8, 16])),
        emits=draw(st.sampled_from(["half", "all"])),
        symmetry=draw(st.booleans()),
        reuse_maps=draw(st.booleans()),
        dataflow=draw(st.sampled_from(["fetch-on-demand", "gather-scatter"])),
        cache=draw(st.booleans()),
        cache_ways=draw(st.sampled_from([1, 2])),
        cache_block_points=draw(st.sampled_from(["chosen", 1, 3])),
        cache_bytes=draw(st.sampled_from([64, 256, 4096])),
        weight_bytes=draw(st.sampled_from([128, 65536])),
        accumulator_bytes=draw(st.sampled_from([64, 400, 100000])),
        coordinate_bytes=draw(st.sampled_from([64, 100000])),
        steps_ahead=draw(st.integers(1, 4)),
        dram_gbps=draw(st.sampled_from([1.0, 7.5, 256.0])),
        dram_latency_cycles=draw(st.integers(1, 30)),
        dram_burst_bytes=draw(st.sampled_from([1, 32])),
    )


@st.composite
def plans(draw, spec: Spec):
    """Draw passes, steps and tiles of any sizes, whether or not a layer gives them."""
    sizes = st.sampled_from([0, 0, 1, 9, 70])
    n_passes, n_steps = draw(st.integers(0, 5)), draw(st.integers(0, 12))

    def numbers(strategy, n: int) -> np.ndarray:
        return np.array(draw(st.lists(strategy, min_size=n, max_size=n)), np.int64)

    passes = Passes(
        kind=numbers(st.sampled_from([SORT, MERGE, RANK]), n_passes),
        blocks=numbers(st.integers(1, 20), n_passes),
        latency=np.maximum.accumulate(numbers(st.integers(1, 12), n_passes)),  # results leave in order
        waits=numbers(st.integers(0, 1), n_passes),
        read_bytes=numbers(sizes, n_passes),
        write_bytes=numbers(sizes, n_passes),
        compares=np.zeros(n_passes, np.int64),
    )
    tile = np.cumsum(numbers(st.integers(0, 1), n_steps)) if n_steps else np.zeros(0, np.int64)
    tile = tile - (tile[0] if n_steps else 0)
    zeros = np.zeros(n_steps, np.int64)
    steps = Steps(
        map_pass=numbers(st.integers(READY, n_passes - 1), n_steps),
        rows=numbers(st.integers(1, 15), n_steps),
        tile=tile,
        weight_bytes=numbers(sizes, n_steps),
        map_bytes=zeros,
        feature_bytes=numbers(sizes, n_steps),
        misses=zeros,
        offset=zeros,
        in_channels=zeros,
        out_channels=zeros,
    )
    return of(passes, steps, numbers(sizes, int(tile[-1]) + 1 if n_steps else 0), 0, spec)
