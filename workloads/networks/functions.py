"""The functions of a decoder's block, each with its way back: product, RMS normalisation, gate, attention, loss.

Signals are f32[tokens, width], the tokens of all samples in one array. Arrays given as float64 stay float64, so that
gradients can be checked by finite differences. Every function returns its outputs and the function that carries a
gradient back from them (vector-Jacobian product).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

EPSILON = 1e-5  # rms_norm_eps of Llama 2's config.json
THETA = 10000.0  # rope_theta of Llama 2's config.json; RoFormer, Su et al. 2021, section 3.2.2

Back = Callable[[np.ndarray], tuple[np.ndarray, ...]]


def product(inputs: np.ndarray, weights: np.ndarray, bias: np.ndarray | None) -> tuple[np.ndarray, Back]:
    """Return x W^T + b, f32[tokens, out]; the way back gives the gradients by inputs, weights and bias, or None."""
    outputs = inputs @ weights.T
    if bias is not None:
        outputs += bias

    def back(gradient):
        return gradient @ weights, gradient.T @ inputs, None if bias is None else gradient.sum(axis=0)

    return outputs, back


def rms_norm(inputs: np.ndarray, gain: np.ndarray) -> tuple[np.ndarray, Back]:
    """Return x / sqrt(mean x**2 + epsilon) * gain; the way back gives the gradients by inputs and gain.

    Source: Zhang and Sennrich 2019.
    """
    mean_square = np.square(inputs).mean(axis=1, keepdims=True)
    scale = 1 / np.sqrt(mean_square + inputs.dtype.type(EPSILON))
    normal = inputs * scale

    def back(gradient):
        by_normal = gradient * gain
        along = (by_normal * normal).mean(axis=1, keepdims=True)
        return (by_normal - normal * along) * scale, (gradient * normal).sum(axis=0)

    return normal * gain, back


def gated(gate: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, Back]:
    """Return silu(gate) * up; the way back gives the gradients by both. Source: SwiGLU, Shazeer 2020."""
    share = (np.tanh(gate / 2) + 1) / 2
    opened = gate * share

    def back(gradient):
        return gradient * up * (share + opened * (1 - share)), gradient * opened

    return opened * up, back


def attention(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, n_tokens: int, n_heads: int
) -> tuple[np.ndarray, Back]:
    """Return f32[tokens, heads * head_dim]: causal attention in which n_heads / n_kv_heads heads share a key and value.

    query: f32[tokens, heads * head_dim]; key, value: f32[tokens, kv heads * head_dim]; all of width 0 where no head is
    left; n_tokens: of a sample, all being of one length. Positions turn queries and keys. The way back gives the
    gradients by query, key and value. Source: grouped-query attention, Ainslie et al. 2023.
    """
    if not query.shape[1]:
        return query, lambda gradient: (gradient, key, value)
    head_dim = query.shape[1] // n_heads
    n_kv_heads = key.shape[1] // head_dim

    def parted(rows: np.ndarray, n: int) -> np.ndarray:
        return rows.reshape(-1, n_tokens, n, head_dim).swapaxes(1, 2)  # [samples, heads, tokens, head_dim]

    def joined(heads: np.ndarray) -> np.ndarray:
        return heads.swapaxes(1, 2).reshape(-1, heads.shape[1] * head_dim)

    def grouped(heads: np.ndarray) -> np.ndarray:
        return heads.reshape(len(heads), n_kv_heads, -1, heads.shape[3])  # the heads of a group under each other

    turns = _turns(n_tokens, head_dim, query.dtype)
    scale = query.dtype.type(1 / np.sqrt(head_dim))
    queries = grouped(_turned(parted(query, n_heads), *turns)) * scale
    keys, values = _turned(parted(key, n_kv_heads), *turns), parted(value, n_kv_heads)
    likeness = queries @ keys.swapaxes(2, 3)
    by_head = likeness.reshape(*likeness.shape[:2], -1, n_tokens, n_tokens)
    by_head += np.triu(np.full((n_tokens, n_tokens), -np.inf, query.dtype), 1)
    likeness -= likeness.max(axis=3, keepdims=True)
    weights = np.exp(likeness, out=likeness)
    weights /= weights.sum(axis=3, keepdims=True)
    mixed = weights @ values

    def back(gradient):
        by_mixed = grouped(parted(gradient, n_heads))
        by_values = weights.swapaxes(2, 3) @ by_mixed
        by_weights = by_mixed @ values.swapaxes(2, 3)
        by_weights -= (by_weights * weights).sum(axis=3, keepdims=True)
        by_weights *= weights
        by_queries = (by_weights @ keys).reshape(len(gradient) // n_tokens, n_heads, n_tokens, head_dim) * scale
        by_keys = by_weights.swapaxes(2, 3) @ queries
        cosine, sine = turns  # a turn's way back is the turn by the opposite angle
        return tuple(map(joined, (_turned(by_queries, cosine, -sine), _turned(by_keys, cosine, -sine), by_values)))

    return joined(mixed.reshape(len(mixed), n_heads, n_tokens, head_dim)), back


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
    """Return f[tokens], -log of the share that each label has in the softmax, and what gives the mean's gradient."""
    places = np.arange(len(labels))
    logs = logits - logits.max(axis=1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))

    def back():
        delta = np.exp(logs)
        delta[places, labels] -= 1
        delta /= len(labels)
        return delta

    return -logs[places, labels], back


def _turns(n_tokens: int, head_dim: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosines and sines, f[tokens, head_dim / 2], of the angles that positions turn pairs of values by."""
    angles = np.outer(np.arange(n_tokens), THETA ** (-np.arange(0, head_dim, 2) / head_dim))
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


def _turned(heads: np.ndarray, cosine: np.ndarray, sine: np.ndarray) -> np.ndarray:
    """Return the heads with value i and i + head_dim / 2 of each turned as a pair, as Llama's files order them."""
    half = heads.shape[-1] // 2
    first, second = heads[..., :half], heads[..., half:]
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
