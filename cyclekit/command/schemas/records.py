"""Records that the JSON of several commands holds: a run, a layer and what it costs, a serving."""

from __future__ import annotations

from cyclekit.command.schemas.words import by, flag, many, number, or_null, plain, record, share, text, texts, whole

NOTES = texts("what a reader must know: what was drawn, filled, passed over")
PROVENANCE = text("where the layers and what reaches them come from")
SPEC = by(plain("of a field"), "every field of the design")
LAYER_SIZES = {"n_out": whole("rows of the matrix"), "n_in": whole("columns of the matrix")}
QUALITY = "by the network's measure"
NO_LABELS = "it has no labels"

ENERGY = record(
    "what the run costs by a table of prices",
    {
        "prices": text("the table's name"),
        "pj": by(by(number("pJ"), "by action, or kind of standing power"), "by module"),
        "total_pj": number("all of it", minimum=0),
        "time_us": number("that standing power was drawn for", minimum=0),
        "n_macs": whole("useful multiply-adds"),
        "area_um2": by(number("um2"), "area by module"),
        "notes": NOTES,
        "power_mw": number("mean power"),
        "edp_nj_us": number("energy x delay"),
        "pj_per_mac": number("energy of a useful multiply-add"),
        "total_area_mm2": number("area of all modules"),
    },
)
RUN = record(
    "one input, or the one batch, through one layer",
    {
        "machine": text("its name"),
        "workload": text("the layer"),
        "input": whole("which of the inputs, from 0"),
        "engine": text("events or schedule"),
        "spec": SPEC,
        "id": text("SHA-256 of all that determines the result"),
        "cycles": whole("from the first to the last"),
        "time_us": number("of the cycles", minimum=0),
        "load_balance": share("of the workers' cycles in which they handled work"),
        "actions": by(whole("times"), "how often each action happened"),
        "states": by(by(whole("cycles"), "by state"), "cycles by kind of unit, summed over its units"),
        "output_sha256": text("of the output values' bytes, little-endian; empty without values"),
        "check": or_null(
            record("how the values compare", {"passed": flag("whether they agree")}) | {"additionalProperties": True},
            "not asked for",
        ),
        "measures": by(plain("in the unit that its name ends in"), "what this machine says besides"),
        "energy": or_null(ENERGY, "no prices"),
        "notes": NOTES,
    },
)
OTHER = record(
    "an operator that is no product with stored weights",
    {
        "name": text("its own"),
        "kind": text("as the graph calls it"),
        "n_elements": or_null(whole("of its outputs"), "not known"),
        "n_bytes": or_null(whole("of its outputs"), "not known"),
        "n_macs": whole("of a product of two computed values"),
        "n_weights": whole("that it has"),
        "reason": text("why no machine takes it, where it has weights"),
    },
)
OTHERS = many(OTHER, "operators that did not run and are in no sum")
LAYER = {
    "layer": text("its name"),
    "kind": text("the operator"),
    **LAYER_SIZES,
    "groups": whole("of a grouped product"),
    "positions": whole("that an input has"),
    "positions_run": whole("of them that ran"),
    "inputs": whole("of the batch"),
    "density": share("of the weights that are not zero"),
    "activation_density": share("of what reaches it that is not zero"),
    "reached": text("by what: computed or drawn values"),
    "weight_bits": or_null(whole("of quantised weights"), "they are not"),
    "relu": flag("whether one follows"),
    "macs": whole("of an input, dense"),
}
SUMS = {
    "cycles": number("mean over the runs of one input", minimum=0),
    "time_us": number("of the cycles", minimum=0),
    "load_balance": share("mean by cycles"),
    "energy_pj": or_null(number("of an input"), "no prices"),
}
STORED = {
    "bytes": or_null(number("of the weights in the machine's format"), "it cannot take them"),
    "padding_bytes": or_null(number("of them that only pad"), "it cannot take them"),
    "cycles": or_null(whole("over the inputs"), "it cannot take them"),
    "time_us": or_null(number("over the inputs"), "it cannot take them"),
    "energy_pj": or_null(number("over the inputs"), "it cannot take them, or has no price"),
    "speed_up": or_null(number("over the dense layers"), "one of the two is not known"),
}
ON_A_MACHINE = record(
    "what the layer costs on one machine's default design",
    {
        "spec": by(plain("of a field"), "what differs from the default design"),
        "parts": by(number("bytes"), "bytes by part"),
        **STORED,
        "checked": or_null(flag("whether the values agree"), "not asked for"),
        "notes": NOTES,
        "reason": or_null(text("why the machine cannot take it"), "it can"),
    },
)
SUM_ON_A_MACHINE = record(
    "the sums over all layers", {**STORED, "reasons": texts("why the machine cannot take some, each once")}
)
COST = record(
    "what a layer, or all of them, cost a design for the batch",
    {
        "batch": whole("inputs"),
        "cycles": number("of the batch"),
        "time_us": number("of the batch"),
        "energy_pj": or_null(number("of the batch"), "see unpriced"),
        "prices": text("the table's name"),
        "unpriced": text("why there is no energy"),
        "area_mm2": or_null(number("by the prices"), "not known"),
        "n_bytes": number("of the weights in the machine's format"),
        "off_chip_bytes": or_null(number("moved"), "not known"),
        "utilisation": number("what the machine calls its balance, 0 to 1"),
        "states": by(by(number("cycles"), "by state"), "cycles by kind of unit, summed over its units"),
        "n_weights": whole("that are not zero"),
        "n_dropped": whole("of them, for the design's pattern"),
        "error": or_null(number("of the outputs for it, as a share of their norm"), "not known"),
        "checked": or_null(flag("whether the values agree"), "not asked for"),
        "notes": NOTES,
        "reason": text("why the design cannot take the layer: nothing else then counts"),
        "power_mw": or_null(number("mean power"), "no energy"),
        "edp_nj_us": or_null(number("energy x delay, of the batch"), "no energy"),
    },
)
REIGN = record(
    "a stretch of the ladder on which the same designs are best",
    {
        "best": texts("the designs"),
        "first": number("point"),
        "last": number("point"),
        "least_lead": or_null(number("of the next design's value over theirs"), "there is no next"),
        "most_lead": or_null(number("of the next design's value over theirs"), "there is no next"),
    },
)
_OF_POINTS = many({"type": ["number", "null"]}, "by point; null: not known")
LADDER = record(
    "the whole workload at several points",
    {
        "over": text("what the points are of"),
        "points": many({"type": "number"}, "from the least"),
        "n_dropped": by(many({"type": "integer"}, "by point"), "weights dropped, by design"),
        "time_of_input_us": by(_OF_POINTS, "by design"),
        "fastest": many(REIGN, "stretches in turn"),
        "energy_of_input_pj": by(_OF_POINTS, "by design"),
        "least_energy": many(REIGN, "stretches in turn"),
    },
)
_SIZES = ("n_layers", "hidden", "ffn", "n_heads", "n_kv_heads", "head_dim", "vocab")
_BLOCK = record("what a block keeps", {"n_kv_heads": whole("0: no attention"), "ffn": whole("0: no feed-forward")})
TRANSFORMER = record(
    "the model's sizes",
    {
        "name": text("its own"),
        **{name: whole("as of its config.json", 1) for name in _SIZES},
        **{name: flag("of its kind") for name in ("gated", "parallel", "qk_norm", "rotary", "encoder", "tied")},
        "notes": NOTES,
        "blocks": many(_BLOCK, "by block, where they differ"),
    },
)
REQUEST = record(
    "what was asked of the model",
    {
        "batch": whole("sequences at once", 1),
        "input": whole("tokens of a prompt", 1),
        "output": whole("tokens of an answer", 1),
        "n_cards": whole("that share heads and widths", 1),
        "framework": text("whose gaps between kernels are counted"),
        "weights": text("their format"),
        "activations": text("their format"),
        "kv": text("the format of cached keys and values"),
        "sparsity": text("dense or 2:4"),
    },
)
MEMORY = record(
    "gigabytes of a card",
    {
        "weights": number("GB"),
        "kv": number("GB"),
        "activations": number("GB"),
        "room": number("GB that there are"),
        "fits": flag("whether it does"),
    },
)
RATES = {
    "ttft_ms": number("until every sequence has its first token"),
    "tpot_ms": or_null(number("mean of the steps after it"), "there are none"),
    "total_s": number("of the whole batch"),
    "output_tokens_per_s": number("of all sequences"),
    "total_tokens_per_s": number("prompts counted"),
    "energy_j": or_null(number("of all cards"), "no price"),
    "j_per_output_token": or_null(number("energy of one"), "no price"),
}
PHASE = record(
    "an operator of one phase, a card's own share",
    {
        "name": text("its own"),
        "phase": text("prompt or step"),
        "count": whole("calls"),
        "time_us": number("of all calls"),
        "flops": number("of all calls"),
        "bytes": number("moved by all calls"),
        "bound": text("by what"),
    },
)
SERVING = {
    "model": TRANSFORMER,
    "machine": text("its name"),
    "spec": SPEC,
    "request": REQUEST,
    **RATES,
    "memory_gb": MEMORY,
    "operators": many(PHASE, "where the time goes"),
    "rest_us": by(number("us"), "time of no operator, by phase"),
    "step_ms": many(
        record("a step", {"context": number("tokens before it"), "ms": number("it takes")}), "along the answers"
    ),
    "notes": NOTES,
}
