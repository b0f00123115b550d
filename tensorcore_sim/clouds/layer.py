"""A sparse convolution on a card: its kernels one after the other, their times and counts, and its values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from cyclekit.energy import Energy, charge
from cyclekit.ledger import Ledger
from cyclekit.run import Run, identity
from cyclekit.trace.tracks import Track
from tensorcore_sim.actions import CardAction
from tensorcore_sim.card.tiling import Problem
from tensorcore_sim.cloud_fields import FETCH_ON_DEMAND, GATHER_SCATTER
from tensorcore_sim.clouds import groups, masks, moves
from tensorcore_sim.clouds.search import search
from tensorcore_sim.format.operand import to_format, to_reals
from tensorcore_sim.prices import prices
from tensorcore_sim.simulate import NAME, time_gemm
from tensorcore_sim.spec import Spec
from workloads.errors import BadInput
from workloads.points.convolution import SparseConvolution, convolve
from workloads.records import checked_array

CLOUD_VERSION = 1  # part of every result's identity; raise it when a rule or the arithmetic changes
BUFFERS = {
    "f16": np.float16,
    "tf32": np.float32,
}  # formats that it runs in, and what gathered rows and sums are kept in
STEP, LEAST = 2.0**-11, 2.0**-25  # half a step of f16 and tf32, relative; half the least step of f16, absolute
CHANNEL_BYTES = 16  # channels are padded to so many: 8 of f16, 4 of f32 (TorchSparse 2.0.0)
NO_MEASURED = (
    "no measured kernel of a sparse convolution to hold this against: search and moves are bytes over bandwidths and "
    "launches"
)


class Part(IntEnum):
    """What the card is at in a cycle of a sparse convolution."""

    SEARCH = 0  # finds the map
    GATHER = 1
    PRODUCT = 2  # GEMMs, their launches and padding among them
    SCATTER = 3


@dataclass(frozen=True, eq=False, kw_only=True)
class CloudImage:
    """A layer as the card takes it. digest: of all that determines its result but design and features."""

    layer: SparseConvolution
    digest: str

    @property
    def workload(self) -> SparseConvolution:
        return self.layer


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Kernels of one part that run one after the other: how many, their time, and what they count."""

    part: Part
    n: int
    time_us: float
    actions: dict[str, int]


def encode(layer: SparseConvolution, spec: Spec) -> CloudImage:
    """Return the layer for a card. Raises BadInput for formats and patterns that sparse convolutions are not run in."""
    if spec.in_dtype not in BUFFERS or spec.sparse or spec.int4_weights:
        raise BadInput(
            f"in_dtype must be one of {', '.join(BUFFERS)}, dense, for the sparse convolution {layer.name!r}"
        )
    bias = None if layer.bias is None else layer.bias.tolist()
    return CloudImage(
        layer=layer, digest=identity(layer.weights, bias, layer.relu, layer.map.digest, layer.map_from is None)
    )


def simulate(
    image: CloudImage, features: np.ndarray | Run | None, spec: Spec, *, engine: str, check: bool, index: int, progress
) -> Run:
    """Run the layer on features f32[n_in, in] (None: its own), or a former Run's outputs. Raises BadInput."""
    layer = image.layer
    entered = _features(layer, features)
    kernels, measures = kernels_of(layer, spec, engine)
    progress(0.5)
    outputs = _values(layer, entered, spec)
    cycles = [max(1, round(kernel.time_us * spec.clock_mhz)) if kernel.n else 0 for kernel in kernels]
    spent = np.zeros((1, len(Part)), np.int64)
    np.add.at(spent[0], [kernel.part for kernel in kernels], cycles)
    counts = {action: sum(kernel.actions[action] for kernel in kernels) for action in CardAction}
    books = Ledger(int(spent.sum()), {"card": (Part, spent)}, {str(name): int(n) for name, n in counts.items()})
    peak = spec.fma_per_cycle(spec.in_dtype) * spec.n_sms
    return Run(
        machine=NAME,
        workload=layer.name,
        input=index,
        engine=engine,
        spec=spec.as_dict(),
        id=identity(NAME, CLOUD_VERSION, spec.as_dict(), image.digest, entered),
        cycles=books.cycles,
        time_us=books.cycles / spec.clock_mhz,
        load_balance=min(1.0, layer.macs / (peak * books.cycles)),
        actions=books.actions,
        states=books.totals(),
        output_sha256=hashlib.sha256(outputs.astype("<f4").tobytes()).hexdigest(),
        check=_check(layer, entered, outputs, spec) if check else None,
        measures=measures,
        notes=(f"values are {spec.in_dtype} with sums in f32, not in the tensor core's own order", NO_MEASURED),
        outputs=outputs,
        timeline=None,
        ledger=books,
    )


