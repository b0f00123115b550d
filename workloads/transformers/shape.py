"""The sizes of a transformer, what they come to in weights and cached values, and how it is cut in depth and width."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, fields, replace

from workloads.errors import BadInput

CUTS = {"layers": "n_layers", "ffn": "ffn", "heads": "n_heads", "kv_heads": "n_kv_heads", "hidden": "hidden"}
LARGEST = 2**24


@dataclass(frozen=True, kw_only=True)
class Block:
    """What one block keeps: heads of keys and values, and feed-forward neurons; 0: that part of it is gone."""

    n_kv_heads: int
    ffn: int


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """n_layers blocks of attention and feed-forward on vectors of `hidden` elements, and the embedding of a vocabulary.

    n_kv_heads: heads of keys and values, each of which n_heads / n_kv_heads heads of queries share. gated: the
    feed-forward has a gate beside its first matrix. parallel, qk_norm, rotary, encoder: as data/transformers.csv says.
    tied: the last matrix is the embedding's. blocks: what each keeps, where they differ. Raises BadInput for a size
    below 1, for heads that do not divide, and for blocks that are not n_layers or keep more than there is.
    """

    name: str
    n_layers: int
    hidden: int
    ffn: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    vocab: int
    gated: bool = True
    parallel: bool = False
    qk_norm: bool = False
    rotary: bool = True
    encoder: bool = False
    tied: bool = False
    notes: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()

    def __post_init__(self):
        for name in ("n_layers", "hidden", "ffn", "n_heads", "n_kv_heads", "head_dim", "vocab"):
            size = getattr(self, name)
            if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST:
                raise BadInput(f"{name} must be a whole number from 1 to {LARGEST} in {self.name}, got {size!r}")
        if self.n_heads % self.n_kv_heads:
            raise BadInput(
                f"n_heads must be a multiple of n_kv_heads, {self.n_kv_heads}, in {self.name}, got {self.n_heads}"
            )

        if len(self.blocks) not in (0, self.n_layers):
            raise BadInput(f"blocks must be {self.n_layers} in {self.name}, got {len(self.blocks)}")
        for place, block in enumerate(self.blocks):
            for name, size, most in (("n_kv_heads", block.n_kv_heads, self.n_kv_heads), ("ffn", block.ffn, self.ffn)):
                if not 0 <= size <= most:
                    raise BadInput(f"{name} of block {place} must be from 0 to {most} in {self.name}, got {size}")
            if block.n_kv_heads and self.n_heads % block.n_kv_heads:
                raise BadInput(
                    f"n_kv_heads of block {place} must divide the {self.n_heads} heads of {self.name}, "
                    f"got {block.n_kv_heads}"
                )

    def cut(self, **sizes: int | None) -> Transformer:
        """Return the transformer with fewer blocks or narrower ones: layers, ffn, heads, kv_heads, hidden.

        None leaves a size as it is. Raises BadInput for a size above the present one, and for heads that do not divide.
        """
        changes = {CUTS[name]: size for name, size in sizes.items() if size is not None}
        if "n_heads" in changes and self.n_kv_heads == self.n_heads:  # each has keys and values of its own
            changes.setdefault("n_kv_heads", changes["n_heads"])
        for field, size in changes.items():
            if size > getattr(self, field):
                raise BadInput(f"{field} must be at most {getattr(self, field)}, which {self.name} has, got {size}")
        if not changes:
            return self
        said = ", ".join(f"{field} {getattr(self, field)} -> {size}" for field, size in changes.items())
        return replace(self, **changes, notes=(*self.notes, f"cut: {said}"))

    @property
    def qkv(self) -> int:
        """Return the outputs of the product that gives queries, keys and values."""
        return (self.n_heads + 2 * self.n_kv_heads) * self.head_dim

    @property
    def kinds(self) -> list[tuple[Transformer, bool, bool]]:
        """Return the blocks of each kind as a transformer of them alone, and whether they have attention, feed-forward.

        A part that they lack has the model's own size there.
        """
        if not self.blocks:
            return [(self, True, True)]
        kinds = []
        for block, n_layers in Counter(self.blocks).items():
            sizes = {name: size for name, size in vars(block).items() if size}
            kinds.append((replace(self, blocks=(), n_layers=n_layers, **sizes), block.n_kv_heads > 0, block.ffn > 0))
        return kinds

    @property
    def n_attention_weights(self) -> int:
        """Return the weights of the attention of one block."""
        return self.hidden * (self.qkv + self.n_heads * self.head_dim)

    @property
    def n_ffn_weights(self) -> int:
        """Return the weights of the feed-forward of one block."""
        return (3 if self.gated else 2) * self.hidden * self.ffn

    @property
    def n_block_weights(self) -> int:
        """Return the weights of the matrices of one block that lacks nothing."""
        return self.n_attention_weights + self.n_ffn_weights

    @property
    def n_weights_of_blocks(self) -> int:
        """Return the weights of the matrices of all blocks."""
        return sum(
            own.n_layers * (attends * own.n_attention_weights + feeds * own.n_ffn_weights)
            for own, attends, feeds in self.kinds
        )

    @property
    def n_other_weights(self) -> int:
        """Return the weights of the embedding and of the last matrix, which may be the same."""
        return self.vocab * self.hidden * (1 if self.tied or self.encoder else 2)

    @property
    def n_cached(self) -> int:
        """Return the keys' and values' elements that a token leaves behind."""
        return sum(2 * own.n_layers * own.n_kv_heads * own.head_dim for own, attends, _ in self.kinds if attends)

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)} | {"notes": list(self.notes)}
        return plain | {"blocks": [asdict(block) for block in self.blocks]}
