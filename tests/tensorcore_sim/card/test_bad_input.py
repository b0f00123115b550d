"""Does a GEMM that the card, the tile or the format cannot take come back as one clear line, and odd cards as times?"""

import numpy as np
import pytest

from cyclekit.command.cli import main
from tensorcore_sim import PRESETS, Problem, encode, simulate, time_gemm
from workloads import Workload
from workloads.errors import BadInput
from workloads.records import Shape

A100, H100 = PRESETS["a100-sxm-80gb"], PRESETS["h100-sxm"]


def refused(match: str):
    return pytest.raises(BadInput, match=match)


def test_an_image_encoded_for_another_format_is_refused():
    layer = Workload(name="w", weights=np.zeros((2, 8)), activations=np.ones(8))
    for changes in ({"in_dtype": "bf16"}, {"sparsity": "2:4"}, {"int4_weights": True}, {"scale_group": 64}):
        with refused("the image was encoded for .*, encode it again for "):
            simulate(encode(layer, A100), layer.activations, A100.replace(**changes))
    # what the weights do not depend on may change
    assert simulate(encode(layer, A100), layer.activations, H100).outputs.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("activations", "line"),
    [
        (np.ones(7), r"activations must be f32\[batch, 8\] for w, got shape \(1, 7\)"),
        (np.ones((2, 9)), r"got shape \(2, 9\)"),
        (np.ones((2, 2, 8)), "activations must be 1-D or 2-D"),
        (np.array([np.nan] * 8), "activations must be finite f32, got nan at index"),
        (np.ones((0, 8)), "activations must not be empty"),
        (np.full(8, 1e30), "values must be at most 65504 in size for f16, got 1e"),
        (np.array(["a"] * 8), "activations must be real numbers"),
        (None, "activations must be real numbers"),
    ],
)
def test_activations_that_do_not_fit(activations, line):
    image = encode(Workload(name="w", weights=np.zeros((2, 8)), activations=np.ones(8)), A100)
    with refused(line):
        simulate(image, activations, A100)


@pytest.mark.parametrize(
    ("changes", "bad", "line"),
    [
        (
            {},
            [1, 1, 0, 1],
            "weights of w: matrix must be 2:4 for f16: the group at row 1, columns 8 to 11 has 3 non-zeros",
        ),
        ({"in_dtype": "tf32"}, [0, 0, 1, 1], "1:2 for tf32: the group at row 1, columns 10 to 11 has 2 non-zeros"),
        (
            {"in_dtype": "int4"},
            [1, 0, 1, 0],
            "4:8 in pairs for int4: the group at row 1, columns 8 to 15 has 3 non-zeros",
        ),
        ({"sparsity": "1:4"}, [1, 0, 0, 1], "1:4: the group at row 1, columns 8 to 11 has 2 non-zeros"),
        ({"int4_weights": True}, [1, 1, 0, 1], "2:4 for f16: the group at row 1, columns 8 to 11 has 3 non-zeros"),
    ],
)
def test_weights_that_are_not_sparse_as_asked_name_their_place(changes, bad, line):
    weights = np.zeros((3, 14))
    weights[1, 8:12] = bad
    weights[1, 12] = 1
    with refused(line):
        encode(
            Workload(name="w", weights=weights, activations=np.ones(14)), A100.replace(**{"sparsity": "2:4"} | changes)
        )


@pytest.mark.parametrize(
    ("m", "n", "k"), [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 2**24 + 1), (1.0, 1, 1), (True, 1, 1)]
)
def test_a_problem_without_a_side_is_refused(m, n, k):
    with refused("must be a whole number from 1 to 16777216, got "):
        Problem(m=m, n=n, k=k)


@pytest.mark.parametrize(
    "changes",
    [{"clock_mhz": 1e18}, {"launch_us": 1e18}, {"hbm_latency_cycles": 1e18}, {"k_step_overhead_cycles": 1e18}],
)
def test_times_beyond_64_bits_are_refused(changes):
    with refused("times must fit 64 bits"):
        time_gemm(Problem(m=512, n=512, k=512), A100.replace(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"n_sms": 1},
        {"n_sms": 4096},
        {"l2_bytes": 0},
        {"port_bytes_per_cycle": 1},
        {"raster_tiles": 2**62},
        {"n_subcores": 64},
        {"hbm_gb_per_s": 0.001, "hbm_share": 0.001},
        {"n_sms_sharing_reads": 64},
        {"k_step_overhead_cycles": 0, "launch_us": 0},
        {"int4_weights": True, "scale_group": 7},
        {"int4_weights": True, "sparsity": "1:4"},
        {"sparsity": "2:16", "clock_mhz": 0.001},
    ],
)
@pytest.mark.parametrize("preset", [A100, H100])
def test_odd_cards_are_played_to_the_end(preset, changes):
    spec = preset.replace(**changes)
    _, ledger, measures = time_gemm(Problem(m=300, n=200, k=500), spec)
    assert ledger.cycles / spec.clock_mhz >= measures["least_time_us"] * (1 - 1e-9)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("run tensorcore 64x64x64 --set in_dtype=e4m3", "in_dtype 'e4m3' is not one of the tensor core's on a100"),
        ("run tensorcore:h100-sxm 64x64x64 --set in_dtype=int4", "in_dtype 'int4' is not one of the tensor"),
        ("run tensorcore 64x64x64 --set in_dtype=fp16", "in_dtype must be one of f16, bf16, tf32"),
        ("run tensorcore 64x64x64 --set sparsity=3:4", "sparsity must be one of dense, 2:4"),
        (
            "run tensorcore 64x64x64 --set tile_m=24",
            "tile_m, tile_n, tile_k and n_stages must fit multiples of 16, 8 and the instruction's k",
        ),
        ("run tensorcore 64x64x64 --set int4_weights=1 --set in_dtype=int8", "in_dtype must be f16 or bf16 with int4"),
        ("run tensorcore 64x64x64 --engine event", "unknown engine 'event' of tensorcore, did you mean 'events'?"),
        ("run tensorcore:a100 64x64x64", "unknown preset 'a100' of tensorcore"),
        ("run tensorcore 64x64x64 --set clock_mhz=1e18", "times must fit 64 bits"),
        ("run tensorcore 64x0x64", ""),
        ("run tensorcore 99999999x64x64", "m must be a whole number from 1 to 16777216, got 99999999"),
        (
            "run tensorcore lenet-300-100-dense --inputs 1 --set sparsity=2:4",
            "weights of lenet-300-100-dense/ip1: matrix must be 2:4",
        ),
        ("run eie 64x64x64", "workload '64x64x64' is a shape without values, which eie needs: name a layer"),
    ],
)
def test_the_command_refuses_in_one_line(capsys, words, line):
    assert main(words.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"zeroskip: error: {line}")
    assert printed.err.count("\n") == 1


def test_an_engine_that_is_unknown_is_named():
    with refused("unknown engine 'evnts', did you mean 'events'?"):
        time_gemm(Problem(m=8, n=8, k=8), A100, engine="evnts")


def test_a_shape_takes_no_activations():
    with refused("activations must be None for s, a shape without values"):
        simulate(encode(Shape(name="s", n_out=2, n_in=2, batch=1), A100), np.ones(2), A100)
