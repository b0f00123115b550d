"""What each unit did over time, coarsely: the state that took most of each bin of a run, small enough for a store."""

from __future__ import annotations

import json
import string
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from cyclekit.trace import Track

N_BINS = 240  # of a run: about the pixels that a figure has for it
LETTERS = string.ascii_letters  # one a state

Maps = Mapping[str, tuple[tuple[str, ...], np.ndarray]]  # unit kind -> (names of its states, u8[units, bins])


def unit_maps(tracks: Iterable[Track], n_ticks: int) -> Maps:
    """Return the maps of the ticks [0, n_ticks) of a run; a run shorter than the bins has a bin a tick."""
    edges = np.linspace(0, n_ticks, min(N_BINS, n_ticks) + 1)
    states: dict[str, tuple[str, ...]] = {}
    cells: dict[str, list[np.ndarray]] = {}
    for track in tracks:
        states[track.kind] = tuple(state.name.lower() for state in track.states)
        cells.setdefault(track.kind, []).append(_most(track, edges))
    return {kind: (states[kind], np.stack(of_kind)) for kind, of_kind in cells.items()}


def pack(maps: Maps) -> bytes:
    """Return maps as compressed JSON: {kind: {states: [names], cells: [a text a unit, a letter a bin]}}."""
    letters = np.array(list(LETTERS))
    plain = {
        kind: {"states": states, "cells": ["".join(letters[row]) for row in cells]}
        for kind, (states, cells) in maps.items()
    }
    return zlib.compress(json.dumps(plain).encode())


def unpack(packed: bytes) -> Maps:
    """Return what `pack` was called on."""
    numbers = np.zeros(128, np.uint8)
    numbers[[ord(letter) for letter in LETTERS]] = np.arange(len(LETTERS))
    plain = json.loads(zlib.decompress(packed))
    return {
        kind: (
            tuple(found["states"]),
            np.stack([numbers[np.frombuffer(row.encode("ascii"), np.uint8)] for row in found["cells"]]),
        )
        for kind, found in plain.items()
    }


def _most(track: Track, edges: np.ndarray) -> np.ndarray:
    """Return the state u8[bins] that has most ticks of each bin; of equals the first."""
    lengths = np.diff(track.edges)
    ticks = np.empty((len(track.states), len(edges) - 1))
    for state in range(len(track.states)):
        so_far = np.concatenate([[0], np.cumsum(np.where(track.state == state, lengths, 0))])
        ticks[state] = np.diff(np.interp(edges, track.edges, so_far))
    return ticks.argmax(axis=0).astype(np.uint8)
