"""What every unit did, span by span: the record of one unit, and of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

import numpy as np

from workloads.errors import BadInput

MOST_SPANS = 2_000_000  # about 200 MB of JSON


@dataclass(frozen=True, eq=False, kw_only=True)
class Track:
    """What one unit did, one state after the other without a gap.

    kind: of the unit, as in the ledger. states: the State enum. state: u8[n]. edges: i64[n + 1], ticks from the run's
    start; span i has states(state[i]) from edges[i] up to edges[i + 1]. Raises ValueError where a span is empty.
    """

    name: str
    kind: str
    states: type[IntEnum]
    state: np.ndarray
    edges: np.ndarray

    def __post_init__(self):
        if len(self.edges) != len(self.state) + 1 or (np.diff(self.edges) <= 0).any():
            raise ValueError(f"the spans of {self.name} must follow each other, none of them empty")

    @classmethod
    def within(cls, begin: int, end: int, *, state: np.ndarray, edges: np.ndarray, **names) -> Self:
        """Return the track of the ticks [begin, end): spans are cut there, and the empty ones left out."""
        edges = np.clip(edges, begin, end)
        some = edges[1:] > edges[:-1]
        return cls(state=state[some].astype(np.uint8), edges=np.append(edges[:-1][some], end).astype(np.int64), **names)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trace:
    """The tracks of a run, or of a window of it. cycle_us: the length of a cycle; begin, end: in ticks.

    Raises ValueError where a track does not fill the window.
    """

    title: str
    cycle_us: float
    ticks_per_cycle: int
    begin: int
    end: int
    tracks: tuple[Track, ...]

    def __post_init__(self):
        if any((track.edges[0], track.edges[-1]) != (self.begin, self.end) for track in self.tracks):
            raise ValueError(f"every track of {self.title} must go from {self.begin} to {self.end}")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; spans are [state, begin, end] in cycles from the run's start."""
        tracks = []
        for track in self.tracks:
            words, edges = names(track.states), (track.edges / self.ticks_per_cycle).tolist()
            spans = [[words[state], *span] for state, *span in zip(track.state.tolist(), edges, edges[1:])]
            tracks.append({"name": track.name, "kind": track.kind, "spans": spans})
        return {"begin": self.begin / self.ticks_per_cycle, "end": self.end / self.ticks_per_cycle, "tracks": tracks}


def limited(tracks: Iterable[Track]) -> tuple[Track, ...]:
    """Return the tracks, made one after the other; raises BadInput at once where they hold more than MOST_SPANS."""
    listed, n_spans = [], 0
    for track in tracks:
        n_spans += len(track.state)
        if n_spans > MOST_SPANS:
            raise too_long(f"{n_spans:,} spans in {len(listed) + 1} units")
        listed.append(track)
    return tuple(listed)


def too_long(what: str) -> BadInput:
    """Return the error of a trace that holds too much."""
    return BadInput(
        f"a trace must hold at most {MOST_SPANS:,} spans, got {what}: ask for a smaller --window or --units"
    )


def names(states: type[IntEnum]) -> Sequence[str]:
    """Return what a unit's states are called."""
    return [state.name.lower() for state in states]
