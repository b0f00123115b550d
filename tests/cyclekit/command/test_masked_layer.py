"""Does a layer that PyTorch pruned run as its mask says, and not as the matrix under the mask?"""

import json

import numpy as np
import pytest

from eie_sim.spec import Spec
from tests.naive_eie import encode_column, tick
from tests.reader_samples import safetensors_of
from workloads.address import half_normal

N_PES = 4
# A drawn layer of 128 x 64 whose weights are pruned to 10% by magnitude, as torch.nn.utils.prune.l1_unstructured does;
# its seed is one for which the figures are those that an issue asked for: 391 entries with weights, 121 cycles.
RNG = np.random.default_rng(7)
WEIGHTS, BIAS = RNG.standard_normal((128, 64), np.float32), RNG.uniform(0.01, 1, 128).astype(np.float32)
MASK = np.zeros(WEIGHTS.size, np.float32)
MASK[np.argsort(-np.abs(WEIGHTS), axis=None)[: round(0.1 * WEIGHTS.size)]] = 1
MASK = MASK.reshape(WEIGHTS.shape)
ACTIVE = half_normal(64, 0.35, 0) != 0  # what reaches a layer of a file that brings no activations


@pytest.fixture
def run(zeroskip, tmp_path):
    """Return a function that runs a file of arrays on EIE with four PEs, and returns what it told."""

    def told(arrays):
        (tmp_path / "m.safetensors").write_bytes(safetensors_of(arrays))
        words = [tmp_path / "m.safetensors", "--set", f"n_pes={N_PES}", "--check", "--json", "-"]
        ended = zeroskip("run", "eie", *words)
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    return told


def by_hand(mask, bias) -> tuple[int, int, int]:
    """Return the weights that are multiplied, the entries that are handled and the cycles, of loops over the rules."""
    columns = np.column_stack([mask, bias != 0]) if bias is not None else mask
    n = [[0] * columns.shape[1] for _ in range(N_PES)]
    for pe in range(N_PES):
        for j, column in enumerate(columns.T):
            rows = np.flatnonzero(column[pe::N_PES]).tolist()
            n[pe][j] = len(encode_column(rows, [1] * len(rows)))
    sent = [*np.flatnonzero(ACTIVE), *([64] if bias is not None else [])]
    entries = sum(row[j] for row in n for j in sent)
    cycles = tick(n, ACTIVE.tolist(), Spec(n_pes=N_PES), bias=bias is not None)["cycles"]
    return int(np.count_nonzero(columns[:, sent])), entries, cycles


def test_the_mask_and_the_bias_hold(run):
    told = run({"0.weight_orig": WEIGHTS, "0.weight_mask": MASK, "0.bias": BIAS})
    macs, entries, cycles = by_hand(MASK, BIAS)
    assert (macs, cycles) == (391, 121)
    assert (told["actions"]["macs"], told["actions"]["entries"], told["cycles"]) == (macs, entries, cycles)
    assert told["check"]["passed"]


def test_without_them_the_same_layer_takes_many_times_as_long(run):
    told = run({"0.weight": WEIGHTS})
    # 22 of the 64 inputs are drawn; a PE handles 32 entries of each, one a cycle, from cycle 3 on, and 6 cycles drain
    assert told["cycles"] == by_hand(np.ones((128, 64)), None)[2] == 712 == 2 + 22 * 32 + 6


def test_one_byte_a_place_is_a_mask_too(run):
    arrays = {"weight_orig": WEIGHTS, "weight_mask": MASK.astype(np.uint8), "bias": BIAS}
    assert run(arrays)["cycles"] == 121
