"""Fusion of consecutive pointwise layers: whose features stay on the chip between two of them."""

from __future__ import annotations

from pointacc_sim.spec import FEATURE_BYTES, Spec
from workloads.points.convolution import SparseConvolution


def groups(channels: tuple[int, ...], spec: Spec) -> list[int]:
    """Return how many consecutive layers of a run run as one, of channels (in, between ..., out).

    A tile of output points goes through all of them; the features between two layers and those that are made of them
    must fit the cache together.
    """
    lengths = [1]
    for place in range(1, len(channels) - 1):
        is_last = place == len(channels) - 2
        beside = 0 if is_last else channels[place + 1]  # what leaves the last goes out
        fits = (channels[place] + beside) * spec.tile_outputs * FEATURE_BYTES <= spec.cache_bytes
        if fits:
            lengths[-1] += 1
        else:
            lengths.append(1)
    return lengths


def on_chip(layer: SparseConvolution, spec: Spec) -> tuple[bool, bool]:
    """Return whether a layer's features come from the chip, and whether what leaves it stays there."""
    if not spec.fusion or len(layer.pointwise_run) < 3:
        return False, False
    place = layer.run_place
    for length in groups(layer.pointwise_run, spec):
        if place < length:
            return place > 0, place < length - 1
        place -= length
    raise AssertionError("a layer's place lies in its run")
