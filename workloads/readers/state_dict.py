"""Which arrays of a file without a graph are layers, which way round they lie, and why others are none."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from workloads.errors import BadInput
from workloads.readers.parts import assembled
from workloads.readers.stored import Stored, numbers

SEED = 0  # of the values that a pattern is given
N_NAMED = 3  # how many names are listed
CONV1D = ("c_attn", "c_proj", "c_fc")  # GPT-2's, which are y = x W + b
_LAST = re.compile(r"(?:.*[./])?([^./]+?)(?::\d+)?")  # a name's last word, without TensorFlow's ":0"
_EMBEDDING = re.compile(
    r"(?:\w*_)?(?:embed|embeds|embd|embedding|embeddings|token|token_types)|wte|wpe|shared"
    r"|embed_\w*(?:tokens|positions)\w*|embed_in"
)
_SCALE = re.compile(r"(?:\w*_)?(?:scales?|scale_inv|zeros?|zero_points?|absmax|g_idx|SCB)")
_OPTIMISER = re.compile(r"(?:.*\.)?state\.\d+\.\w+")


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """An array of two dimensions or more, [out, in, ...], as a layer: one that counts where `aside` is "".

    array: its name in the file; read: its weights and its bias or None; stored, bias: both as they lie there; back: the
    weights [out, in, ...] -> as they lie; note: what a result says of it; aside: why it is passed over unless it is
    named; is_readable: whether naming it helps.
    """

    array: str
    shape: tuple[int, ...]
    read: Callable[[], tuple[np.ndarray, np.ndarray | None]]
    stored: Stored
    bias: Stored | None
    back: Callable[[np.ndarray], np.ndarray]
    note: str = ""
    aside: str = ""
    is_readable: bool = True


def candidates(arrays: Mapping[str, np.ndarray | Stored]) -> dict[str, Candidate]:
    """Return {layer: Candidate} of a file's arrays, in their order.

    A layer's name is its array's without ".weight", or all of it where another array has the shorter one.
    """
    stored = assembled(arrays)
    matrices = {name: item for name, item in stored.items() if item.ndim >= 2}
    lying = _lying(matrices, stored)
    layers: dict[str, Candidate] = {}
    for name, item in matrices.items():
        short = name.removesuffix(".weight")
        is_free = short == name or (short not in matrices and short not in layers)
        is_lying, note = lying.get(name, (False, ""))
        aside, is_readable = _aside(name, item, len(matrices) == 1)
        layers[short if is_free else name] = _candidate(
            name, item, stored, is_lying, note, aside=aside, is_readable=is_readable
        )
    return layers


def passed_over(layers: Iterable[Candidate], everything: Iterable[Candidate]) -> str:
    """Return in one line which of the candidates are passed over, why, and what share of all numbers they have."""
    reasons: dict[str, list[Candidate]] = {}
    for layer in layers:
        if layer.aside:
            reasons.setdefault(layer.aside, []).append(layer)
    if not reasons:
        return ""
    n_aside = sum(math.prod(layer.shape) for passed in reasons.values() for layer in passed)
    share = n_aside / max(1, sum(math.prod(layer.shape) for layer in everything))
    listed = ", ".join(f"{few([layer.array for layer in passed])} ({why})" for why, passed in reasons.items())
    return f"passed over {n_aside:,} numbers, {100 * share:.1f}% of those in matrices: {listed}"


def few(names: list[str]) -> str:
    """Return the first names in words, and how many more there are."""
    listed = ", ".join(names[:N_NAMED])
    return listed if len(names) <= N_NAMED else f"{listed} and {len(names) - N_NAMED} more"


def bias_name(name: str) -> str:
    """Return the name with "bias" for its last "weight" or "kernel", "" where it has neither."""
    word = "kernel" if _is_kernel(name) else "weight"
    before, there_is, after = name.rpartition(word)
    return f"{before}bias{after.removeprefix('s')}" if there_is else ""


def _word(name: str) -> str:
    """Return the word that says what an array is: the last one but "weight"."""
    match = _LAST.fullmatch(name.removesuffix(".weight"))
    return match[1] if match else name


def _is_kernel(name: str) -> bool:
    """Tell whether a name is Keras' or Flax' for weights of which the last axis is the outputs."""
    return _word(name).lower().endswith("kernel")


def _lying(matrices: Mapping[str, Stored], stored: Mapping[str, Stored]) -> dict[str, tuple[bool, str]]:
    """Return {name: (whether the matrix is [in, out], what to say)} of those whose bias or name has a part in it.

    A bias as long as the columns and not as the rows says so; a square matrix is as the others of its kind are.
    """
    fits: dict[str, tuple[bool, bool]] = {}
    for name, item in matrices.items():
        bias = stored.get(bias_name(name))
        if item.ndim == 2 and bias is not None and not item.is_oriented and not _is_kernel(name):
            n_bias = math.prod(bias.shape)
            fits[name] = n_bias == item.shape[0], n_bias == item.shape[1]
    told = {name: not is_out for name, (is_out, is_in) in fits.items() if is_out != is_in}
    lying = {name: (True, "transposed, as y = x W + b") for name, is_lying in told.items() if is_lying}
    for name, (is_out, is_in) in fits.items():
        if is_out and is_in:
            is_gpt2 = _word(name) in CONV1D
            others = {is_lying for other, is_lying in told.items() if (_word(other) in CONV1D) == is_gpt2}
            if others == {True}:
                lying[name] = True, "square, transposed as the file's others are"
            elif is_gpt2 and not others:
                lying[name] = False, "square, taken as [out, in], where GPT-2 has [in, out]"
    return lying


def _aside(name: str, item: Stored, is_alone: bool) -> tuple[str, bool]:
    """Return why an array is passed over, "" where it is not, and whether it can be had by its name."""
    if item.aside:
        return item.aside, item.read is not None
    word, kind = _word(name), item.dtype.kind
    if item.dtype.isbuiltin == 1 and kind not in "fiub":
        return f"{item.dtype}, no real numbers", False
    if kind in "iu" and item.dtype.itemsize > 1 and not is_alone:
        return f"{item.dtype} numbers are indices or packed words: store weights as float32", False
    if "expert" in name and item.ndim == 3:
        return "a stack of matrices, whose orientation the file does not say", False
    if "depthwise" in name and _is_kernel(name):
        return "a depthwise kernel, one for each channel", False
    if item.ndim <= 3 and _EMBEDDING.fullmatch(word):
        return "an embedding is looked up, not multiplied", True
    if _OPTIMISER.fullmatch(name):
        return "an optimiser's memory", True
    if "bias" in word:
        return "a bias or a mask, no weights", True
    if kind == "b" and "mask" in word:
        return "a mask, no weights", True
    if _SCALE.fullmatch(word):
        return "scales of other numbers", True
    return "", True


def _candidate(name: str, item: Stored, stored: Mapping[str, Stored], is_lying: bool, note: str, **why) -> Candidate:
    bias = stored.get(bias_name(name))
    shape, turn, back = item.shape, _as_stored, _as_stored
    if is_lying:
        shape, turn, back = item.shape[::-1], np.transpose, np.transpose
    elif _is_kernel(name):
        shape, turn, back = _kernel(name, item.shape, None if bias is None else bias.shape)
        note = "transposed, as y = x kernel + bias"
    notes = [item.note, note]
    if item.dtype.kind == "b":
        notes.append(f"a pattern without values, which are drawn: normal, seed {SEED}")
    if item.dtype.kind in "iu":
        notes.append(f"{item.dtype} as they are, without a scale")
    if len(shape) > 2:
        notes.append(f"one position of a convolution of {' x '.join(map(str, shape[2:]))}")
        if shape[1] == 1 < shape[0]:
            notes.append("depthwise or of one channel, which the file does not say")

    def read() -> tuple[np.ndarray, np.ndarray | None]:
        if item.read is None:
            raise BadInput(item.aside)
        weights = turn(_drawn(item.read()) if item.dtype.kind == "b" else numbers(item.read()))
        return weights, None if bias is None else _bias(bias_name(name), bias, shape)

    said = ", ".join(filter(None, notes))
    return Candidate(array=name, shape=shape, read=read, stored=item, bias=bias, back=back, note=said, **why)


def _as_stored(weights: np.ndarray) -> np.ndarray:
    return weights


def _kernel(
    name: str, shape: tuple[int, ...], of_bias: tuple[int, ...] | None
) -> tuple[tuple[int, ...], Callable, Callable]:
    """Return the shape as [out, in, ...] of a kernel [..., in, out], what brings it there and what brings it back.

    A bias of several dimensions says that so many axes are outputs: heads and their width. A convolution keeps its
    positions as axes of their own, and so does whatever has four; of three, all but the outputs are inputs.
    """
    n_outputs = len(of_bias) if of_bias and of_bias == shape[len(shape) - len(of_bias) :] else 1
    if n_outputs == 1 and (len(shape) > 3 or (len(shape) == 3 and "conv" in name.lower())):
        order = (len(shape) - 1, len(shape) - 2, *range(len(shape) - 2))
        back = np.argsort(order)
        return (
            tuple(shape[axis] for axis in order),
            lambda weights: weights.transpose(order),
            lambda weights: weights.transpose(back),
        )
    n_out = math.prod(shape[len(shape) - n_outputs :])
    n_in = math.prod(shape[: len(shape) - n_outputs])
    return (n_out, n_in), lambda weights: weights.reshape(n_in, n_out).T, lambda weights: weights.T.reshape(shape)


def _bias(name: str, bias: Stored, shape: tuple[int, ...]) -> np.ndarray:
    """Return f32[out]; one number holds for all outputs."""
    n_bias, n_out = math.prod(bias.shape), shape[0]
    if n_bias not in (1, n_out) or bias.read is None:
        inputs = " x ".join(f"{length:,}" for length in shape[1:])
        raise BadInput(f"its bias {name!r} has {n_bias:,} numbers for {n_out:,} outputs and {inputs} inputs")
    return np.broadcast_to(numbers(bias.read()).ravel(), n_out)


def _drawn(pattern: np.ndarray) -> np.ndarray:
    """Return f32: values drawn for the places of a pattern, none of them 0."""
    weights = np.zeros(pattern.shape, np.float32)
    values = np.random.default_rng(SEED).standard_normal(np.count_nonzero(pattern), np.float32)
    weights[pattern] = np.where(values == 0, 1, values)
    return weights
