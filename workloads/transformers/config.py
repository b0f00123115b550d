"""Reading a transformer's sizes: a Hugging Face config.json, or one of data/transformers.csv by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workloads.errors import BadInput, did_you_mean
from workloads.files import read_table, read_text_bytes
from workloads.transformers.shape import Transformer

# {size: its names in a config.json}, in the order in which they are looked for
NAMES = {
    "n_layers": ("num_hidden_layers", "n_layer"),
    "hidden": ("hidden_size", "n_embd"),
    "n_heads": ("num_attention_heads", "n_head"),
    "vocab": ("vocab_size",),
}
FFN, KV_HEADS, HEAD_DIM = ("intermediate_size", "n_inner"), "num_key_value_heads", "head_dim"
# What a model_type stands for beyond its sizes
LLAMA = {"gated": True}
TYPES: Mapping[str, Mapping[str, bool]] = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA | {"qk_norm": True},
    "gptj": {"gated": False, "parallel": True},
    "gpt2": {"gated": False, "rotary": False, "tied": True},
    "bert": {"gated": False, "rotary": False, "encoder": True},
}
MOST_BYTES = 2**20  # of a config.json: they are of a few kilobytes


def load(name: str) -> Transformer:
    """Return the transformer of a config.json, of a folder that holds one, or of that name. Raises BadInput."""
    path = Path(name)
    try:
        if path.is_dir():
            path = path / "config.json"
        if path.is_file():
            return read(path)
    except OSError as error:
        raise BadInput(f"config {name!r} cannot be read: {error.strerror}") from None
    by_name = {row["model"]: row for row in read_table("workloads", "transformers")}
    if name not in by_name:
        raise BadInput(
            f"unknown transformer {name!r}{did_you_mean(name, by_name)}: "
            f"give a config.json or a name of 'zeroskip list transformers'"
        )
    row = by_name[name]
    sizes = {field: int(row[field]) for field in (*NAMES, "ffn", "n_kv_heads", "head_dim")}
    flags = {field: row[field] == "1" for field in ("gated", "parallel", "qk_norm", "rotary", "encoder")}
    return Transformer(name=name, **sizes, **flags)


def describe() -> dict[str, str]:
    """Return {name: sizes in words} of those that `load` knows by name."""
    told = "{n_layers} blocks of {hidden}, feed-forward {ffn}, {n_heads} heads of {head_dim} ({n_kv_heads} of keys)"
    return {row["model"]: told.format(**row) for row in read_table("workloads", "transformers")}


def check_no_transformer(address: str | Path) -> None:
    """Raise BadInput where an address names a transformer by its sizes: `zeroskip llm` runs those, without weights."""
    name, path = str(address), Path(address)
    is_config = path.suffix == ".json" and not name.endswith(".index.json")
    if is_config or name in describe():
        raise BadInput(f"{path.name!r} names a transformer's sizes, without weights: that is for 'zeroskip llm'")


def read(path: Path) -> Transformer:
    """Return the transformer that a config.json describes; raises BadInput where it does not say enough."""
    if path.stat().st_size > MOST_BYTES:
        raise BadInput(
            f"{path.name} must be a config.json of at most {MOST_BYTES:,} bytes, got {path.stat().st_size:,}"
        )
    try:
        config = json.loads(read_text_bytes(path).decode())
    except (ValueError, RecursionError):
        raise BadInput(f"{path.name} is no JSON: give a Hugging Face config.json") from None
    if not isinstance(config, dict):
        raise BadInput(f"{path.name} must hold an object of names and values, as a Hugging Face config.json does")
    return of_config(config, path.parent.name if path.name == "config.json" and path.parent.name else path.stem)


def of_config(config: Mapping[str, Any], name: str) -> Transformer:
    """Return the transformer of what a config.json holds. Raises BadInput naming the field that is missing or wrong."""
    kind = config.get("model_type")
    if kind not in TYPES:
        known = ", ".join(TYPES)
        raise BadInput(f"model_type must be one of {known}, got {kind!r}: take the sizes of a model of one of these")
    sizes = {size: _size(config, fields) for size, fields in NAMES.items()}
    sizes["n_kv_heads"] = _size(config, (KV_HEADS,), sizes["n_heads"])
    if config.get(HEAD_DIM) is None and sizes["hidden"] % sizes["n_heads"]:
        raise BadInput(
            f"{HEAD_DIM} is missing, and hidden_size {sizes['hidden']} is no multiple of {sizes['n_heads']} heads"
        )
    sizes["head_dim"] = _size(config, (HEAD_DIM,), sizes["hidden"] // sizes["n_heads"])
    # GPT-2 and GPT-J write null, or nothing, for four times the hidden size
    sizes["ffn"] = _size(config, FFN, 4 * sizes["hidden"] if kind in ("gpt2", "gptj") else None)
    tied = config.get("tie_word_embeddings")
    flags = dict(TYPES[kind]) | ({"tied": tied} if isinstance(tied, bool) else {})
    return Transformer(name=name, **sizes, **flags)


def _size(config: Mapping[str, Any], fields: tuple[str, ...], default: int | None = None) -> int:
    """Return the size under the first of the names that is there and not null."""
    for field in fields:
        value = config.get(field)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BadInput(f"{field} must be a whole number of at least 1, got {value!r}")
        return value
    if default is None:
        has = ", ".join(sorted(name for name, value in config.items() if type(value) is int)) or "no whole number"
        raise BadInput(f"{' or '.join(fields)} is missing in the config.json, which has {has}")
    return default
