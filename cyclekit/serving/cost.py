"""What serving asks of a machine: the cost of one operator, the frameworks that run there, what its memory holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workloads.errors import BadInput
from workloads.transformers.operators import Operator

# What bounds an operator
COMPUTE, MEMORY, LAUNCH, LINK = BOUNDS = ("compute", "memory", "launch", "link")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One call of an operator on one card. flops: two a multiply-add, of a sparse product as many as of a dense one.

    energy_uj: None where nothing prices it.
    """

    time_us: float
    flops: float
    n_bytes: float
    bound: str
    energy_uj: float | None


@dataclass(frozen=True, kw_only=True)
class Formats:
    """The designs that multiply with a block's weights and with others, and what a weight of a block takes in memory.

    activations: their format beside a block's weights; other: that of everything else. peak_tflops: of a dense product
    in a block, at the full clock; gb_per_s: of memory.
    """

    block: Any
    elsewhere: Any
    activations: str
    other: str
    weight_bits: float
    peak_tflops: float
    gb_per_s: float


@dataclass(frozen=True, kw_only=True)
class Framework:
    """The software between a model and its kernels.

    gap_us: between two kernels. host_us: of the host to launch one, where it does: those of prompts, and if eager those
    of steps, which else are a graph. prompt_least_us: what the kernels of a pass over prompts take at least. prompt_us,
    step_us, sequence_us: of each such pass, of each pass, and of each sequence in one, which no kernel hides. call_us:
    {kind of operator: what each call takes more}. chunk_tokens: at most so many tokens of prompts enter a pass.
    memory_share: of a card's memory, what may be taken. fused: operators that are no kernels of their own.
    """

    name: str
    gap_us: float = 0.0
    host_us: float = 0.0
    eager: bool = False
    prompt_least_us: float = 0.0
    prompt_us: float = 0.0
    step_us: float = 0.0
    sequence_us: float = 0.0
    call_us: Mapping[str, float] = field(default_factory=dict)
    chunk_tokens: int = 8192
    memory_share: float = 1.0
    fused: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Serves:
    """A machine's face for whole models.

    formats(spec, weights, activations, sparsity) -> Formats; activations None: those that go with the weights. Raises
    BadInput where the machine has no such product.
    cost(operator, spec, cached_bits) -> Cost of one call; cached_bits: of an element of cached keys and values.
    framework(name, spec) -> Framework (None: the first).
    asked: {field of the Spec: what says it instead}, of those that `formats` sets.
    links: what a result of more than one card is told of the sums over them.
    memory_bytes(spec): what a card holds. idle_w(spec): what it draws while no kernel runs.
    """

    formats: Callable[[Any, str, str | None, str], Formats]
    cost: Callable[[Operator, Any, int], Cost]
    framework: Callable[[str | None, Any], Framework]
    asked: Mapping[str, str]
    links: str
    memory_bytes: Callable[[Any], float]
    idle_w: Callable[[Any], float]
    priced_by: str

    def check(self, fields: Mapping[str, Any]) -> None:
        """Raise BadInput for a field of the Spec that is asked for, but said by something else."""
        for name, said in self.asked.items():
            if name in fields:
                raise BadInput(f"{name} is said by {said!r} here, got {fields[name]!r}")
