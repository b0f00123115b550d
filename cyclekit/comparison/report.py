"""What compression did to each layer, and what it costs on a machine: bytes in its own format, cycles, speed-up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from cyclekit.machine import Machine, Progress, quiet, run_through
from cyclekit.run import Run
from workloads.blas import one_thread
from workloads.errors import BadInput
from workloads.quantisation.huffman import huffman_bytes
from workloads.records import Shape, Workload

N_AT_ONCE = 1 << 22  # weights brought to f64 at a time, so that the largest layer needs little more memory
ENGINE = "schedule"  # where a machine has it: the cycles are those of its other engines, and sooner here
SUMMED = ("bytes", "padding_bytes", "cycles", "time_us", "energy_pj")  # over the layers of a network


def figures(dense: Workload, compressed: Workload) -> dict[str, Any]:
    """Return a layer's figures that no machine is needed for; docs/pruning.md defines them.

    centroids: [those in the codebook, places for them]. It and bytes_huffman: None without shared codes.
    """
    mask = compressed.blocks != 0
    return {
        "layer": compressed.name,
        "n_out": compressed.n_out,
        "n_in": compressed.n_in,
        "density": float(mask.mean()),
        "row_imbalance": imbalance(mask.sum(axis=1)),
        "column_imbalance": imbalance(mask.sum(axis=0)),
        "activation_density": float(np.count_nonzero(compressed.activations) / compressed.activations.size),
        "error": error(dense, compressed),
        "centroids": _centroids(compressed.codebook),
        "bytes_f32": 4 * mask.size,
        "bytes_f16": 2 * mask.size,
        "bytes_huffman": None if compressed.codes is None else huffman_bytes(compressed),
    }


@one_thread()
def error(dense: Workload, compressed: Workload) -> float | None:
    """Return by how much the compressed layer's outputs for the dense one's inputs are off, as a share of their norm.

    Before the activation function; None where that norm is 0.
    """
    outputs, wanted = (_outputs(layer, dense.activations) for layer in (compressed, dense))
    norm = float(np.linalg.norm(wanted))
    return float(np.linalg.norm(outputs - wanted)) / norm if norm else None


def imbalance(counts: np.ndarray) -> float:
    """Return the largest of counts int[n] over their mean; 1 where all are 0."""
    return float(counts.max() / counts.mean()) if counts.any() else 1.0


def costs(
    chosen: Machine, layers: Sequence[Workload], *, check: bool = False, progress: Progress = quiet
) -> list[dict[str, Any]]:
    """Return what each layer costs on a machine's default design, on its own and for all of its activations.

    cycles, time_us and energy_pj (None without prices) are sums over the inputs, or of the one run of a batched
    machine. Where the machine cannot take a layer, its costs are None and `reason` says why, which elsewhere is None.
    """
    rows = []
    for layer in layers:
        try:
            rows.append(_cost(chosen, layer, check, progress))
        except BadInput as error:
            rows.append(
                {"spec": {}, "parts": {}, **dict.fromkeys(SUMMED), "checked": None, "notes": [], "reason": str(error)}
            )
    return rows


def dense_times(chosen: Machine, layers: Sequence[Workload], progress: Progress = quiet) -> list[float | None]:
    """Return the time of each layer in us, None for one that the machine cannot take dense."""
    return [row["time_us"] for row in costs(chosen, layers, progress=progress)]


def total(rows: Sequence[dict[str, Any]], dense_us: Sequence[float | None]) -> dict[str, Any]:
    """Return the sums of a machine's rows, with the speed-up over the dense layers where all have a time.

    None where the machine cannot take all layers; reasons: why not, each once.
    """
    reasons = list(dict.fromkeys(row["reason"] for row in rows if row["reason"]))
    columns = {key: [row[key] for row in rows] for key in SUMMED}
    sums = {key: None if reasons or None in values else sum(values) for key, values in columns.items()}
    known = not reasons and None not in dense_us
    return sums | {"speed_up": sum(dense_us) / sums["time_us"] if known else None, "reasons": reasons}


def expected(machines: Sequence[Machine], layers: Sequence[Workload], check: bool) -> tuple[float, int]:
    """Return about how many seconds and bytes `costs` takes on all the machines."""
    estimates = [estimated(chosen, layers, chosen.design(None, {}), check=check) for chosen in machines]
    return sum(seconds for seconds, _ in estimates), max(n_bytes for _, n_bytes in estimates)


def estimated(
    chosen: Machine, layers: Sequence[Workload | Shape], spec: Any, *, check: bool = False
) -> tuple[float, int]:
    """Return about how many seconds and bytes `played` takes, one after the other; nothing for what is refused."""

    def estimate(some: Sequence[Workload | Shape]) -> tuple[float, int]:
        for layer in some:
            chosen.check_takes(layer)
        return chosen.estimate(some, spec, engine=engine_of(chosen), check=check)

    with suppress(BadInput):
        return estimate(layers)
    taken = []
    for layer in layers:
        with suppress(BadInput):
            estimate([layer])
            taken.append(layer)
    return estimate(taken) if taken else (0.0, 0)


def _cost(chosen: Machine, layer: Workload, check: bool, progress: Progress) -> dict[str, Any]:
    default = chosen.design(None, {})
    spec = chosen.suited(layer, default)
    parts, runs = played(chosen, layer, spec, check=check, progress=progress)
    before = default.as_dict()
    return {
        "spec": {name: value for name, value in spec.as_dict().items() if value != before[name]},
        "parts": parts,
        "bytes": sum(parts.values()),
        "padding_bytes": parts.get("padding", 0.0),
        "cycles": sum(run.cycles for run in runs),
        "time_us": sum(run.time_us for run in runs),
        "energy_pj": _energy(chosen, runs),
        "checked": all(run.check["passed"] for run in runs) if check else None,
        "notes": list(dict.fromkeys(note for run in runs for note in run.notes)),
        "reason": None,
    }


def _energy(chosen: Machine, runs: Sequence[Run]) -> float | None:
    """Return what runs cost by the machine's default prices; None where it has none for this design."""
    try:
        return sum(chosen.price(run).total_pj for run in runs)
    except BadInput:
        return None


def played(
    chosen: Machine, layer: Workload | Shape, spec: Any, *, check: bool = False, progress: Progress = quiet
) -> tuple[dict[str, float], list[Run]]:
    """Return a layer's bytes by part on a design where it is alone, and its runs, of all its activations."""
    layers, inputs = chosen.layers_and_inputs(layer)
    images = chosen.encode(layers, spec)
    options = {"engine": engine_of(chosen), "check": check, "progress": progress}
    runs = [run.without_arrays() for run in run_through(chosen.simulate, images, inputs, spec, **options)]
    return dict(chosen.stored(images[0], spec)), runs


def engine_of(chosen: Machine) -> str:
    """Return the engine that gives a machine's cycles soonest."""
    return ENGINE if ENGINE in chosen.engines else chosen.engine(None)


def _centroids(codebook: np.ndarray | None) -> list[int] | None:
    return None if codebook is None else [int(np.count_nonzero(codebook)), len(codebook) - 1]


def _outputs(layer: Workload, inputs: np.ndarray) -> np.ndarray:
    parts = np.array_split(layer.weights, max(1, layer.weights.size // N_AT_ONCE))
    outputs = np.concatenate([inputs.astype(np.float64) @ part.T.astype(np.float64) for part in parts], axis=1)
    return outputs if layer.bias is None else outputs + layer.bias
