"""Scores of a transformer's neurons, heads, channels and blocks, and which blocks go: arithmetic without a network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

from workloads.pruning.ranks import largest


def activation_norms(samples: Iterable[np.ndarray]) -> np.ndarray:
    """Return f64[channels]: over samples the root of the summed squares of the mean over tokens of |value|.

    samples: f[tokens, channels] each. Source: Minitron, Muralidharan et al. 2024, as ModelOpt computes it.
    """
    means = [np.abs(values).mean(axis=0, dtype=np.float64) for values in samples]
    return np.sqrt(np.square(means).sum(axis=0))


def of_heads(scores: np.ndarray, n_heads: int) -> np.ndarray:
    """Return f64[heads]: the L2 norm over a head's values of scores f64[heads * head_dim]. Source: as above."""
    return np.sqrt(np.square(scores).reshape(n_heads, -1).sum(axis=1))


def block_influence(before: np.ndarray, behind: np.ndarray) -> float:
    """Return 1 less the mean over tokens of the cosine between what enters a block and what leaves it.

    before, behind: f[tokens, width]. A state of zeros has no direction and counts as unlike. Source: ShortGPT, Men et
    al. 2024; Minitron's score of depth.
    """
    before, behind = before.astype(np.float64), behind.astype(np.float64)
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(behind, axis=1)
    products = (before * behind).sum(axis=1)
    return float(1 - np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0).mean())


def taylor(weights: Iterable[np.ndarray], gradients: Iterable[np.ndarray]) -> float:
    """Return the sum of |w * gradient| over arrays. Source: Shortened LLaMA, Kim et al. 2024."""
    pairs = zip(weights, gradients, strict=True)
    return float(sum(np.abs(w * g).sum(dtype=np.float64) for w, g in pairs))


def highest(scores: np.ndarray, n_kept: int, n_groups: int = 1) -> np.ndarray:
    """Return int[n_kept], ascending: the places of the highest scores f64[n], as many in each group.

    Of equals the first. n_groups: into how many groups of neighbours the places fall, which divides their number and
    n_kept.
    """
    return np.flatnonzero(largest(scores.reshape(n_groups, -1), n_kept // n_groups))


def lowest_blocks(scores: Mapping[int, float], n: int, protected: Collection[int] = ()) -> list[int]:
    """Return the n blocks of the lowest scores {block: score} that are not protected, the lowest first."""
    free = [block for block in scores if block not in protected]
    return sorted(free, key=lambda block: (scores[block], block))[:n]


def greedy_blocks(
    loss_without: Callable[[frozenset[int]], float], blocks: Sequence[int], n: int, protected: Collection[int] = ()
) -> list[int]:
    """Return n blocks in the order in which they go: each time that one without which the loss then is least.

    loss_without: gives the loss of the network without some blocks; of equals the first goes. Source: SLEB, Song et al.
    2024, algorithm 1, which protects the first and the last block.
    """
    gone: list[int] = []
    for _ in range(n):
        free = [block for block in blocks if block not in protected and block not in gone]
        losses = {block: loss_without(frozenset((*gone, block))) for block in free}
        gone += lowest_blocks(losses, 1)
    return gone
