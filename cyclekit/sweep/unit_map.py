"""What each unit did over time, coarsely: its state at evenly spaced moments of a run, small enough for a store."""

from __future__ import annotations

import json
import string
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from cyclekit.trace.tracks import Track

N_MOMENTS = 480  # of a run: about the pixels that a figure has for it
LETTERS = string.ascii_letters  # one a state

Maps = Mapping[str, tuple[tuple[str, ...], np.ndarray]]  # unit kind -> (names of its states, u8[units, moments])


def unit_maps(tracks: Iterable[Track], n_ticks: int) -> Maps:
    """Return the maps of the ticks [0, n_ticks) of a run, which a short one shows all.

    Moments, rather than what took most of a while: so the colours of a figure stand in proportion to the time spent.
    """
    n_moments = min(N_MOMENTS, n_ticks)
    moments = (2 * np.arange(n_moments) + 1) * n_ticks // (2 * n_moments)  # the middles of so many equal parts
    states: dict[str, tuple[str, ...]] = {}
    cells: dict[str, list[np.ndarray]] = {}
    for track in tracks:
        states[track.kind] = tuple(state.name.lower() for state in track.states)
        at = np.searchsorted(track.edges, moments, side="right") - 1
        cells.setdefault(track.kind, []).append(track.state[at])
    return {kind: (states[kind], np.stack(of_kind)) for kind, of_kind in cells.items()}


def pack(maps: Maps) -> bytes:
    """Return maps as compressed JSON: {kind: {states: [names], cells: [a text a unit, a letter a moment]}}."""
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
            tuple(of_kind["states"]),
            np.stack([numbers[np.frombuffer(row.encode("ascii"), np.uint8)] for row in of_kind["cells"]]),
        )
        for kind, of_kind in plain.items()
    }