def kernels_of(layer: SparseConvolution, spec: Spec, engine: str) -> tuple[list[Kernel], dict[str, float | str]]:
    """Return the kernels of a layer in their order, and what is to be said of them."""
    joined = layer.map
    pad = CHANNEL_BYTES // moves.value_bytes(spec)
    c_in, c_out = (-(-n // pad) * pad for n in (layer.in_channels, layer.out_channels))

    def time_us(rows: tuple[int, ...]) -> float:
        return _gemm(c_out, rows, c_in, spec, engine)[0]

    looked_up = search(layer, spec)
    kernels = [_moves(Part.SEARCH, looked_up)]
    products: list[tuple[int, ...]] = []
    measures: dict[str, float | str] = {}
    moved = [moves.moved([], 0, spec)] * 2
    if spec.sparse_dataflow == GATHER_SCATTER:
        chosen = groups.launches(joined, spec, time_us)
        products = [groups.padded(group, joined) for group in chosen.groups if any(joined.sizes[list(group)])]
        moved = [moves.gather(joined, c_in, spec), moves.scatter(joined, c_out, spec)]
        measures |= {"launches": len(products), "work_factor": groups.work_factor(chosen, joined)}
        if chosen.epsilon is not None:
            measures |= {"epsilon": chosen.epsilon, "mm_threshold": float(chosen.threshold)}
    elif spec.sparse_dataflow == FETCH_ON_DEMAND:
        products = [groups.rows_of(joined.sizes[[p for p in range(len(joined.sizes)) if p != joined.centre]])]
        measures |= {"launches": 1, "work_factor": 1.0}
    else:
        rows = masks.executed_rows(joined, spec.mask_splits)
        products = [groups.rows_of(part) for part in np.array_split(rows, max(1, spec.mask_splits))]
        measures |= {"launches": len(products), "work_factor": float(rows.sum() / joined.n_maps)}
    if joined.centre is not None and spec.sparse_dataflow in (GATHER_SCATTER, FETCH_ON_DEMAND):
        products.append((int(joined.sizes[joined.centre]),))
    products = [rows for rows in products if rows]
    timed = [_gemm(c_out, rows, c_in, spec, engine) for rows in products]
    gathered, scattered = moved
    gemm_us = sum(time for time, _ in timed)
    counts = {action: sum(actions[action] for _, actions in timed) for action in CardAction}
    kernels += [
        _moves(Part.GATHER, gathered),
        Kernel(part=Part.PRODUCT, n=len(products), time_us=gemm_us, actions=counts),
        _moves(Part.SCATTER, scattered),
    ]
    return kernels, {
        "n_voxels": layer.positions,
        "n_maps": joined.n_maps,
        "map_sizes": ", ".join(map(str, joined.sizes.tolist())),
        **measures,
        "gather_transactions": gathered.transactions,
        "scatter_transactions": scattered.transactions,
        "product_tflops": 2 * layer.macs / gemm_us / 1e6,
        "useful_macs": layer.macs,
    }


def _moves(part: Part, moved: moves.Moved) -> Kernel:
    return Kernel(part=part, n=int(moved.time_us > 0), time_us=moved.time_us, actions=moved.actions)


@lru_cache(maxsize=4096)
def _gemm(m: int, rows: tuple[int, ...], k: int, spec: Spec, engine: str) -> tuple[float, dict[str, int]]:
    """Return time in us and counts of one kernel of products [m, k] by [k, rows]."""
    problem = Problem(m=m, n=rows[0] if len(rows) == 1 else rows, k=k)
    _, books, _ = time_gemm(problem, spec, engine=engine, baseline=False)
    return books.cycles / spec.clock_mhz, {action: books.actions[action] for action in CardAction}


def spans(run: Run, image: CloudImage, spec: Spec, *, begin: int, end: int, ticks: int) -> Iterator[Track]:
    """Yield what the card was at, part after part, in the ticks [begin, end)."""
    spent = [run.states["card"][part.name.lower()] for part in Part]
    edges = np.append(0, np.cumsum(spent)) * ticks
    yield Track.within(begin, end, kind="card", name="card", states=Part, state=np.arange(len(Part)), edges=edges)


def energy(run: Run, name: str) -> Energy:
    """Return what a sparse convolution costs by a named table. Raises BadInput."""
    table = prices(name, Spec.from_dict(run.spec))
    return charge(table, run.actions, run.time_us, int(run.measures["useful_macs"]))


def stored(image: CloudImage, spec: Spec) -> dict[str, float]:
    """Return the bytes of a layer in memory, by part."""
    layer = image.layer
    parts = {"weights": float(layer.weights.size * moves.value_bytes(spec))}
    return parts if layer.bias is None else parts | {"bias": 4.0 * layer.bias.size}


def estimate(layer: SparseConvolution, spec: Spec, *, engine: str, check: bool) -> tuple[float, int]:
    """Return about how many seconds and bytes a layer takes."""
    seconds = 0.1 + layer.macs * 2e-10 * (1 + 2 * check) + (20.0 if engine == "events" else 0.0)
    return seconds, int(200e6 + 12 * layer.features.nbytes + 30 * layer.map.n_maps)


def _features(layer: SparseConvolution, features: np.ndarray | Run | None) -> np.ndarray:
    reals = layer.features if features is None else features
    reals = checked_array("features", reals.values if isinstance(reals, Run) else reals, (2,))
    wanted = (len(layer.map.inputs), layer.in_channels)
    if reals.shape != wanted:
        raise BadInput(f"features must be f32{list(wanted)} for {layer.name}, got shape {list(reals.shape)}")
    return reals


def _values(layer: SparseConvolution, features: np.ndarray, spec: Spec) -> np.ndarray:
    """Return the outputs f32[n_out, out]: operands in the format, each product rounded to the buffer's width."""
    buffer = BUFFERS[spec.in_dtype]

    def rounded(reals: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # to infinity, as on the card
            return reals.astype(buffer).astype(np.float32)

    x, sums = _operand(features, spec), np.zeros((layer.positions, layer.out_channels), np.float32)
    weights = _operand(layer.weights.reshape(-1, layer.out_channels), spec).reshape(layer.weights.shape)
    for offset, of_offset in enumerate(weights):
        ins, outs = layer.map.pairs(offset)
        sums[outs] += rounded(x[ins] @ of_offset)
    if layer.bias is not None:
        sums += layer.bias
    return rounded(np.maximum(sums, 0) if layer.relu else sums)


def _operand(reals: np.ndarray, spec: Spec) -> np.ndarray:
    """Return reals f32[rows, columns] as the format holds them."""
    bits, scale = to_format(reals, spec.in_dtype)
    return (to_reals(bits, spec.in_dtype) * scale).astype(np.float32)


def _check(layer: SparseConvolution, features: np.ndarray, outputs: np.ndarray, spec: Spec) -> dict[str, object]:
    """Return whether each output is within its bound of float64, and how far off they are together.

    Features, weights and each product of an offset are rounded by a step of the format, each addition by one of f32,
    the output by one of its buffer's: shares of the sum of |x| |w|, of the output, and what lies below the least step.
    """
    exact = layer.forward(features, np.float64)
    size = np.abs(features).astype(np.float64)
    magnitude = convolve(size, np.abs(layer.weights).astype(np.float64), layer.map)
    magnitude += 0 if layer.bias is None else np.abs(layer.bias)
    ones = convolve(size, np.ones_like(layer.weights, np.float64), layer.map)
    ones += convolve(np.ones_like(size), np.abs(layer.weights).astype(np.float64), layer.map)
    steps = 3 * STEP + (layer.n_in + len(layer.weights) + 1) * 2.0**-24
    allowed = 1.01 * (steps * magnitude + STEP * np.abs(exact) + LEAST * (1 + len(layer.weights) + ones))
    error, norm = np.abs(outputs - exact), np.linalg.norm(exact)
    within = bool((error <= allowed).all())
    relative = float(np.linalg.norm(error) / norm) if norm else float(error.max())
    return {"passed": within, "within_float64_bound": within, "relative_error_of_float64": relative}
