"""EIE's figures: the paper's validation plots again, and the demo's pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cyclekit.figures.charts import Chart, write
from cyclekit.figures.colours import places_of_states
from cyclekit.figures.figure import Map
from cyclekit.figures.published import bars_beside_paper, times_beside_paper
from cyclekit.figures.stacks import stacked_parts, states_by_design
from cyclekit.run import Run
from cyclekit.validation import Validation
from eie_sim.account import states_by_cycle
from eie_sim.actions import PeState
from eie_sim.image import Image
from eie_sim.spec import Spec


def draw_validation(validation: Validation, folder: Path) -> list[Path]:
    """Draw Tables II and IV and Figs 8, 9, 11, 12, 13 with simulated and published values; return the files."""
    drawn = [folder / "eie_table4.png"]
    times_beside_paper(validation.select(source="Table IV"), drawn[0])
    for source, setting in (
        ("Fig 8", "queue depth"),
        ("Fig 11 as printed", "PEs"),
        ("Fig 11 exchanged", "PEs"),
        ("Fig 12", "PEs"),
        ("Fig 13", "PEs"),
    ):
        drawn.append(folder / f"eie_{source.lower().replace('fig ', 'fig').replace(' ', '-')}.png")
        rows = validation.select(source=source)
        bars_beside_paper(rows, drawn[-1], setting=setting, log=source.startswith("Fig 11"))
    for quantity, name in (
        ("reads against width", "reads"),
        ("read energy at the paper's pJ against width", "energy"),
        ("read energy at CACTI's pJ against width", "energy-cacti"),
    ):
        drawn.append(folder / f"eie_fig9-{name}.png")
        rows = validation.select(source="Fig 9", quantity=quantity)
        bars_beside_paper(rows, drawn[-1], setting="Spmat SRAM\nwidth [bits]")
    drawn.append(folder / "eie_table2.png")
    panels = {
        f"{label} of a PE [{unit}]": _by_module(validation, quantity)
        for label, unit, quantity in (("power", "mW", "power, layers calibrated"), ("area", "um2", "area"))
    }
    stacked_parts(panels, drawn[-1], title="Table II: one PE by module, published and from two tables of prices")
    return drawn


def _by_module(validation: Validation, quantity: str) -> dict[str, dict[str, float]]:
    """Return {bar: {module: value}} of a quantity of Table II: the paper's bar, then one a table of prices."""
    rows = [row for row in validation.select(source="Table II", quantity=quantity) if row.layer != "total"]
    bars: dict[str, dict[str, float]] = {"paper": {row.layer: row.published for row in rows}}
    for row in rows:
        bars.setdefault(row.kind, {})[row.layer] = row.simulated
    return bars


def draw_utilisation(run: Run, image: Image, spec: Spec, path: Path) -> Path:
    """Draw what every PE does in every cycle of a run."""
    title = f"EIE, {spec.n_pes} PEs: {run.workload}, input {run.input}, {run.cycles:,} cycles"
    names = [state.name.lower() for state in PeState]
    places = places_of_states(names)
    cells = states_by_cycle(run.timeline, image, spec)
    write(Chart(path.stem, title, "", Map("PE", places, names, cells, run.cycles)), path)
    return path


def draw_pe_counts(runs: Mapping[int, Sequence[Run]], n_inputs: int, path: Path, *, title: str) -> Path:
    """Compare PE counts over the same inputs: mean time of one input, and where the PEs' cycles went."""
    states, times = {}, {}
    for n_pes, of_design in runs.items():
        label = f"{n_pes} PEs"
        names = of_design[0].states["pe"]
        states[label] = {name: sum(run.states["pe"][name] for run in of_design) for name in names}
        times[label] = sum(run.time_us for run in of_design) / n_inputs
    states_by_design(states, PeState, path, title=title, times_us=times)
    return path
