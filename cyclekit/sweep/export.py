"""A store's rows as a table, CSV or Parquet: one line a run, each field of spec, actions, states a column, priced."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cyclekit.sweep.results import Pricing
from cyclekit.sweep.store import Row, Store
from cyclekit.terminal import check_writable, replacing
from workloads.errors import BadInput

N_AT_ONCE = 10_000  # rows in memory, and in a row group of a Parquet file
TYPES = {"integer": "int64", "real": "float64", "true": "bool", "false": "bool"}  # of JSON; anything else is text
PLAIN = {"part": "int64", "input": "int64", "cycles": "int64", "time_us": "float64", "load_balance": "float64"}
SPREAD = ("spec", "actions", "measures", "check")  # {name: value}; states has one level more, notes stay JSON
PRICED = {
    "energy.prices": "string",
    "energy.pj": "float64",
    "energy.power_mw": "float64",
    "energy.edp_nj_us": "float64",
    "energy.pj_per_mac": "float64",
    "energy.area_mm2": "float64",
    "energy.module_pj": "string",  # {module: pJ} as JSON
    "energy.unpriced": "string",  # why there is no energy
}


def check(path: str | Path) -> None:
    """Raise BadInput for a path that could not be exported to, before any work is done for it."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise BadInput(f"--out must name a .csv or .parquet file, got {str(path)!r}")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise BadInput("a .parquet file needs pyarrow: pip install '.[parquet]' in a checkout, or name a .csv file")
    check_writable(Path(path), "--out")


def export(store: Store, path: str | Path, prices: str | None = None) -> int:
    """Write all rows to a .csv or .parquet file, whole or not at all; return how many. Raises BadInput.

    prices: the table for all machines (None: each machine's default).
    """
    path = Path(path)
    check(path)
    pricing = Pricing(store, prices)
    write = _write_csv if path.suffix.lower() == ".csv" else _write_parquet
    try:
        with replacing(path) as temporary:
            return write(table(store, pricing), columns(store), temporary)
    except OSError as error:
        raise BadInput(f"{str(path)!r} could not be written: {error.strerror or error}") from error


def columns(store: Store) -> dict[str, str]:
    """Return {column: type} of the table that a store's rows make; "states.pe.weight" is the cycles in that state."""
    types: dict[str, str] = {}
    for name in Row._fields:
        if name == "unit_map":
            continue
        if name in SPREAD:
            for key, kind in store.kinds(name):
                if key is not None:
                    types[f"{name}.{key}"] = _wider(types.get(f"{name}.{key}"), TYPES.get(kind, "string"))
        elif name == "states":
            types |= {f"states.{kind}.{state}": "int64" for kind, state in store.states()}
        else:
            types[name] = PLAIN.get(name, "string")
    return types | PRICED


def table(store: Store, pricing: Pricing) -> Iterator[dict[str, Any]]:
    """Yield the rows with the columns' names; what a row lacks is missing."""
    for row in store.rows():
        priced = _priced(row, pricing)
        with row.if_sound():
            flat = priced | _spread(row)
        yield flat


def _spread(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row._asdict().items():
        if name in SPREAD:
            flat |= {f"{name}.{key}": inner for key, inner in (json.loads(value or "null") or {}).items()}
        elif name == "states":
            for kind, spent in json.loads(value or "{}").items():
                flat |= {f"states.{kind}.{state}": n for state, n in spent.items()}
        elif name != "unit_map":
            flat[name] = None if value == "null" else value  # JSON's null: the run has none
    return flat


def _priced(row: Row, pricing: Pricing) -> dict[str, Any]:
    if (run := row.run()) is None:
        return {}
    cost = pricing(run)
    if isinstance(cost, str):
        return {"energy.unpriced": cost}
    return {
        "energy.prices": cost.prices,
        "energy.pj": cost.total_pj,
        "energy.power_mw": cost.power_mw,
        "energy.edp_nj_us": cost.edp_nj_us,
        "energy.pj_per_mac": cost.pj_per_mac,
        "energy.area_mm2": cost.total_area_mm2 if cost.area_um2 else None,
        "energy.module_pj": json.dumps(cost.module_pj),
    }


def _wider(known: str | None, kind: str) -> str:
    if known in (None, kind):
        return kind
    return "float64" if {known, kind} == {"int64", "float64"} else "string"


def _write_csv(rows: Iterator[dict[str, Any]], types: Mapping[str, str], path: Path) -> int:
    n_rows = 0
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(types), restval="", lineterminator="\n")
        writer.writeheader()
        for n_rows, row in enumerate(rows, 1):  # noqa: B007 (the count is wanted)
            writer.writerow(row)
    return n_rows


def _write_parquet(rows: Iterator[dict[str, Any]], types: Mapping[str, str], path: Path) -> int:
    import pyarrow
    import pyarrow.parquet

    arrow_types = {
        "int64": pyarrow.int64(),
        "float64": pyarrow.float64(),
        "bool": pyarrow.bool_(),
        "string": pyarrow.string(),
    }
    schema = pyarrow.schema([(name, arrow_types[kind]) for name, kind in types.items()])
    n_rows, held = 0, {name: [] for name in types}
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for n_rows, row in enumerate(rows, 1):
            for name, kind in types.items():
                value = row.get(name)
                held[name].append(str(value) if kind == "string" and value is not None else value)
            if n_rows % N_AT_ONCE == 0:
                writer.write_table(pyarrow.table(held, schema))
                held = {name: [] for name in types}
        writer.write_table(pyarrow.table(held, schema))
    return n_rows
