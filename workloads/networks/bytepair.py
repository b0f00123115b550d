"""Byte-pair encoding: tokens that are bytes, or two tokens that often stand side by side within a word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workloads.errors import BadInput

N_BYTES = 256
SPACE, NEWLINE = b" \n"  # a word begins with its space

Merges = Sequence[tuple[int, int]]  # merge i makes token 256 + i of two others


def learn(text: str, n_merges: int) -> list[tuple[int, int]]:
    """Return the merges, each of the pair that is most frequent by then, of equals the lowest. Raises BadInput.

    Source: Sennrich, Haddow and Birch 2016, algorithm 1; on bytes as in GPT-2, Radford et al. 2019.
    """
    tokens, merges, beginning = _bytes(text), [], [SPACE, NEWLINE]
    for new in range(N_BYTES, N_BYTES + n_merges):
        inside = ~np.isin(tokens[1:], beginning) & (tokens[:-1] != NEWLINE)
        pairs, counts = np.unique(tokens[:-1][inside] * (N_BYTES + n_merges) + tokens[1:][inside], return_counts=True)
        if not len(pairs) or counts.max() < 2:
            raise BadInput(f"n_merges must be at most {len(merges)}, where no pair comes twice, got {n_merges}")
        first, second = divmod(int(pairs[counts.argmax()]), N_BYTES + n_merges)
        merges.append((first, second))
        beginning += [new] if first in beginning else []
        tokens = _merged(tokens, first, second, new)
    return merges


def encode(text: str, merges: Merges) -> np.ndarray:
    """Return i64[tokens]: the bytes of the text with each merge done in its turn."""
    tokens = _bytes(text)
    for i, (first, second) in enumerate(merges):
        tokens = _merged(tokens, first, second, N_BYTES + i)
    return tokens


def decode(tokens: np.ndarray, merges: Merges) -> str:
    """Return the text of tokens; bytes that are none of UTF-8 become a sign of replacement."""
    spelt = [bytes([i]) for i in range(N_BYTES)]
    for first, second in merges:
        spelt.append(spelt[first] + spelt[second])
    return b"".join(spelt[token] for token in tokens.tolist()).decode(errors="replace")


def _bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8).astype(np.int64)


def _merged(tokens: np.ndarray, first: int, second: int, new: int) -> np.ndarray:
    places = np.flatnonzero((tokens[:-1] == first) & (tokens[1:] == second))
    if first == second and len(places):  # of a run of equals, the first two, the next two and so on
        runs = np.cumsum(np.diff(places, prepend=places[0] - 2) > 1)
        starts = np.flatnonzero(np.diff(runs, prepend=0))
        places = places[(np.arange(len(places)) - np.repeat(starts, np.diff([*starts, len(places)]))) % 2 == 0]
    tokens = tokens.copy()
    tokens[places] = new
    return np.delete(tokens, places + 1)
