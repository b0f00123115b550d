"""Whole language models, their operators and what 2:4 buys in them, as others measured them, and the model beside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cyclekit.machine import Progress, quiet
from cyclekit.serving.serve import Request, Serving, serve
from cyclekit.validation import Comparison, Validation
from tensorcore_sim.card.tiling import Problem
from tensorcore_sim.operators.frameworks import CALL_US
from tensorcore_sim.operators.serves import SERVES, cost
from tensorcore_sim.simulate import NAME, time_gemm
from tensorcore_sim.spec import PRESETS
from workloads.files import read_table
from workloads.transformers import config
from workloads.transformers.operators import AllReduce, Movement, Operator, Pass, pass_of

FOOTNOTES = (
    '"calibrated": a constant was fitted on the row, or chosen with it in view. Of frameworks and attention, 17 rows '
    "of whole models and four of the gains of 2:4 (data/frameworks.csv); of other kernels beside GEMMs, the rows of "
    "Vidur that have 1, 128, 1,024 or 4,096 tokens (data/kernels.csv). GEMMs have no constant of these tables.",
    "Attention's share in a step was chosen between 0.5 and 0.8 with all of LLM-Inference-Bench's rows in view.",
    "Vidur's A100 is held against the PCIe card: at many tokens its GEMMs reach what a card of 300 W does. Against the "
    "SXM card they are 10.9% off.",
    "LLM-Inference-Bench's and TensorRT-LLM's rows are of years of software, for which one set of constants stands.",
    "ML.ENERGY does not publish the lengths of its prompts: 300 tokens are assumed (of 100, 300 and 600, joules of a "
    "token are 24, 19 and 14% off), and the mean time of a token that includes the prompts of others is held against "
    "its median.",
    "MLPerf's prompts are taken as 294 tokens on average, answers as reported; as many sequences as memory holds are "
    "in flight. Its GPT-J searches with four beams, which are not simulated, and is left out.",
    "SLEB's two cards, of which one works at a time, are one card with twice the memory; what its framework takes "
    "beyond kernels is LLMCompass', so that its ratio says more than its times.",
    "ModelOpt's times of Qwen3-8B are 20 times those of any other measurement of such a model here: only their ratio "
    "can be held against a simulation.",
    "GPT-3's layer: LLMCompass' own constant of each call is added, and q, k and v are three products.",
)
COLUMNS = {
    "qkv": "qkv",
    "output projection": "o",
    "gate and up": "gate_up",
    "down": "down",
    "norm": "norm",
    "rope": "rope",
    "activation": "act_mul",
    "add": "add",
    "embedding": "embed",
}
FITTED_TOKENS = ("1", "128", "1024", "4096")
VIDUR = {"A100-80GB": "a100-pcie-80gb", "H100-80GB": "h100-sxm"}
GROUPS = {
    "LIB": "batch",
    "TRT06": "TensorRT-LLM",
    "H200L": "TensorRT-LLM",
    "TRT10": "TensorRT-LLM",
    "MLE": "chat",
    "MLP40": "offline",
    "MLP41C": "offline",
    "MLP41O": "offline",
    "SLEB": "layers split",
    "MO-GUIDE": "vLLM",
}
# LLMCompass (github PrincetonUniversity/LLMCompass @2e015fd2, A): a GPT-3 layer on 4 A100-80GB SXM, batch 8, in us:
# prompts of 2,048 tokens; a step at a context of 3,072
GPT3_US = {"prompt": 66_700.0, "step": 1_110.0}


def validate(progress: Progress = quiet) -> Validation:
    """Hold operators, models and the gain of 2:4 in them against what was measured."""
    progress("operators", 0, 3)
    rows = [*_operators(), *_gpt3_layer()]
    progress("models", 1, 3)
    rows += _models()
    progress("2:4", 2, 3)
    rows += _gains()
    return Validation(machine=f"{NAME}: models", comparisons=tuple(rows), footnotes=FOOTNOTES)


def _operators() -> Iterator[Comparison]:
    """Compare each operator of Vidur's blocks."""
    for row in read_table("tensorcore_sim", "operators"):
        spec, model = PRESETS[VIDUR[row["card"]]], config.load(row["model"].lower())
        tokens, n_cards = int(row["tokens"]), int(row["tp"])
        work = Pass(n_sequences=tokens, n_new=1, n_context=1, n_logits=1)
        own = {operator.name: operator for operator in pass_of(model, work, n_cards).operators}
        dense, card = SERVES.formats(spec, "f16", None, "dense").block, row["card"].partition("-")[0]
        layer = f"{row['model']}, tp {n_cards}, {tokens} tokens"
        for name, column in COLUMNS.items():
            is_gemm = own[name].kind == "gemm"
            fitted = not is_gemm and row["tokens"] in FITTED_TOKENS
            quantity = f"{'GEMMs' if is_gemm else 'other kernels'}, {card}"
            published, simulated = 1e3 * float(row[f"{column}_ms"]), cost(own[name], dense, 16).time_us
            yield _row("Vidur", quantity, "us", f"{layer}: {name}", fitted, published, simulated, "A")


