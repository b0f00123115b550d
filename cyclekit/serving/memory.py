"""What a model's weights, its cached keys and values and its activations take of each card, and whether they fit."""

from __future__ import annotations

from dataclasses import dataclass

from workloads.errors import BadInput
from workloads.transformers.operators import BYTES, kv_heads_of_card
from workloads.transformers.shape import Transformer


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on each card: what is taken, and `room`, what the framework may take of the card's own."""

    weights: float
    kv: float
    activations: float
    room: float

    @property
    def fits(self) -> bool:
        return self.weights + self.kv + self.activations <= self.room

    def as_dict(self) -> dict[str, float | bool]:
        """Return gigabytes (10^9 bytes) for JSON."""
        names = ("weights", "kv", "activations", "room")
        return {name: getattr(self, name) / 1e9 for name in names} | {"fits": self.fits}


@dataclass(frozen=True, kw_only=True)
class Bits:
    """The bits of a weight of a block, of one elsewhere, and of a cached element."""

    block: float
    other: float
    cached: float


def memory_of(
    model: Transformer, *, batch: int, n_tokens: float, n_cards: int, chunk_tokens: int, bits: Bits, room: float
) -> Memory:
    """Return what `batch` sequences of n_tokens take at their end on each of n_cards that share the model's heads.

    Activations: of the widest place of a pass, its inputs and outputs, and the logits in 32 bits.
    """
    of_block = model.n_weights_of_blocks * bits.block / n_cards
    of_rest = model.n_other_weights * bits.other / n_cards
    of_each = [
        own.n_cached / own.n_kv_heads * kv_heads_of_card(own, n_cards) for own, attends, _ in model.kinds if attends
    ]
    cached = sum(of_each) * bits.cached
    rows = max(batch, min(chunk_tokens, batch * n_tokens))
    widest = max(model.qkv, (2 if model.gated else 1) * model.ffn) / n_cards
    return Memory(
        weights=(of_block + of_rest) / 8,
        kv=cached / 8 * batch * n_tokens,
        activations=rows * BYTES * (3 * model.hidden + widest) + batch * 4 * model.vocab / n_cards,
        room=room,
    )


def check_fits(memory: Memory, name: str) -> None:
    """Raise BadInput where a card cannot hold it all, with what it lacks and what would do."""
    if memory.fits:
        return
    parts = ", ".join(f"{part} {getattr(memory, part) / 1e9:,.1f}" for part in ("weights", "kv", "activations"))
    lacks = (memory.weights + memory.kv + memory.activations - memory.room) / 1e9
    would = (
        "a smaller batch or --batch max, shorter sequences, "
        if memory.weights + memory.activations < memory.room
        else ""
    )
    raise BadInput(
        f"{name} lacks {lacks:,.1f} GB on each card ({parts}, room {memory.room / 1e9:,.1f}): "
        f"take {would}more --cards, or --weights and --kv of fewer bits"
    )
