"""The sizes of a transformer, what they come to in weights and cached values, and how it is cut in depth and width."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from workloads.errors import BadInput

CUTS = {"layers": "n_layers", "ffn": "ffn", "heads": "n_heads", "kv_heads": "n_kv_heads", "hidden": "hidden"}
LARGEST = 2**24


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """n_layers blocks of attention and feed-forward on vectors of `hidden` elements, and the embedding of a vocabulary.

    n_kv_heads: heads of keys and values, each of which n_heads / n_kv_heads heads of queries share. gated: the
    feed-forward has a gate beside its first matrix. parallel, qk_norm, rotary, encoder: as data/transformers.csv says.
    tied: the last matrix is the embedding's. Raises BadInput for a size below 1 and for heads that do not divide.
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

    def __post_init__(self):
        for name in ("n_layers", "hidden", "ffn", "n_heads", "n_kv_heads", "head_dim", "vocab"):
            size = getattr(self, name)
            if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST:
                raise BadInput(f"{name} must be a whole number from 1 to {LARGEST} in {self.name}, got {size!r}")
        if self.n_heads % self.n_kv_heads:
            raise BadInput(
                f"n_heads must be a multiple of n_kv_heads, {self.n_kv_heads}, in {self.name}, got {self.n_heads}"
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
    def n_block_weights(self) -> int:
        """Return the weights of the matrices of one block."""
        attention = self.hidden * (self.qkv + self.n_heads * self.head_dim)
        return attention + (3 if self.gated else 2) * self.hidden * self.ffn

    @property
    def n_other_weights(self) -> int:
        """Return the weights of the embedding and of the last matrix, which may be the same."""
        return self.vocab * self.hidden * (1 if self.tied or self.encoder else 2)

    @property
    def n_cached(self) -> int:
        """Return the keys' and values' elements that a token leaves behind."""
        return 2 * self.n_layers * self.n_kv_heads * self.head_dim

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"notes": list(self.notes)}
