"""What a user says of what reaches a network: data or a number of inputs, densities to draw at, positions to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workloads.errors import BadInput, fits
from workloads.records import DENSE, DRAWN

# The share of inputs that are not zero where nothing says it: what reaches AlexNet's first two fully connected layers
# behind a ReLU (EIE, Table III: Act% of Alex-6 and Alex-7).
ACT_DENSITY = 0.35


@dataclass(frozen=True, kw_only=True)
class Feed:
    """arrays: by input name, or the .npz file with them; n: only so many inputs, or so many drawn ones.

    architecture: the network that a file of weights without a graph is of. seed: of what is drawn. densities: {glob
    over layers: share not zero} of what is drawn in the place of what an execution gives. positions: of each input that
    run, drawn (None: all).
    """

    arrays: Mapping[str, np.ndarray] | Path | None = None
    n: int | None = None
    seed: int = 0
    densities: Mapping[str, float] | None = None
    positions: int | None = None
    architecture: str | None = None

    def __post_init__(self):
        for name in ("n", "positions"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                said = {"n": "inputs"}.get(name, name)
                raise BadInput(f"{said} must be a whole number of at least 1, got {value!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise BadInput(f"seed must be a whole number from 0 on, got {self.seed!r}")
        for glob, density in (self.densities or {}).items():
            if isinstance(density, bool) or not isinstance(density, int | float) or not 0 < density <= 1:
                raise BadInput(f"activation density of {glob!r} must be above 0 and at most 1, got {density!r}")

    @classmethod
    def of(
        cls,
        inputs: int | str | Path | Mapping[str, np.ndarray] | None = None,
        activation_density: float | str | Mapping[str, float] | None = None,
        positions: int | None = None,
        architecture: str | None = None,
    ) -> Feed:
        """Return what --inputs, --activation-density, --positions and --architecture mean. Raises BadInput."""
        densities = _densities(activation_density)
        return cls(**_inputs(inputs), densities=densities, positions=positions, architecture=architecture)

    def check_number_only(self, what: str) -> None:
        """Raise BadInput where more is said than how many inputs: of what brings its own, and no positions."""
        if self.arrays is not None or self.densities:
            raise BadInput(f"{what} takes no inputs or densities from outside: --inputs can only be a number")
        if self.architecture is not None:
            raise BadInput(f"{what} has an architecture of its own, got {self.architecture!r}")

    def density(self, layer: str) -> float | None:
        """Return the density that is drawn for a layer, None where none is said."""
        return next((share for glob, share in (self.densities or {}).items() if fits(layer, glob)), None)

    def drawn(self, density: float) -> tuple[str, str]:
        """Return what activations drawn at a density are, of records.REACHED, and what a provenance says of them."""
        said = f"activations drawn: half-normal, {100 * density:g}% of them not zero, seed {self.seed}"
        return DENSE if density == 1 else DRAWN, said


def _inputs(value: int | str | Path | Mapping[str, np.ndarray] | None) -> dict:
    if value is None or isinstance(value, Mapping):
        return {"arrays": value}
    text = str(value)
    if isinstance(value, int) or text.isdecimal():
        return {"n": int(text) if text.isdecimal() else value}
    if (seed := text.removeprefix("random:")) != text and seed.isdecimal():
        return {"seed": int(seed)}
    if Path(text).suffix.lower() == ".npz":
        return {"arrays": Path(text)}
    raise BadInput(f"inputs must be a whole number, an .npz file of arrays by input name, or random:SEED, got {text!r}")


def _densities(value: float | str | Mapping[str, float] | None) -> Mapping[str, float] | None:
    if value is None or isinstance(value, Mapping):
        return value
    densities = {}
    for word in str(value).split(","):
        glob, equals, number = word.rpartition("=")
        try:
            densities[glob.strip() if equals else "*"] = float(number)
        except ValueError:
            raise BadInput(
                f"activation density must be a number, or GLOB=NUMBER,GLOB=NUMBER over layers, got {str(value)!r}"
            ) from None
    return densities
