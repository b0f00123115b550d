"""A variant for each block of a language model, of least loss within the time of a request: Puzzle's choice."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cyclekit.terminal import write_whole
from workloads.allocation.knapsack import knapsack
from workloads.allocation.table import Cost, Table
from workloads.errors import BadInput
from workloads.transformers.shape import Block, Transformer

HEAD = ["block", "variant", "loss"]
PARTS = {"attention": "n_kv_heads", "kv_heads": "n_kv_heads", "ffn": "ffn"}  # what a variant names -> field of Block
N_TRIES = 10

Scores = Mapping[tuple[int, str], Mapping[int, float]]  # {(block, field of Block): {size: loss}}, the whole not among


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The model of chosen blocks. loss: the sum of theirs. us: of the whole, simulated; sum_us: by the table alone."""

    model: Transformer
    loss: float
    us: float
    sum_us: float


def read_scores(path: str | Path, model: Transformer) -> Scores:
    """Return what a file of block,variant,loss says.

    variant: "attention=none", "kv_heads=4", "ffn=5504", "ffn=0.5" (a share) or "ffn=none". loss: what is lost by that
    alone, beside the block as it is. Raises BadInput with the line.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            head, *rows = list(csv.reader(stream)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"--scores must be a CSV file, {str(path)!r} cannot be read: {error}") from error
    if [word.strip() for word in head] != HEAD:
        raise BadInput(f"--scores must begin with {','.join(HEAD)}, {str(path)!r} begins with {','.join(head)!r}")
    scores: dict[tuple[int, str], dict[int, float]] = {}
    for line, row in enumerate(rows, 2):
        if not row:
            continue
        try:
            block, field, size, loss = _score(row, model)
        except BadInput as error:
            raise BadInput(f"line {line} of {str(path)!r}: {error}") from None
        if size in scores.setdefault((block, field), {}):
            raise BadInput(f"line {line} of {str(path)!r}: block {block} has that variant already")
        scores[block, field][size] = loss
    if not scores:
        raise BadInput(f"--scores must have a variant of at least one block, {str(path)!r} has none")
    return scores


def write_scores(path: Path, rows: Iterable[tuple[int, str, int, float]]) -> None:
    """Write (block, field of Block, size, loss) as `read_scores` reads them."""
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([HEAD, *((block, named(field, size), loss) for block, field, size, loss in rows)])
    write_whole(path, stream.getvalue().encode())


def named(field: str, size: int) -> str:
    """Return a variant as a file of scores names it."""
    if field == "n_kv_heads":
        return f"kv_heads={size}" if size else "attention=none"
    return f"ffn={size or 'none'}"


def _score(row: list[str], model: Transformer) -> tuple[int, str, int, float]:
    if len(row) != len(HEAD):
        raise BadInput(f"a line must be {','.join(HEAD)}, got {','.join(row)!r}")
    block, variant, text = (word.strip() for word in row)
    if not block.isdecimal() or int(block) >= model.n_layers:
        raise BadInput(f"block must be from 0 to {model.n_layers - 1}, got {block!r}")
    name, _, size = (word.strip() for word in variant.partition("="))
    if name not in PARTS or (name == "attention" and size != "none"):
        raise BadInput(f"variant must be attention=none, kv_heads=N, ffn=N or ffn=none, got {variant!r}")
    field = PARTS[name]
    try:
        loss, number = float(text), 0.0 if size == "none" else float(size)
    except ValueError as error:
        raise BadInput(f"variant and loss must have numbers, got {variant!r} and {text!r}") from error
    if not (math.isfinite(loss) and math.isfinite(number)):
        raise BadInput(f"variant and loss must have finite numbers, got {variant!r} and {text!r}")
    whole = getattr(model, field)
    n = round(number * whole) if field == "ffn" and 0 < number < 1 else number
    if n != int(n) or not (0 < n < whole or size == "none"):
        raise BadInput(f"{name} must be less than the {whole} of {model.name}, or none, got {size!r}")
    _with(model, {(int(block), field): int(n)})  # which refuses heads that do not divide
    return int(block), field, int(n), loss


def table_of(model: Transformer, scores: Scores, time_us: Callable[[Transformer], float]) -> Table:
    """Return the table of a knob for each scored part of a block, its levels the sizes from the whole down.

    What a size costs is by how much the model is slower than with that part of one block gone: the same in each block.
    """
    base_us, us = time_us(model), {}
    levels, costs, losses, fixed_us = {}, {}, {}, base_us
    for (block, field), of_part in scores.items():
        sizes = sorted(of_part, reverse=True)
        for size in (0, *sizes):
            if (field, size) not in us:
                us[field, size] = time_us(_with(model, {(block, field): size}))
        knob, gone_us = _knob(block, field), us[field, 0]
        levels[knob] = (getattr(model, field), *sizes)
        costs[knob] = Cost(knobs=(knob,), amounts=np.array([base_us, *(us[field, size] for size in sizes)]) - gone_us)
        losses[knob] = np.array([0.0, *(of_part[size] for size in sizes)])
        fixed_us -= base_us - gone_us
    costs["the rest"] = Cost(knobs=(), amounts=np.array(fixed_us))
    return Table(levels=levels, costs=costs, losses=losses, unit="us")


def choose(model: Transformer, scores: Scores, budget_us: float, time_us: Callable[[Transformer], float]) -> Chosen:
    """Return the model of least loss whose own time, simulated whole, is within the budget.

    The table's sum is not that time: where it promised too much, the program is asked for as much less. Raises BadInput
    for a budget out of reach.
    """
    table, aim = table_of(model, scores, time_us), budget_us
    for _ in range(N_TRIES):
        choice = knapsack(table, aim)
        parts = {part: int(table.levels[_knob(*part)][choice[_knob(*part)]]) for part in scores}
        chosen = _with(model, parts)
        if (whole_us := time_us(chosen)) <= budget_us:
            return Chosen(model=chosen, loss=table.loss(choice), us=whole_us, sum_us=table.cost(choice))
        aim *= 0.999 * budget_us / whole_us
    raise BadInput(f"budget must be one that the whole model meets, none did in {N_TRIES} tries: {budget_us:.6g} us")


def _knob(block: int, field: str) -> str:
    return f"{block} {field}"


def _with(model: Transformer, parts: Mapping[tuple[int, str], int]) -> Transformer:
    """Return the model with some parts of blocks at a size."""
    blocks = [{"n_kv_heads": model.n_kv_heads, "ffn": model.ffn} for _ in range(model.n_layers)]
    for (block, field), size in parts.items():
        blocks[block][field] = size
    return replace(model, blocks=tuple(Block(**block) for block in blocks))
