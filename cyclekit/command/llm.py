"""The verb `llm`: a language model on a machine: its times, memory and energy, and what pruning it buys."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclekit import machine
from cyclekit.budgets.budget import TIME, Budget
from cyclekit.command.arguments import add_budget, add_figures, add_machine, add_set, at_least
from cyclekit.command.show import or_dash
from cyclekit.serving.knobs import KNOBS, Point, points
from cyclekit.serving.serve import PROMPT, STEP, Request, Serving, serve
from cyclekit.sweep.points import changes_of, expanded
from cyclekit.terminal import Output, make_folder, progress
from cyclekit.views import amount, scale_of_all, style_of
from workloads.errors import BadInput
from workloads.transformers import config
from workloads.transformers.shape import Transformer

COMPARED = {  # by the column's name: a unit, and the value of a Serving in it
    "first token": ("us", lambda own: 1e3 * own.ttft_ms),
    "token": ("us", lambda own: own.tpot_ms and 1e3 * own.tpot_ms),
    "batch": ("us", lambda own: 1e6 * own.total_s),
    "energy of a token": ("pJ", lambda own: own.j_per_output_token and 1e12 * own.j_per_output_token),
    "weights": ("B", lambda own: own.memory.weights),
}
SIZES = ("layers", "ffn", "heads", "kv_heads", "hidden")


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("config", metavar="CONFIG", help="a Hugging Face config.json, or a name: llama-3.1-8b")
    add_machine(parser, "--machine", "M[:PRESET]", " (default: the first that runs language models)")
    add_set(parser)
    parser.add_argument("--cards", metavar="N", type=at_least(1), default=1, help="cards that share heads and widths")
    parser.add_argument("--batch", metavar="N|max", default="1", help="sequences at once; max: as many as memory holds")
    parser.add_argument("--input", metavar="N", type=at_least(1), required=True, help="tokens of a prompt")
    parser.add_argument("--output", metavar="N", type=at_least(1), default=1, help="tokens of an answer (default: 1)")
    parser.add_argument("--weights", metavar="T", default="f16", help="of blocks: f16, bf16, e4m3, int8, int4")
    parser.add_argument("--activations", metavar="T", help="of blocks (default: as the weights, f16 beside int4)")
    parser.add_argument("--kv", metavar="T", help="cached keys and values (default: 16 bits, beside e4m3 e4m3)")
    parser.add_argument("--sparsity", metavar="S", default="dense", help="of blocks' weights: dense or 2:4")
    parser.add_argument("--framework", metavar="F", help="tensorrt-llm, vllm, vllm-eager, pytorch or ideal")
    parser.add_argument("--layers", metavar="N", type=int, help="keep so many blocks")
    parser.add_argument("--ffn", metavar="N", type=int, help="keep so many feed-forward neurons of a block")
    parser.add_argument("--heads", metavar="N", type=int, help="keep so many heads")
    parser.add_argument("--kv-heads", metavar="N", type=int, help="keep so many heads of keys and values")
    parser.add_argument("--hidden", metavar="N", type=int, help="keep so many hidden channels")
    parser.add_argument(
        "--compare",
        metavar="KNOB=VALUES",
        nargs="+",
        help=f"what each buys, alone and together: {', '.join(KNOBS)}; sizes, shares up to 1, or 5504:11008:+128",
    )
    add_budget(parser, "B")
    parser.add_argument(
        "--scores", metavar="FILE", help="a CSV file of block,variant,loss, which --budget chooses from"
    )
    add_figures(parser)


def run(options: Namespace) -> int:
    """Say what a model takes, or with --compare what changes of it buy."""
    out = Output(options.json, options.verb)
    chosen, face = machine.serving(options.machine)
    changes = changes_of(options.set)
    face.check(changes)
    spec = chosen.design(None, changes)
    model = config.load(options.config).cut(**{name: getattr(options, name) for name in SIZES})
    request = Request(
        batch=_batch(options.batch),
        input=options.input,
        output=options.output,
        n_cards=options.cards,
        framework=options.framework,
        weights=options.weights,
        activations=options.activations,
        kv=options.kv,
        sparsity=options.sparsity,
    )
    if (options.budget is None) != (options.scores is None):
        raise BadInput("--budget and --scores go together: what may be lost of each block, and the time to meet")
    if options.budget is not None and options.compare:
        raise BadInput("--budget chooses one model, --compare several: give one of them")
    if options.figures is not None:
        make_folder(Path(options.figures))
    card = f"{chosen.preset}{'' if options.cards == 1 else f' x {options.cards}'}"
    card = ", ".join([card, *options.set])
    if options.compare:
        return _compare(out, chosen, spec, points(model, request, options.compare, expanded), card, options.figures)
    served = serve(model, chosen.name, face, spec, request)
    told = {}
    if options.budget is not None:
        served, told = _within(out, chosen, served, options.budget, options.scores)
    show(out, served, card)
    if options.figures is not None:
        from cyclekit.figures.serving import draw_serving  # late: matplotlib is slow to import

        for path in draw_serving(served, Path(options.figures), card):
            out.line(f"wrote {path}")
    out.result(as_dict(served) | told)
    return 0


def _within(out: Output, chosen: Any, whole: Serving, text: str, path: str) -> tuple[Serving, dict[str, float]]:
    """Return what the model of least loss within a budget takes, and what is told of the choice."""
    from cyclekit.budgets.blocks import choose, read_scores  # late: the solver is slow to import

    budget = Budget.of(text)
    if budget.metric != TIME:
        raise BadInput(f"--budget must be a share or a time, as 0.6 or 900ms, got {text!r}")
    budget_us = budget.absolute(1e6 * whole.total_s)

    def served(model: Transformer) -> Serving:
        return serve(model, chosen.name, chosen.serves, whole.spec, whole.request)

    scores = read_scores(path, whole.model)
    best = choose(whole.model, scores, budget_us, lambda model: 1e6 * served(model).total_s)
    cells = [
        [f"{block}", *(f"{size:,}" if size else "none" for size in (own.n_kv_heads, own.ffn))]
        for block, own in enumerate(best.model.blocks)
    ]
    out.table(f"{whole.model.name}, a variant for each block", ["block", "kv heads", "ffn"], cells)
    out.line(
        f"  {amount(best.us, 'us')} of {amount(budget_us, 'us')}, simulated whole; {amount(best.sum_us, 'us')} by the "
        f"sum of what each block saves alone; {amount(1e6 * whole.total_s, 'us')} before; losses sum to {best.loss:g}"
    )
    told = {"budget_s": budget_us / 1e6, "before_s": whole.total_s, "sum_s": best.sum_us / 1e6, "loss": best.loss}
    return served(best.model), told


def as_dict(served: Serving) -> dict[str, Any]:
    """Return a result for JSON."""
    return {
        "model": served.model.as_dict(),
        "machine": served.machine,
        "spec": served.spec.as_dict(),
        "request": vars(served.request),
        **measures(served),
        "memory_gb": served.memory.as_dict(),
        "operators": [vars(row) for row in served.operators],
        "rest_us": served.rest_us,
        "step_ms": [{"context": context, "ms": ms} for context, ms in served.step_ms],
        "notes": list(served.notes),
    }


def measures(served: Serving) -> dict[str, float | None]:
    """Return the figures of a result, by name."""
    names = ("ttft_ms", "tpot_ms", "total_s", "output_tokens_per_s", "total_tokens_per_s")
    return {name: getattr(served, name) for name in (*names, "energy_j", "j_per_output_token")}


def show(out: Output, served: Serving, card: str) -> None:
    """Print what a model takes and where its time goes."""
    request, memory = served.request, served.memory
    out.line(f"{served.model.name} on {served.machine} {card}, framework {request.framework}")
    out.line(
        f"  {request.batch:,} sequence{'s' * (request.batch != 1)} of {request.input:,} + {request.output:,} tokens; "
        f"weights {request.weights}{'' if request.sparsity == 'dense' else ' ' + request.sparsity}, "
        f"activations {request.activations}, kv {request.kv}"
    )
    taken = {"weights": memory.weights, "kv": memory.kv, "activations": memory.activations, "room": memory.room}
    rows = [
        ["time to first token", amount(1e3 * served.ttft_ms, "us")],
        ["time per output token", "-" if served.tpot_ms is None else amount(1e3 * served.tpot_ms, "us")],
        ["whole batch", amount(1e6 * served.total_s, "us")],
        ["output tokens a second", f"{served.output_tokens_per_s:,.1f}"],
        ["all tokens a second", f"{served.total_tokens_per_s:,.1f}"],
        ["energy", "-" if served.energy_j is None else amount(1e12 * served.energy_j, "pJ")],
        [
            "energy of an output token",
            "-" if served.j_per_output_token is None else amount(1e12 * served.j_per_output_token, "pJ"),
        ],
        *([f"{name} on a card", amount(n_bytes, "B")] for name, n_bytes in taken.items()),
    ]
    out.table("", ["", "model"], rows)
    for phase, what in ((PROMPT, "all prompts"), (STEP, "a step at the mean context")):
        of_phase = [row for row in served.operators if row.phase == phase]
        if not of_phase:
            continue
        out.line()
        rest_us = served.rest_us[phase]
        total_us = sum(row.time_us for row in of_phase) + rest_us
        time, us = scale_of_all("us", [rest_us, *(row.time_us for row in of_phase)])
        work, flop = scale_of_all("FLOP", [row.flops for row in of_phase])
        moved, size = scale_of_all("B", [row.bytes for row in of_phase])
        cells = [
            [
                row.name,
                f"{row.count:,}",
                f"{row.time_us / us:,.3f}",
                f"{100 * row.time_us / total_us:.1f}",
                format(row.flops / flop, style_of(work)),
                format(row.bytes / size, style_of(moved)),
                row.bound,
            ]
            for row in of_phase
        ]
        cells.append(["between kernels", "", f"{rest_us / us:,.3f}", f"{100 * rest_us / total_us:.1f}", "", "", ""])
        cells.append(["all", "", f"{total_us / us:,.3f}", "100.0", "", "", ""])
        heads = ["operator", "calls", f"time [{time}]", "time [%]", work, moved, "bound"]
        out.table(f"{what}, of each card", heads, cells)
    for note in served.notes:
        out.line(f"  note: {note}")


def _compare(out: Output, chosen: Any, spec: Any, wanted: Sequence[Point], card: str, folder: str | None) -> int:
    """Print and write what each point takes, beside the base; one that is refused gets dashes and its reason."""
    served: list[Serving | None] = []
    refused: list[str] = []
    with progress("llm") as step:
        for done, point in enumerate(wanted):
            step(point.label, done, len(wanted))
            try:
                served.append(serve(point.model, chosen.name, chosen.serves, spec, point.request))
                refused.append("")
            except BadInput as error:
                if not done:
                    raise
                served.append(None)
                refused.append(str(error))
    base = served[0]
    scales = [scale_of_all(unit, [of(own) for own in served if own]) for unit, of in COMPARED.values()]
    heads = ["change", *(f"{name} [{unit}]" for name, (unit, _) in zip(COMPARED, scales, strict=True))]
    cells = [
        [point.label, *_compared(own, base, [size for _, size in scales])]
        for point, own in zip(wanted, served, strict=True)
    ]
    request = base.request
    n_tokens = f"{request.batch} x {request.input} + {request.output} tokens"
    title = f"{base.model.name} on {chosen.name} {card}, {request.framework}, {n_tokens}"
    out.table(title, [*heads, "tokens/s", "speed-up"], cells)
    for point, reason in zip(wanted, refused, strict=True):
        if reason:
            out.line(f"  refused: {point.label}: {reason}")
    for note in base.notes:
        out.line(f"  note: {note}")
    if folder is not None:
        from cyclekit.figures.serving import draw_staircases  # late: matplotlib is slow to import

        drawn = [(point, own) for point, own in zip(wanted, served, strict=True) if own is not None]
        for path in draw_staircases(drawn, base, Path(folder), title, card):
            out.line(f"wrote {path}")
    rows = []
    for point, own, reason in zip(wanted, served, refused, strict=True):
        told = {"refused": reason} if own is None else measures(own) | {"memory_gb": own.memory.as_dict()}
        rows.append({"changes": dict(point.changes), **told})
    out.result({"base": as_dict(base), "points": rows})
    return 0


def _compared(own: Serving | None, base: Serving, sizes: Sequence[float]) -> list[str]:
    """Return the cells of a point: COMPARED in units of these sizes, and how fast it is beside the base."""
    if own is None:
        return ["-"] * (len(sizes) + 2)
    values = [of(own) for _, of in COMPARED.values()]
    return [
        *(or_dash(value and value / size, ",.3f") for value, size in zip(values, sizes, strict=True)),
        f"{own.output_tokens_per_s:,.1f}",
        f"{own.output_tokens_per_s / base.output_tokens_per_s:.3f}",
    ]


def _batch(text: str) -> int | None:
    if text == "max":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise BadInput(f"--batch must be a whole number of at least 1, or max, got {text!r}")
    return int(text)