def _gpt3_layer() -> Iterator[Comparison]:
    """Compare a layer whose attention is two products and a softmax apart."""
    spec, n_heads, dim, hidden, batch = PRESETS["a100-sxm-80gb"], 24, 128, 12288, 8  # of each card
    dense = SERVES.formats(spec, "f16", None, "dense").block
    for phase, (tokens, queries, context) in {"prompt": (16384, 2048, 2048), "step": (8, 1, 3072)}.items():
        of_card, n_products, total_us = n_heads * dim, batch * n_heads, 0.0
        products = [Problem(m=of_card, n=tokens, k=hidden)] * 3 + [
            Problem(m=context, n=(queries,) * n_products, k=dim),
            Problem(m=dim, n=(queries,) * n_products, k=context),
            Problem(m=hidden, n=tokens, k=of_card),
            Problem(m=hidden, n=tokens, k=hidden),
            Problem(m=hidden, n=tokens, k=hidden),
        ]
        for problem in products:
            _, books, _ = time_gemm(problem, dense, baseline=False)
            total_us += books.cycles / spec.clock_mhz + CALL_US["pytorch"]["gemm"]
        moved = {
            "softmax": (n_products * queries, context, 1),
            "norm": (tokens, hidden, 2),
            "activation": (tokens, hidden, 1),
        }
        for kind, (n_rows, row, count) in moved.items():
            movement = Movement(rows=n_rows, row=row, n_bytes=4 * n_rows * row)
            operator = Operator(name=kind, kind="norm" if kind == "softmax" else kind, count=count, work=movement)
            total_us += count * (cost(operator, dense, 16).time_us + CALL_US["pytorch"][kind])
        reduce = AllReduce(n_bytes=2 * tokens * hidden, n_cards=4)
        total_us += 2 * cost(Operator(name="", kind="all_reduce", count=2, work=reduce), dense, 16).time_us
        layer = f"GPT-3 175B's layer, 4 cards: {phase}"
        yield _row("LLMCompass", "layer, A100", "us", layer, False, GPT3_US[phase], total_us, "A")


def _models() -> Iterator[Comparison]:
    """Compare whole models, and of those that were pruned the ratio to the dense one."""
    pairs: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for row in read_table("tensorcore_sim", "llm_latency"):
        served = serving_of(row)
        published, simulated = float(row["value"]), measured(served, row["metric"], row["unit"])
        card = row["preset"].partition("-")[0].upper()
        quantity = f"{GROUPS[row['source']]}, {card}"
        layer = f"{row['id']} {served.model.name}{' ' + row['cuts'] if row['cuts'] else ''}"
        layer += "" if row["sparsity"] == "dense" else f" {row['sparsity']}"
        layer += f", {row['n_cards']} cards, {row['batch']} x {row['input']} + {row['output']}: {row['metric']}"
        if row["source"] not in ("SLEB", "MO-GUIDE"):
            yield _row(
                row["source"], quantity, row["unit"], layer, bool(row["fitted"]), published, simulated, row["mark"]
            )
            continue
        pair = pairs.setdefault((row["source"], row["metric"], row["batch"]), [])
        pair.append((published, simulated))
        if len(pair) > 1:
            ratios = (pair[-1][place] / pair[0][place] for place in (0, 1))
            yield _row(row["source"], "over dense", "x", layer, False, *ratios, row["mark"])


