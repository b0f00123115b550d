"""The workloads that come with the project, by name: a paper's nine benchmarks in two kinds, two examples, a network.

A benchmark "as published" (alex-6) has the densities of the paper's Table III, uniformly at random: what published data
predict. A "calibrated" one (alex-6-calibrated) has densities and a spread of row densities chosen so that the simulated
figures agree with the paper's. The two never mix, and the name says which one it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from workloads import address
from workloads.errors import BadInput, did_you_mean
from workloads.files import read_table
from workloads.graphs.feed import Feed
from workloads.points import networks as cloud_networks
from workloads.records import Model, Network, Shape, Workload
from workloads.transformers import config

NETWORKS = {
    "lenet-300-100": (
        "784 -> 300 -> 100 -> 10, trained on Fashion-MNIST, pruned to 8, 9, 26%, 4-bit weights; 1,000 test images"
    ),
    "lenet-300-100-dense": "the same network before pruning and weight sharing",
}
CALIBRATED = "-calibrated"
LECTURE = "MIT 6.5940, lecture 4"  # Pruning and Sparsity, part II
N_CHUNK_ROWS = 256  # rows drawn at a time, so that the largest layer needs little more than its own memory


EXAMPLES = {
    "lecture-eie": "4 -> 8 on four PEs (--set n_pes=4), 11 weights, activations (0, a1, 0, a3)",
    "lecture-2:4": "8 -> 4 in 2:4 (--set sparsity=2:4), all six pairs of places, two inputs",
}
# EIE: a = (0, a1, 0, a3) times 8 x 4 weights, rows dealt to four PEs; signs so that ReLU cuts b2, b4 and b7, as there.
EIE_WEIGHTS = (
    (0.5, 1.5, 0, 0.75),
    (0, 0, 1.75, 0),
    (0, -1, 0, 0.25),
    (0, 0, 0, 0),
    (0, 0, 2, -0.5),
    (1, 0, 0, 0),
    (0, 0, 0, 1.25),
    (0, -2, 0, 0),
)
EIE_ACTIVATIONS = (0, 2, 0, 3)

# 2:4: all six pairs of places, a group of one non-zero, and one of none; two inputs, the columns of B.
WEIGHTS_2_4 = (
    (1, 0, 0, 2, 0, 3, 4, 0),
    (0, 5, 0, 6, 1, 0, 2, 0),
    (0, 0, 3, 0, 0, 0, 0, 0),
    (4, 5, 0, 0, 0, 0, 6, 1),
)
ACTIVATIONS_2_4 = ((1, 2, 3, 4, 5, 6, 7, 8), (2, 0, -1, 3, 0, 1, -2, 1))


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A random layer: shape, share of non-zero weights and activations, spread of the rows' densities."""

    name: str
    n_in: int
    n_out: int
    weight_density: float
    act_density: float
    row_cv: float  # coefficient of variation of the lognormal row densities; 0: every row alike
    provenance: str
    seed: int

    @property
    def calibrated(self) -> bool:
        return self.name.endswith(CALIBRATED)


def describe() -> dict[str, str]:
    """Return {name: one line} of everything in the catalogue."""
    lines = {
        name: f"{b.n_in} -> {b.n_out}, weights {b.weight_density:.2%}, activations {b.act_density:.1%}; {b.provenance}"
        for name, b in benchmarks().items()
    }
    lectured = {name: f"{line}; {LECTURE}'s worked example" for name, line in EXAMPLES.items()}
    return lines | lectured | NETWORKS | cloud_networks.describe()


@cache
def benchmarks() -> Mapping[str, Benchmark]:
    """Return the paper's nine benchmarks in both kinds, as published first."""
    rows = read_table("workloads", "eie_benchmarks")
    published = [
        Benchmark(
            name=row["layer"],
            n_in=int(row["n_in"]),
            n_out=int(row["n_out"]),
            weight_density=float(row["weight_pct"]) / 100,
            act_density=float(row["act_pct"]) / 100,
            row_cv=0.0,
            provenance=f"as published: uniform at the densities of EIE's Table III ({row['network']})",
            seed=index,
        )
        for index, row in enumerate(rows)
    ]
    calibrated = [
        Benchmark(
            name=row["layer"] + CALIBRATED,
            n_in=int(row["n_in"]),
            n_out=int(row["n_out"]),
            weight_density=float(row["calibrated_weight_density"]),
            act_density=float(row["calibrated_act_density"]),
            row_cv=float(row["calibrated_row_cv"]),
            provenance=f"calibrated to EIE's Table IV and Fig 12 ({row['network']})",
            seed=len(rows) + index,
        )
        for index, row in enumerate(rows)
    ]
    return MappingProxyType({benchmark.name: benchmark for benchmark in (*published, *calibrated)})


