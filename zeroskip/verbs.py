"""The verbs of the command as functions: the same names, the same words for what they take, a Result each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import workloads
from cyclekit.budgets.adapt import adapt as adapt_within
from cyclekit.budgets.adapt import check_method, knob_of
from cyclekit.budgets.budget import Budget
from cyclekit.budgets.step import MachineAllocator
from cyclekit.comparison import compare as comparing
from cyclekit.comparison import conditions, report
from cyclekit.comparison.runs import Plan, Work
from cyclekit.machine import load as load_machine
from cyclekit.machine import serving as serving_machine
from cyclekit.run import Run
from cyclekit.serving.serve import Request, serve
from cyclekit.sweep import results
from cyclekit.sweep.presets import PRESET
from cyclekit.sweep.store import Store
from cyclekit.sweep.sweep import sweep as sweep_into
from cyclekit.views import amount
from workloads import tasks
from workloads.graphs.feed import Feed
from workloads.points.convolution import SparseConvolution
from workloads.recipes.recipe import Recipe
from workloads.records import Workload
from workloads.transformers import config
from zeroskip.result import Result

METRICS = {"us": "time_us", "uJ": "energy_uj"}  # of a budget, as columns are called
COSTS = ("cycles", "time_us", "energy_pj", "power_mw", "area_mm2", "edp_nj_us")


def load(
    name: str | Path,
    *,
    inputs: int | str | Path | Mapping[str, Any] | None = None,
    activation_density: float | Mapping[str, float] | None = None,
    positions: int | None = None,
    architecture: str | None = None,
) -> Work:
    """Return a workload: a name of the catalogue, a file of weights, FILE:LAYER, or sizes as MxNxK.

    inputs: how many, a file of them, or arrays by input name; the others as the options of `zeroskip run`. Raises
    BadInput.
    """
    return workloads.load(str(name), Feed.of(inputs, activation_density, positions, architecture))


def run(
    machine: str,
    work: str | Path | Work,
    *,
    engine: str | None = None,
    batch: int | None = None,
    inputs: int | None = None,
    prices: str | None = None,
    check: bool = False,
    **fields: Any,
) -> Result:
    """Run a workload on a machine, MACHINE or MACHINE:PRESET; fields change its design, such as n_pes=256.

    A row a layer and input.
    detail: the Runs, whose `outputs` and arrays are not kept. Raises BadInput.
    """
    chosen = load_machine(machine)
    spec = chosen.design(None, fields)
    loaded = load(work) if isinstance(work, str | Path) else work
    plan = Plan(chosen, spec, loaded, engine=engine, n_inputs=inputs, batch=batch, check=check)
    played = plan.play(prices, note=chosen.idle_note(fields, [spec]))
    rows = [_of_run(each) for each in played.runs]
    notes = [note for each in played.runs for note in each.notes]
    if played.unpriced:
        notes.append(f"no energy: {played.unpriced}")
    said = "".join(f", {name}={value}" for name, value in fields.items())
    return Result(
        title=f"{loaded.name} on {chosen.name} {chosen.preset}{said}",
        rows=rows,
        detail=played.runs,
        parts=_states(rows),
        notes=tuple(dict.fromkeys(notes)),
    )


def sweep(
    machine: str,
    works: str | Path | Work | Iterable[str | Path | Work],
    vary: Mapping[str, Any],
    *,
    into: str | Path | None = None,
    prices: str | None = None,
    **options: Any,
) -> Result:
    """Run a workload, or several, on every design that the varied fields make. A row a design and workload.

    vary: {field: values}, a sequence or a text such as "1,2,4,...,256". into: a store to keep, in which what is there
    is not computed again; None keeps nothing. options: those of cyclekit.sweep.sweep.prepare. Raises BadInput.
    """
    several = [works] if isinstance(works, str | Path) or not isinstance(works, Iterable) else works
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sweep.db" if into is None else into
        sweep_into(machine, several, vary=vary, into=path, **options)
        with Store(path, write=False) as store:
            points = results.read(store, prices)
    shown = results.varied(points)
    points.sort(key=lambda each: (each.workload, [results.value(each, name) for name in vary]))
    rows = [
        {
            "design": ", ".join(_setting(name, results.value(each, name)) for name in shown) or "all",
            "machine": each.machine,
            "workload": each.workload,
            **{name: results.value(each, name) for name in shown if name != "workload"},
            "cycles": each.cycles if each.reason is None else None,
            "time_us": each.time_us if each.reason is None else None,
            "load_balance": each.load_balance,
            "energy_pj": each.energy_pj,
            "power_mw": each.power_mw,
            "area_mm2": each.area_mm2,
            "edp_nj_us": each.edp_nj_us,
            **{f"state.{kind}.{state}": share for kind, of in each.states.items() for state, share in of.items()},
            "reason": each.reason,
        }
        for each in points
    ]
    return Result(
        title=f"{machine}: {len(rows)} points over {', '.join(vary)}",
        rows=rows,
        detail=points,
        label="design",
        parts=_states(rows),
        notes=tuple(results.left_out(points)),
    )


def compare(
    works: str | Path | Work | Iterable[str | Path | Work],
    machines: str | None = None,
    *,
    batch: int | None = None,
    inputs: int | None = None,
    check: bool = False,
) -> Result:
    """Put a workload, or several, on machines side by side: "eie,tensorcore:h100-sxm". A row a workload and design.

    detail: the Comparisons, with their ladders over batch, density and size. Raises BadInput.
    """
    several = [works] if isinstance(works, str | Path) or not isinstance(works, Iterable) else works
    all_loaded = [load(work) if isinstance(work, str | Path) else work for work in several]
    of_works = [comparing.layers_of(loaded, inputs) for loaded in all_loaded]
    is_cloud = any(isinstance(layers[0], SparseConvolution) for layers in of_works)
    entrants = comparing.entrants(machines, takes=SparseConvolution if is_cloud else Workload)
    comparisons, rows = [], []
    for loaded, layers in zip(all_loaded, of_works, strict=True):
        comparisons.append(conditions.compare(loaded.name, layers, entrants, batch=batch, check=check))
        for label, cost in comparisons[-1].total.items():
            told = cost.as_dict()
            words = {"workload": loaded.name, "design": label}
            shares = _shares(told.pop("states"))
            costs = {name: told[name] for name in COSTS}  # first: a line of a row has room for few
            rows.append(words | costs | {name: value for name, value in told.items() if name != "notes"} | shares)
            if cost.reason:
                rows[-1] |= {"time_us": None, "cycles": None}
    return Result(title="machines side by side", rows=rows, detail=comparisons, label="design")


def prune(
    network: str,
    recipe: str | Path | Recipe,
    *,
    inputs: int | str | Path | None = None,
    machines: Sequence[str] = (),
    batch: int = 16,
) -> Result:
    """Compress a network by a recipe (a TOML file, or a Recipe). A row a layer, with its cost on the machines named.

    detail: the Fitted; detail.apply() is the compressed network. Raises BadInput.
    """
    task = tasks.load(network, Feed.of(inputs))
    fitted = task.fit(recipe if isinstance(recipe, Recipe) else Recipe.read(recipe), MachineAllocator(task))
    test = task.test_inputs if task.inputs is not None else None
    dense, pruned = (of(test, batch, task.provenance) for of in (fitted.dense_workloads, fitted.workloads))
    of_layers = [report.figures(before, after) for before, after in zip(dense, pruned, strict=True)]
    rows = [{name: of_layer[name] for name in ("layer", "density", "error")} for of_layer in of_layers]
    for name in machines:
        for row, cost in zip(rows, report.costs(load_machine(name), pruned), strict=True):
            row |= {f"{name}.{key}": cost[key] for key in ("cycles", "time_us", "energy_pj", "bytes", "reason")}
    rows = [row | of_layer for row, of_layer in zip(rows, of_layers, strict=True)]
    measure = task.measure
    qualities = (task.quality(task.network), task.quality(fitted.apply())) if measure else (None, None)
    notes = [*fitted.notes, *([f"{measure}: {qualities[0]:.4f} before, {qualities[1]:.4f} after"] if measure else [])]
    return Result(
        title=f"{task.name} pruned", rows=rows, detail=fitted, label="layer", height="density", notes=tuple(notes)
    )


def adapt(
    network: str,
    machine: str,
    budget: str | float,
    *,
    method: str = "netadapt",
    inputs: int | str | Path | None = None,
    batch: int = 16,
    epochs: int = 3,
    seed: int = 0,
    into: str | Path | None = None,
    n_workers: int | None = None,
    **fields: Any,
) -> Result:
    """Bring a network within a budget (0.5, "123us", "456000cycles", "7uJ") of a machine's design. A row a layer.

    into: the store of a sweep for what layers cost; what it has is not computed again. n_workers: processes (None: one
    a core). detail: the Adapted, whose `values` are the accuracy dense, cut and tuned. Raises BadInput.
    """
    check_method(method)
    chosen, wanted = load_machine(machine), Budget.of(budget)
    task = tasks.load(network, Feed.of(inputs))
    options: dict[str, Any] = {"metric": wanted.metric, "batch": batch, "seed": seed, "epochs": epochs}
    options |= {"into": into, "n_workers": n_workers}
    knob = knob_of(task, chosen, chosen.design(None, fields), **options)
    dense = knob.table().cost(knob.table().whole)
    adapted = adapt_within(knob, wanted.absolute(dense), method)
    metric = METRICS.get(knob.metric, knob.metric)
    rows = [
        {
            "layer": layer,
            f"{knob.unit}_before": before,
            knob.unit: after,
            f"{metric}_before": adapted.costs[layer][0],
            metric: adapted.costs[layer][1],
        }
        for layer, (before, after) in adapted.levels.items()
    ]
    shown = ", ".join("-" if value is None else f"{value:.4f}" for value in adapted.values)
    notes = (f"{task.measure or 'quality'} dense, cut, tuned: {shown}", *knob.notes)
    cost, most = (amount(each, knob.metric) for each in (adapted.cost, adapted.budget))
    title = f"{task.name} on {machine} by {method}: {cost} of {most}"
    return Result(title=title, rows=rows, detail=adapted, label="layer", height=metric, notes=notes)


def llm(
    model: str,
    *,
    input: int,
    output: int = 1,
    batch: int | None = 1,
    machine: str = "tensorcore",
    cards: int = 1,
    framework: str | None = None,
    weights: str = "f16",
    activations: str | None = None,
    kv: str | None = None,
    sparsity: str = "dense",
    cut: Mapping[str, int] | None = None,
    **fields: Any,
) -> Result:
    """Say what a language model takes: a config.json or a name. A row an operator and phase.

    batch None: as many sequences as memory holds. cut: {"layers", "ffn", "heads", "kv_heads", "hidden": how many stay}.
    detail: the Serving, with ttft_ms, tpot_ms, total_s, memory and energy. Raises BadInput.
    """
    chosen, face = serving_machine(machine)
    request = Request(
        batch=batch,
        input=input,
        output=output,
        n_cards=cards,
        framework=framework,
        weights=weights,
        activations=activations,
        kv=kv,
        sparsity=sparsity,
    )
    face.check(fields)
    shape = config.load(model).cut(**(cut or {}))
    serving = serve(shape, chosen.name, face, chosen.design(None, fields), request)
    tpot = "" if serving.tpot_ms is None else f", {amount(1e3 * serving.tpot_ms, 'us')} a token"
    spent = serving.j_per_output_token
    energy = "" if spent is None else f", {amount(1e12 * spent, 'pJ')} each"
    title = (
        f"{shape.name} on {chosen.name} {chosen.preset}: first token {amount(1e3 * serving.ttft_ms, 'us')}{tpot}, "
        f"{serving.output_tokens_per_s:,.1f} output tokens/s{energy}"
    )
    rows = [vars(row) for row in serving.operators]
    return Result(title=title, rows=rows, detail=serving, label="name", notes=serving.notes)


def _states(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the columns of what the units of the first kind did, which are those that work."""
    names = [name for row in rows for name in row if name.startswith("state.")]
    kind = names[0].rpartition(".")[0] if names else ""
    return tuple(dict.fromkeys(name for name in names if name.rpartition(".")[0] == kind))


def _shares(states: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the share of each state in the cycles of its kind of unit."""
    return {
        f"state.{kind}.{state}": cycles / max(1, sum(of_kind.values()))
        for kind, of_kind in states.items()
        for state, cycles in of_kind.items()
    }


def _setting(name: str, value: Any) -> str:
    return str(value) if name == PRESET else f"{name}={value}"


def _of_run(each: Run) -> dict[str, Any]:
    """Return a run's row: what it took, and the share of each state of each kind of unit."""
    energy = each.energy
    priced = dict.fromkeys(("energy_pj", "power_mw", "area_mm2", "edp_nj_us"))
    if energy is not None:
        priced = {
            "energy_pj": energy.total_pj,
            "power_mw": energy.power_mw,
            "area_mm2": energy.total_area_mm2 if energy.area_um2 else None,
            "edp_nj_us": energy.edp_nj_us,
        }
    return {
        "machine": each.machine,
        "workload": each.workload,
        "input": each.input,
        "cycles": each.cycles,
        "time_us": each.time_us,
        "load_balance": each.load_balance,
        **priced,
        **{name: value for name, value in each.measures.items() if not isinstance(value, str)},
        **_shares(each.states),
        "checked": None if each.check is None else bool(each.check["passed"]),
    }
