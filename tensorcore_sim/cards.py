"""Cards by their data sheets: presets that are like a measured one but for their rows in data/cards.csv."""

from __future__ import annotations

from workloads.files import read_table


def add(presets: dict, notes: dict[str, str]) -> None:
    """Add those of the table to the presets {name: Spec} and to the notes on them."""
    for row in read_table("tensorcore_sim", "cards"):
        preset, field, value = row["preset"], row["field"], row["value"]
        if field == "like":
            presets[preset] = presets[value]
        elif field == "note":
            notes[preset] = value
        elif field == "energies":
            presets[preset] = presets[preset].replace(**_energies(presets[preset], presets[value]))
        else:
            presets[preset] = presets[preset].replace(**{field: value})


def _energies(spec, measured) -> dict[str, float]:
    """Return a measured card's energies for another: what they are there at the highest clock, and power for each SM.

    A format that the card lacks has none; int4's is half of int8's, fp4's half of fp8's, by their rates.
    """
    slower = measured.clock_mhz / spec.clock_mhz
    energies = {name: round(value * slower, 3) for name, value in measured.as_dict().items() if name.endswith("_ghz")}
    energies["int4_pj_per_ghz"] = round(measured.int8_pj_per_ghz / 2 * slower, 3)
    energies["fp4_pj_per_ghz"] = round(measured.fp8_pj_per_ghz / 2 * slower, 3)
    for name in energies:
        if not getattr(spec, name.replace("_pj_per_ghz", "_fma_per_cycle")):
            energies[name] = 0.0
    return energies | {"static_w": round(measured.static_w / measured.n_sms * spec.n_sms, 1)}