def framework_bands(rows: Iterable[Comparison]) -> dict[tuple[str, str], tuple[int, str]]:
    """Return {(framework, architecture): (rows, mean size of their errors in %)} of the times of whole models.

    Of rows that no constant was fitted on; energies and power are left out, and so are the ratios of SLEB and ModelOpt.
    """
    by_id = {row["id"]: row for row in read_table("tensorcore_sim", "llm_latency")}
    errors: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        entry = by_id.get(row.layer.partition(" ")[0])
        if entry is None or row.kind == "calibrated" or row.unit in ("x", "J", "W"):
            continue
        key = entry["framework"], PRESETS[entry["preset"]].architecture
        errors.setdefault(key, []).append(abs(row.error))
    return {key: (len(of), f"{sum(of) / len(of):.1f}") for key, of in errors.items()}


def serving_of(row: dict[str, str]) -> Serving:
    """Return what a row of data/llm_latency.csv asks for, simulated."""
    model = config.load(row["model"])
    if row["cuts"]:
        name, _, size = row["cuts"].partition("=")
        model = model.cut(**{name: int(size)})
    changes = dict(change.split("=") for change in row["changes"].split())
    request = Request(
        batch=None if row["batch"] == "max" else int(row["batch"]),
        input=int(row["input"]),
        output=int(row["output"]),
        n_cards=int(row["n_cards"]),
        framework=row["framework"],
        weights=row["weights"],
        sparsity=row["sparsity"],
    )
    return serve(model, NAME, SERVES, PRESETS[row["preset"]].replace(**changes), request)


def measured(served: Serving, metric: str, unit: str) -> float:
    """Return what a metric of data/llm_latency.csv is of a simulation."""
    seconds = 1.0 if unit == "s" else 1e3
    return {
        "total": lambda: served.total_s * seconds,
        "ttft": lambda: served.ttft_ms / 1e3 * seconds,
        "tpot": lambda: served.tpot_ms / 1e3 * seconds,
        "time between tokens": lambda: served.total_s / served.request.output * seconds,
        "output tokens/s": lambda: served.output_tokens_per_s,
        "output tokens/s of a card": lambda: served.output_tokens_per_s / served.request.n_cards,
        "energy of an output token": lambda: served.j_per_output_token,
        "power": lambda: served.energy_j / served.total_s,
    }[metric]()


def _gains() -> Iterator[Comparison]:
    """Compare the gain of 2:4 in whole models."""
    for row in read_table("tensorcore_sim", "models_2to4"):
        times = []
        for sparsity in ("dense", "2:4"):
            n = int(row["n"])
            sizes = (1, n, 1) if row["phase"] == "prefill" and n < 1024 else (n // 1024, 1024, 1)
            batch, tokens, output = sizes if row["phase"] == "prefill" else (n, 16, 256)
            request = Request(
                batch=batch,
                input=tokens,
                output=output,
                framework="vllm-eager",
                weights=row["weights"],
                kv="f16",
                sparsity=sparsity,
            )
            times.append(serve(config.load(row["model"]), NAME, SERVES, PRESETS[row["preset"]], request).total_s)
        published = float(row["sparse_tokens_per_s"]) / float(row["dense_tokens_per_s"])
        card = row["preset"].partition("-")[0].upper()
        layer = f"{row['model']} {row['weights']}, {row['phase']} of {row['n']}"
        fitted, quantity = bool(row["fitted"]), f"gain of 2:4, {card}"
        yield _row("vllmbench models", quantity, "x", layer, fitted, published, times[0] / times[1], "A")


def _row(source, quantity, unit, layer, fitted: bool, published: float, simulated: float, mark: str) -> Comparison:
    return Comparison(
        source=source,
        quantity=quantity,
        unit=unit,
        layer=layer,
        setting="",
        kind="calibrated" if fitted else "as published",
        published=published,
        simulated=simulated,
        mark=mark,
    )
