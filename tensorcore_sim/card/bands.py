"""How far the model was from measured GEMMs like one at hand: the error band that every answer carries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from cyclekit.validation import Comparison
from tensorcore_sim.card.tiling import Problem
from tensorcore_sim.spec import FAMILIES, Spec
from workloads.files import read_table

QUANTITY = re.compile(r"(dense time|2:4 time|2:4 speed-up), (A|H)\d+\S* (\w+)")  # of evidence/gemms.py's rows
ARCHITECTURES = {"A": "ampere", "H": "hopper"}
CARDS = {"ampere": "A100", "hopper": "H100 and H800"}
MEASURED = ("a100", "h100", "h200")  # the cards whose GEMMs these are, and one of the same die
MANY = 1024  # activations from which a GEMM's tiles fill the card


def bands(rows: Iterable[Comparison]) -> list[dict[str, str]]:
    """Return the bands of the comparison's rows that no constant was fitted on, as data/error_bands.csv holds them."""
    errors: dict[tuple[str, ...], list[float]] = {}
    for row in rows:
        match = QUANTITY.fullmatch(row.quantity)
        if match and row.kind != "calibrated":
            quantity, card, in_dtype = match.groups()
            n = int(row.layer.split(" x ")[1])
            family = FAMILIES.get(in_dtype, in_dtype)
            key = ARCHITECTURES[card], family, quantity, str(MANY if n >= MANY else 1)
            errors.setdefault(key, []).append(abs(row.error))
    names = ("architecture", "family", "quantity", "n_from")
    return [
        dict(zip(names, key, strict=True))
        | {"rows": str(len(of)), "mean_pct": f"{sum(of) / len(of):.1f}", "worst_pct": f"{max(of):.1f}"}
        for key, of in sorted(errors.items())
    ]


def note(problem: Problem, spec: Spec) -> str:
    """Return in a line how far the model was from measured GEMMs of the card's kind, the format and as many columns."""
    family = FAMILIES.get(spec.in_dtype, spec.in_dtype)
    if isinstance(problem.n, tuple):
        return "no measured GEMM of several products in one kernel to hold this against: nothing says how far it is"
    key = spec.architecture, family, str(MANY if problem.n >= MANY else 1)
    of_kind = _stored().get(key, {}) if spec.card in MEASURED else {}
    quantities = {"dense": ("dense time",), "2:4": ("2:4 time", "2:4 speed-up")}.get(spec.sparsity, ())
    if spec.int4_weights or not quantities or not of_kind:
        operands = f"{spec.sparsity} {'int4 weights' if spec.int4_weights else spec.in_dtype}"
        return f"no measured GEMM of {operands} on {spec.card} to hold this against: nothing says how far it is"
    size = f"n from {MANY}" if problem.n >= MANY else f"n below {MANY}"
    far = [
        f"{name} {of_kind[name]['mean_pct']}% off on average in {of_kind[name]['rows']} rows, at most "
        f"{of_kind[name]['worst_pct']}%"
        for name in quantities
        if name in of_kind
    ]
    kernels = "" if spec.kernels != "best" else "; the rows are of libraries, and best is the best of all kernels"
    return f"measured {family} GEMMs, {size}, on {CARDS[spec.architecture]}: {', '.join(far)}{kernels}"


@cache
def _stored() -> dict[tuple[str, str, str], dict[str, dict[str, str]]]:
    table: dict[tuple[str, str, str], dict[str, dict[str, str]]] = {}
    for row in read_table("tensorcore_sim", "error_bands"):
        table.setdefault((row["architecture"], row["family"], row["n_from"]), {})[row["quantity"]] = row
    return table