def load(name: str | Path, feed: Feed | None = None) -> Workload | Network | Model | Shape:
    """Return a workload or network of the catalogue, what FILE or FILE:LAYERS stands for, or the Shape (C*)MxNxK names.

    feed: what is said of the activations (None: what there are, or those of workloads.graphs.feed's defaults).

    M outputs, N inputs of the batch, K inputs of the layer: a GEMM of [M, K] by [K, N]; C*MxNxK: C of them, the groups
    of one layer. Raises BadInput; workloads.address says what a file may hold and where its activations come from.
    """
    name, feed = str(name), Feed() if feed is None else feed
    if name in benchmarks():
        return address.fed(draw(benchmarks()[name]), feed)
    if name in EXAMPLES:
        return address.fed(examples()[name], feed)
    if name in NETWORKS:
        feed.check_number_only(f"network {name!r}")
        return _network(name)
    if cloud_networks.split(name):
        feed.check_number_only(f"{name!r}, a cloud with a network,")
        if (feed.n or 1) > 1 or feed.positions is not None:
            raise BadInput(f"{name!r} is one cloud: it takes no number of inputs or positions")
        return cloud_networks.load(name, seed=feed.seed)
    cloud_networks.check_no_cloud(name)
    config.check_no_transformer(name)
    if address.names_a_file(name):
        return address.load(name, feed)
    if sizes := re.fullmatch(r"(?:(\d+)\*)?(\d+)x(\d+)x(\d+)", name):
        feed.check_number_only(f"{name!r}, sizes alone,")
        groups, n_out, batch, n_in = (int(size or 1) for size in sizes.groups())
        return Shape(name=name, n_out=groups * n_out, n_in=groups * n_in, batch=batch, groups=groups)
    known = ", ".join(suffix for suffix in address.SUFFIXES if suffix != ".npz")
    raise BadInput(
        f"unknown workload {name!r}{did_you_mean(name, describe())}; or name an .npz file, or sizes as MxNxK or "
        f"C*MxNxK, or FILE:LAYER of {known}"
    )


def draw(benchmark: Benchmark) -> Workload:
    """Return the layer that the benchmark's seed gives.

    Weights are 15 values on an even grid without zero, activations multiples of 1/256 up to 1; a bias on every output.
    The number of active inputs is exact, their places are random; a row's weights are independent of each other.
    """
    rng = np.random.default_rng((2016, benchmark.seed))
    shape = benchmark.n_out, benchmark.n_in
    scale = 1 / np.sqrt(benchmark.weight_density * benchmark.n_in)
    book = (np.delete(np.arange(-8, 8), 8) * (scale / 8)).astype(np.float32)
    row_density = benchmark.weight_density * _row_factors(rng, benchmark)
    weights = np.zeros(shape, np.float32)
    for start in range(0, benchmark.n_out, N_CHUNK_ROWS):
        chunk = weights[start : start + N_CHUNK_ROWS]
        mask = rng.random(chunk.shape, np.float32) < row_density[start : start + N_CHUNK_ROWS, None]
        chunk[mask] = book[rng.integers(0, len(book), np.count_nonzero(mask), np.uint8)]
    activations = np.zeros(benchmark.n_in, np.float32)
    active = rng.permutation(benchmark.n_in)[: round(benchmark.act_density * benchmark.n_in)]
    activations[active] = rng.integers(1, 257, len(active)) / 256
    return Workload(
        name=benchmark.name,
        weights=weights,
        activations=activations,
        bias=book[rng.integers(0, len(book), benchmark.n_out)],
        provenance=f"{benchmark.provenance}; seed {benchmark.seed}",
    )


def examples() -> dict[str, Workload]:
    """Return the two worked examples of the lecture, small enough to follow by hand.

    Of its slides only the places of what is not zero are taken (docs/trace.md); the numbers, which they leave as
    symbols, are chosen here.
    """
    return {
        "lecture-eie": Workload(
            name="lecture-eie",
            weights=np.float32(EIE_WEIGHTS),
            activations=np.float32(EIE_ACTIVATIONS),
            provenance=f"{LECTURE}, EIE: places from the slide, numbers chosen here",
        ),
        "lecture-2:4": Workload(
            name="lecture-2:4",
            weights=np.float32(WEIGHTS_2_4),
            activations=np.float32(ACTIVATIONS_2_4),
            relu=False,
            provenance=f"{LECTURE}, 2:4: an example of its R x C matrix, made here",
        ),
    }


def _row_factors(rng: np.random.Generator, benchmark: Benchmark) -> np.ndarray:
    """Return lognormal factors f64[out] of mean exactly 1 and the benchmark's coefficient of variation."""
    sigma = np.sqrt(np.log1p(benchmark.row_cv**2))
    factors = rng.lognormal(-(sigma**2) / 2, sigma, benchmark.n_out)
    return factors / factors.mean()


def _network(name: str) -> Network:
    from workloads.networks import lenet  # late: it brings all that trains

    return lenet.compressed() if name == "lenet-300-100" else lenet.dense()
