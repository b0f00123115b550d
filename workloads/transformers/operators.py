"""The operators of one pass of a transformer over tokens, a card's share of them where several share the work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from workloads.errors import BadInput
from workloads.records import Model, Shape
from workloads.transformers.shape import Transformer

BYTES = 2  # of an activation between operators


@dataclass(frozen=True, kw_only=True)
class Attention:
    """Queries against keys, a softmax, and the values: n_new tokens of each of n_sequences, which see n_context ones.

    causal: a token sees itself and those before it, and n_context counts the new ones; else it sees all.
    """

    n_sequences: int
    n_new: int
    n_context: float
    n_heads: int
    n_kv_heads: int
    head_dim: int
    causal: bool = True

    @property
    def flops(self) -> float:
        """Return the operations of both products: two a multiply-add, and what the mask hides counts as none."""
        pairs = self.n_new * self.n_context
        if self.causal:
            pairs -= self.n_new * (self.n_new - 1) / 2
        return 4.0 * self.n_sequences * self.n_heads * self.head_dim * pairs

    @property
    def n_cached(self) -> float:
        """Return the elements of keys and values that are read, each once."""
        return 2.0 * self.n_sequences * self.n_kv_heads * self.head_dim * self.n_context

    @property
    def n_queries(self) -> int:
        """Return the elements of the queries, which are as many as those of the result."""
        return self.n_sequences * self.n_new * self.n_heads * self.head_dim


@dataclass(frozen=True, kw_only=True)
class Movement:
    """A kernel whose time is that of its bytes: `rows` vectors of `row` elements, of which it moves n_bytes."""

    rows: int
    row: int
    n_bytes: int
    n_flops: int = 0


@dataclass(frozen=True, kw_only=True)
class AllReduce:
    """The sum over n_cards of n_bytes that each of them holds."""

    n_bytes: int
    n_cards: int


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator of a Model, `count` times in the order of its block.

    kind: gemm, attention, norm, add, activation, rope, quantise, embedding, sampling or
    all_reduce. of_block: a product whose
    weights the formats of a block's weights are meant for; the last matrix keeps 16 bits.
    """

    name: str
    kind: str
    count: int
    work: Shape | Attention | Movement | AllReduce
    of_block: bool = False


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What one pass works on: n_new tokens of each of n_sequences, which see n_context; logits of n_logits tokens."""

    n_sequences: int
    n_new: int
    n_context: float
    n_logits: int

    @property
    def n_tokens(self) -> int:
        return self.n_sequences * self.n_new


def check_cards(model: Transformer, n_cards: int) -> None:
    """Raise BadInput unless that many cards can share the model: its heads and its feed-forward in equal parts."""
    for own, _, _ in model.kinds:
        for what, size in (("heads", own.n_heads), ("feed-forward neurons", own.ffn)):
            if size % n_cards:
                raise BadInput(f"--cards must divide the {size} {what} of {model.name}, got {n_cards}")
        if own.n_kv_heads % n_cards and n_cards % own.n_kv_heads:
            raise BadInput(
                f"--cards must divide the {own.n_kv_heads} key-value heads of {model.name} or be a multiple of them, "
                f"got {n_cards}"
            )


def kv_heads_of_card(model: Transformer, n_cards: int) -> int:
    """Return the heads of keys and values on each card; where there are fewer than cards, each has a copy of one."""
    return max(1, model.n_kv_heads // n_cards)


def pass_of(
    model: Transformer,
    work: Pass,
    n_cards: int = 1,
    *,
    activation_bits: int = 16,
    fused: frozenset[str] = frozenset(),
) -> Model:
    """Return a card's share of one pass, its operators in the order in which they run.

    activation_bits: of what enters a block's products; below 16 it is quantised before. fused: of "add" (with the norm
    behind it), "rope" (with the attention) and "quantise" (with what is before it), those that are no kernels of their
    own.
    """
    quantised = 0 if activation_bits == 16 or "quantise" in fused else activation_bits
    blocks = [_block(own, work, n_cards, fused, quantised, attends, feeds) for own, attends, feeds in model.kinds]
    block = _together(operator for of_kind in blocks for operator in of_kind)
    return Model(name=model.name, operators=(*_embedding(model, work), *block, *_head(model, work, n_cards)))


def _together(operators: Iterable[Operator]) -> Iterator[Operator]:
    """Yield equal operators as one with their count; of one name that do different work, each says its size."""
    counts: Counter[Operator] = Counter()
    for operator in operators:
        counts[replace(operator, count=1)] += operator.count
    names = Counter(operator.name for operator in counts)
    for operator, count in counts.items():
        name = operator.name if names[operator.name] == 1 else f"{operator.name} {_size(operator.work)}"
        yield replace(operator, name=name, count=count)


def _size(work: Shape | Attention | Movement | AllReduce) -> str:
    if isinstance(work, Shape):
        return f"{work.n_out}x{work.n_in}"
    if isinstance(work, Attention):
        return f"of {work.n_kv_heads} kv heads"
    return f"{work.rows}x{work.row}" if isinstance(work, Movement) else f"of {work.n_bytes} bytes"


def _embedding(model: Transformer, work: Pass) -> Iterator[Operator]:
    yield _movement("embedding", "embedding", 1, work.n_tokens, model.hidden, 2)


def _block(
    model: Transformer,
    work: Pass,
    n_cards: int,
    fused: frozenset[str],
    quantised: int,
    attends: bool,
    feeds: bool,
) -> Iterator[Operator]:
    """Yield the operators of all blocks of one kind, with attention and feed-forward or without."""
    tokens, hidden, count = work.n_tokens, model.hidden, model.n_layers
    n_heads, n_kv_heads = model.n_heads // n_cards, kv_heads_of_card(model, n_cards)
    of_heads, ffn = n_heads * model.head_dim, model.ffn // n_cards
    rotated = (n_heads + n_kv_heads) * model.head_dim
    n_parts = attends + feeds
    if not n_parts:
        return

    def gemm(name: str, n_out: int, n_in: int) -> Operator:
        shape = Shape(name=name, n_out=n_out, n_in=n_in, batch=tokens)
        return Operator(name=name, kind="gemm", count=count, work=shape, of_block=True)

    n_norms = 1 if model.parallel else n_parts
    # a fused add and norm reads both summands, writes their sum and the norm of it
    yield _movement("norm", "norm", n_norms * count, tokens, hidden, 4 if "add" in fused else 2)
    if attends:
        yield gemm("qkv", (n_heads + 2 * n_kv_heads) * model.head_dim, hidden)
        if model.qk_norm:
            yield _movement("norm of q and k", "norm", count, tokens * (n_heads + n_kv_heads), model.head_dim, 2)
        if model.rotary and "rope" not in fused:
            yield _movement("rope", "rope", count, tokens, rotated, 2)
        attention = Attention(
            n_sequences=work.n_sequences,
            n_new=work.n_new,
            n_context=work.n_context,
            n_heads=n_heads,
            n_kv_heads=n_kv_heads,
            head_dim=model.head_dim,
            causal=not model.encoder,
        )
        yield Operator(name="attention", kind="attention", count=count, work=attention)
        yield gemm("output projection", hidden, of_heads)
    if feeds:
        if model.gated:
            yield gemm("gate and up", 2 * ffn, hidden)
        else:
            yield gemm("up", ffn, hidden)
        yield _movement("activation", "activation", count, tokens, ffn, 3 if model.gated else 2)
        yield gemm("down", hidden, ffn)
    if n_cards > 1:
        # side by side, attention and feed-forward are added up before the sum over the cards
        reduce = AllReduce(n_bytes=tokens * hidden * BYTES, n_cards=n_cards)
        yield Operator(name="all-reduce", kind="all_reduce", count=n_norms * count, work=reduce)
    if "add" not in fused:
        yield _movement("add", "add", n_parts * count, tokens, hidden, 3)
    if quantised:
        rows = ("quantise", hidden, n_parts), ("quantise heads", of_heads, attends), ("quantise ffn", ffn, feeds)
        for name, row, n_calls in rows:
            movement = Movement(rows=tokens, row=row, n_bytes=tokens * row * (8 * BYTES + quantised) // 8)
            if n_calls:
                yield Operator(name=name, kind="quantise", count=n_calls * count, work=movement)


def _head(model: Transformer, work: Pass, n_cards: int) -> Iterator[Operator]:
    yield _movement("last norm", "norm", 1, work.n_logits, model.hidden, 2)
    if model.encoder:
        return
    shape = Shape(name="logits", n_out=-(-model.vocab // n_cards), n_in=model.hidden, batch=work.n_logits)
    yield Operator(name="logits", kind="gemm", count=1, work=shape)
    yield _movement("sampling", "sampling", 1, work.n_logits, model.vocab, 1)


def _movement(name: str, kind: str, count: int, rows: int, row: int, n_accesses: int) -> Operator:
    work = Movement(rows=rows, row=row, n_bytes=n_accesses * rows * row * BYTES)
    return Operator(name=name, kind=kind, count=count, work=work)
