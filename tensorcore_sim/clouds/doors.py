"""The machine's doors: a matrix goes the way of GEMMs, a sparse convolution on a cloud that of its kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cyclekit.energy import Energy
from cyclekit.machine import run_through
from cyclekit.run import Run
from cyclekit.trace.tracks import Track
from tensorcore_sim.clouds import layer as clouds
from tensorcore_sim.clouds.layer import CloudImage
from tensorcore_sim.encode import encode as encode_matrix
from tensorcore_sim.encode import stored as stored_matrix
from tensorcore_sim.encode import suited as suited_matrix
from tensorcore_sim.prices import energy as energy_of_gemm
from tensorcore_sim.simulate import estimate as estimate_gemms
from tensorcore_sim.simulate import simulate as simulate_gemm
from tensorcore_sim.simulate import spans as spans_of_gemm
from tensorcore_sim.spec import TICKS, Spec
from workloads.points.convolution import SparseConvolution
from workloads.records import Model


def encode(work: Any, spec: Spec) -> Any:
    """Encode a layer, a Shape or a sparse convolution: an Image; of a network or several layers, a list."""
    if isinstance(work, SparseConvolution):
        return clouds.encode(work, spec)
    some = work.layers if isinstance(work, Model) else work
    if isinstance(some, Sequence) and any(isinstance(layer, SparseConvolution) for layer in some):
        return [encode(layer, spec) for layer in some]
    return encode_matrix(work, spec)


def simulate(image: Any, activations: Any, spec: Spec, *, engine: str = "schedule", **options: Any) -> Run | list[Run]:
    """Run a layer, or a list of them, as simulate.py and clouds/layer.py say. Raises BadInput."""
    if isinstance(image, CloudImage):
        defaults = {"check": False, "index": 0, "progress": lambda share: None}
        return clouds.simulate(image, activations, spec, engine=engine, **defaults | options)
    if isinstance(image, Sequence) and any(isinstance(one, CloudImage) for one in image):
        if activations is None:
            return [simulate(one, None, spec, engine=engine, **options) for one in image]
        return list(run_through(simulate, image, [activations], spec, engine=engine, **options))
    return simulate_gemm(image, activations, spec, engine=engine, **options)


def estimate(layers: Sequence[Any], spec: Spec, *, engine: str, check: bool) -> tuple[float, int]:
    """Return about how many seconds and bytes encoding the layers and running their batch takes."""
    some = [layer for layer in layers if isinstance(layer, SparseConvolution)]
    if not some:
        return estimate_gemms(layers, spec, engine=engine, check=check)
    costs = [clouds.estimate(layer, spec, engine=engine, check=check) for layer in some]
    return sum(seconds for seconds, _ in costs), max(n_bytes for _, n_bytes in costs)


def energy(run: Run, name: str) -> Energy:
    """Return what a run costs by a named table. Raises BadInput."""
    return clouds.energy(run, name) if "n_maps" in run.measures else energy_of_gemm(run, name)


def stored(image: Any, spec: Spec) -> dict[str, float]:
    """Return the bytes of one layer in memory, by part."""
    return clouds.stored(image, spec) if isinstance(image, CloudImage) else stored_matrix(image, spec)


def suited(layer: Any, spec: Spec) -> Spec:
    """Return the spec with what the layer's own weights ask for."""
    return spec if isinstance(layer, SparseConvolution) else suited_matrix(layer, spec)


def spans(run: Run, image: Any, spec: Spec, **window: Any) -> Iterator[Track]:
    """Yield what the SMs, or the card as a whole, were at in a window of a run."""
    if isinstance(image, CloudImage):
        window.pop("n_units")
        return clouds.spans(run, image, spec, ticks=TICKS, **window)
    return spans_of_gemm(run, image, spec, **window)
