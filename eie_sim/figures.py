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
from eie_sim.prices import FILLER, MODULES
from eie_sim.spec import PRESETS, Spec

LAYERS = (
    "Simulated: the nine layers on preset isca2016, all fields but the axis' as they are. Layers as published: drawn "
    "uniformly at Table III's densities; calibrated: drawn at densities and a spread of rows chosen to agree with "
    "Table IV and Fig 12, so that agreement there is no evidence."
)
CLUSTERED = "Clustered: calibrated, the non-zeros of what enters side by side as in feature maps."
NO_PRICES = "No prices."


def draw_validation(validation: Validation, folder: Path) -> list[Path]:
    """Draw Tables II and IV and Figs 8, 9, 11, 12, 13 with simulated and published values; return the files."""
    drawn = [folder / "eie_table4.png"]
    times_beside_paper(validation.select(source="Table IV"), drawn[0], about=f"{LAYERS} {NO_PRICES}")
    for source, setting in (
        ("Fig 8", "queue depth"),
        ("Fig 11 as printed", "PEs"),
        ("Fig 11 exchanged", "PEs"),
        ("Fig 12", "PEs"),
        ("Fig 13", "PEs"),
    ):
        drawn.append(folder / f"eie_{source.lower().replace('fig ', 'fig').replace(' ', '-')}.png")
        rows = validation.select(source=source)
        about = f"{LAYERS} {NO_PRICES}"
        bars_beside_paper(rows, drawn[-1], setting=setting, about=about, log=source.startswith("Fig 11"))
    for quantity, name, priced in (
        ("reads against width", "reads", NO_PRICES),
        ("read energy at the paper's pJ against width", "energy", "Prices: the paper's own, energy over reads."),
        ("read energy at CACTI's pJ against width", "energy-cacti", "Prices: bottom-up, a read as CACTI has it."),
    ):
        drawn.append(folder / f"eie_fig9-{name}.png")
        rows = validation.select(source="Fig 9", quantity=quantity)
        about = f"{LAYERS} {CLUSTERED} {priced}"
        bars_beside_paper(rows, drawn[-1], setting="Spmat SRAM\nwidth [bits]", about=about)
    drawn.append(folder / "eie_table2.png")
    panels = {
        f"{label} of a PE [{unit}]": _by_module(validation, quantity)
        for label, unit, quantity in (("power", "mW", "power, layers calibrated"), ("area", "um2", "area"))
    }
    about = (
        "Simulated: preset isca2016, power as the mean over the nine layers calibrated to Table IV, by the prices "
        "bottom-up (CACTI, Table I) and calibrated (Table II over simulated rates, so that agreement is no evidence)."
    )
    stacked_parts(
        panels,
        drawn[-1],
        title="Table II: one PE by module, published and by two tables of prices",
        about=about,
        known=(*MODULES, FILLER),
    )
    return drawn


def _by_module(validation: Validation, quantity: str) -> dict[str, dict[str, float]]:
    """Return {bar: {module: value}} of a quantity of Table II: the published bar, then one a table of prices."""
    rows = [row for row in validation.select(source="Table II", quantity=quantity) if row.layer != "total"]
    bars: dict[str, dict[str, float]] = {"published": {row.layer: row.published for row in rows}}
    for row in rows:
        bars.setdefault(row.kind, {})[row.layer] = row.simulated
    return bars


def draw_utilisation(run: Run, image: Image, spec: Spec, path: Path) -> Path:
    """Draw what every PE does in every cycle of a run."""
    title = f"EIE, {spec.n_pes} PEs: {run.workload}, input {run.input}, {run.cycles:,} cycles"
    names = [state.name.lower() for state in PeState]
    places = places_of_states(names)
    cells = states_by_cycle(run.timeline, image, spec)
    first, own = next(iter(PRESETS.items()))
    changes = [f"{name} = {value}" for name, value in spec.as_dict().items() if value != own.as_dict()[name]]
    about = f"The state of each of {spec.n_pes} PEs in every cycle: {', '.join([f'preset {first}', *changes])}."
    write(Chart(path.stem, title, about, Map("PE", places, names, cells, run.cycles)), path)
    return path


def draw_pe_counts(runs: Mapping[int, Sequence[Run]], n_inputs: int, path: Path, *, title: str) -> Path:
    """Compare PE counts over the same inputs: mean time of one input, and where the PEs' cycles went."""
    states, times = {}, {}
    for n_pes, of_design in runs.items():
        label = f"{n_pes} PEs"
        names = of_design[0].states["pe"]
        states[label] = {name: sum(run.states["pe"][name] for run in of_design) for name in names}
        times[label] = sum(run.time_us for run in of_design) / n_inputs
    about = f"All layers of each of {n_inputs} inputs, one after the other; preset isca2016, n_pes as said. {NO_PRICES}"
    states_by_design(states, PeState, path, title=title, about=about, times_us=times)
    return path
