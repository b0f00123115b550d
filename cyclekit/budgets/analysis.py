"""The analysis of a network: what it is worth with each layer alone at each of its levels, kept in a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from cyclekit.budgets.knob import Knob
from cyclekit.machine import Progress
from cyclekit.terminal import write_whole
from workloads.errors import BadInput
from workloads.recipes.subjects import subject


def analysed(knob: Knob, step: Progress) -> dict[str, list[float]]:
    """Return {layer: the value at each of its levels, all others whole}, on inputs calibrated on, nothing tuned.

    The value is the accuracy, or of a graph without labels minus the relative error of its outputs. Where the knob
    names a file that there is, nothing is computed. Raises BadInput, also for a file of another network, other inputs
    or other levels.
    """
    knob.check_judged()
    table, path = knob.table(), knob.analysis
    identity = _identity(knob)
    if path is not None and path.exists():
        return _read(path, identity)
    values: dict[str, list[float]] = {}
    for place, (name, levels) in enumerate(table.levels.items()):
        step(f"each level of {name}", place, len(table.levels))
        values[name] = [knob.evaluate({**table.whole, name: level}) for level in range(len(levels))]
    if path is not None:
        layers = {
            name: [{knob.unit: level, "value": value} for level, value in zip(table.levels[name], of, strict=True)]
            for name, of in values.items()
        }
        told = {
            "network": knob.task.name,
            "measure": knob.task.measure,
            "n_inputs": knob.n_judged,
            "identity": identity,
            "layers": layers,
        }
        write_whole(path, (json.dumps(told, indent=1) + "\n").encode())
    return values


def _read(path: Path, identity: str) -> dict[str, list[float]]:
    try:
        told = json.loads(path.read_bytes())
        values = {name: [float(row["value"]) for row in rows] for name, rows in told["layers"].items()}
        own = told["identity"]
    except OSError as error:
        raise BadInput(f"analysis {str(path)!r} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadInput(f"analysis {str(path)!r} is none that adapt wrote: name another file") from None
    if own != identity:
        raise BadInput(f"analysis {str(path)!r} is of another network, other inputs or levels: name another file")
    return values


def _identity(knob: Knob) -> str:
    """Return the hash of all that an analysis hangs on: weights, biases, inputs, labels and levels."""
    digest, whole = hashlib.sha256(), subject(knob.task.network).folded()
    digest.update(json.dumps([knob.unit, knob.table().levels]).encode())
    for array in (*whole.matrices.values(), *whole.biases.values(), *knob.judged):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
