"""Do the kernels that only move bytes move what the formats hold, in the time and at the power that moving takes?"""

import pytest

from tensorcore_sim.operators.formats import compress, quantise
from tensorcore_sim.spec import PRESETS
from workloads.errors import BadInput

A100, H100, B200 = (PRESETS[name] for name in ("a100-sxm-80gb", "h100-sxm", "b200"))


@pytest.mark.parametrize(
    ("from_dtype", "to_dtype", "read", "written"),
    [
        ("f32", "bf16", 4, 2),
        ("bf16", "e4m3", 2, 1),
        ("f16", "int8", 2, 1),
        ("f16", "int4", 2, 0.5),
        ("bf16", "nvfp4", 2, 0.5 + 1 / 16),  # an e4m3 for 16 values
        ("bf16", "mxfp4", 2, 0.5 + 1 / 32),  # an e8m0 for 32
        ("bf16", "mxfp8", 2, 1 + 1 / 32),
    ],
)
def test_quantising_moves_what_the_formats_hold(from_dtype, to_dtype, read, written):
    moved = quantise(64, 128, from_dtype, to_dtype, H100)
    assert (moved.read_bytes, moved.write_bytes) == (64 * 128 * read, 64 * 128 * written)


@pytest.mark.parametrize(
    ("from_dtype", "to_dtype", "read", "written"),
    [
        ("bf16", "bf16", 2, 1 + 1 / 8),  # half of 16 + 2 bits
        ("bf16", "e4m3", 2, 1 / 2 + 1 / 8),
        ("e4m3", "e4m3", 1, 1 / 2 + 1 / 8),
        ("int4", "int4", 1 / 2, 1 / 4 + 1 / 16),
        ("f32", "tf32", 4, 2 + 1 / 4),
        ("bf16", "nvfp4", 2, 1 / 4 + 1 / 16 + 1 / 32),  # 4:8 in pairs: four bits for a group; a scale for 32 columns
    ],
)
def test_compressing_writes_half_of_the_values_and_their_places(from_dtype, to_dtype, read, written):
    moved = compress(64, 128, from_dtype, to_dtype, A100)
    assert (moved.read_bytes, moved.write_bytes) == (64 * 128 * read, 64 * 128 * written)
    assert compress(64, 128, from_dtype, to_dtype, A100.replace(in_dtype="int8", sparsity="1:4")) == moved


def test_time_is_the_launch_and_the_bytes_at_the_bandwidth_that_is_reached():
    moved = quantise(8192, 8192, "bf16", "e4m3", H100)
    assert moved.time_us == pytest.approx(3.4 + 3 * 2**26 / (3350e3 * 0.91))
    waited = quantise(8192, 8192, "bf16", "e4m3", H100.replace(host_us=100, sync_us=7))
    assert waited.time_us == 107
    queued = quantise(8192, 8192, "bf16", "e4m3", H100.replace(host_us=50))
    assert queued.time_us == moved.time_us


def test_power_is_the_bits_that_move_and_never_above_the_limit():
    moved = quantise(8192, 8192, "bf16", "e4m3", H100)
    pj = 8 * 3 * 2**26 * 9.9 * 1.83
    assert moved.power_w == pytest.approx(100 + pj / 1e6 / moved.time_us)
    assert moved.energy_uj == pytest.approx(100 * moved.time_us + pj / 1e6)
    capped = quantise(8192, 8192, "bf16", "e4m3", H100.replace(power_limit_w=200))
    assert (capped.power_w, capped.time_us) == (200, moved.time_us)


def test_the_least_and_the_largest_matrix():
    assert quantise(1, 1, "f32", "f16", H100).read_bytes == 4
    assert quantise(2**24, 1, "f16", "int8", H100).write_bytes == 2**24
    with pytest.raises(BadInput, match=f"rows must be a whole number from 1 to 16777216, got {2**24 + 1}"):
        quantise(2**24 + 1, 1, "f16", "int8", H100)


@pytest.mark.parametrize("moves", [quantise, compress])
@pytest.mark.parametrize(
    ("sizes", "formats", "line"),
    [
        ((0, 8), ("bf16", "e4m3"), "rows must be a whole number from 1 to 16777216, got 0"),
        ((8, 8.0), ("bf16", "e4m3"), "columns must be a whole number from 1 to 16777216, got 8.0"),
        ((8, 8), ("nvfp4", "e4m3"), "unknown from_dtype 'nvfp4'"),
        ((8, 8), ("bf16", "e4m4"), "unknown to_dtype 'e4m4', did you mean 'e4m3'?"),
    ],
)
def test_what_cannot_be_moved_is_refused(moves, sizes, formats, line):
    with pytest.raises(BadInput) as refusal:
        moves(*sizes, *formats, B200)
    assert str(refusal.value).startswith(line)


def test_a_card_without_sparse_instructions_compresses_nothing():
    with pytest.raises(BadInput, match="card must be one with 2:4, got 't4'"):
        compress(8, 8, "f16", "int8", PRESETS["t4"])
