"""A batch of prompts and answers through a model on a machine: time to first token, time per token, memory, energy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import fsum, isnan, nan
from typing import Any

from cyclekit.serving.cost import Cost, Framework, Serves
from cyclekit.serving.memory import Bits, Memory, check_fits, memory_of
from workloads.errors import BadInput
from workloads.transformers.operators import Attention, Operator, Pass, check_cards, pass_of
from workloads.transformers.shape import Transformer

PROMPT, STEP = PHASES = ("prompt", "step")
BITS = {"f16": 16, "bf16": 16, "e4m3": 8, "int8": 8}  # of an activation and of a cached key or value
MOST_SEQUENCES = 1 << 16
N_CONTEXTS = 33  # of the step's times that a result holds


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of a model: `batch` sequences of `input` tokens that get `output` more each.

    batch None: as many as memory holds of sequences in all stages of their answers, as where new ones take the places
    of those that end: each then takes the room of half its answer. activations, kv None: those of the weights' format.
    framework None: the machine's first. Raises BadInput.
    """

    batch: int | None
    input: int
    output: int
    n_cards: int = 1
    framework: str | None = None
    weights: str = "f16"
    activations: str | None = None
    kv: str | None = None
    sparsity: str = "dense"

    def __post_init__(self):
        for name in ("batch", "input", "output", "n_cards"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInput(f"{name} must be at least 1, got {value}")
        if self.kv is not None and self.kv not in BITS:
            raise BadInput(f"kv must be one of {', '.join(BITS)}, got {self.kv!r}")


@dataclass(frozen=True, kw_only=True)
class Row:
    """An operator of one phase, a card's own share: its calls in all prompts, or in a step at the mean context."""

    name: str
    phase: str
    count: int
    time_us: float
    flops: float
    bytes: float
    bound: str


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The result: one static batch, from its first prompt token to the last token of its answers.

    ttft_ms: until every sequence has its first token. tpot_ms: the mean of the steps after it, None where there are
    none. energy_j: of all cards, None where nothing prices it; priced_by: what else does. operators: Rows, and rest_us
    {phase: the time of none}.
    step_ms: (context, ms) along the answers. peak_tflops, gb_per_s: what a card could at most.
    """

    model: Transformer
    machine: str
    spec: Any
    request: Request
    memory: Memory
    ttft_ms: float
    tpot_ms: float | None
    total_s: float
    energy_j: float | None
    priced_by: str
    operators: tuple[Row, ...]
    rest_us: dict[str, float]
    step_ms: tuple[tuple[float, float], ...]
    peak_tflops: float
    gb_per_s: float
    notes: tuple[str, ...]

    @property
    def output_tokens_per_s(self) -> float:
        return self.request.batch * self.request.output / self.total_s

    @property
    def total_tokens_per_s(self) -> float:
        return self.request.batch * (self.request.input + self.request.output) / self.total_s

    @property
    def j_per_output_token(self) -> float | None:
        return None if self.energy_j is None else self.energy_j / (self.request.batch * self.request.output)


class _Passes:
    """The passes of one phase: their operators with their costs, and how often each pass is run."""

    def __init__(self, phase: str, framework: Framework, idle_w: float):
        self.phase, self.framework, self.idle_w = phase, framework, idle_w
        self.rows: dict[str, Row] = {}
        self.time_us, self.energy_uj = 0.0, 0.0  # energy: NaN where an operator has no price

    def add(self, work: Pass, costs: list[tuple[Operator, Cost]], n_passes: int = 1) -> float:
        """Add a pass that is run n_passes times; return its time in us."""
        own = self.framework
        busy_us = fsum(operator.count * cost.time_us for operator, cost in costs)
        n_kernels = sum(operator.count for operator, _ in costs)
        calls_us = fsum(operator.count * own.call_us.get(operator.kind, 0.0) for operator, _ in costs)
        queued_us = busy_us + n_kernels * own.gap_us + calls_us
        if self.phase == PROMPT or own.eager:
            queued_us = max(queued_us, n_kernels * own.host_us)
        if self.phase == PROMPT:
            queued_us = max(queued_us, own.prompt_least_us) + own.prompt_us
        time_us = queued_us + own.step_us + work.n_sequences * own.sequence_us
        energies = [nan if cost.energy_uj is None else operator.count * cost.energy_uj for operator, cost in costs]
        energy_uj = fsum(energies)
        self.time_us += n_passes * time_us
        self.energy_uj += n_passes * (energy_uj + self.idle_w * (time_us - busy_us))
        for operator, cost in costs:
            self._count(operator, cost, n_passes * operator.count)
        return time_us

    def _count(self, operator: Operator, cost: Cost, count: int) -> None:
        row = self.rows.get(operator.name)
        more = {"time_us": cost.time_us, "flops": cost.flops, "bytes": cost.n_bytes}
        if row is None:
            values = {name: count * value for name, value in more.items()}
            self.rows[operator.name] = Row(
                name=operator.name, phase=self.phase, count=count, bound=cost.bound, **values
            )
        else:
            values = {name: getattr(row, name) + count * value for name, value in more.items()}
            self.rows[operator.name] = replace(row, count=row.count + count, **values)

    @property
    def rest_us(self) -> float:
        """Return the time in which no kernel runs."""
        return self.time_us - fsum(row.time_us for row in self.rows.values())


def serve(model: Transformer, machine: str, face: Serves, spec: Any, request: Request) -> Serving:
    """Return what a request takes on cards of a design.

    Raises BadInput where cards do not divide the model, formats do not go together, or memory does not hold it.
    """
    if model.encoder and request.output > 1:
        raise BadInput(f"output must be 1 for {model.name}, which answers all tokens at once, got {request.output}")
    check_cards(model, request.n_cards)
    framework = face.framework(request.framework, spec)
    formats = face.formats(spec, request.weights, request.activations, request.sparsity)
    kv = request.kv or ("e4m3" if formats.activations == "e4m3" else formats.other)
    request = replace(request, framework=framework.name, activations=formats.activations, kv=kv)
    bits = Bits(block=formats.weight_bits, other=16, cached=BITS[kv])
    memory_for = partial(
        memory_of,
        model,
        n_tokens=request.input + (request.output if request.batch else request.output / 2),
        n_cards=request.n_cards,
        chunk_tokens=framework.chunk_tokens,
        bits=bits,
        room=face.memory_bytes(spec) * framework.memory_share,
    )
    if request.batch is None:
        request = replace(request, batch=_largest(lambda batch: memory_for(batch=batch).fits))
    memory = memory_for(batch=request.batch)
    check_fits(memory, f"{model.name} with {request.batch} sequences of {request.input + request.output} tokens")

    def costs(work: Pass) -> list[tuple[Operator, Cost]]:
        return [
            (operator, face.cost(operator, formats.block if operator.of_block else formats.elsewhere, bits.cached))
            for operator in pass_of(
                model, work, request.n_cards, activation_bits=BITS[formats.activations], fused=framework.fused
            ).operators
        ]

    idle_w = face.idle_w(spec)
    prompt, steps = _Passes(PROMPT, framework, idle_w), _Passes(STEP, framework, idle_w)
    for work, n_passes in prompt_passes(request, framework.chunk_tokens):
        prompt.add(work, costs(work), n_passes)
    n_steps, of_context, steps_us = request.output - 1, (), 0.0
    if n_steps:
        mean = Pass(
            n_sequences=request.batch, n_new=1, n_context=request.input + request.output / 2, n_logits=request.batch
        )
        of_mean = costs(mean)
        mean_us = steps.add(mean, of_mean)
        attentions = [pair for pair in of_mean if isinstance(pair[0].work, Attention)]

        def step_us(context: float) -> float:
            more_us = 0.0
            for attention, own in attentions:
                at = replace(attention, work=replace(attention.work, n_context=context))
                more_us += attention.count * (face.cost(at, formats.elsewhere, bits.cached).time_us - own.time_us)
            return mean_us + more_us

        times = [step_us(context) for context in range(request.input + 1, request.input + request.output)]
        steps_us = fsum(times)
        every = max(1, n_steps // (N_CONTEXTS - 1))
        of_context = tuple((request.input + 1 + i, times[i] / 1e3) for i in range(0, n_steps, every))
    energy_j = (prompt.energy_uj + n_steps * steps.energy_uj) * request.n_cards / 1e6
    return Serving(
        model=model,
        machine=machine,
        spec=spec,
        request=request,
        memory=memory,
        ttft_ms=prompt.time_us / 1e3,
        tpot_ms=steps_us / n_steps / 1e3 if n_steps else None,
        total_s=(prompt.time_us + steps_us) / 1e6,
        energy_j=None if isnan(energy_j) else energy_j,
        priced_by=face.priced_by,
        operators=(*prompt.rows.values(), *steps.rows.values()),
        rest_us={passes.phase: passes.rest_us for passes in (prompt, steps)},
        step_ms=of_context,
        peak_tflops=formats.peak_tflops,
        gb_per_s=formats.gb_per_s,
        notes=(*model.notes, *framework.notes, *([face.links] if request.n_cards > 1 else [])),
    )


def prompt_passes(request: Request, chunk_tokens: int) -> Iterator[tuple[Pass, int]]:
    """Yield the passes that prompts take, and how often each: as many whole ones as a chunk holds, or parts of one.

    A part of a sequence sees what is before it, too; of these passes, which differ in that alone, the mean is taken.
    """
    at_once = chunk_tokens // request.input
    if at_once:
        for n_sequences, n_passes in ((at_once, request.batch // at_once), (request.batch % at_once, 1)):
            if n_sequences and n_passes:
                yield _pass(n_sequences, request.input, request.input, n_sequences), n_passes
        return
    n_parts, rest = divmod(request.input, chunk_tokens)
    mean_context = chunk_tokens * (n_parts + 1) / 2
    yield _pass(1, chunk_tokens, mean_context, 1), n_parts * request.batch
    if rest:
        yield _pass(1, rest, request.input, 1), request.batch


def _pass(n_sequences: int, n_new: int, n_context: float, n_logits: int) -> Pass:
    return Pass(n_sequences=n_sequences, n_new=n_new, n_context=n_context, n_logits=n_logits)


def _largest(fits: Callable[[int], bool]) -> int:
    """Return the largest batch that fits, at most MOST_SEQUENCES, and 1 where none does: the refusal is another's."""
    low, high = 1, MOST_SEQUENCES
    if fits(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
