"""Records that the JSON of one command holds, and what all verbs on a network say of it."""

from __future__ import annotations

from cyclekit.command.schemas.records import (
    COST,
    LADDER,
    LAYER,
    LAYER_SIZES,
    MEMORY,
    NO_LABELS,
    NOTES,
    ON_A_MACHINE,
    OTHERS,
    PROVENANCE,
    QUALITY,
    RATES,
    RUN,
    SPEC,
    SUM_ON_A_MACHINE,
    SUMS,
)
from cyclekit.command.schemas.words import (
    Schema,
    by,
    flag,
    many,
    number,
    or_null,
    plain,
    record,
    share,
    text,
    texts,
    whole,
)


def measured(**more: Schema) -> dict[str, Schema]:
    """Return what every verb on a network says of it, and more."""
    measure = or_null(text("what its quality is counted in"), NO_LABELS)
    return {"network": text("its name"), "provenance": PROVENANCE, "measure": measure, **more}


def quality(when: str) -> Schema:
    return or_null(number(f"{QUALITY}, {when}"), NO_LABELS)


LISTED = record(
    "what can be named",
    {"name": text("its own"), "description": text("what it is")},
    {
        "machine": text("of presets and prices"),
        "engines": texts("of machines"),
        "default": text("of prices: yes or no"),
        "spec": SPEC,
        "idle": by({"type": "string"}, "of presets: why a field changes nothing, by field"),
        "schema": {"type": "object", "description": "of schemas: the JSON Schema itself"},
    },
)
MEASURED_LAYER = record("a layer as it was run", {**LAYER, **SUMS, "runs": whole("that the means are of")})
STORED_LAYER = record(
    "a layer in a file",
    {name: LAYER[name] for name in ("layer", "kind", "n_out", "n_in", "groups", "density", "weight_bits", "relu")}
    | {name: or_null(LAYER[name], "not known without inputs") for name in ("positions", "macs")},
    {name: LAYER[name] for name in ("positions_run", "inputs", "activation_density", "reached")},
)
_SPAN = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}, {"type": "number"}], "items": False}
TRACK = record(
    "a unit",
    {
        "name": text("its own"),
        "kind": text("of unit"),
        "spans": many(_SPAN | {"description": "state, begin, end in cycles"}, "what it did"),
    },
)
_CELL = {"type": ["array", "number", "string", "boolean", "null"]}
STEP = record(
    "what the units work on",
    {
        "title": text("what happens"),
        "begin": or_null(number("cycle"), "it has no time"),
        "end": or_null(number("cycle"), "it has no time"),
        "lines": texts("what stands in no table"),
        "tables": by(many(by(_CELL, "a row"), "rows"), "by title"),
        "levels": by(by(number("held"), "by counter"), "by unit"),
    },
)
PRUNED_LAYER = record(
    "a layer, before and after",
    {
        "layer": text("its name"),
        **LAYER_SIZES,
        "density": share("of the weights that are not zero"),
        "row_imbalance": number("the fullest row over their mean"),
        "column_imbalance": number("the fullest column over their mean"),
        "activation_density": share("of what reaches it that is not zero"),
        "error": or_null(number("of the outputs, as a share of their norm"), "the norm is 0"),
        "centroids": or_null(many({"type": "integer"}, "in the codebook, places for them", 2), "no shared weights"),
        "bytes_f32": whole("dense"),
        "bytes_f16": whole("dense"),
        "bytes_huffman": or_null(whole("of the codes"), "no shared weights"),
        "machines": by(ON_A_MACHINE, "by machine"),
    },
)
OUTPUT = record(
    "how an output of the graph changes on the inputs calibrated on",
    {
        "output": text("its name"),
        "relative_error": or_null(number("norm of the difference over the norm"), "the norm is 0"),
        "cosine": or_null(number("of the whole"), "a norm is 0"),
        "top_1": or_null(share("of rows whose largest value stays"), "a row has one value"),
        "accuracy": or_null(many({"type": "number"}, "before, after", 2), NO_LABELS),
    },
)
STEP_DONE = record(
    "what a step of the recipe left of a matrix",
    {"step": whole("from 1", 1), "do": text("the step"), "layer": text("the matrix"), "density": share("kept")},
)
ALONE = record(
    "a layer pruned alone",
    {
        "layer": text("its name"),
        "density": share("asked for"),
        "kept": or_null(share("that is not zero"), "see reason"),
        "value": or_null(number(QUALITY), "see reason"),
        "reason": or_null(text("why it cannot be"), "it can"),
    },
)
PATTERN = record(
    "one pattern",
    {
        "pattern": text("its name"),
        "quality_pruned": quality("not tuned"),
        "quality_tuned": or_null(number(f"{QUALITY}, tuned"), "not tuned"),
        "epoch": or_null(whole("that was kept"), "not tuned"),
        "flexibility": number("bits a weight"),
        "machines": by(SUM_ON_A_MACHINE, "by machine"),
    },
)
ADAPTED_LAYER = record(
    "a layer, before and after",
    {
        "layer": text("its name"),
        "pattern": or_null(text("such as 2:4"), "of densities and widths alone"),
        "cost_before": number("by the metric"),
        "cost_after": number("by the metric"),
    },
    {
        "density": share("kept, of a machine that skips single zeros"),
        "density_before": share("before"),
        "width": number("kept, of a machine that multiplies whole matrices"),
        "width_before": number("before"),
    },
)
ADAPTED = record(
    "the network within one budget by one method",
    measured(
        notes=NOTES,
        machine=text("its name"),
        spec=SPEC,
        method=text("its name"),
        metric=text("what the costs are in: us, cycles or uJ"),
        budget=number("by the metric"),
        cost_before=number("by the metric"),
        cost_after=number("by the metric"),
        quality_before=quality("dense"),
        quality_cut=quality("cut, not tuned"),
        quality_after=quality("tuned"),
        tuned=flag("whether it was"),
        batch=whole("inputs that are timed"),
        tasks_computed=whole("for the table of costs"),
        tasks_stored_before=whole("that the store had"),
        layers=many(ADAPTED_LAYER, "layer by layer"),
        log=many({"type": "object"}, "what each round, draw or episode of the method did"),
        checked=or_null(flag("whether the values agree"), "not asked for"),
    ),
)
DESIGN_TRIED = record(
    "a design",
    {
        "changes": by(plain("of a field"), "what is varied"),
        "values": by(number("in its own unit"), "by quantity"),
        "feasible": flag("whether it can run"),
        "reason": text("why it cannot, or has no price"),
        "excess": number("by what share it misses the constraints"),
    },
)
COMPUTED = {
    "n_points": whole("of the space"),
    "n_tasks": whole("inputs x designs"),
    "n_stored_before": whole("of them"),
    "n_computed": whole("of them"),
    "n_infeasible": whole("of those computed"),
    "seconds": number("that it took"),
    "into": text("the store"),
    "workloads": texts("where they come from"),
    "notes": NOTES,
}
SEARCHED = {
    "minimise": texts("the objectives"),
    "where": texts("the constraints"),
    "front": many(DESIGN_TRIED, "designs that no other tried beats"),
    "nearest": or_null(DESIGN_TRIED, "a design meets the constraints, or none is feasible"),
    "whole": flag("whether every point was tried"),
    "n_trials": whole("designs tried"),
    "n_unpriced": whole("of them"),
    "n_violating": whole("of them, of the constraints"),
    "why_infeasible": text("the first reason"),
    "why_unpriced": text("the first reason"),
}
DESIGN = record(
    "what a design is, whatever it runs",
    {
        "design": text("its label"),
        "machine": text("its name"),
        "preset": text("its name"),
        "changes": by(plain("of a field"), "what differs from the preset"),
        "process": or_null(text("the chip's"), "not in the model"),
        "clock_mhz": or_null(number("of the run"), "nothing ran"),
        "area_mm2": or_null(number("of the chip, or by the prices"), "not known"),
        "area_from": text("who says so"),
        "prices": or_null(text("the table's name"), "no energy"),
        "unpriced": or_null(text("why there is no energy"), "there is"),
        "utilisation_is": text("what the machine calls its balance"),
        "note": text("on the chip"),
    },
)
COMPARED_LAYER = record(
    "a layer on all designs",
    {
        "layer": text("its name"),
        **LAYER_SIZES,
        "density": share("of the weights that are not zero"),
        "activation_density": share("of what reaches it that is not zero"),
        "provenance": PROVENANCE,
        "costs": by(COST, "by design"),
    },
)
COMPARISON = record(
    "one workload on all designs",
    {
        "workload": text("its name"),
        "batch": whole("inputs", 1),
        "layers": many(COMPARED_LAYER, "layer by layer"),
        "total": by(COST, "of all layers, by design"),
        "ladders": many(LADDER, "over the batch, the share of the weights kept, the size"),
    },
    {"others": OTHERS, "notes": NOTES},
)
POINT = record(
    "what one change, or all together, takes",
    {"changes": by(plain("of a knob"), "by knob; none: the base")},
    {**RATES, "memory_gb": MEMORY, "refused": text("why it cannot be, and then nothing else is told")},
)
PUBLISHED = record(
    "one published number and the simulated one",
    {
        "source": text("table or figure"),
        "quantity": text("what it is"),
        "unit": text("of both"),
        "layer": text("its name"),
        "setting": text("of a figure's horizontal axis"),
        "kind": text("what the workload was made from"),
        "published": number("by the source"),
        "simulated": number("here"),
        "mark": text("confidence in the published number, from A to C; R: recalled, unverified"),
        "error": number("percent; of shares points, of widths doublings"),
    },
)
VALIDATION = record(
    "a machine held against its published figures",
    {
        "machine": text("its name"),
        "comparisons": many(PUBLISHED, "point by point"),
        "footnotes": texts("what a reader must know"),
    },
)
DEMO = record(
    "a machine at work, or why it is not",
    {},
    {
        "built": text("what ran on what"),
        "right": text("what was checked"),
        "remember": by({"type": "string"}, "numbers with their units"),
        "further": texts("commands to try next"),
        "figures": texts("files drawn"),
        "passed": flag("whether all checks did"),
        "reason": text("why it cannot"),
    },
)
RUNS = many(RUN, "a run each, one a layer and input, or a layer and batch")
ALL = record("the sum over the layers, run one after the other", SUMS)
SUBNET = {
    "budget_s": number("that was asked for"),
    "before_s": number("of the whole model"),
    "sum_s": number("by the sum of what each block saves alone"),
    "loss": number("sum of the scores"),
}
BLOCK_LOSS = record(
    "a block changed alone", {"block": whole("from 0"), "variant": text("its name"), "loss": number("nats more")}
)
